//! Errors as clients see them: RFC 9457 `application/problem+json`, one shape for all.
//!
//! A [`Problem`] travels as an extension of a response without body. The layer `write_problems` writes it, because only
//! there the request is known, and because answers that did not come from us (no such route, wrong method, body too
//! large) get the same shape there.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::database::{DatabaseError, WriteFault};
use crate::fields::FieldError;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Something that went wrong with a request.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: Box<str>,
    errors: Vec<FieldError>,
    retry_after_seconds: Option<u32>,
    challenge: Option<Box<str>>,
    /// The internal cause. Logged, never sent.
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// A problem as written.
#[derive(Debug, Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: &'a str,
    instance: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// A problem with a stable code, a title that belongs to the code and a detail that belongs to this request.
    pub fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        let (detail, errors) = (detail.into().into_boxed_str(), Vec::new());
        let (retry_after_seconds, challenge, cause) = (None, None, None);
        Self { status, code, title, detail, errors, retry_after_seconds, challenge, cause }
    }

    /// Values of a body that cannot be used.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self { status, ..Self::bad_request("invalid_fields", "Invalid fields", errors) }
    }

    /// Query parameters that cannot be used.
    #[must_use]
    pub fn bad_query(errors: Vec<FieldError>) -> Self {
        Self::bad_request("invalid_query", "Invalid query parameters", errors)
    }

    /// A path segment that cannot be used.
    #[must_use]
    pub fn bad_path(error: FieldError) -> Self {
        Self::bad_request("invalid_path", "Invalid path parameter", vec![error])
    }

    /// A header that cannot be used.
    #[must_use]
    pub fn bad_header(error: FieldError) -> Self {
        Self::bad_request("invalid_header", "Invalid header", vec![error])
    }

    fn bad_request(code: &'static str, title: &'static str, errors: Vec<FieldError>) -> Self {
        let named = errors.iter().take(8).map(|error| format!("`{}` {}", error.field, error.detail));
        let detail = named.collect::<Vec<_>>().join("; ");
        Self::new(StatusCode::BAD_REQUEST, code, title, detail).with_errors(errors)
    }

    /// A body that did not come in time.
    #[must_use]
    pub fn slow_body(limit: Duration) -> Self {
        let detail = format!("the body did not come within {} s", limit.as_secs_f64());
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "Request timeout", detail)
    }

    /// Returns the problem of a missing resource.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail)
    }

    /// Our fault, and nothing a client could do about it.
    #[must_use]
    pub fn internal() -> Self {
        let detail = "the request could not be handled; quote the request id when you report this";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail)
    }

    /// Names the fields at fault.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// Sets the `Retry-After` header.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Sets the `WWW-Authenticate` header.
    #[must_use]
    pub fn challenge(mut self, challenge: &str) -> Self {
        self.challenge = Some(challenge.into());
        self
    }

    /// Returns the problem for a status that came without one: responses of the framework itself.
    #[must_use]
    pub fn of_status(status: StatusCode, method: &str, path: &str) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found(format!("there is nothing at {path}")),
            StatusCode::METHOD_NOT_ALLOWED => {
                let detail = format!("{path} does not answer {method}; see the header `allow`");
                Self::new(status, "method_not_allowed", "Method not allowed", detail)
            }
            StatusCode::PAYLOAD_TOO_LARGE => Self::too_large(),
            _ => {
                let title = status.canonical_reason().unwrap_or("Error");
                Self::new(status, "http_error", title, "the request could not be handled")
            }
        }
    }

    /// A body beyond the limit.
    #[must_use]
    pub fn too_large() -> Self {
        Self::too_large_for(super::BODY_BYTES as u64)
    }

    /// A body beyond a limit of its own.
    #[must_use]
    pub fn too_large_for(bytes: u64) -> Self {
        let detail = format!("a body may have at most {bytes} bytes");
        let error = FieldError::new("body", format!("has more than {bytes} bytes"));
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "Content too large", detail)
            .with_errors(vec![error])
    }

    /// Sets the internal cause, which is logged and never sent.
    #[must_use]
    pub fn caused_by(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    /// Returns the chain of internal causes, if there is one.
    #[must_use]
    pub fn cause(&self) -> Option<String> {
        let first: &dyn std::error::Error = self.cause.as_deref()?;
        let chain = std::iter::successors(Some(first), |error| error.source());
        Some(chain.map(ToString::to_string).collect::<Vec<_>>().join(": "))
    }

    /// Rewrites the part that belongs to this request.
    #[must_use]
    pub fn with_detail(mut self, rewrite: impl FnOnce(&str) -> String) -> Self {
        self.detail = rewrite(&self.detail).into();
        self
    }

    /// Adds a warning for a request that must not simply be repeated: its answer was lost, and maybe not its work.
    pub(super) fn of_one_time_request(self) -> Self {
        match self.code {
            "timeout" | "database_unavailable" => self.with_detail(|detail| {
                format!("{detail}. It may have been carried out: look before sending it again")
            }),
            _ => self,
        }
    }

    /// Returns its status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns its stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Returns the part that belongs to this request.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Writes the problem into its response, about one request.
    pub fn write(&self, response: &mut Response, path: &str, request_id: Option<&str>) {
        let body = Body {
            r#type: format!("urn:titanic:problem:{}", self.code.replace('_', "-")),
            title: self.title,
            status: self.status.as_u16(),
            code: self.code,
            detail: &self.detail,
            instance: path,
            request_id,
            errors: &self.errors,
        };
        // Text and numbers only: this cannot fail, and an empty body would still carry the status.
        *response.body_mut() = serde_json::to_vec(&body).unwrap_or_default().into();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let problem = match error.write_fault() {
            Some(WriteFault::Full) => {
                let detail = "the database has no space left; nothing was changed";
                let status = StatusCode::INSUFFICIENT_STORAGE;
                Self::new(status, "insufficient_storage", "Insufficient storage", detail)
            }
            Some(WriteFault::ReadOnly) => {
                let detail = "the database takes no changes at the moment; try again in a little while";
                Self::new(status, "database_read_only", "Database read-only", detail).retry_after(5)
            }
            None | Some(WriteFault::Io) if error.is_temporary() => {
                let detail = "the database does not answer at the moment; try again in a little while";
                Self::new(status, "database_unavailable", "Database unavailable", detail).retry_after(1)
            }
            None | Some(WriteFault::Io) => Self::internal(),
        };
        Self { cause: Some(Arc::new(error)), ..problem }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge.as_ref().and_then(|it| HeaderValue::from_str(it).ok()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if self.status == StatusCode::REQUEST_TIMEOUT {
            // The rest of the body may still come: what follows is no request.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_tells_the_client_what_and_the_log_why() {
        let problem = Problem::from(DatabaseError::Query {
            doing: "listing things",
            source: sqlx::Error::PoolClosed.into(),
        });
        let mut response = problem.clone().into_response();
        assert_eq!(response.headers()["retry-after"], "1");
        problem.write(&mut response, "/api", Some("r1"));
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["type"], "urn:titanic:problem:database-unavailable");
        assert_eq!((body["status"].as_u64(), body["request_id"].as_str()), (Some(503), Some("r1")));
        assert!(!body.to_string().contains("listing"), "{body}");
        assert!(problem.cause().unwrap().starts_with("listing things: "));
    }
}
