//! The pages of other origins that may read our answers. Cookies play no part here, so that none are ever allowed.

use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
const ASKED: &str = "authorization, content-type, idempotency-key, if-match, if-none-match, traceparent, tracestate, \
     x-request-id";
const SHOWN: &str = "etag, idempotency-replayed, location, retry-after, www-authenticate, x-request-id";
/// Time for which a browser may cache a preflight.
const CACHED: Duration = Duration::from_secs(600);

/// Answers browsers that ask first, and marks every answer for those that may read it.
pub(super) fn layer(origins: &[HeaderValue]) -> CorsLayer {
    let any = origins.iter().any(|origin| origin == "*");
    let allowed = if any { AllowOrigin::any() } else { AllowOrigin::list(origins.iter().cloned()) };
    // A cache must not give one origin's answer to another.
    let vary: Vec<_> = (!any).then_some(header::ORIGIN).into_iter().collect();
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods(METHODS)
        .allow_headers(names(ASKED))
        .expose_headers(names(SHOWN))
        .max_age(CACHED)
        .vary(vary)
}

fn names(list: &'static str) -> Vec<HeaderName> {
    list.split(", ").map(HeaderName::from_static).collect()
}
