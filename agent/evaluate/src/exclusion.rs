//! The time that corrections exclude, SLO by SLO: sets of time, looked up for every count.
//!
//! The ledger is asked at every tick whether there is something new. Of every SLO whose past would be another one, the
//! evaluator is made again from the ledger's counts; the future needs no work, it is only looked up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lookout_engine::{Counts, Evaluator, Grid, QUARTER_HOUR, Slot};

use lookout_config::{Config, Slo};
use lookout_ledger::{CorrectionStore, LedgerError};
use lookout_model::{
    Corrected, CorrectedBy, CorrectionRecord, CorrectionScope, GridTime, Ranges, Timestamp, expand,
};

/// Corrections are worked out so far ahead, and again when half of it is over.
const AHEAD: Duration = Duration::from_secs(2 * 86_400);
const MINUTE: Duration = Duration::from_secs(60);
const QUARTER: Duration = Duration::from_secs(QUARTER_HOUR.unsigned_abs());

/// The time that corrections exclude for an SLO.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Exclusion {
    all: Ranges,
    /// The time of each correction, in the order they were written.
    parts: Vec<(Arc<CorrectionRecord>, Ranges)>,
}

impl Exclusion {
    /// Returns the counts that are not excluded.
    pub(super) fn counted(&self, at: Timestamp, counts: Counts) -> Counts {
        if !self.all.is_empty() && self.all.contains(at) { Counts::ZERO } else { counts }
    }

    /// The counts of a quarter of an hour that count, by its number since the epoch: none, where a correction excludes a
    /// part of it. Nobody knows any more which minute they were of.
    pub(super) fn counted_quarter(&self, quarter: i64, counts: Counts) -> Counts {
        let from = Timestamp::from_seconds(quarter.saturating_mul(QUARTER_HOUR));
        let corrected = self.all.between(from, from + QUARTER).next().is_some();
        if corrected { Counts::ZERO } else { counts }
    }

    /// Excludes the watched time from an evaluator: a source that is silent while nothing counts is not missed.
    pub(super) fn exclude_from(&self, evaluator: &mut Evaluator, closed: Slot) {
        let grid = evaluator.policy().grid;
        let Some(last) = self.all.last_before(grid.end_of(closed)) else { return };
        let slot = grid.slot_at(last);
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

    /// Returns whether another one excludes the same time between two instants.
    fn agrees(&self, other: &Self, from: Timestamp, to: Timestamp) -> bool {
        self.all.between(from, to).eq(other.all.between(from, to))
    }

    /// Returns the excluded time between two instants, for people.
    pub(super) fn corrected(&self, from: Timestamp, to: Timestamp) -> Corrected {
        if self.all.is_empty() {
            return Corrected::default();
        }
        let mut entries: Vec<CorrectedBy> = self
            .parts
            .iter()
            .filter_map(|(correction, ranges)| corrected_by(correction, ranges, from, to))
            .collect();
        entries.sort_by_key(|entry| core::cmp::Reverse(entry.to));
        let more = entries.len().saturating_sub(Corrected::SHOWN);
        entries.truncate(Corrected::SHOWN);
        Corrected {
            seconds: self.all.seconds_between(from, to),
            now: self.all.contains(to - Timestamp::TICK),
            entries,
            more: u64::try_from(more).unwrap_or(u64::MAX),
        }
    }
}

fn corrected_by(
    correction: &CorrectionRecord,
    ranges: &Ranges,
    from: Timestamp,
    to: Timestamp,
) -> Option<CorrectedBy> {
    let (first, _) = ranges.between(from, to).next()?;
    let last = ranges.last_before(to)?;
    Some(CorrectedBy {
        id: correction.id.clone(),
        kind: correction.kind,
        reason: correction.reason.clone(),
        actor: correction.actor.clone(),
        from: first,
        to: last + Timestamp::TICK,
        seconds: ranges.seconds_between(from, to),
        recurring: correction.recurrence.is_some(),
    })
}

/// The time that corrections exclude, for every SLO of a config.
#[derive(Debug)]
pub(super) struct Exclusions {
    version: i64,
    /// From when they have to be worked out reloaded.
    stale_from: Timestamp,
    /// In the order of the config. SLOs with the same corrections share them.
    of: Vec<Arc<Exclusion>>,
}

impl Exclusions {
    /// Reads the corrections of the ledger, from the instant on that matters.
    pub(super) async fn read(
        config: &Config,
        ledger: &dyn CorrectionStore,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Self, LedgerError> {
        // the version first: what is written in between is read now and once more
        let version = ledger.corrections_version().await?;
        let records = ledger.corrections_in_force(since).await?;
        let of = work_out(config, records, since, now + AHEAD);
        Ok(Self { version, stale_from: now + AHEAD / 2, of })
    }

    /// Reads the corrections again when the ledger has others; `None` when nothing changed.
    pub(super) async fn reload(
        &self,
        config: &Config,
        ledger: &dyn CorrectionStore,
        since: impl FnOnce() -> Timestamp,
        now: Timestamp,
    ) -> Result<Option<Self>, LedgerError> {
        if now < self.stale_from && ledger.corrections_version().await? == self.version {
            return Ok(None);
        }
        Self::read(config, ledger, since(), now).await.map(Some)
    }

    /// Returns the excluded time of an SLO, by its place in the config.
    pub(super) fn of(&self, slo: usize) -> Arc<Exclusion> {
        self.of.get(slo).cloned().unwrap_or_default()
    }
}

fn work_out(
    config: &Config,
    records: Vec<CorrectionRecord>,
    from: Timestamp,
    to: Timestamp,
) -> Vec<Arc<Exclusion>> {
    let records: Vec<Arc<CorrectionRecord>> = records.into_iter().map(Arc::new).collect();
    let mut by_scope: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (place, record) in records.iter().enumerate() {
        by_scope.entry(record.scope.parts()).or_default().push(place);
    }
    let mut known: BTreeMap<(Duration, Vec<usize>), Arc<Exclusion>> = BTreeMap::new();
    let mut of = |slo: &Slo| {
        let id = slo.id();
        let scopes = [CorrectionScope::All.parts(), ("service", slo.service.as_str()), ("slo", id.as_str())];
        let mut places: Vec<usize> =
            scopes.iter().filter_map(|scope| by_scope.get(scope)).flatten().copied().collect();
        places.sort_unstable();
        let unit = unit(slo.policy.grid);
        let shared = known.entry((unit, places)).or_insert_with_key(|(unit, places)| {
            let mine = || places.iter().filter_map(|place| records.get(*place));
            let part =
                |record: &Arc<CorrectionRecord>| (Arc::clone(record), expand([&**record], from, to, *unit));
            let all = expand(mine().map(|record| &**record), from, to, *unit);
            Arc::new(Exclusion { all, parts: mine().map(part).collect() })
        });
        Arc::clone(shared)
    };
    config.slos.iter().map(&mut of).collect()
}

/// The ledger keeps minutes; what was counted in a wider slot cannot be told apart.
fn unit(grid: Grid) -> Duration {
    Duration::from_secs(grid.width_seconds().into()).max(MINUTE)
}

/// Returns whether the counts of the time between two instants would differ.
pub(super) fn differ(one: &Arc<Exclusion>, other: &Arc<Exclusion>, from: Timestamp, to: Timestamp) -> bool {
    !Arc::ptr_eq(one, other) && !one.agrees(other, from, to)
}
