//! The destinations of a transition, and the silence that keeps it from them.

use std::collections::BTreeSet;

use lookout_config::{Destination, Slo};
use lookout_engine::Change;
use lookout_model::{SilenceRecord, SilencedBy, TransitionRecord};

use super::Driver;
use crate::silence::silence_of;

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
        let silenced = record.notice.silence.is_some();
        let is_alarm = matches!(change, Change::Opened | Change::Reopened | Change::Escalated);
        let told = match change {
            Change::Opened => Some(BTreeSet::new()),
            _ => self.told(&incident.id, earlier).await,
        };
        let hears = |one: &&Destination| match &told {
            Some(told) => match is_alarm {
                true => {
                    !silenced && (told.contains(&one.name) || one.takes(slo, incident.severity, record.at))
                }
                false => told.contains(&one.name),
            },
            // an end that nobody waits for is better than an alert that never ends
            None => one.minimum <= incident.peak,
        };
        self.config.destinations.iter().filter(hears).map(|one| one.name.clone()).collect()
    }

    /// Returns the mark of the silence that an incident opens, escalates or opens again in.
    pub(super) async fn silence(&self, slo: &Slo, record: &TransitionRecord) -> Option<SilencedBy> {
        // while nobody knows what is silenced, everything is told
        let silences = self.ledger.silences(record.at).await.unwrap_or_default();
        silence_of(&silences, slo, record.incident.severity, record.at).map(SilenceRecord::mark)
    }

    /// Returns the destinations that heard of an incident; `None` when the ledger cannot tell.
    async fn told(&self, incident: &str, earlier: &[TransitionRecord]) -> Option<BTreeSet<String>> {
        let stored = self.ledger.deliveries_of(incident).await.ok()?;
        let stored = stored.into_iter().map(|one| one.destination);
        let same = earlier.iter().filter(|one| one.incident.id == incident);
        Some(stored.chain(same.flat_map(|one| one.destinations.iter().cloned())).collect())
    }
}
