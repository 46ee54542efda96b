//! The layers that every request passes, whatever its route.

use std::any::Any;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::time::Instant;
use tracing::{Instrument as _, Span, field};
use uuid::Uuid;

use super::Shared;
use super::error::{MEDIA_TYPE, Problem};
use super::health::OwnBody;
use super::metrics::{Sample, UNMATCHED, method_label};
use crate::telemetry::{self, TRACE_RESPONSE, TraceIds};

/// How long a request may take until its answer must be ready.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What nginx calls a request whose client went away; there is no standard number.
const CLIENT_WENT_AWAY: u16 = 499;
/// Asked every few seconds by machines: logged at debug only.
const QUIET: [&str; 5] = ["/health", "/livez", "/readyz", "/version", "/metrics"];

/// Which port a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Clients: counted and measured.
    Public,
    /// Operators: not part of the service that objectives speak of.
    Admin,
}

/// The name of a request, its client's or ours.
#[derive(Debug, Clone)]
pub struct RequestId(String);

impl RequestId {
    /// Takes the client's if it is short and plain, because it ends up in logs and in answers.
    fn of(headers: &HeaderMap) -> Self {
        let plain = |id: &&str| {
            (1..=128).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        let theirs = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(plain);
        Self(theirs.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned))
    }
}

/// Gives the request its name and its span, measures it, and writes one line about it.
pub async fn observe(
    State((shared, port)): State<(Shared, Port)>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::of(request.headers());
    let path = request.extensions().get::<MatchedPath>();
    let route = path.map_or_else(|| UNMATCHED.to_owned(), |path| path.as_str().to_owned());
    let span = span_of(&request, &route, &id);
    let ids = telemetry::continue_trace(&span, request.headers());
    let header = HeaderValue::from_str(&id.0);
    request.extensions_mut().insert(id);
    let visit = Visit::begin(shared.clone(), port, &request, route, (span.clone(), ids));
    let mut response = next.run(request).instrument(span).await;
    let headers = response.headers_mut();
    if let Ok(header) = header {
        headers.insert(REQUEST_ID, header);
    }
    if let Some(header) = ids.and_then(|ids| ids.header()) {
        headers.insert(TRACE_RESPONSE, header);
    }
    if port == Port::Public && shared.readiness.is_draining() {
        // Clients leave by themselves, one answer at a time, before the listener closes: a connection that is kept until
        // then may be cut in the very moment in which its client sends the next request.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    visit.end(&response);
    response
}

fn span_of(request: &Request, route: &str, id: &RequestId) -> Span {
    let method = method_label(request.method());
    tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = field::Empty,
        url.path = request.uri().path(),
        url.scheme = "http",
        request_id = id.0,
        trace_id = field::Empty,
        span_id = field::Empty,
    )
}

/// A request from its arrival to its answer. Dropped without an answer, its client went away: that is counted too.
struct Visit {
    shared: Shared,
    port: Port,
    method: Method,
    route: String,
    span: Span,
    ids: Option<TraceIds>,
    request_bytes: Option<u64>,
    since: Instant,
    answered: bool,
}

impl Visit {
    fn begin(
        shared: Shared,
        port: Port,
        request: &Request,
        route: String,
        (span, ids): (Span, Option<TraceIds>),
    ) -> Self {
        if port == Port::Public {
            shared.metrics.request_started();
        }
        let request_bytes = request.headers().get(header::CONTENT_LENGTH);
        let request_bytes = request_bytes.and_then(|length| length.to_str().ok()?.parse().ok());
        let (method, since, answered) = (request.method().clone(), Instant::now(), false);
        Self { shared, port, method, route, span, ids, request_bytes, since, answered }
    }

    fn end(mut self, response: &Response) {
        let status = response.status();
        self.answered = true;
        self.span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            self.span.record("otel.status_code", "ERROR");
        }
        self.write(status.as_u16(), response.body().size_hint().exact());
    }

    fn write(&self, status: u16, response_bytes: Option<u64>) {
        let seconds = self.since.elapsed().as_secs_f64();
        let method = method_label(&self.method);
        if self.port == Port::Public {
            let request_bytes = self.request_bytes;
            let trace = self.ids.map(|ids| (ids, self.shared.clock.now()));
            let sample = Sample { status, seconds, request_bytes, response_bytes, trace };
            self.shared.metrics.request_ended(&self.method, &self.route, sample);
        }
        self.span.in_scope(|| {
            if QUIET.contains(&self.route.as_str()) {
                tracing::debug!(method, route = self.route, status, duration_seconds = seconds, "request");
            } else {
                tracing::info!(method, route = self.route, status, duration_seconds = seconds, "request");
            }
        });
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        if !self.answered {
            self.write(CLIENT_WENT_AWAY, None);
        }
    }
}

/// Writes every error as a problem, and the cause of those that have one into the log.
pub async fn write_problems(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.extensions().get::<OwnBody>().is_some() {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let problem = parts.extensions.remove::<Problem>();
    let problem = problem.unwrap_or_else(|| Problem::of_status(status, method.as_str(), &path));
    if let Some(cause) = problem.cause() {
        tracing::error!(problem = problem.code(), error = cause, "the request failed");
    }
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, MEDIA_TYPE);
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Response::from_parts(parts, Body::from(problem.body(&path, id.as_ref().map(|id| id.0.as_str()))))
}

/// Answers for a handler that takes too long.
pub async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timeout",
            "The request took too long",
            format!("no answer was ready within {} s", limit.as_secs_f64()),
        )
        .retry_after(1)
        .into_response(),
    }
}

/// Answers for a handler that panicked. Where and why is logged by the panic hook.
pub fn panicked(_reason: Box<dyn Any + Send + 'static>) -> Response {
    Problem::internal().into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::to_bytes;
    use axum::middleware::{from_fn, from_fn_with_state};
    use axum::routing::get;
    use serde_json::Value;
    use tower::ServiceExt as _;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    async fn problem_of(path: &str) -> (StatusCode, Value) {
        async fn sink() {
            panic!("an iceberg")
        }
        let router = Router::new()
            .route("/panic", get(sink))
            .route("/hang", get(std::future::pending::<()>))
            .layer(from_fn_with_state(Duration::from_millis(5), limit_time))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(from_fn(write_problems));
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let status = response.status();
        (status, serde_json::from_slice(&to_bytes(response.into_body(), 10_000).await.unwrap()).unwrap())
    }

    #[tokio::test]
    async fn a_panic_and_a_timeout_are_problems_too() {
        let (status, body) = problem_of("/panic").await;
        assert_eq!((status.as_u16(), body["code"].as_str()), (500, Some("internal")));
        assert!(!body.to_string().contains("iceberg"));
        let (status, body) = problem_of("/hang").await;
        assert_eq!((status.as_u16(), body["code"].as_str()), (503, Some("timeout")));
        assert_eq!(body["detail"], "no answer was ready within 0.005 s");
    }

    #[test]
    fn a_request_id_is_kept_when_it_is_plain_and_replaced_when_it_is_not() {
        let kept = |id: &'static str| {
            let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_static(id))]);
            RequestId::of(&headers).0
        };
        assert_eq!(kept("probe-7.a_b"), "probe-7.a_b");
        assert_ne!(kept("two words"), "two words");
        assert_eq!(kept("").len(), 36);
    }
}
