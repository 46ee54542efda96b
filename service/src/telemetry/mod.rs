//! Logs as JSON on stdout, and traces to an OTLP collector when one is named.
//!
//! A tracer is always installed: trace ids exist, and join the logs of several services, whether traces are exported or
//! not. Only spans of this service are exported, or the exporter's own requests would make spans to be exported.

mod json;

use std::time::Duration;

use axum::http::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer as _, Registry};

use self::json::JsonLines;
use crate::clock::SystemClock;
use crate::config::Config;

/// The target of the one line that other programs read. It is written whatever the level.
pub const START: &str = "titanic::start";

/// How long the last spans may take to leave.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no telemetry.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter does not accept its settings.
    #[error("setting up the export of traces to {endpoint}")]
    Exporter {
        /// Where traces should go.
        endpoint: String,
        /// What the exporter said.
        #[source]
        source: ExporterBuildError,
    },
    /// Somebody else writes the logs of this process.
    #[error("taking over the logs of this process")]
    Subscriber(#[source] TryInitError),
}

/// The service's telemetry, to be flushed at the end.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
    exports: bool,
}

impl Telemetry {
    /// Takes over the logs of this process.
    pub fn install(config: &Config) -> Result<Self, TelemetryError> {
        let provider = provider(config)?;
        let level = config.log_level;
        let lines =
            JsonLines::new(std::io::stdout, SystemClock).with_filter(filter_fn(move |m| logged(m, level)));
        let traces = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(env!("CARGO_PKG_NAME")))
            .with_location(false)
            .with_threads(false)
            .with_filter(filter_fn(traced));
        Registry::default().with(traces).with(lines).try_init().map_err(TelemetryError::Subscriber)?;
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let reason = panic.payload_as_str().unwrap_or("without a word");
            tracing::error!(panic.place = place, panic.reason = reason, "panicked");
        }));
        Ok(Self { provider, exports: config.otlp_endpoint.is_some() })
    }

    /// Sends what is left. The exporter blocks, hence the thread; it may hang, hence the limit.
    pub async fn flush(self) {
        let provider = self.provider;
        let flush = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_TIMEOUT));
        match tokio::time::timeout(FLUSH_TIMEOUT + Duration::from_secs(1), flush).await {
            Ok(Ok(Ok(()))) => tracing::debug!(exports = self.exports, "telemetry is flushed"),
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last spans were lost"),
            Ok(Err(error)) => tracing::warn!(%error, "the last spans were lost"),
            Err(_) => tracing::warn!("the last spans were lost: the collector did not take them in time"),
        }
    }
}

fn provider(config: &Config) -> Result<SdkTracerProvider, TelemetryError> {
    // The builder also reads OTEL_RESOURCE_ATTRIBUTES; OTEL_SERVICE_NAME is honoured below.
    let name = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
    let resource = Resource::builder()
        .with_service_name(name.unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned()))
        .with_attribute(KeyValue::new("service.version", config.version.clone()))
        .with_attribute(KeyValue::new("deployment.environment.name", config.environment.to_string()))
        .build();
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(builder.build()) };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{endpoint}/v1/traces"))
        .build()
        .map_err(|source| TelemetryError::Exporter { endpoint: endpoint.clone(), source })?;
    Ok(builder.with_batch_exporter(exporter).build())
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().split("::").next() == Some(env!("CARGO_PKG_NAME"))
}

/// Our spans at any level, because they carry the ids that lines are joined by; libraries only when they warn.
fn logged(metadata: &Metadata<'_>, level: Level) -> bool {
    if metadata.target() == START {
        return true;
    }
    if is_ours(metadata) {
        return metadata.is_span() || *metadata.level() <= level;
    }
    metadata.is_event() && *metadata.level() <= level.min(Level::WARN)
}

fn traced(metadata: &Metadata<'_>) -> bool {
    is_ours(metadata) && (metadata.is_span() || *metadata.level() <= Level::WARN)
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(axum::http::HeaderName::as_str).collect()
    }
}

/// Makes a request's span part of its client's trace (W3C `traceparent`), and notes the ids for the log.
pub fn continue_trace(span: &Span, headers: &HeaderMap) {
    let parent = TraceContextPropagator::new().extract(&Headers(headers));
    if parent.span().span_context().is_valid() && span.set_parent(parent).is_err() {
        tracing::debug!("the client's trace could not be continued");
    }
    let context = span.context();
    let ids = context.span().span_context().clone();
    if ids.is_valid() {
        span.record("trace_id", field(&ids.trace_id()));
        span.record("span_id", field(&ids.span_id()));
    }
}

fn field(id: &impl std::fmt::Display) -> tracing::field::DisplayValue<String> {
    tracing::field::display(id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_trace_is_read_from_its_header() {
        let mut headers = HeaderMap::new();
        headers.insert(
            "traceparent",
            axum::http::HeaderValue::from_static("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        );
        let context = TraceContextPropagator::new().extract(&Headers(&headers));
        assert_eq!(context.span().span_context().trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    }
}
