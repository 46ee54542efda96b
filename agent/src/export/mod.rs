//! What the agent tells about itself: `/metrics` and OTLP traces.
//!
//! Two kinds of families meet in `/metrics`. What the agent counts goes through the `metrics` facade into a
//! [`Recorder`]; what it knows about SLOs is rendered from the snapshot at scrape time, so that a series ends when its
//! SLO does.

mod component;
mod family;
mod host;
mod registry;
mod telemetry;
mod text;

pub use host::{Figures, Host};
pub use registry::{InstallError, Recorder};
pub use telemetry::{Telemetry, TelemetryConfig, TelemetryError, init};
pub use text::{CONTENT_TYPE, render};
