//! Extractors with rejections in the shape of all problems.

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::BODY_BYTES;
use super::deadline::{BODY_TIME_LIMIT, Deadline, TIME_LIMIT};
use super::error::Problem;
use super::in_flight::RequestPermit;
use crate::fields::FieldError;

/// A body that is one JSON object.
pub struct JsonObject(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        require_media_type(request.headers(), &["application/json"])?;
        object(request).await.map(Self)
    }
}

/// A body that is a JSON merge patch (RFC 7396) of an object.
pub struct MergePatch(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for MergePatch {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        require_media_type(request.headers(), &["application/merge-patch+json"])?;
        object(request).await.map(Self)
    }
}

async fn object(request: Request) -> Result<Map<String, Value>, Problem> {
    let limits = BodyLimits::of(request.extensions());
    let body = limits.read(bounded(request, BODY_BYTES)).await??;
    match serde_json::from_slice(&body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(not_an_object("must be a JSON object")),
        Err(error) => Err(not_an_object(&format!("is not JSON: {error}"))),
    }
}

/// Reads a whole body of at most so many bytes.
pub(crate) async fn bounded(mut request: Request, most: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::too_large_for(most as u64);
    let announced =
        request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: u64| bytes > most as u64) {
        return Err(too_large());
    }
    DefaultBodyLimit::max(most).apply(&mut request);
    Bytes::from_request(request, &()).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(),
        _ => not_an_object("could not be read to its end"),
    })
}

/// The time limit and the permit of a request, while its body is read.
pub(crate) struct BodyLimits {
    deadline: Deadline,
    permit: Option<RequestPermit>,
}

impl BodyLimits {
    fn of(extensions: &Extensions) -> Self {
        let deadline = extensions.get::<Deadline>().cloned();
        let deadline = deadline.unwrap_or_else(|| Deadline::after(TIME_LIMIT));
        Self { deadline, permit: extensions.get::<RequestPermit>().cloned() }
    }

    /// Reads a whole body. Without a permit, on the port of operators, only its time is limited.
    async fn read<T>(&self, body: impl Future<Output = T>) -> Result<T, Problem> {
        let mut body = pin!(self.deadline.read(BODY_TIME_LIMIT, body));
        match &self.permit {
            Some(permit) => permit.read(body.as_mut()).await?,
            None => body.await,
        }
    }

    /// Reads a body that has limits of its own, as the work with it has.
    pub(crate) async fn read_stream<T>(
        &self,
        limit: Duration,
        body: impl Future<Output = Result<T, Problem>>,
    ) -> Result<T, Problem> {
        if let Some(permit) = &self.permit {
            permit.release();
        }
        self.deadline.read(limit, body).await?
    }
}

impl<S: Send + Sync> FromRequestParts<S> for BodyLimits {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

/// Refuses a body that is none of these.
pub(crate) fn require_media_type(headers: &HeaderMap, expected: &[&str]) -> Result<(), Problem> {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if expected.iter().any(|expected| essence.eq_ignore_ascii_case(expected)) {
        return Ok(());
    }
    let detail = format!("must be {}", expected.join(" or "));
    Err(Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Unsupported media type",
        format!("`content-type` {detail}"),
    )
    .with_errors(vec![FieldError::new("content-type", detail)]))
}

fn not_an_object(detail: &str) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "malformed_body",
        "Malformed request body",
        format!("the body {detail}"),
    )
    .with_errors(vec![FieldError::new("body", detail)])
}

/// The id in a path: a UUID with hyphens.
pub struct Id(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(text)| hyphenated(&text)).map(Self);
        id.ok_or_else(|| Problem::bad_path(FieldError::new("id", "must be a UUID with hyphens")))
    }
}

/// Reads an id in the one spelling that the API has for it.
pub(crate) fn hyphenated(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}
