//! `/metrics` of a neighbour, read once a slot, as reset-aware counts.

mod bounds;
mod exposition;
mod fetch;
mod ratio;
mod reset;
mod watch;

pub use exposition::{BadExposition, Sample, Samples, samples};
pub use fetch::{Fetch, FetchError, HttpFetch};
pub use watch::{Ports, watch};
