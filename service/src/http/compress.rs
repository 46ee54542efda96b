//! What is sent in fewer bytes, for clients that take gzip.

use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

/// Below this, gzip costs more than it saves.
const LEAST_BYTES: u16 = 1024;

/// Compresses what is worth it. Not what has an entity tag, which speaks of these very bytes, and not a stream of lines,
/// which a client wants as they are made.
pub(super) fn layer() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new().gzip(true).compress_when(SizeAbove::new(LEAST_BYTES).and(is_plain))
}

fn is_plain(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    !headers.contains_key(header::ETAG) && !media_type.starts_with("application/x-ndjson")
}
