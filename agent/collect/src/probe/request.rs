//! What a probe asks, and the trace it belongs to.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use http_body_util::Full;
use hyper::body::Bytes;
use opentelemetry::trace::TraceContextExt as _;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::Reason;
use super::dial::Failure;
use lookout_config::Target;
use lookout_runtime::random::Random;

/// A request with its whole body.
pub(super) type Request = http::Request<Full<Bytes>>;

const USER_AGENT: &str = concat!("lookout/", env!("CARGO_PKG_VERSION"));
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The place of a probe in a trace.
#[derive(Debug, Clone)]
pub(super) struct Traced {
    /// 32 hex digits.
    pub(super) trace_id: String,
    /// 16 hex digits.
    span_id: String,
}

impl Traced {
    /// The current span when it is exported, so that both sides of the request meet in one trace; else made up.
    pub(super) fn current(random: &Random) -> Self {
        let context = Span::current().context();
        let span = context.span();
        let known = span.span_context();
        if known.is_valid() {
            return Self { trace_id: known.trace_id().to_string(), span_id: known.span_id().to_string() };
        }
        // all zero is not allowed
        Self {
            trace_id: format!("{:016x}{:016x}", random.next(), random.next().max(1)),
            span_id: format!("{:016x}", random.next().max(1)),
        }
    }

    /// The header of W3C Trace Context. Always marked as sampled: a probe is rare, and the one that fails is wanted.
    fn header(&self) -> String {
        format!("00-{}-{}-01", self.trace_id, self.span_id)
    }
}

/// The request of a target. A header of the target replaces the one that would be sent anyway, except `traceparent`:
/// the outcome names the trace that was sent.
pub(super) fn request(target: &Target, traced: &Traced) -> Result<Request, Failure> {
    let refused = |what: &str| Failure::new(Reason::Write, format!("{what} cannot be sent in a request"));
    let path = match target.url.query() {
        None => target.url.path().to_owned(),
        Some(query) => format!("{}?{query}", target.url.path()),
    };
    let body = target.body.as_ref().map(|body| Bytes::copy_from_slice(body.as_bytes())).unwrap_or_default();
    let mut request = Request::new(Full::new(body));
    *request.method_mut() =
        Method::from_bytes(target.method.as_bytes()).map_err(|_| refused("the method"))?;
    *request.uri_mut() = path.parse::<Uri>().map_err(|_| refused("the path"))?;
    *request.headers_mut() = headers(target, traced).ok_or_else(|| refused("a header"))?;
    Ok(request)
}

fn headers(target: &Target, traced: &Traced) -> Option<HeaderMap> {
    let host = match (target.url.host_str()?, target.url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, HeaderValue::from_str(&host).ok()?);
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let mut own = HeaderMap::new();
    for (name, value) in &target.headers {
        let mut value = HeaderValue::from_str(value.reveal()).ok()?;
        value.set_sensitive(true);
        own.append(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
    }
    for name in own.keys() {
        headers.remove(name);
    }
    headers.extend(own);
    headers.insert(TRACEPARENT, HeaderValue::from_str(&traced.header()).ok()?);
    Some(headers)
}
