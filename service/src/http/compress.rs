//! Compression of responses for clients that accept gzip.

use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

/// Below this, gzip costs more than it saves.
const LEAST_BYTES: u16 = 1024;

/// Compresses responses that are worth it. Not those with an entity tag, which stands for these very bytes, and not a
/// stream of lines, which a client wants as they are made.
pub(super) fn layer() -> CompressionLayer<impl Predicate> {
    CompressionLayer::new().gzip(true).compress_when(SizeAbove::new(LEAST_BYTES).and(is_plain))
}

fn is_plain(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let media_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_stream = ["application/x-ndjson", "text/csv"].iter().any(|stream| media_type.starts_with(stream));
    !headers.contains_key(header::ETAG) && !is_stream
}
