//! Pages that a receiver does not take in time go to the fallback too: it hangs, is away, or asks for patience.

use std::collections::BTreeMap;
use std::time::Duration;

use lookout_engine::Severity;
use lookout_ledger::{DeliveryState, LedgerError};
use lookout_model::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Ports, with_cause};
use crate::message::is_over;

const EVERY: Duration = Duration::from_secs(5);
/// Time after which a page that waits is tried elsewhere; with the pause between two looks it is a minute at most.
const OVERDUE: Duration = Duration::from_secs(55);

/// Gives the fallback what waits too long for a destination, until it is stopped.
pub(super) async fn run(name: String, ports: Ports, stop: CancellationToken) {
    let Some(fallback) = ports.fallback.clone() else { return };
    let mut overdue = Overdue { name, fallback, ports, since: BTreeMap::new(), has_looked: false };
    while !stop.is_cancelled() {
        if let Err(error) = overdue.pass().await {
            tracing::error!(destination.name = %overdue.name, error = %with_cause(&error),
                "pages that wait cannot be given to the fallback");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// An incident, a change and its instant.
type Waits = (String, String, Timestamp);

struct Overdue {
    name: String,
    fallback: String,
    ports: Ports,
    /// The time for which each delivery had waited for the destination when it was first seen, and the instant of that. It
    /// is shorter than the age of its change where another destination had it first, and no clock that is set changes it.
    since: BTreeMap<Waits, (Duration, Instant)>,
    /// True after the first look, which sees what an earlier process was asked to deliver.
    has_looked: bool,
}

impl Overdue {
    /// Forwards the present state of open pages with a delivery that waits too long, and the end of those that the fallback
    /// heard of.
    async fn pass(&mut self) -> Result<(), LedgerError> {
        let mut before = std::mem::take(&mut self.since);
        let mut forwarded = 0_usize;
        for latest in self.ports.ledger.latest_of_waiting(&self.name).await? {
            let (notice, pages) = (&latest.notice, latest.incident.severity == Severity::Page);
            if !pages && !is_over(notice) {
                continue;
            }
            let id = &notice.incident.id;
            let known = self.ports.ledger.deliveries_of(id).await?;
            let heard = known.iter().any(|one| one.destination == self.fallback);
            let mut is_overdue = false;
            for one in known.iter().filter(|one| one.destination == self.name && one.state == "waiting") {
                let key = (id.clone(), one.change.clone(), one.at);
                let (waited, seen) =
                    before.remove(&key).unwrap_or_else(|| (self.waited(one), Instant::now()));
                is_overdue |= waited + seen.elapsed() >= OVERDUE;
                self.since.insert(key, (waited, seen));
            }
            let wanted = if is_over(notice) { heard } else { pages };
            if wanted && is_overdue {
                forwarded += usize::from(self.ports.ledger.forward(notice, &self.fallback).await?);
            }
        }
        self.has_looked = true;
        if forwarded > 0 {
            tracing::warn!(
                destination.name = %self.name,
                fallback = %self.fallback,
                incidents = forwarded,
                "pages that wait too long go to the fallback"
            );
            self.ports.wake.notify_waiters();
        }
        Ok(())
    }

    /// Returns the time for which a delivery that was not seen before has waited.
    fn waited(&self, delivery: &DeliveryState) -> Duration {
        let now = self.ports.clock.now();
        match (delivery.at <= now, self.has_looked) {
            (true, false) => now.since(delivery.at),
            (true, true) => now.since(delivery.at).min(EVERY),
            (false, _) => EVERY,
        }
    }
}
