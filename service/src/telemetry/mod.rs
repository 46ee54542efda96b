//! Logs as JSON on stdout, where every collector reads them; traces to an OTLP collector when one is named. Metrics are scraped.
//!
//! - `json` makes lines, `stdout` writes them.
//! - `context` knows whose trace a request belongs to; `export` builds what sends, and flushes it at the end.
//! - `metrics` is what a scrape is made of, `accept` reads the formats that a client takes.
//!
//! Only spans of this service are exported, or the exporter's own requests would make spans to be exported. Without a
//! collector no spans are built at all: ids alone join the lines of several services.

pub mod accept;
pub mod context;
mod export;
mod json;
pub mod metrics;
mod stdout;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer as _, Registry};

use self::json::JsonLines;
use self::stdout::{LastLines, Stdout};
use crate::clock::SystemClock;
use crate::config::Config;

pub use self::context::{Ids, TRACE_RESPONSE, TraceIds, are_spans_exported, continue_trace};
pub use self::export::TelemetryError;
pub use self::stdout::lost_lines;

/// The target of the one line that other programs read. It is written whatever the level.
pub const START: &str = "titanic::start";
/// The target of lines that say who broke or changed what. They are written whatever the level.
pub const AUDIT: &str = "titanic::audit";
/// The target of spans around statements: for traces only, since no line repeats anything of them.
pub const SQL: &str = "titanic::sql";

/// The service's telemetry, to be flushed at the end.
#[derive(Debug)]
pub struct Telemetry {
    spans: Option<SdkTracerProvider>,
    /// After the spans, because the last lines may tell what became of those.
    _last_lines: LastLines,
}

impl Telemetry {
    /// Takes over the logs of this process.
    pub fn install(config: &Config) -> Result<Self, TelemetryError> {
        let spans = export::build(config)?;
        let level = config.log_level;
        let traces = spans.as_ref().map(|provider| {
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer(env!("CARGO_PKG_NAME")))
                .with_location(false)
                .with_threads(false)
                .with_target(false)
                // Nobody asks which span is current or how long it was entered, and at each poll to know it costs.
                .with_context_activation(false)
                .with_tracked_inactivity(false)
                .with_filter(filter_fn(traced))
        });
        context::set_spans_exported(traces.is_some());
        let (stdout, last_lines) = Stdout::start(std::io::stdout()).map_err(TelemetryError::Thread)?;
        let lines = JsonLines::new(stdout, SystemClock)
            .with_filter(filter_fn(move |metadata| logged(metadata, level)));
        let subscriber = Registry::default().with(traces).with(lines);
        subscriber.try_init().map_err(|error: TryInitError| TelemetryError::Subscriber(error))?;
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let reason = panic.payload_as_str().unwrap_or("without a word");
            tracing::error!(panic.place = place, panic.reason = reason, "panicked");
        }));
        Ok(Self { spans, _last_lines: last_lines })
    }

    /// Sends what is left: spans first, lines last, because those may tell what became of the others.
    pub async fn flush(self) {
        let Self { spans, _last_lines } = self;
        if let Some(spans) = spans {
            export::flush(spans).await;
        }
    }
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().split("::").next() == Some(env!("CARGO_PKG_NAME"))
}

/// Our spans at any level, because they carry the ids that lines are joined by; libraries only when they warn.
fn logged(metadata: &Metadata<'_>, level: Level) -> bool {
    if matches!(metadata.target(), START | AUDIT) {
        return true;
    }
    if is_ours(metadata) {
        return if metadata.is_span() { metadata.target() != SQL } else { *metadata.level() <= level };
    }
    metadata.is_event() && *metadata.level() <= level.min(Level::WARN)
}

fn traced(metadata: &Metadata<'_>) -> bool {
    is_ours(metadata) && (metadata.is_span() || *metadata.level() <= Level::WARN)
}
