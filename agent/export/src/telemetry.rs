//! Logs on stderr and, with a collector, telemetry over OTLP.

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;
use url::Url;

use crate::otlp::{LogLines, OtlpError, is_exporter, logger_provider, resource, tracer_provider};

/// Settings of logs and traces.
#[derive(Debug, Clone, Default)]
pub struct TelemetryConfig {
    /// The level: `info`, or a filter such as `info,lookout=debug`.
    pub level: String,
    /// True for logs as JSON, one object per line, instead of text for people.
    pub json: bool,
    /// Base URL of an OTLP collector (`http://collector:4318`).
    pub otlp_endpoint: Option<Url>,
    /// Whether the collector gets the lines of the log too.
    pub otlp_logs: bool,
    /// Name of the environment, which every signal carries.
    pub environment: Option<String>,
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
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    /// Another logger is installed already.
    #[error("starting the log: this process has one already")]
    Twice(#[source] tracing_subscriber::util::TryInitError),
}

/// Handle of the exporters, which flushes them at the end.
#[derive(Debug)]
pub struct Telemetry {
    traces: SdkTracerProvider,
    logs: Option<SdkLoggerProvider>,
}

/// Starts logs and traces for the whole process.
///
/// A provider exists even without an endpoint, so that spans have trace ids to send along and to log; they are not
/// exported then.
///
/// # Errors
/// Fails when the level cannot be read, an exporter cannot be built, or the process logs already.
pub fn init(config: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    let resource = resource(config.environment.as_deref());
    let filter = level(config)?;
    let provider = tracer_provider(resource.clone(), config.otlp_endpoint.as_ref())?;
    let endpoint = config.otlp_endpoint.as_ref().filter(|_| config.otlp_logs);
    let logs = endpoint.map(|endpoint| logger_provider(resource, endpoint)).transpose()?;
    let not_of_the_exporter = || filter_fn(|metadata| !is_exporter(metadata.target()));
    let traces = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("lookout"))
        .with_threads(false)
        .with_filter(LevelFilter::INFO)
        .with_filter(not_of_the_exporter());
    let lines = match &logs {
        Some(logs) => {
            let lines = LogLines::new(logs).with_filter(level(config)?);
            Some(lines.with_filter(not_of_the_exporter()))
        }
        None => None,
    };
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
    Registry::default().with(traces).with(lines).with(log).try_init().map_err(TelemetryError::Twice)?;
    Ok(Telemetry { traces: provider, logs })
}

fn level(config: &TelemetryConfig) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(&config.level)
        .map_err(|source| TelemetryError::Level { level: config.level.clone(), source })
}

impl Telemetry {
    /// Exports the remaining spans and lines, for at most `timeout` each. It blocks: call it after the runtime or on a
    /// blocking thread.
    pub fn shutdown(self, timeout: Duration) {
        if let Err(error) = self.traces.shutdown_with_timeout(timeout) {
            tracing::warn!(%error, "the last traces may be lost");
        }
        // last, because they may say what became of the traces
        if let Some(Err(error)) = self.logs.map(|logs| logs.shutdown_with_timeout(timeout)) {
            tracing::warn!(%error, "the last log lines may be lost");
        }
    }
}

#[cfg(test)]
#[path = "telemetry_tests.rs"]
mod tests;
