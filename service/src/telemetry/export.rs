//! The OTLP exporter of spans and its last flush. Headers, timeouts, intervals and sampling follow
//! OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_TRACES_SAMPLER`).

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfig, BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use tracing_subscriber::util::TryInitError;

use crate::config::Config;

/// Time limit for sending the last spans.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The reason for which telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter does not accept its settings.
    #[error("setting up the export of traces to {endpoint}")]
    Exporter {
        /// The endpoint.
        endpoint: String,
        /// The error of the exporter.
        #[source]
        source: ExporterBuildError,
    },
    /// Another subscriber writes the logs of this process.
    #[error("taking over the logs of this process")]
    Subscriber(#[source] TryInitError),
    /// There is no thread for the log.
    #[error("starting the thread that writes the log")]
    Thread(#[source] std::io::Error),
}

/// Builds the exporter of spans. There is none without a collector.
pub(super) fn build(config: &Config) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
    let exporter = SpanExporter::builder().with_http().with_endpoint(format!("{endpoint}/v1/traces"));
    let exporter =
        exporter.build().map_err(|source| TelemetryError::Exporter { endpoint: endpoint.clone(), source })?;
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches()).build();
    let provider = SdkTracerProvider::builder().with_resource(resource(config));
    Ok(Some(provider.with_span_processor(processor).build()))
}

/// Half as many spans in a message as is usual, unless the operator says otherwise: a message is held three times over
/// while it is sent.
fn batches() -> BatchConfig {
    let batches = BatchConfigBuilder::default();
    let is_set = std::env::var_os("OTEL_BSP_MAX_EXPORT_BATCH_SIZE").is_some();
    if is_set { batches.build() } else { batches.with_max_export_batch_size(256).build() }
}

/// Sends the last spans. The exporter blocks, hence the thread; it may hang, hence the limit.
pub(super) async fn flush(spans: SdkTracerProvider) {
    let flushed = tokio::task::spawn_blocking(move || spans.shutdown_with_timeout(FLUSH_TIMEOUT));
    match tokio::time::timeout(FLUSH_TIMEOUT + Duration::from_secs(1), flushed).await {
        Ok(Ok(Ok(()))) => tracing::debug!("the last spans are sent"),
        Ok(Ok(Err(error))) => tracing::warn!(%error, "the last spans were lost"),
        Ok(Err(error)) => tracing::warn!(%error, "the last spans were lost"),
        Err(_) => tracing::warn!("the last spans were lost: the collector did not take them in time"),
    }
}

fn resource(config: &Config) -> Resource {
    // The builder also reads OTEL_RESOURCE_ATTRIBUTES.
    Resource::builder()
        .with_service_name(config.service_name.clone())
        .with_attribute(KeyValue::new("service.version", config.version.clone()))
        .with_attribute(KeyValue::new("deployment.environment.name", config.environment.to_string()))
        .build()
}
