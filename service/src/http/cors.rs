//! The pages of other origins that may read our answers. Cookies play no part here, so that none are ever allowed.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Shared;
use super::middleware::Port;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
const ASKED: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, if-none-match, traceparent, tracestate, x-request-id",
);
const SHOWN: HeaderValue = HeaderValue::from_static(
    "etag, idempotency-replayed, location, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-request-id",
);
/// Seconds for which a browser may cache a preflight.
const SECONDS: HeaderValue = HeaderValue::from_static("600");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// Answers browsers that ask first, and marks every answer for those that may read it, where origins are configured.
pub(super) async fn share(
    State((shared, port)): State<(Shared, Port)>,
    request: Request,
    next: Next,
) -> Response {
    let origins = &shared.config.clients.origins;
    if origins.is_empty() || port == Port::Admin {
        return next.run(request).await;
    }
    let any = origins.contains(&ANY);
    let origin =
        request.headers().get(header::ORIGIN).filter(|origin| any || origins.contains(origin)).cloned();
    let asks_first = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (&origin, asks_first) {
        (Some(_), true) => {
            let granted = [
                (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
                (header::ACCESS_CONTROL_ALLOW_HEADERS, ASKED),
                (header::ACCESS_CONTROL_MAX_AGE, SECONDS),
            ];
            (StatusCode::NO_CONTENT, granted).into_response()
        }
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, if any { ANY } else { origin });
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, SHOWN);
    }
    if !any {
        // A cache must not give one origin's answer to another.
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}
