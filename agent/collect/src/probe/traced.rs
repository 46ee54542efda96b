//! Trace context of a probe.

use core::fmt::Write as _;

use http::header::HeaderName;
use opentelemetry::trace::TraceContextExt as _;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use lookout_runtime::random::Random;

/// The header of W3C Trace Context.
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Trace and span of a probe.
#[derive(Debug, Clone)]
pub(super) struct Traced {
    /// 32 hex digits.
    pub(super) trace_id: String,
    /// 16 hex digits.
    span_id: String,
}

impl Traced {
    /// The current span when it is exported, so that both sides of the request meet in one trace; else random.
    pub(super) fn current(random: &Random) -> Self {
        let context = Span::current().context();
        let span = context.span();
        let known = span.span_context();
        if known.is_valid() {
            return Self { trace_id: known.trace_id().to_string(), span_id: known.span_id().to_string() };
        }
        // all zero is not allowed
        let trace = u128::from(random.next()) << 64 | u128::from(random.next().max(1));
        Self { trace_id: hex::<32>(trace), span_id: hex::<16>(u128::from(random.next().max(1))) }
    }

    /// The header of W3C Trace Context. Always marked as sampled: a probe is rare, and the one that fails is wanted.
    pub(super) fn header(&self) -> String {
        ["00-", &self.trace_id, "-", &self.span_id, "-01"].concat()
    }
}

/// Returns the last `DIGITS` hex digits of a number.
fn hex<const DIGITS: usize>(number: u128) -> String {
    let mut text = String::with_capacity(DIGITS);
    // writing to a string cannot fail
    let _ = write!(text, "{number:0DIGITS$x}");
    text
}
