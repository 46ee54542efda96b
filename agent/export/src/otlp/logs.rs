//! The lines of the log once more, for a collector. The SDK adds the trace and the span that a line stands in.

use std::fmt;
use std::time::{Duration, SystemTime};

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use url::Url;

use lookout_runtime::clock::{Clock as _, SystemClock};
use lookout_runtime::events::names;

use super::{EXPORT_TIMEOUT, OtlpError, Signal, blocking_client, count, without_credentials};

/// Returns a provider that sends lines in batches from a thread of its own.
pub(crate) fn logger_provider(resource: Resource, endpoint: &Url) -> Result<SdkLoggerProvider, OtlpError> {
    let url = Signal::Logs.url(endpoint);
    let exporter = opentelemetry_otlp::LogExporter::builder()
        .with_http()
        .with_http_client(blocking_client()?)
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .with_timeout(EXPORT_TIMEOUT)
        .with_endpoint(url.as_str())
        .build()
        .map_err(|source| OtlpError::Exporter {
            signal: Signal::Logs.name(),
            endpoint: without_credentials(&url),
            source,
        })?;
    Ok(SdkLoggerProvider::builder().with_resource(resource).with_batch_exporter(Counted(exporter)).build())
}

/// Counts exported and failed lines.
#[derive(Debug)]
struct Counted<E>(E);

impl<E: LogExporter> LogExporter for Counted<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let lines = batch.iter().count();
        let result = self.0.export(batch).await;
        count(names::OTLP_LOG_LINES, lines, result.is_ok());
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

/// Layer that hands events to the provider.
pub(crate) struct LogLines(SdkLogger);

impl LogLines {
    pub(crate) fn new(provider: &SdkLoggerProvider) -> Self {
        Self(provider.logger("lookout"))
    }
}

impl<S: Subscriber> Layer<S> for LogLines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut record = self.0.create_log_record();
        let millis = u64::try_from(SystemClock.now().as_millis()).unwrap_or(0);
        record.set_timestamp(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        record.set_severity_text(metadata.level().as_str());
        record.set_severity_number(match *metadata.level() {
            Level::ERROR => Severity::Error,
            Level::WARN => Severity::Warn,
            Level::INFO => Severity::Info,
            Level::DEBUG => Severity::Debug,
            Level::TRACE => Severity::Trace,
        });
        record.add_attribute("log.target", metadata.target());
        event.record(&mut Fields(&mut record));
        self.0.emit(record);
    }
}

/// Writes the fields of an event into a record.
struct Fields<'a>(&'a mut SdkLogRecord);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<AnyValue>) {
        if field.name() == "message" {
            self.0.set_body(value.into());
        } else {
            self.0.add_attribute(field.name(), value);
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.put(field, value),
            Err(_) => self.put(field, value.to_string()),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }
}
