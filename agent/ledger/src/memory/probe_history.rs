//! History of the probes of targets.

use std::collections::BTreeMap;

use async_trait::async_trait;
use lookout_model::Timestamp;
use lookout_model::probe_history::{OLD_HOUR_BYTES, ProbeHour, ProbeMinute, RECENT_HOUR_BYTES};

use super::MemoryLedger;
use crate::retention::Cutoffs;
use crate::{LedgerError, ProbeHistoryStore};

/// Hours as bytes, by target and number.
pub(super) type EncodedHours = BTreeMap<(String, i64), Vec<u8>>;

/// Makes hours smaller once they are old, and forgets the oldest.
pub(super) fn prune(hours: &mut EncodedHours, cutoffs: &Cutoffs) {
    hours.retain(|(_, hour), bytes| {
        if *hour < cutoffs.recent_probe_hours_before && bytes.len() > OLD_HOUR_BYTES {
            *bytes = ProbeHour::decode(bytes).unwrap_or_default().encode(OLD_HOUR_BYTES);
        }
        *hour >= cutoffs.probe_hours_before
    });
}

#[async_trait]
impl ProbeHistoryStore for MemoryLedger {
    async fn add_probe_minutes(&self, minutes: &[ProbeMinute]) -> Result<(), LedgerError> {
        let mut tables = self.tables();
        for minute in minutes {
            let key = (minute.target.clone(), minute.minute.div_euclid(60));
            let known = tables.probes.entry(key).or_default();
            let mut hour = ProbeHour::decode(known).unwrap_or_default();
            // the remainder is below 60
            hour.add(minute.minute.rem_euclid(60) as u8, &minute.counts);
            *known = hour.encode(RECENT_HOUR_BYTES);
        }
        Ok(())
    }

    async fn probe_hours(
        &self,
        target: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(i64, ProbeHour)>, LedgerError> {
        let key = |at: Timestamp| (target.to_owned(), at.as_seconds().div_euclid(3600));
        let tables = self.tables();
        let hours = tables.probes.range(key(from)..=key(until));
        Ok(hours.map(|((_, hour), bytes)| (*hour, ProbeHour::decode(bytes).unwrap_or_default())).collect())
    }
}
