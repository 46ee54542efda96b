//! The layer that breaks what was ordered.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, sleep};

use super::super::Shared;
use super::super::error::Problem;
use super::super::health::OwnBody;
use super::Injection;

const INJECTED: HeaderName = HeaderName::from_static("x-fault-injected");
/// Into how many pieces a slow answer is cut.
const PIECES: u32 = 10;
/// Answers larger than this are not slowed down: they would have to be held in memory.
const MOST_BYTES: usize = 8 << 20;

/// Stands around the routes that faults may hit.
pub async fn inject(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>().cloned() else {
        return next.run(request).await;
    };
    let route = path.as_str();
    let decided = shared.faults.decide(route, request.method(), request.headers(), Instant::now());
    let Injection { delay, error, drop, slow_body } = decided;
    if let Some(delay) = delay {
        shared.metrics.fault_injected(route, "delay");
        sleep(delay).await;
    }
    if drop {
        shared.metrics.fault_injected(route, "drop");
        return cut();
    }
    let mut response = match error {
        Some(status) => {
            shared.metrics.fault_injected(route, "error");
            let detail = "this answer was ordered by an operator to rehearse a failure";
            Problem::new(status, "fault_injected", "Injected fault", detail).into_response()
        }
        None => next.run(request).await,
    };
    if let Some(whole) = slow_body {
        shared.metrics.fault_injected(route, "slow_body");
        response = drip(response, whole).await;
    }
    if decided != Injection::default() {
        response.headers_mut().insert(INJECTED, HeaderValue::from_static("true"));
    }
    response
}

/// An answer that cannot be sent: its body fails before the first byte, and the server hangs up without having sent
/// anything. It is measured as the failure that it is for its client.
fn cut() -> Response {
    let lost = io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was dropped on purpose");
    let body = Body::from_stream(stream::iter([Err::<Bytes, _>(lost)]));
    let mut response = (StatusCode::INTERNAL_SERVER_ERROR, body).into_response();
    response.extensions_mut().insert(OwnBody);
    response
}

/// Sends an answer in pieces that are evenly spread over a time.
async fn drip(response: Response, whole: Duration) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(mut bytes) = to_bytes(body, MOST_BYTES).await else { return Problem::internal().into_response() };
    parts.headers.remove(axum::http::header::CONTENT_LENGTH);
    let size = bytes.len().div_ceil(PIECES as usize);
    let pieces = stream::iter(0..PIECES).then(move |_| {
        let piece = bytes.split_to(size.min(bytes.len()));
        async move {
            sleep(whole / PIECES).await;
            Ok::<_, io::Error>(piece)
        }
    });
    Response::from_parts(parts, Body::from_stream(pieces))
}
