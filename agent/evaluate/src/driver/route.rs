//! The destinations of a transition.

use std::collections::BTreeSet;

use lookout_config::{Destination, Slo};
use lookout_engine::Change;
use lookout_model::TransitionRecord;

use super::Driver;

impl Driver {
    /// Returns the destinations of a transition: those that take it now when it must be heard, and all that heard of the
    /// incident before, at any hour.
    pub(super) async fn routed(
        &self,
        slo: &Slo,
        record: &TransitionRecord,
        earlier: &[TransitionRecord],
    ) -> Vec<String> {
        let (incident, change) = (&record.incident, record.change);
        let is_alarm = matches!(change, Change::Opened | Change::Reopened | Change::Escalated);
        let told = match change {
            Change::Opened => Some(BTreeSet::new()),
            _ => self.told(&incident.id, earlier).await,
        };
        let hears = |one: &&Destination| match &told {
            Some(told) => {
                told.contains(&one.name) || is_alarm && one.takes(slo, incident.severity, record.at)
            }
            // an end that nobody waits for is better than an alert that never ends
            None => one.minimum <= incident.peak,
        };
        self.config.destinations.iter().filter(hears).map(|one| one.name.clone()).collect()
    }

    /// Returns the destinations that heard of an incident; `None` when the ledger cannot tell.
    async fn told(&self, incident: &str, earlier: &[TransitionRecord]) -> Option<BTreeSet<String>> {
        let stored = self.ledger.deliveries_of(incident).await.ok()?;
        let stored = stored.into_iter().map(|one| one.destination);
        let same = earlier.iter().filter(|one| one.incident.id == incident);
        Some(stored.chain(same.flat_map(|one| one.destinations.iter().cloned())).collect())
    }
}
