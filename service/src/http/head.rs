//! The limit of a request's head. The connection has a wider limit of its own, beyond which it answers with a status and
//! no body. This one names the part that is too large, as a problem.

use axum::http::{Request, StatusCode};

use super::error::Problem;
use crate::fields::FieldError;

/// Fields of a head.
pub const MOST_FIELDS: usize = 64;
/// The target, names and values of a head, all together.
pub const MOST_BYTES: usize = 16 * 1024;
const MOST_SHOWN_CHARS: usize = 60;

/// Returns whether the head of a request is within bounds.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Problem> {
    let headers = request.headers();
    if headers.len() > MOST_FIELDS {
        let detail = format!("a request may have at most {MOST_FIELDS} header fields, not {}", headers.len());
        return Err(too_large(detail, FieldError::new("headers", format!("are more than {MOST_FIELDS}"))));
    }
    let fields = || headers.iter().map(|(name, value)| (name.as_str(), name.as_str().len() + value.len()));
    let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    let bytes = target + fields().map(|(_, bytes)| bytes).sum::<usize>();
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    let (largest, _) =
        fields().chain([("target", target)]).max_by_key(|(_, bytes)| *bytes).unwrap_or_default();
    let largest: String = largest.chars().take(MOST_SHOWN_CHARS).collect();
    let detail = format!("the target and the header fields may have at most {MOST_BYTES} bytes, not {bytes}");
    Err(too_large(detail, FieldError::new(largest, "is the largest part of it")))
}

fn too_large(detail: String, error: FieldError) -> Problem {
    let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    Problem::new(status, "head_too_large", "Request header fields too large", detail).with_errors(vec![error])
}
