//! Middleware of every request, whatever its route.

use std::time::Duration;

use axum::body::HttpBody as _;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::time::{Instant, sleep};
use tracing::{Instrument as _, Span, field};
use uuid::Uuid;

use super::Shared;
use super::deadline::Deadline;
use super::error::Problem;
use super::health::OwnBody;
use super::metrics::{Sample, UNMATCHED, method_label};
use super::probe_routes::MONITORING;
use super::stream_outcome::{StreamOutcome, hold_until_end};
use crate::telemetry::{self, TRACE_RESPONSE, TraceIds};

/// The key by which a request can be repeated without being carried out twice.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The status that nginx gives to a request whose client disconnected; there is no standard number.
const CLIENT_WENT_AWAY: u16 = 499;

/// The port of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Clients: counted and measured.
    Public,
    /// Operators: not part of the service that objectives speak of.
    Admin,
}

/// The id of a request, chosen by its client or by us. Stored as a header value, which is cheap to clone.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Takes the client's if it is short and plain, because it ends up in logs and in answers.
    fn of(headers: &HeaderMap) -> Self {
        let plain = |id: &&HeaderValue| {
            let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            (1..=128).contains(&id.len()) && id.as_bytes().iter().all(allowed)
        };
        let ours = || {
            let mut text = Uuid::encode_buffer();
            let text: &str = Uuid::now_v7().hyphenated().encode_lower(&mut text);
            HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unnamed"))
        };
        Self(headers.get(REQUEST_ID).filter(plain).cloned().unwrap_or_else(ours))
    }

    fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Returns the route of a request: the pattern that the router found.
pub(super) fn route_of(request: &Request) -> &str {
    request.extensions().get::<MatchedPath>().map_or(UNMATCHED, MatchedPath::as_str)
}

/// Assigns the request id and the span, measures the request, and logs one line about it.
pub(super) async fn observe(
    State((shared, port)): State<(Shared, Port)>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::of(request.headers());
    let path = request.extensions().get::<MatchedPath>().cloned();
    let span = span_of(&request, path.as_ref().map_or(UNMATCHED, MatchedPath::as_str), &id);
    let ids = telemetry::continue_trace(&span, request.headers());
    telemetry::Ids::new(id.0.clone(), ids).put_into(&span);
    if port == Port::Public {
        shared.metrics.request_started();
    }
    let record = RequestRecord {
        shared,
        port,
        method: method_label(request.method()),
        path,
        span,
        ids,
        request_bytes: request.body().size_hint().exact(),
        since: Instant::now(),
        answered: None,
        outcome: None,
    };
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).instrument(record.span.clone()).await;
    let headers = response.headers_mut();
    headers.entry(header::X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.insert(REQUEST_ID, id.0);
    if let Some(header) = ids.and_then(|ids| ids.header()) {
        headers.insert(TRACE_RESPONSE, header);
    }
    if port == Port::Public && record.shared.readiness.is_draining() {
        // Clients leave by themselves, one answer at a time, before the listener closes: a connection that is kept until
        // then may be cut in the very moment in which its client sends the next request.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    record.end(response)
}

fn span_of(request: &Request, route: &str, id: &RequestId) -> Span {
    let method = method_label(request.method());
    tracing::info_span!(
        "request",
        // Put together by who looks at it, which nobody does unless spans are exported.
        otel.name = field::display(format_args!("{method} {route}")),
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = field::Empty,
        url.path = request.uri().path(),
        url.scheme = "http",
        request_id = id.as_str(),
    )
}

/// The record of a request from its arrival to its response, or to the end of a response that is made while it is sent.
/// Dropped without a response, the client disconnected: it counts too.
struct RequestRecord {
    shared: Shared,
    port: Port,
    method: &'static str,
    path: Option<MatchedPath>,
    span: Span,
    ids: Option<TraceIds>,
    request_bytes: Option<u64>,
    since: Instant,
    answered: Option<Sample>,
    outcome: Option<StreamOutcome>,
}

impl RequestRecord {
    fn end(mut self, response: Response) -> Response {
        let status = response.status();
        self.span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            self.span.record("otel.status_code", "ERROR");
        }
        let bytes = if self.method == "HEAD" { Some(0) } else { response.body().size_hint().exact() };
        self.answered = Some(self.note(status.as_u16(), bytes));
        self.outcome = response.extensions().get::<StreamOutcome>().cloned();
        if self.outcome.is_none() {
            return response;
        }
        // The span ends with the answer, as its duration does.
        self.span = Span::none();
        hold_until_end(response, self)
    }

    /// Measures the request up to now, and logs it.
    fn note(&self, status: u16, response_bytes: Option<u64>) -> Sample {
        let (seconds, request_bytes) = (self.since.elapsed().as_secs_f64(), self.request_bytes);
        let (method, route) = (self.method, self.route());
        self.span.in_scope(|| {
            if MONITORING.contains(&route) {
                tracing::debug!(method, route, status, duration_seconds = seconds, "request");
            } else {
                tracing::info!(method, route, status, duration_seconds = seconds, "request");
            }
        });
        let trace = self.ids.map(|ids| (ids, self.shared.clock.now()));
        Sample { status, seconds, request_bytes, response_bytes, trace }
    }

    fn route(&self) -> &str {
        self.path.as_ref().map_or(UNMATCHED, MatchedPath::as_str)
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        let mut sample = self.answered.unwrap_or_else(|| self.note(CLIENT_WENT_AWAY, None));
        // A stream that was cut counts with the status of what cut it.
        if let Some(status) = self.outcome.as_ref().and_then(StreamOutcome::status) {
            sample.status = status.as_u16();
        }
        if self.port == Port::Public {
            self.shared.metrics.request_ended(self.method, self.route(), sample);
        }
    }
}

/// Writes every error as a problem, and the cause of those that have one into the log.
pub(super) async fn write_problems(request: Request, next: Next) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let once = method == Method::POST && !request.headers().contains_key(IDEMPOTENCY_KEY);
    let id = request.extensions().get::<RequestId>().cloned();
    let mut response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || response.extensions().get::<OwnBody>().is_some() {
        return response;
    }
    let problem = response.extensions_mut().remove::<Problem>();
    let problem = problem.unwrap_or_else(|| Problem::of_status(status, method.as_str(), uri.path()));
    let problem = if once { problem.of_one_time_request() } else { problem };
    if let Some(cause) = problem.cause() {
        tracing::error!(problem = problem.code(), error = cause, "the request failed");
    }
    problem.write(&mut response, uri.path(), id.as_ref().map(RequestId::as_str));
    response
}

/// Answers for a handler that takes too long.
pub(super) async fn limit_time(State(limit): State<Duration>, mut request: Request, next: Next) -> Response {
    // A request without a body needs no deadline that moves.
    let deadline = (!request.method().is_safe()).then(|| Deadline::after(limit));
    if let Some(deadline) = &deadline {
        request.extensions_mut().insert(deadline.clone());
    }
    let passed = async {
        match deadline {
            Some(deadline) => deadline.passed().await,
            None => sleep(limit).await,
        }
    };
    tokio::select! {
        biased;
        response = next.run(request) => response,
        () = passed => {
            let detail = format!("no answer was ready within {} s", limit.as_secs_f64());
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Problem::new(status, "timeout", "Request timed out", detail).retry_after(1).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::middleware::{from_fn, from_fn_with_state};
    use axum::routing::get;
    use serde_json::Value;
    use tower::{ServiceBuilder, ServiceExt as _};
    use tower_http::catch_panic::CatchPanicLayer;

    use super::*;

    async fn problem_of(answer: impl Future<Output = ()> + Send + 'static) -> (StatusCode, Value) {
        let answer = std::sync::Mutex::new(Some(Box::pin(answer)));
        let handler = async move || {
            let answer = answer.lock().unwrap().take();
            answer.unwrap().await;
        };
        let layers = ServiceBuilder::new()
            .layer(from_fn(write_problems))
            .layer(CatchPanicLayer::custom(|_reason| Problem::internal().into_response()))
            .layer(from_fn_with_state(Duration::from_millis(5), limit_time));
        let handler = std::sync::Arc::new(handler);
        let router = Router::new().route("/", get(async move || handler().await)).layer(layers);
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let status = response.status();
        (status, serde_json::from_slice(&to_bytes(response.into_body(), 10_000).await.unwrap()).unwrap())
    }

    #[tokio::test]
    async fn a_panic_and_a_timeout_are_problems_too() {
        let (status, body) = problem_of(async { panic!("an iceberg") }).await;
        assert_eq!((status.as_u16(), body["code"].as_str()), (500, Some("internal")));
        assert!(!body.to_string().contains("iceberg"));
        let (status, body) = problem_of(std::future::pending()).await;
        assert_eq!((status.as_u16(), body["code"].as_str()), (503, Some("timeout")));
        assert_eq!(body["detail"], "no answer was ready within 0.005 s");
    }

    #[test]
    fn a_request_id_is_kept_when_it_is_plain_and_replaced_when_it_is_not() {
        let kept = |id: &'static str| {
            let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_static(id))]);
            RequestId::of(&headers).as_str().to_owned()
        };
        assert_eq!(kept("probe-7.a_b"), "probe-7.a_b");
        assert_ne!(kept("two words"), "two words");
        assert_eq!(kept("").len(), 36);
    }
}
