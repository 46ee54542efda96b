//! `/metrics` of a neighbour, read once a slot, as counts that survive its restarts.
//!
//! Growth that is not plausible is reported and never counted.

mod bounds;
mod counter;
mod exposition;
mod fetch;
mod life;
mod plausible;
mod ratio;
mod watch;

pub use exposition::{BadExposition, Sample, Samples, samples};
pub use fetch::{Fetch, FetchError, HttpFetch};
pub use watch::{Ports, Streams, watch};
