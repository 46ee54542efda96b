//! Pages that a receiver does not take in time go to the fallback too: it hangs, is away, or asks for patience.

use std::time::Duration;

use lookout_engine::Severity;
use lookout_ledger::{DeliveryState, LedgerError};
use lookout_model::Timestamp;
use tokio_util::sync::CancellationToken;

use super::{Ports, with_cause};
use crate::message::is_over;

const EVERY: Duration = Duration::from_secs(5);
/// Age from which on a page that waits is tried elsewhere; with the pause between two looks it is a minute at most.
const OVERDUE: Duration = Duration::from_secs(55);
/// Largest age of a resolved incident whose end is told elsewhere.
const ENDED_FOR: Duration = Duration::from_secs(15 * 60);

/// Gives the fallback what waits too long for a destination, until it is stopped.
pub(super) async fn run(name: String, ports: Ports, stop: CancellationToken) {
    let Some(fallback) = ports.fallback.clone() else { return };
    while !stop.is_cancelled() {
        if let Err(error) = pass(&name, &fallback, &ports).await {
            tracing::error!(destination.name = %name, error = %with_cause(&error),
                "pages that wait cannot be given to the fallback");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Forwards the present state of open pages with a delivery that waits too long, and the end of those that the fallback
/// heard of.
async fn pass(name: &str, fallback: &str, ports: &Ports) -> Result<(), LedgerError> {
    if ports.ledger.waiting(name).await?.1 == 0 {
        return Ok(());
    }
    let now = ports.clock.now();
    let mut forwarded = 0_usize;
    for latest in ports.ledger.latest_transitions(now - ENDED_FOR).await? {
        let (notice, pages) = (&latest.notice, latest.incident.severity == Severity::Page);
        if !pages && !is_over(notice) {
            continue;
        }
        let known = ports.ledger.deliveries_of(&notice.incident.id).await?;
        let heard = known.iter().any(|one| one.destination == fallback);
        let wanted = if is_over(notice) { heard } else { pages };
        if wanted && known.iter().any(|one| is_overdue(one, name, now)) {
            forwarded += usize::from(ports.ledger.forward(notice, fallback).await?);
        }
    }
    if forwarded > 0 {
        tracing::warn!(
            destination.name = name,
            fallback,
            incidents = forwarded,
            "pages that wait too long go to the fallback"
        );
        ports.wake.notify_waiters();
    }
    Ok(())
}

fn is_overdue(delivery: &DeliveryState, name: &str, now: Timestamp) -> bool {
    delivery.destination == name && delivery.state == "waiting" && delivery.at + OVERDUE <= now
}
