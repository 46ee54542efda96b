//! Probes: one attempt, one deadline, one outcome per slot, with a reason from a closed list. Each protocol is a folder.

mod addresses;
#[cfg(test)]
mod addresses_tests;
mod assert;
mod assignment;
mod attempt;
mod certificate;
mod dns;
mod grpc;
mod heartbeat;
mod heartbeat_calls;
mod history;
#[cfg(test)]
mod hostile_tests;
mod http;
mod icmp;
mod inline;
mod journey;
mod judge;
mod latest;
mod net;
mod observed;
mod outcome;
mod paused_groups;
mod pauses;
mod prober;
mod protocol;
#[cfg(test)]
mod real_tests;
mod received;
mod rounds;
mod series;
mod tcp;
#[cfg(test)]
mod test_support;
mod timer;
mod tokens;
mod traced;
mod watch;
mod websocket;

use async_trait::async_trait;

use lookout_config::Target;

pub use assignment::{Assigned, Assignment};
pub use certificate::Certificate;
pub use heartbeat_calls::Heartbeats;
pub use history::ProbeHistory;
pub use latest::{Failed, LastProbe, Latest};
pub(crate) use net::{code_name, look_up};
pub use outcome::{MissedReason, Outcome, Phases, Reason, StepOutcome, Verdict};
pub use pauses::Pauses;
pub use prober::{Prober, instance_of, peer_of};
pub use received::{AddressResult, DnsReceived, Received};
pub use rounds::Rounds;
pub use watch::{Ports, watch};

/// Tries a target once.
#[async_trait]
pub trait Probe: Send + Sync + 'static {
    /// Tries it, within the deadline of the target. Whatever goes wrong is an outcome.
    async fn probe(&self, target: &Target) -> Outcome;
}
