//! Export over OTLP/HTTP to a collector: traces, and log lines and metrics where they are asked for.
//!
//! Traces and log lines go through OpenTelemetry's SDK, whose threads send them. Metrics are what `/metrics` shows, read
//! again and sent under the same names: a figure has one source. Headers and compression follow OpenTelemetry's own
//! variables (`OTEL_EXPORTER_OTLP_HEADERS`).

mod convert;
mod logs;
mod metrics;
mod traces;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use url::Url;

pub use metrics::{MetricsExport, MetricsExportError};

pub(super) use logs::{LogLines, logger_provider};
pub(super) use traces::tracer_provider;

/// Longest time of one export.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Targets of the exporter's own spans and lines, which are never exported: every export would cause the next one.
const EXPORTER_TARGETS: [&str; 5] = ["opentelemetry", "hyper", "h2", "tonic", "reqwest"];

/// A signal of OpenTelemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signal {
    Traces,
    Metrics,
    Logs,
}

impl Signal {
    const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }

    /// Returns the base URL with the path of the signal, unless it has it already.
    fn url(self, endpoint: &Url) -> Url {
        let mut url = endpoint.clone();
        let path = url.path().trim_end_matches('/').to_owned();
        let base = [Self::Traces, Self::Metrics, Self::Logs]
            .into_iter()
            .find_map(|signal| path.strip_suffix(&format!("/v1/{}", signal.name())))
            .unwrap_or(&path);
        url.set_path(&format!("{base}/v1/{}", self.name()));
        url
    }
}

/// The collector's client cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// The exporter refuses its settings.
    #[error("building the exporter of {signal} for {endpoint}")]
    Exporter {
        /// The signal.
        signal: &'static str,
        /// The address of the collector, without credentials.
        endpoint: String,
        /// The fault.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// The HTTP client cannot be built.
    #[error("building the HTTP client of the exporter")]
    Client(#[source] reqwest::Error),
}

/// Returns the attributes that every signal carries.
pub(super) fn resource(environment: Option<&str>) -> Resource {
    let environment = environment.map(|name| KeyValue::new("deployment.environment.name", name.to_owned()));
    Resource::builder()
        .with_service_name("lookout")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(environment)
        .build()
}

pub(super) fn is_exporter(target: &str) -> bool {
    EXPORTER_TARGETS.iter().any(|prefix| target.starts_with(prefix))
}

/// Returns a blocking client: the SDK's processors have their own threads, outside of any runtime. A runtime refuses to
/// build such a client inside it, so that another thread builds it.
fn blocking_client() -> Result<reqwest::blocking::Client, OtlpError> {
    let build = || {
        reqwest::blocking::Client::builder()
            .timeout(EXPORT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(OtlpError::Client)
    };
    std::thread::scope(|scope| match scope.spawn(build).join() {
        Ok(built) => built,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn without_credentials(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// Counts what was exported and what was lost, so that a collector that is down is visible.
fn count(metric: &'static str, items: usize, exported: bool) {
    let outcome = if exported { "exported" } else { "failed" };
    ::metrics::counter!(metric, "outcome" => outcome).increment(items as u64);
}

#[cfg(test)]
mod tests;
