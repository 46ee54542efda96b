//! The loop of one scrape: at the end of every slot the counters are read, and what they gained belongs to that slot.
//! While more goes wrong than right they are read in the middle of a slot, too, so that an outage is noticed sooner.
//!
//! A scrape that fails says nothing: its SLOs go stale, and the events of the gap are counted in the slot in which the
//! neighbour answers again. One that answers without the series it had says nothing about them either.

use std::sync::Arc;
use std::time::Duration;

use lookout_engine::{Grid, Slot};
use tokio_util::sync::CancellationToken;

use super::bounds::Unbounded;
use super::exposition::{BadExposition, samples};
use super::fetch::{Fetch, FetchError};
use super::ratio::{Picked, Sides, Tally};
use crate::jump::JumpDetector;
use crate::wording::chain;
use crate::{Feed, Observation};
use lookout_config::{Ratio, Scrape};
use lookout_runtime::clock::Clock;
use lookout_runtime::events::names;

/// Samples that are read before other tasks have a turn.
const YIELD_EVERY: usize = 2_000;

/// What the loop works with.
#[derive(Clone)]
pub struct Ports {
    /// Who reads.
    pub fetch: Arc<dyn Fetch>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// The slots of the evaluation, at whose ends is read.
    pub grid: Grid,
    /// Where observations go.
    pub feed: Feed,
}

/// Reads a neighbour at the end of every slot until told to stop, or until nobody takes observations. Each is an index
/// into `Config::streams` with the counters it looks at.
pub async fn watch(scrape: Arc<Scrape>, slos: Vec<(usize, Ratio)>, ports: Ports, stop: CancellationToken) {
    let sides = slos.into_iter().map(|(slo, ratio)| Sides::new(slo, ratio)).collect();
    let watch = Watch { scrape, sides, ports, failing: false, closely: false };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = watch.run() => {}
    }
}

/// Why a scrape says nothing.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the metrics cannot be fetched")]
    Fetch(#[from] FetchError),
    #[error("the metrics cannot be read")]
    Exposition(#[from] BadExposition),
}

impl Trouble {
    const fn reason(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.reason(),
            Self::Exposition(BadExposition::Line { .. }) => "malformed",
            Self::Exposition(BadExposition::TooMany) => "too_many_samples",
        }
    }
}

/// Says once that a histogram lacks its bound, and once that it has it again.
fn note_bound(source: &str, sides: &mut Sides, unbounded: Option<&Unbounded>) {
    if let Some(unbounded) = unbounded {
        metrics::counter!(names::SCRAPE_UNBOUNDED, "source" => source.to_owned()).increment(1);
        if !sides.unbounded {
            tracing::error!(
                scrape.source = source,
                stream.index = sides.stream,
                error = %unbounded,
                "a histogram cannot be cut at the threshold; the objective has no data",
            );
        }
    } else if sides.unbounded {
        tracing::info!(scrape.source = source, stream.index = sides.stream, "the histogram has its bound");
    }
    sides.unbounded = unbounded.is_some();
}

struct Watch {
    scrape: Arc<Scrape>,
    sides: Vec<Sides>,
    ports: Ports,
    failing: bool,
    /// Most events were bad when last read. Half a slot matters only to what fires within some slots.
    closely: bool,
}

impl Watch {
    async fn run(mut self) {
        metrics::counter!(names::SCRAPES, "source" => self.scrape.name.clone(), "outcome" => "ok")
            .increment(0);
        let grid = self.ports.grid;
        let mut now_ms = self.ports.clock.now_ms();
        let mut current = grid.slot_at_ms(now_ms);
        let width = Duration::from_secs(u64::from(grid.width_seconds()));
        let mut jumps = JumpDetector::new(now_ms, width);
        loop {
            let middle_ms = grid.start_ms(current).midpoint(grid.end_ms(current));
            let halfway = self.closely && now_ms < middle_ms;
            let due_ms = if halfway { middle_ms } else { grid.end_ms(current) };
            let wait_ms = due_ms.saturating_sub(now_ms);
            // no end is further away than a width, unless the wall clock was set back
            let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)).min(width);
            tokio::time::sleep(wait).await;
            now_ms = self.ports.clock.now_ms();
            let jump = jumps.look(now_ms, &self.scrape.name);
            let at = grid.slot_at_ms(now_ms);
            if at > current {
                // whatever was slept through counts in the slot that ended last
                if !self.round(at.plus(-1)).await {
                    return;
                }
                now_ms = self.ports.clock.now_ms();
                current = at;
            } else if halfway && now_ms >= middle_ms && jump.is_none() {
                if !self.round(current).await {
                    return;
                }
                now_ms = self.ports.clock.now_ms();
            } else if jump.is_some() {
                // set back: the slots on the wall come again
                current = at;
            }
        }
    }

    /// Reads once for a slot that has ended, or is half over. Returns whether to go on.
    async fn round(&mut self, slot: Slot) -> bool {
        let tallies = match self.read().await {
            Ok(tallies) => {
                self.note_success();
                tallies
            }
            Err(trouble) => {
                self.note(&trouble);
                return true;
            }
        };
        self.count(&tallies);
        self.closely = tallies.iter().any(|(_, tally)| tally.counts.bad > tally.counts.good);
        for (slo, tally) in tallies {
            let observation = Observation { stream: slo, slot, counts: tally.counts };
            if self.ports.feed.send(observation).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Counters move only when the whole exposition could be read.
    async fn read(&mut self) -> Result<Vec<(usize, Tally)>, Trouble> {
        let text = self.ports.fetch.fetch(&self.scrape).await?;
        let mut picked: Vec<Picked> = self.sides.iter().map(|_| Picked::default()).collect();
        for (number, sample) in samples(&text).enumerate() {
            let sample = sample?;
            if number % YIELD_EVERY == YIELD_EVERY - 1 {
                tokio::task::yield_now().await;
            }
            for (sides, picked) in self.sides.iter().zip(&mut picked) {
                sides.pick(picked, &sample);
            }
        }
        let mut tallies = Vec::with_capacity(self.sides.len());
        for (sides, picked) in self.sides.iter_mut().zip(picked) {
            let unbounded = sides.check(&picked).err();
            note_bound(&self.scrape.name, sides, unbounded.as_ref());
            if unbounded.is_some() {
                // a bound that comes back must not bring the past of one side only
                sides.forget();
                continue;
            }
            let before = sides.vanished;
            let tally = sides.advance(picked);
            note_vanished(&self.scrape.name, sides, before);
            tallies.extend(tally.map(|tally| (sides.stream, tally)));
        }
        Ok(tallies)
    }

    fn count(&self, tallies: &[(usize, Tally)]) {
        let source = &self.scrape.name;
        // SLOs often look at the same counters: the most that one of them saw is what there was
        let resets = tallies.iter().map(|(_, tally)| tally.resets).max().unwrap_or(0);
        if resets > 0 {
            tracing::info!(scrape.source = %source, counters = resets, "counters of a neighbour started again");
            metrics::counter!(names::SCRAPE_RESETS, "source" => source.clone()).increment(resets);
        }
        for (slo, _) in tallies.iter().filter(|(_, tally)| tally.skewed) {
            tracing::debug!(scrape.source = %source, stream.index = slo, "a part grew more than its total");
            metrics::counter!(names::SCRAPE_SKEWS, "source" => source.clone()).increment(1);
        }
    }

    fn note_success(&mut self) {
        let source = &self.scrape.name;
        metrics::counter!(names::SCRAPES, "source" => source.clone(), "outcome" => "ok").increment(1);
        if std::mem::take(&mut self.failing) {
            tracing::info!(scrape.source = %source, "the neighbour's metrics are read again");
        }
    }

    fn note(&mut self, trouble: &Trouble) {
        let (source, reason) = (&self.scrape.name, trouble.reason());
        metrics::counter!(
            names::SCRAPES, "source" => source.clone(), "outcome" => "fail", "reason" => reason
        )
        .increment(1);
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(
                scrape.source = %source,
                scrape.reason = reason,
                error = ?chain(trouble),
                "a neighbour's metrics cannot be read; its objectives go stale until they can",
            );
        }
    }
}

/// Says once that the series of an SLO are gone, and once that they are back.
fn note_vanished(source: &str, sides: &Sides, before: bool) {
    match (before, sides.vanished) {
        (false, true) => tracing::warn!(
            scrape.source = %source,
            stream.index = sides.stream,
            "a neighbour no longer shows any series of an objective's total; the objective goes stale until it does",
        ),
        (true, false) => {
            tracing::info!(scrape.source = %source, stream.index = sides.stream, "the series of an objective are back");
        }
        (true, true) | (false, false) => {}
    }
}

#[cfg(test)]
mod tests;
