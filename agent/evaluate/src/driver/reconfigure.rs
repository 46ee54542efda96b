//! Another configuration without a restart. SLOs that are judged as before keep their evaluators and incidents; all
//! others are restored from the ledger, as after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lookout_config::Slo;
use lookout_engine::Slot;
use lookout_model::Timestamp;

use super::{Driver, EARLY, Reconfiguration, RestoreError};

impl Driver {
    /// Replaces the configuration after the slot `closed`. After an error everything is as before.
    ///
    /// # Errors
    /// If the ledger cannot take the counts so far, or cannot be read.
    pub async fn reconfigure(
        &mut self,
        to: Reconfiguration,
        closed: Slot,
        now: Timestamp,
    ) -> Result<(), RestoreError> {
        // evaluators that are restored must find the counts that wait
        self.flush().await?;
        let config = Arc::clone(&to.config);
        let before: BTreeMap<String, &Slo> = self.config.slos.iter().map(|slo| (slo.id(), slo)).collect();
        let is_kept = |slo: &&Slo| before.get(&slo.id()).is_some_and(|before| is_judged_alike(before, slo));
        let kept: BTreeSet<String> = config.slos.iter().filter(is_kept).map(Slo::id).collect();
        // counts of the slot that goes on were stored above
        let slots = (closed, closed.plus(EARLY));
        let next = Self::restore_except(&kept, slots, to, Arc::clone(&self.ledger), now).await?;
        let before = std::mem::replace(self, next);
        self.ledger_is_down = before.ledger_is_down;
        self.ledger_faults = before.ledger_faults;
        self.ledger_watch = before.ledger_watch;
        self.delivery_watch = before.delivery_watch;
        self.pauses = before.pauses;
        let places: BTreeMap<String, usize> =
            config.slos.iter().enumerate().map(|(place, slo)| (slo.id(), place)).collect();
        let place_of = |slo: &Slo| places.get(&slo.id()).copied().filter(|_| kept.contains(&slo.id()));
        for (index, (slo, watched)) in before.config.slos.iter().zip(before.watched).enumerate() {
            let Some((place, blank)) =
                place_of(slo).and_then(|place| Some((place, self.watched.get_mut(place)?)))
            else {
                continue;
            };
            *blank = watched;
            if let Some(slot) = before.bad_slots.get(&index) {
                self.bad_slots.insert(place, *slot);
            }
        }
        // corrections were read again: an evaluator is rebuilt where they differ
        self.to_rebuild = (0..self.watched.len()).collect();
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), RestoreError> {
        let rows = self.waiting_rows();
        self.ledger
            .commit(&rows, &[])
            .await
            .map_err(|source| RestoreError { what: "counts that wait".to_owned(), source })?;
        self.waiting.clear();
        Ok(())
    }
}

/// Returns whether two SLOs of one id lead to the same states from the same counts.
fn is_judged_alike(one: &Slo, other: &Slo) -> bool {
    let components = |slo: &Slo| slo.streams().into_iter().map(|stream| stream.id).collect::<Vec<_>>();
    one.id() == other.id()
        && one.policy == other.policy
        && one.calendar == other.calendar
        && one.time_zone == other.time_zone
        && components(one) == components(other)
}
