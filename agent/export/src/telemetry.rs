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
    /// True if the collector gets the lines of the log too.
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
    traces: Option<SdkTracerProvider>,
    logs: Option<SdkLoggerProvider>,
}

/// Starts logs and traces for the whole process.
///
/// Without an endpoint there are no spans: they would cost about as much as the probes that they tell of. A probe sends a
/// random trace id then.
///
/// # Errors
/// Fails when the level cannot be read, an exporter cannot be built, or the process logs already.
pub fn init(config: &TelemetryConfig) -> Result<Telemetry, TelemetryError> {
    let resource = resource(config.environment.as_deref());
    let filter = level(config)?;
    let endpoint = config.otlp_endpoint.as_ref();
    let provider = endpoint.map(|endpoint| tracer_provider(resource.clone(), endpoint)).transpose()?;
    let endpoint = endpoint.filter(|_| config.otlp_logs);
    let logs = endpoint.map(|endpoint| logger_provider(resource, endpoint)).transpose()?;
    let not_of_the_exporter = || filter_fn(|metadata| !is_exporter(metadata.target()));
    // a layer that is absent must not be there at all: as an `Option` it would enable every span
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = Vec::new();
    if let Some(provider) = &provider {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("lookout"));
        let layer = layer.with_location(false).with_target(false).with_threads(false);
        let layer = layer.with_tracked_inactivity(false).with_filter(LevelFilter::INFO);
        layers.push(layer.with_filter(not_of_the_exporter()).boxed());
    }
    if let Some(logs) = &logs {
        let lines = LogLines::new(logs).with_filter(level(config)?);
        layers.push(lines.with_filter(not_of_the_exporter()).boxed());
    }
    let only_events = filter_fn(|metadata| metadata.is_event());
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    layers.push(if config.json {
        let log = log.json().flatten_event(true).with_current_span(false).with_span_list(false);
        log.with_filter(filter).with_filter(only_events).boxed()
    } else {
        let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let log = log.with_ansi(colour).with_target(false);
        log.with_filter(filter).with_filter(only_events).boxed()
    });
    Registry::default().with(layers).try_init().map_err(TelemetryError::Twice)?;
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
        if let Some(Err(error)) = self.traces.map(|traces| traces.shutdown_with_timeout(timeout)) {
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
