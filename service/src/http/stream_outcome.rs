//! The outcome of a response that is made while it is sent: it may fail after its status was sent.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;
use http_body_util::BodyExt as _;

use super::error::Problem;

/// The status that a stream would have had if its end had been known. A handler puts it into the extensions of its
/// response, which is then measured at the end of its body.
#[derive(Debug, Clone, Default)]
pub struct StreamOutcome(Arc<OnceLock<StatusCode>>);

impl StreamOutcome {
    /// Notes the problem that cut the stream, if it is ours. Only the first one counts.
    pub fn fail(&self, problem: &Problem) {
        if problem.status().is_server_error() {
            let _the_first_counts = self.0.set(problem.status());
        }
    }

    /// Returns the status of the problem that cut the stream.
    pub(super) fn status(&self) -> Option<StatusCode> {
        self.0.get().copied()
    }
}

/// Keeps a value until the body of a response is dropped.
pub(super) fn hold_until_end<T: Send + 'static>(response: Response, held: T) -> Response {
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _until_the_body_is_dropped = &held;
            frame
        }))
    })
}
