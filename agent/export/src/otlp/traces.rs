//! Spans to a collector.

use std::time::Duration;

use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use url::Url;

use lookout_runtime::events::names;

use super::{EXPORT_TIMEOUT, OtlpError, Signal, blocking_client, count, without_credentials};

fn exporter(endpoint: &Url) -> Result<opentelemetry_otlp::SpanExporter, OtlpError> {
    let url = Signal::Traces.url(endpoint);
    opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(blocking_client()?)
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .with_timeout(EXPORT_TIMEOUT)
        .with_endpoint(url.as_str())
        .build()
        .map_err(|source| OtlpError::Exporter {
            signal: Signal::Traces.name(),
            endpoint: without_credentials(&url),
            source,
        })
}

/// Returns a provider that exports to an endpoint.
pub(crate) fn tracer_provider(resource: Resource, endpoint: &Url) -> Result<SdkTracerProvider, OtlpError> {
    let exporter = Counted(exporter(endpoint)?);
    Ok(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build())
}

/// Counts exported and failed spans.
#[derive(Debug)]
struct Counted<E>(E);

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.0.export(batch).await;
        count(names::OTLP_SPANS, spans, result.is_ok());
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}
