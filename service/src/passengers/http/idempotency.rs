//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a client that does not know whether its request arrived
//! sends it again under the same key, and gets the answer of the first.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};

use super::Context;
use crate::fields::FieldError;
use crate::http::access::Holder;
use crate::http::error::Problem;
use crate::http::middleware::IDEMPOTENCY_KEY;
use crate::passengers::domain::model::{NewPassenger, Passenger};
use crate::passengers::store::{Repeatable, Repetition};

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key.
pub(super) const MAX_CHARS: usize = 128;

/// An answer as it is stored: to the byte, so that the same request gets the same.
#[derive(Debug, Serialize, Deserialize)]
struct StoredAnswer {
    location: String,
    etag: String,
    body: String,
}

impl StoredAnswer {
    fn of(shared: &Context, passenger: &Passenger) -> Self {
        let location = format!("{}/api/v1/passengers/{}", shared.config.base_url, passenger.id);
        // Text and numbers only: this cannot fail.
        let body = serde_json::to_string(passenger).unwrap_or_default();
        Self { location, etag: passenger.stamp.entity_tag(), body }
    }

    fn into_response(self) -> Response {
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let mut response = (StatusCode::CREATED, json, self.body).into_response();
        for (name, value) in [(header::LOCATION, self.location), (header::ETAG, self.etag)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// The key of a request, if it has one. The draft writes it in quotes, most clients do not: both are the same key.
pub(super) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '~');
    let text = value.to_str().unwrap_or_default();
    let key = text.strip_prefix('"').map_or(Some(text), |rest| rest.strip_suffix('"'));
    let key = key.filter(|key| (1..=MAX_CHARS).contains(&key.len()) && key.chars().all(plain));
    match key {
        Some(key) if values.next().is_none() => Ok(Some(key.to_owned())),
        _ => {
            let detail = format!("must be one text of 1 to {MAX_CHARS} letters, digits and -_.:~");
            Err(Problem::bad_header(FieldError::new(IDEMPOTENCY_KEY.as_str(), detail)))
        }
    }
}

/// Refuses a key where it would promise the first answer again: that of an import is a stream. Its lines can be sent again.
pub(super) fn refuse_key(headers: &HeaderMap) -> Result<(), Problem> {
    if !headers.contains_key(&IDEMPOTENCY_KEY) {
        return Ok(());
    }
    let detail = "is not kept for an import, which can be sent again without; leave it out";
    Err(Problem::bad_header(FieldError::new(IDEMPOTENCY_KEY.as_str(), detail)))
}

/// Adds a passenger, and answers.
pub(super) async fn create(shared: &Context, details: NewPassenger) -> Result<Response, Problem> {
    let passenger = shared.store.create(details, shared.clock.now()).await?;
    Ok(StoredAnswer::of(shared, &passenger).into_response())
}

/// Adds a passenger once under this key.
pub(super) async fn create_once(
    shared: &Context,
    Holder(holder): Holder,
    key: String,
    details: NewPassenger,
) -> Result<Response, Problem> {
    let fingerprint = hex::encode(details.digest());
    let request = Repeatable { client: holder.unwrap_or_default(), key, fingerprint };
    let answer = |passenger: &Passenger| {
        serde_json::to_string(&StoredAnswer::of(shared, passenger)).unwrap_or_default()
    };
    match shared.store.create_once(details, shared.clock.now(), &request, answer).await? {
        Repetition::First(passenger) => Ok(StoredAnswer::of(shared, &passenger).into_response()),
        Repetition::Answered(answer) => replay(&answer),
        Repetition::Misused => Err(misused()),
    }
}

fn replay(answer: &str) -> Result<Response, Problem> {
    let answer: StoredAnswer = serde_json::from_str(answer).map_err(|_| Problem::internal())?;
    let mut response = answer.into_response();
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

fn misused() -> Problem {
    let detail = "this key was used for another body; a new request needs a new key";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", "Idempotency key reused", detail)
        .with_errors(vec![FieldError::new(IDEMPOTENCY_KEY.as_str(), "was used for another body")])
}
