//! What does not count, SLO by SLO: corrections of the ledger as sets of time, looked up for every count that comes in.
//!
//! The ledger is asked at every tick whether there is something new. Of every SLO whose past would be another one, the
//! evaluator is made again from the ledger's counts; the future needs no work, it is only looked up.

use std::collections::BTreeMap;
use std::sync::Arc;

use lookout_engine::{Counts, Evaluator, Grid, QUARTER_HOUR, Slot};

use lookout_config::{Config, Slo};
use lookout_ledger::{Ledger, LedgerError};
use lookout_model::{Corrected, CorrectedBy, CorrectionRecord, CorrectionScope, Ranges, expand};

/// Corrections are worked out so far ahead, and again when half of it is over.
const AHEAD_MS: i64 = 2 * 86_400_000;
const MINUTE_MS: i64 = 60_000;
const QUARTER_MS: i64 = QUARTER_HOUR * 1000;

/// What does not count for an SLO.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Exclusion {
    all: Ranges,
    /// What each correction contributes, in the order they were written.
    parts: Vec<(Arc<CorrectionRecord>, Ranges)>,
}

impl Exclusion {
    /// The counts that count: none, where a correction says so.
    pub(super) fn judged(&self, at_ms: i64, counts: Counts) -> Counts {
        if !self.all.is_empty() && self.all.contains(at_ms) { Counts::ZERO } else { counts }
    }

    /// The counts of a quarter of an hour that count, by its number since the epoch: none, where a correction excludes a
    /// part of it. Nobody knows any more which minute they were of.
    pub(super) fn judged_quarter(&self, quarter: i64, counts: Counts) -> Counts {
        let from_ms = quarter.saturating_mul(QUARTER_MS);
        let corrected = self.all.between(from_ms, from_ms.saturating_add(QUARTER_MS)).next().is_some();
        if corrected { Counts::ZERO } else { counts }
    }

    /// A source that is silent while nothing counts is not missed.
    pub(super) fn excuse(&self, evaluator: &mut Evaluator, closed: Slot) {
        let grid = evaluator.policy().grid;
        let Some(last_ms) = self.all.last_before(grid.end_ms(closed)) else { return };
        let slot = grid.slot_at_ms(last_ms);
        // of several components one may have been silent alone
        for component in 0..evaluator.policy().method.components() {
            evaluator.record_component(component, slot, Counts::ZERO);
        }
        match evaluator.last_observed() {
            Some(observed) if observed >= slot => {}
            Some(_) => {
                evaluator.record(slot, Counts::ZERO);
            }
            None => evaluator.watch_from(slot),
        }
    }

    /// Whether another one says the same about the time between two instants.
    fn agrees(&self, other: &Self, from_ms: i64, to_ms: i64) -> bool {
        self.all.between(from_ms, to_ms).eq(other.all.between(from_ms, to_ms))
    }

    /// What of the time between two instants does not count, for people.
    pub(super) fn corrected(&self, from_ms: i64, to_ms: i64) -> Corrected {
        if self.all.is_empty() {
            return Corrected::default();
        }
        let mut entries: Vec<CorrectedBy> = self
            .parts
            .iter()
            .filter_map(|(correction, ranges)| corrected_by(correction, ranges, from_ms, to_ms))
            .collect();
        entries.sort_by_key(|entry| core::cmp::Reverse(entry.to_ms));
        let more = entries.len().saturating_sub(Corrected::SHOWN);
        entries.truncate(Corrected::SHOWN);
        Corrected {
            seconds: self.all.seconds_between(from_ms, to_ms),
            now: self.all.contains(to_ms.saturating_sub(1)),
            entries,
            more: u64::try_from(more).unwrap_or(u64::MAX),
        }
    }
}

fn corrected_by(
    correction: &CorrectionRecord,
    ranges: &Ranges,
    from_ms: i64,
    to_ms: i64,
) -> Option<CorrectedBy> {
    let (first_ms, _) = ranges.between(from_ms, to_ms).next()?;
    let last_ms = ranges.last_before(to_ms)?;
    Some(CorrectedBy {
        id: correction.id.clone(),
        kind: correction.kind,
        reason: correction.reason.clone(),
        actor: correction.actor.clone(),
        from_ms: first_ms,
        to_ms: last_ms.saturating_add(1),
        seconds: ranges.seconds_between(from_ms, to_ms),
        recurring: correction.recurrence.is_some(),
    })
}

/// What does not count, for every SLO of a config.
#[derive(Debug)]
pub(super) struct Exclusions {
    version: i64,
    /// From when they have to be worked out anew.
    stale_from_ms: i64,
    /// In the order of the config. SLOs with the same corrections share them.
    of: Vec<Arc<Exclusion>>,
}

impl Exclusions {
    /// What the ledger says now, from the instant on that matters.
    pub(super) async fn read(
        config: &Config,
        ledger: &dyn Ledger,
        since_ms: i64,
        now_ms: i64,
    ) -> Result<Self, LedgerError> {
        // the version first: what is written in between is read now and once more
        let version = ledger.corrections_version().await?;
        let records = ledger.corrections_in_force(since_ms).await?;
        let of = work_out(config, records, since_ms, now_ms.saturating_add(AHEAD_MS));
        Ok(Self { version, stale_from_ms: now_ms.saturating_add(AHEAD_MS / 2), of })
    }

    /// What the ledger says, when that is not what is known here already.
    pub(super) async fn news(
        &self,
        config: &Config,
        ledger: &dyn Ledger,
        since_ms: impl FnOnce() -> i64,
        now_ms: i64,
    ) -> Result<Option<Self>, LedgerError> {
        if now_ms < self.stale_from_ms && ledger.corrections_version().await? == self.version {
            return Ok(None);
        }
        Self::read(config, ledger, since_ms(), now_ms).await.map(Some)
    }

    /// What does not count for an SLO, by its place in the config.
    pub(super) fn of(&self, slo: usize) -> Arc<Exclusion> {
        self.of.get(slo).cloned().unwrap_or_default()
    }
}

fn work_out(
    config: &Config,
    records: Vec<CorrectionRecord>,
    from_ms: i64,
    to_ms: i64,
) -> Vec<Arc<Exclusion>> {
    let records: Vec<Arc<CorrectionRecord>> = records.into_iter().map(Arc::new).collect();
    let mut by_scope: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (place, record) in records.iter().enumerate() {
        by_scope.entry(record.scope.parts()).or_default().push(place);
    }
    let mut known: BTreeMap<(i64, Vec<usize>), Arc<Exclusion>> = BTreeMap::new();
    let mut of = |slo: &Slo| {
        let id = slo.id();
        let scopes = [CorrectionScope::All.parts(), ("service", slo.service.as_str()), ("slo", id.as_str())];
        let mut places: Vec<usize> =
            scopes.iter().filter_map(|scope| by_scope.get(scope)).flatten().copied().collect();
        places.sort_unstable();
        let unit_ms = unit_ms(slo.policy.grid);
        let shared = known.entry((unit_ms, places)).or_insert_with_key(|(unit_ms, places)| {
            let mine = || places.iter().filter_map(|place| records.get(*place));
            let part = |record: &Arc<CorrectionRecord>| {
                (Arc::clone(record), expand([&**record], from_ms, to_ms, *unit_ms))
            };
            let all = expand(mine().map(|record| &**record), from_ms, to_ms, *unit_ms);
            Arc::new(Exclusion { all, parts: mine().map(part).collect() })
        });
        Arc::clone(shared)
    };
    config.slos.iter().map(&mut of).collect()
}

/// The ledger keeps minutes; what was counted in a wider slot cannot be told apart.
fn unit_ms(grid: Grid) -> i64 {
    (i64::from(grid.width_seconds()) * 1000).max(MINUTE_MS)
}

/// Whether the counts of the time between two instants would be others.
pub(super) fn differ(one: &Arc<Exclusion>, other: &Arc<Exclusion>, from_ms: i64, to_ms: i64) -> bool {
    !Arc::ptr_eq(one, other) && !one.agrees(other, from_ms, to_ms)
}
