//! OTLP exporters and their last flush. Headers, timeouts, intervals and sampling follow
//! OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_TRACES_SAMPLER`).

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{ExporterBuildError, LogExporter, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::{BatchConfig, BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use tracing_subscriber::util::TryInitError;

use crate::config::Config;

/// Time limit for sending the last data of each signal.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The reason for which telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter does not accept its settings.
    #[error("setting up the export of {what} to {endpoint}")]
    Exporter {
        /// The signal.
        what: &'static str,
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

/// The configured exporters. There are none without a collector.
#[derive(Debug, Default)]
pub(super) struct Exports {
    pub(super) traces: Option<SdkTracerProvider>,
    pub(super) logs: Option<SdkLoggerProvider>,
}

impl Exports {
    pub(super) fn build(config: &Config) -> Result<Self, TelemetryError> {
        let Some(endpoint) = &config.otlp_endpoint else { return Ok(Self::default()) };
        let (signals, mut exports) = (config.otlp_signals, Self::default());
        let failed =
            |what| move |source| TelemetryError::Exporter { what, endpoint: endpoint.clone(), source };
        let resource = resource(config);
        if signals.traces {
            let exporter = SpanExporter::builder().with_http().with_endpoint(format!("{endpoint}/v1/traces"));
            let exporter = exporter.build().map_err(failed("traces"))?;
            let provider = SdkTracerProvider::builder().with_resource(resource.clone());
            let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches()).build();
            exports.traces = Some(provider.with_span_processor(processor).build());
        }
        if signals.logs {
            let exporter = LogExporter::builder().with_http().with_endpoint(format!("{endpoint}/v1/logs"));
            let exporter = exporter.build().map_err(failed("logs"))?;
            let provider = SdkLoggerProvider::builder().with_resource(resource);
            exports.logs = Some(provider.with_batch_exporter(exporter).build());
        }
        Ok(exports)
    }

    pub(super) async fn flush(self) {
        let Self { traces, logs } = self;
        if let Some(traces) = traces {
            flush("spans", move || traces.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        }
        if let Some(logs) = logs {
            flush("log lines", move || logs.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        }
    }
}

/// Half as many spans in a message as is usual, unless the operator says otherwise: a message is held three times over
/// while it is sent.
fn batches() -> BatchConfig {
    let batches = BatchConfigBuilder::default();
    let is_set = std::env::var_os("OTEL_BSP_MAX_EXPORT_BATCH_SIZE").is_some();
    if is_set { batches.build() } else { batches.with_max_export_batch_size(256).build() }
}

/// The exporter blocks, hence the thread; it may hang, hence the limit.
async fn flush(what: &'static str, shutdown: impl FnOnce() -> OTelSdkResult + Send + 'static) {
    let flushed = tokio::task::spawn_blocking(shutdown);
    match tokio::time::timeout(FLUSH_TIMEOUT + Duration::from_secs(1), flushed).await {
        Ok(Ok(Ok(()))) => tracing::debug!("the last {what} are sent"),
        Ok(Ok(Err(error))) => tracing::warn!(%error, "the last {what} were lost"),
        Ok(Err(error)) => tracing::warn!(%error, "the last {what} were lost"),
        Err(_) => tracing::warn!("the last {what} were lost: the collector did not take them in time"),
    }
}

fn resource(config: &Config) -> Resource {
    // The builder also reads OTEL_RESOURCE_ATTRIBUTES; OTEL_SERVICE_NAME is honoured here.
    let name = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
    Resource::builder()
        .with_service_name(name.unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned()))
        .with_attribute(KeyValue::new("service.version", config.version.clone()))
        .with_attribute(KeyValue::new("deployment.environment.name", config.environment.to_string()))
        .build()
}
