//! Versions of an SLO's objective, which its budget is judged by.
//!
//! A version begins with a whole quarter of an hour, so that no row of the ledger, however old, belongs to two.

use std::time::Duration;

use lookout_engine::{Evaluator, Objective, QUARTER_HOUR, Version};

use lookout_config::Slo;
use lookout_ledger::{LedgerError, ObjectiveStore};
use lookout_model::{GridTime, ObjectiveRecord, Timestamp};
use lookout_runtime::events::chain;

/// Sets the versions of the objective in an evaluator, and stores that of the spec when it is new. Call it before
/// counts are read back.
pub(super) async fn load(
    slo: &Slo,
    ledger: &dyn ObjectiveStore,
    evaluator: &mut Evaluator,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let mut known = ledger.objectives(&slo.id()).await?;
    let good_ppb = slo.objective().good_ppb();
    if known.last().is_none_or(|last| last.good_ppb != good_ppb) {
        let quarter = now.floor(Duration::from_secs(QUARTER_HOUR.unsigned_abs()));
        // the clock may have been ahead when the last one was stored
        let from = known.last().map_or(quarter, |last| last.from.max(quarter));
        let version = ObjectiveRecord { from, good_ppb };
        if !known.is_empty() {
            tracing::info!(slo.id = %slo.id(), objective = %slo.objective(), "the objective changed; the past keeps its own");
        }
        known.retain(|other| other.from < from);
        known.push(version);
        if let Err(error) = ledger.record_objective(&slo.id(), version).await {
            tracing::warn!(slo.id = %slo.id(), error = chain(&error), "a new objective could not be stored; the next start will take it for newer than it is");
        }
    }
    let grid = slo.policy.grid;
    evaluator.set_objective_versions(known.iter().filter_map(|record| {
        let objective = Objective::try_from_ppb(record.good_ppb).ok()?;
        Some(Version { from: grid.slot_at(record.from), objective })
    }));
    Ok(())
}
