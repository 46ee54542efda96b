//! Logs on stderr and, with an endpoint, traces over OTLP.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;
use url::Url;

use lookout_runtime::events::names;

/// Longest time of one export of spans.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Targets of the exporter's own spans, which are never exported: every export would cause the next one.
const EXPORTER_TARGETS: [&str; 5] = ["opentelemetry", "hyper", "h2", "tonic", "reqwest"];

/// Settings of logs and traces.
#[derive(Debug, Clone)]
pub struct TelemetryConfig {
    /// The level: `info`, or a filter such as `info,lookout=debug`.
    pub level: String,
    /// True for logs as JSON, one object per line, instead of text for people.
    pub json: bool,
    /// Base URL of an OTLP collector (`http://collector:4318`).
    pub otlp_endpoint: Option<Url>,
}

/// Failure to start logs and traces.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The level cannot be read.
    #[error(
        "the log level {level:?} cannot be read: expected error, warn, info, debug, trace or a filter such as \
         info,lookout=debug"
    )]
    Level {
        /// The level as it was given.
        level: String,
        /// The fault.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// The client for the collector cannot be built.
    #[error("building the trace exporter for {endpoint}")]
    Exporter {
        /// The address of the collector, without credentials.
        endpoint: String,
        /// The fault.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// The HTTP client cannot be built.
    #[error("building the HTTP client of the trace exporter")]
    Client(#[source] reqwest::Error),
    /// Another logger is installed already.
    #[error("starting the log: this process has one already")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Handle of the exporter, which flushes it at the end.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

/// Starts logs and traces for the whole process.
///
/// A provider exists even without an endpoint, so that spans have trace ids to send along and to log; they are not
/// exported then.
///
/// # Errors
/// Fails when the level cannot be read, the exporter cannot be built, or the process logs already.
pub fn init(config: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(&config.level)
        .map_err(|source| TelemetryError::Level { level: config.level.clone(), source })?;
    let provider = provider(config.otlp_endpoint.as_ref())?;
    let traces = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("lookout"))
        .with_threads(false)
        .with_filter(LevelFilter::INFO)
        .with_filter(filter_fn(|metadata| !is_exporter(metadata.target())));
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let log: Box<dyn Layer<_> + Send + Sync> = if config.json {
        log.json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .with_filter(filter)
            .boxed()
    } else {
        let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
        log.with_ansi(colour).with_target(false).with_filter(filter).boxed()
    };
    Registry::default().with(traces).with(log).try_init().map_err(TelemetryError::Twice)?;
    Ok(Telemetry { provider })
}

impl Telemetry {
    /// Exports the remaining spans, for at most `timeout`. It blocks: call it after the runtime or on a blocking
    /// thread.
    pub fn shutdown(self, timeout: Duration) {
        if let Err(error) = self.provider.shutdown_with_timeout(timeout) {
            tracing::warn!(%error, "the last traces may be lost");
        }
    }
}

fn is_exporter(target: &str) -> bool {
    EXPORTER_TARGETS.iter().any(|prefix| target.starts_with(prefix))
}

fn provider(endpoint: Option<&Url>) -> Result<SdkTracerProvider, TelemetryError> {
    let resource = Resource::builder()
        .with_service_name("lookout")
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let Some(endpoint) = endpoint else { return Ok(builder.build()) };
    let url = traces_url(endpoint);
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(blocking_client()?)
        .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
        .with_timeout(EXPORT_TIMEOUT)
        .with_endpoint(url.as_str())
        .build()
        .map_err(|source| TelemetryError::Exporter { endpoint: without_credentials(&url), source })?;
    Ok(builder.with_batch_exporter(Counted(exporter)).build())
}

/// Returns a blocking client: the batch processor has its own thread, outside of any runtime. A runtime refuses to
/// build such a client inside it, so that another thread builds it.
fn blocking_client() -> Result<reqwest::blocking::Client, TelemetryError> {
    let build = || {
        reqwest::blocking::Client::builder()
            .timeout(EXPORT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(TelemetryError::Client)
    };
    std::thread::scope(|scope| match scope.spawn(build).join() {
        Ok(built) => built,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Returns the base URL with the path of traces, unless it has it already.
fn traces_url(endpoint: &Url) -> Url {
    let mut url = endpoint.clone();
    let path = url.path().trim_end_matches('/').to_owned();
    if !path.ends_with("/v1/traces") {
        url.set_path(&format!("{path}/v1/traces"));
    }
    url
}

fn without_credentials(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// Counts exported and failed spans, so that a collector that is down is visible.
#[derive(Debug)]
struct Counted<E>(E);

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len() as u64;
        let result: Result<(), OTelSdkError> = self.0.export(batch).await;
        let outcome = if result.is_ok() { "exported" } else { "failed" };
        metrics::counter!(names::OTLP_SPANS, "outcome" => outcome).increment(spans);
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

#[cfg(test)]
#[path = "telemetry_tests.rs"]
mod tests;
