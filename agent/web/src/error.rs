//! Refusals as RFC 9457 problems: a stable code for programs, a sentence for people.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};

use lookout_ledger::LedgerError;

/// Problem that a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Problem {
    /// Creates a problem with a stable code and a sentence that says what to do.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    /// Creates the problem of a request that cannot be understood.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// Creates the problem of a failed ledger. The cause is logged, with its whole chain, and not shown.
    #[must_use]
    pub fn ledger(error: &LedgerError) -> Self {
        let chain: Vec<String> =
            std::iter::successors(Some(error as &dyn core::error::Error), |e| e.source())
                .map(ToString::to_string)
                .collect();
        tracing::error!(error = chain.join(": "), "the ledger failed a request");
        let detail = "the ledger does not answer, so nothing can be recorded or looked up; try again shortly";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ledger_unavailable", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "type": format!("urn:lookout:problem:{}", self.code),
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"lookout\""));
        }
        response
    }
}
