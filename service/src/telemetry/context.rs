//! The trace of a request, read from its headers (W3C trace context).

use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{SpanId, TraceContextExt as _, TraceFlags, TraceId};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

/// The header of a response that names its trace (W3C trace context, level 2).
pub const TRACE_RESPONSE: HeaderName = HeaderName::from_static("traceresponse");
const TRACE_PARENT: &str = "traceparent";

/// True while spans are exported. While they are not, ids are made without building a span for each request.
static TRACING: AtomicBool = AtomicBool::new(false);

pub(super) fn set_spans_exported(yes: bool) {
    TRACING.store(yes, Ordering::Release);
}

/// Returns whether spans are exported. Without that nobody looks at one that no log line belongs to.
pub fn are_spans_exported() -> bool {
    TRACING.load(Ordering::Acquire)
}

/// The names of a trace and of the span within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceIds {
    /// The trace, which may have begun at a client.
    pub trace: TraceId,
    /// Our part of it.
    pub span: SpanId,
    /// True if it is recorded.
    pub sampled: bool,
}

impl TraceIds {
    /// Parses a `traceparent`.
    #[must_use]
    pub fn of_header(value: &str) -> Option<Self> {
        let mut headers = HeaderMap::new();
        headers.insert(TRACE_PARENT, HeaderValue::from_str(value).ok()?);
        Self::of_headers(&headers)
    }

    fn of_headers(headers: &HeaderMap) -> Option<Self> {
        Self::of_context(&TraceContextPropagator::new().extract(&Headers(headers)))
    }

    fn of_context(context: &opentelemetry::Context) -> Option<Self> {
        let span = context.span();
        let ids = span.span_context();
        ids.is_valid().then(|| Self { trace: ids.trace_id(), span: ids.span_id(), sampled: ids.is_sampled() })
    }

    /// Formats it as a header.
    #[must_use]
    pub fn header(&self) -> Option<HeaderValue> {
        let flags = if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        HeaderValue::from_str(&format!("00-{}-{}-{:02x}", self.trace, self.span, flags.to_u8())).ok()
    }
}

/// The names that every line within a request's span repeats, so that lines can be joined.
#[derive(Debug, Clone)]
pub struct Ids {
    pub(super) request: HeaderValue,
    pub(super) trace: Option<TraceIds>,
}

impl Ids {
    /// Creates the ids of a request.
    #[must_use]
    pub fn new(request: HeaderValue, trace: Option<TraceIds>) -> Self {
        Self { request, trace }
    }

    /// Lets a span carry them, beside its fields: those would be made into text here and read again for each line.
    pub fn put_into(self, span: &Span) {
        span.with_subscriber(|(id, dispatch)| {
            if let Some(span) = dispatch.downcast_ref::<Registry>().and_then(|registry| registry.span(id)) {
                span.extensions_mut().insert(self);
            }
        });
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = self.0.get(key).and_then(|value| value.to_str().ok());
        // The propagator pads ids that are too short, which would join traces that have nothing in common.
        value.filter(|value| key != TRACE_PARENT || has_shape(value))
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

/// Returns whether a `traceparent` has all its digits: version, trace, span and flags, and in version 00 nothing behind them.
fn has_shape(value: &str) -> bool {
    let mut parts = value.split('-');
    let lengths = [2, 32, 16, 2];
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let whole =
        lengths.iter().all(|length| parts.next().is_some_and(|part| part.len() == *length && digits(part)));
    whole && (parts.next().is_none() || !value.starts_with("00-"))
}

/// Makes a request's span part of its client's trace.
pub fn continue_trace(span: &Span, headers: &HeaderMap) -> Option<TraceIds> {
    if are_spans_exported() {
        if headers.contains_key(TRACE_PARENT) {
            let parent = TraceContextPropagator::new().extract(&Headers(headers));
            if parent.span().span_context().is_valid() && span.set_parent(parent).is_err() {
                tracing::debug!("the client's trace could not be continued");
            }
        }
        TraceIds::of_context(&span.context())
    } else {
        let ids = RandomIdGenerator::default();
        let theirs = headers.contains_key(TRACE_PARENT).then(|| TraceIds::of_headers(headers)).flatten();
        let trace = theirs.map_or_else(|| ids.new_trace_id(), |theirs| theirs.trace);
        Some(TraceIds { trace, span: ids.new_span_id(), sampled: false })
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_foreign_trace_is_read_from_its_header_and_continued() {
        let ids = TraceIds::of_header(PARENT).unwrap();
        assert_eq!(ids.trace.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(ids.header().unwrap(), PARENT);
        let zeros = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        let longer = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
        for wrong in ["", "00-0af7-b7ad-01", zeros, longer] {
            assert_eq!(TraceIds::of_header(wrong), None, "{wrong}");
        }

        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", HeaderValue::from_static(PARENT));
            headers.insert("tracestate", HeaderValue::from_static("vendor=1"));
            let span = tracing::info_span!("request");
            span.set_parent(TraceContextPropagator::new().extract(&Headers(&headers))).unwrap();
            let context = span.context();
            let ours = context.span().span_context().clone();
            assert_eq!(ours.trace_id(), ids.trace);
            assert_ne!(ours.span_id(), ids.span, "our own span is the parent of what comes next");
            assert_eq!(ours.trace_state().header(), "vendor=1");
        });
    }
}
