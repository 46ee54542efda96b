//! Probes over HTTP: one attempt, one deadline, one outcome per slot, with a reason from a closed list.

mod assert;
mod dial;
mod http;
mod latest;
mod outcome;
mod request;
mod stopwatch;
mod trust;
mod watch;
mod wire;

use async_trait::async_trait;

use lookout_config::Target;

pub use http::{HttpProber, without_secrets};
pub use latest::{Failed, Latest, Seen};
pub use outcome::{Outcome, Phases, Reason, Verdict};
pub use watch::{Ports, watch};

/// Someone who can try a target once.
#[async_trait]
pub trait Probe: Send + Sync + 'static {
    /// Tries it, within the deadline of the target. Whatever goes wrong is an outcome.
    async fn probe(&self, target: &Target) -> Outcome;
}
