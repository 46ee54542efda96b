//! Jobs of the queries: which slots a Prometheus is asked for, because neither the ledger nor a loop knows them.

use std::time::Duration;

use lookout_collect::promql::{Job, Progress};
use lookout_config::Indicator;
use lookout_engine::{Counts, Window};
use lookout_ledger::{CountSeries, CountStore, LedgerError, Resolution};
use lookout_model::Timestamp;

use super::collectors::Numbered;

/// Returns the job of each stream that a Prometheus counts, without the slots that the ledger has. A stream that is
/// counted already keeps its progress.
pub(super) async fn query_jobs(
    numbered: Numbered<'_>,
    known: &[Job],
    ledger: &dyn CountStore,
    now: Timestamp,
) -> Result<Vec<Job>, LedgerError> {
    let mut jobs = Vec::new();
    for (number, stream) in numbered.streams() {
        let Indicator::Prometheus { queries, .. } = stream.indicator else { continue };
        let Some(slo) = numbered.config.slos.get(stream.slo) else { continue };
        let now_s = now.as_seconds();
        let current = slo.calendar.as_ref().and_then(|calendar| calendar.period_at(now_s).ok());
        let length = current.map_or(slo.period(), |(from, to)| Window::seconds(to.abs_diff(from)));
        let longest = slo.tiers().iter().map(|tier| tier.long).fold(length, Ord::max);
        let reach = Duration::from_secs(longest.as_seconds());
        if let Some(job) = known.iter().find(|job| job.stream == number) {
            jobs.push(Job { reach, ..job.clone() });
            continue;
        }
        // a minute more: the ledger may keep the minute in which the reach begins
        let stored = ledger.counts(&stream.id, now - reach - Duration::from_secs(60)).await?;
        let grid = numbered.config.grid;
        let progress = Progress::of_ledger(grid, now, &stored.slots(), &known_minutes(&stored));
        jobs.push(Job { stream: number, queries: queries.clone(), reach, progress });
    }
    Ok(jobs)
}

/// The minutes of a ledger, and those that are part of its quarters of an hour.
fn known_minutes(stored: &CountSeries) -> Vec<(i64, Counts)> {
    let spans = stored.spans().iter().filter(|span| !matches!(span.resolution, Resolution::Slot(_)));
    spans
        .flat_map(|span| {
            let (first, seconds) = (span.start_s.div_euclid(60), i64::from(span.resolution.seconds()));
            (first..first.saturating_add(seconds / 60)).map(|minute| (minute, span.counts))
        })
        .collect()
}
