//! Telemetry of the agent itself: `/metrics` and OTLP.
//!
//! `/metrics` has two kinds of families. Counters and histograms of the agent go through the `metrics` facade into a
//! [`lookout_runtime::recorder::Recorder`]. Figures of SLOs are rendered from the snapshot at scrape time, so that a series ends when its SLO
//! does.

mod blackbox;
mod component;
mod family;
mod host;
mod labels;
mod otlp;
mod registry;
mod telemetry;
mod text;

pub use blackbox::{Probed, render_probe, render_probes};
pub use host::{Figures, Host};
pub use otlp::{MetricsExport, MetricsExportError, OtlpError};
pub use registry::{InstalledTwice, detached_recorder, install_recorder};
pub use telemetry::{Telemetry, TelemetryConfig, TelemetryError, init};
pub use text::render;
