//! The lines of the log once more, for a collector that does not read stdout.
//!
//! `opentelemetry-appender-tracing` finds the trace of a line in the active context of OpenTelemetry. Requests have none:
//! to enter and leave it at each poll costs, and without exported spans there would be no trace at all.

use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use serde_json::Value;
use tracing::{Event, Level, Subscriber};
use tracing_serde::fields::AsMap as _;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::context::{Ids, TraceIds};
use crate::clock::Clock;

/// Sends events.
pub(super) struct OtlpLines<C> {
    logger: SdkLogger,
    clock: C,
}

impl<C> OtlpLines<C> {
    pub(super) fn new(provider: &SdkLoggerProvider, clock: C) -> Self {
        Self { logger: provider.logger(env!("CARGO_PKG_NAME")), clock }
    }
}

impl<S, C> Layer<S> for OtlpLines<C>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    C: Clock,
{
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let mut record = self.logger.create_log_record();
        let now = SystemTime::from(self.clock.now());
        record.set_timestamp(now);
        record.set_observed_timestamp(now);
        record.set_severity_text(metadata.level().as_str());
        record.set_severity_number(match *metadata.level() {
            Level::ERROR => Severity::Error,
            Level::WARN => Severity::Warn,
            Level::INFO => Severity::Info,
            Level::DEBUG => Severity::Debug,
            Level::TRACE => Severity::Trace,
        });
        record.add_attribute("log.target", metadata.target());
        if let Some(ids) = Ids::of_event(event, &context) {
            if let Some(TraceIds { trace, span, .. }) = ids.trace() {
                record.set_trace_context(trace, span, None);
            }
            record.add_attribute("request_id", ids.request().to_owned());
        }
        if let Ok(Value::Object(fields)) = serde_json::to_value(event.field_map()) {
            for (name, value) in fields {
                match any(value) {
                    body if name == "message" => record.set_body(body),
                    value => record.add_attribute(name, value),
                }
            }
        }
        self.logger.emit(record);
    }
}

fn any(value: Value) -> AnyValue {
    match value {
        Value::Bool(flag) => flag.into(),
        Value::String(text) => text.into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(real)) => real.into(),
            (None, None) => number.to_string().into(),
        },
        other => other.to_string().into(),
    }
}
