//! Compression of responses for clients that accept gzip.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use axum::response::Response;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

/// Below this, gzip costs more than it saves.
const LEAST_BYTES: u16 = 1024;

/// Selects responses that are worth compressing. Not those with an entity tag, which stands for these very bytes, and not a stream of
/// lines, which a client wants as they are made.
fn worth() -> impl Predicate {
    SizeAbove::new(LEAST_BYTES).and(is_plain)
}

/// Compresses an answer that is worth it.
pub(super) async fn compress(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let accepted = request.headers().get_all(header::ACCEPT_ENCODING).iter();
    let accepted: HeaderMap = accepted.map(|value| (header::ACCEPT_ENCODING, value.clone())).collect();
    let is_head = request.method() == Method::HEAD;
    let mut response = next(request).await;
    if is_head {
        return headed(response, !accepted.is_empty());
    }
    if accepted.is_empty() {
        if worth().should_compress(&response) {
            // A cache must not give this answer to those who take gzip, nor theirs to others.
            response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        return response;
    }
    let mut answered = axum::http::Request::new(response);
    *answered.headers_mut() = accepted;
    let answer =
        service_fn(async |answered: axum::http::Request<Response>| Ok::<_, Infallible>(answered.into_body()));
    let compressed =
        CompressionLayer::new().gzip(true).compress_when(worth()).layer(answer).oneshot(answered);
    compressed.await.unwrap_or_else(|never| match never {}).map(Body::new)
}

/// An answer without its body, whose fields are to be those it would have with it.
fn headed(mut response: Response, would_compress: bool) -> Response {
    let length = response.headers().get(header::CONTENT_LENGTH);
    let length: Option<u64> = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let (status, version) = (response.status(), response.version());
    let plain = is_plain(status, version, response.headers(), response.extensions());
    if plain && length.is_some_and(|length| length >= LEAST_BYTES.into()) {
        let headers = response.headers_mut();
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
        if would_compress {
            // Nobody knows how long it would be.
            headers.remove(header::CONTENT_LENGTH);
        }
    }
    response
}

fn is_plain(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_stream = ["application/x-ndjson", "text/csv"].iter().any(|stream| media_type.starts_with(stream));
    !headers.contains_key(header::ETAG) && !is_stream
}
