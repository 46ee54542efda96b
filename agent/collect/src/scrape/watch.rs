//! The loop of one scrape: at the end of every slot it reads the counters, and their growth belongs to that slot.
//! While more events are bad than good it reads in the middle of a slot, too, so that an outage is noticed sooner.
//!
//! A scrape that fails says nothing about counters: their SLOs go stale, and the events of the gap are counted in the slot
//! in which the neighbour answers again. For an availability stream every failed scrape is a bad event.

use std::sync::Arc;
use std::time::Duration;

use lookout_engine::{Counts, Grid, Slot};
use lookout_model::{GridTime, Timestamp};
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, field};

use super::bounds::Unbounded;
use super::exposition::{BadExposition, samples};
use super::fetch::{Fetch, FetchError};
use super::life::{Life, Lives, Starts};
use super::plausible::Quarantine;
use super::ratio::{Increase, RatioCounter, Selected};
use crate::jump::JumpDetector;
use crate::wording::chain;
use crate::{Feed, Observation, Quarantined};
use lookout_config::{Ratio, Scrape};
use lookout_runtime::clock::Clock;
use lookout_runtime::events::names;

/// Samples that are read before other tasks get the thread.
const YIELD_EVERY: usize = 2_000;

/// Dependencies of the loop.
#[derive(Clone)]
pub struct Ports {
    /// Reads the metrics.
    pub fetch: Arc<dyn Fetch>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// The slots of the evaluation, at whose ends the loop reads.
    pub grid: Grid,
    /// Channel of observations.
    pub feed: Feed,
}

/// Streams that one scrape feeds, each an index into `Config::streams`.
#[derive(Debug, Clone, Default)]
pub struct Streams {
    /// Ratios of counters.
    pub ratios: Vec<(usize, Ratio)>,
    /// Availability of the endpoint: a scrape that could be read is a good event. A refused connection, an unknown name, a
    /// timeout, another status and an unreadable answer are bad ones. This machine's own lack of files is no event.
    pub up: Vec<usize>,
}

/// Reads a neighbour at the end of every slot until `stop`, or until the feed is closed.
///
/// Other streams take effect with the next read. A stream that keeps its number keeps its counters.
pub async fn watch(
    scrape: Arc<Scrape>,
    mut assigned: Receiver<Streams>,
    ports: Ports,
    stop: CancellationToken,
) {
    let streams = assigned.borrow_and_update().clone();
    let ratios = streams.ratios.into_iter().map(|(stream, ratio)| RatioCounter::new(stream, ratio)).collect();
    let now = ports.clock.now();
    let watch = Watch {
        scrape,
        ratios,
        up: streams.up,
        assigned,
        lives: Lives::since(now),
        read_at: now,
        ports,
        failing: false,
        starts: 0,
        closely: false,
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = watch.run() => {}
    }
}

/// An error of a scrape.
#[derive(Debug, thiserror::Error)]
enum ScrapeError {
    #[error("the metrics cannot be fetched")]
    Fetch(#[from] FetchError),
    #[error("the metrics cannot be read")]
    Exposition(#[from] BadExposition),
    #[error("the answer holds no sample")]
    Empty,
}

impl ScrapeError {
    const fn reason(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.reason(),
            Self::Exposition(BadExposition::Line { .. }) => "malformed",
            Self::Exposition(BadExposition::TooMany) => "too_many_samples",
            Self::Empty => "empty",
        }
    }

    /// Returns whether this machine lacked a resource that a scrape needs.
    const fn is_local(&self) -> bool {
        matches!(self, Self::Fetch(FetchError::Resources(_)))
    }
}

/// Logs once that a histogram lacks its bound, and once that it has it again.
fn note_bound(source: &str, ratio: &mut RatioCounter, unbounded: Option<&Unbounded>) {
    if let Some(unbounded) = unbounded {
        metrics::counter!(names::SCRAPE_UNBOUNDED, "source" => source.to_owned()).increment(1);
        if !ratio.unbounded {
            tracing::error!(
                scrape.source = source,
                stream.index = ratio.stream,
                error = %unbounded,
                "a histogram cannot be cut at the threshold; the objective has no data",
            );
        }
    } else if ratio.unbounded {
        tracing::info!(scrape.source = source, stream.index = ratio.stream, "the histogram has its bound");
    }
    ratio.unbounded = unbounded.is_some();
}

struct Watch {
    scrape: Arc<Scrape>,
    ratios: Vec<RatioCounter>,
    up: Vec<usize>,
    assigned: Receiver<Streams>,
    lives: Lives,
    /// The instant of the last reading.
    read_at: Timestamp,
    ports: Ports,
    failing: bool,
    /// Starts of the process since the observation before.
    starts: u32,
    /// Most events were bad when last read. Half a slot matters only to what fires within some slots.
    closely: bool,
}

impl Watch {
    async fn run(mut self) {
        metrics::counter!(names::SCRAPES, "source" => self.scrape.name.clone(), "outcome" => "ok")
            .increment(0);
        let grid = self.ports.grid;
        let mut now = self.ports.clock.now();
        let mut current = grid.slot_at(now);
        let width = Duration::from_secs(u64::from(grid.width_seconds()));
        let mut jumps = JumpDetector::new(now, width);
        loop {
            let middle = grid.start_of(current).midpoint(grid.end_of(current));
            let halfway = self.closely && now < middle;
            let due = if halfway { middle } else { grid.end_of(current) };
            // no end is further away than a width, unless the wall clock was set back
            let wait = due.since(now).min(width);
            tokio::time::sleep(wait).await;
            self.reassign();
            now = self.ports.clock.now();
            let jump = jumps.look(now, &self.scrape.name);
            let at = grid.slot_at(now);
            if at > current {
                // whatever was slept through counts in the slot that ended last
                if !self.scrape_slot(at.plus(-1)).await {
                    return;
                }
                now = self.ports.clock.now();
                current = at;
            } else if halfway && now >= middle && jump.is_none() {
                if !self.scrape_slot(current).await {
                    return;
                }
                now = self.ports.clock.now();
            } else if jump.is_some() {
                // set back: the slots on the wall come again
                current = at;
            }
        }
    }

    /// Takes other streams, if there are some.
    fn reassign(&mut self) {
        if !self.assigned.has_changed().unwrap_or(false) {
            return;
        }
        let streams = self.assigned.borrow_and_update().clone();
        self.up = streams.up;
        self.ratios.retain(|known| streams.ratios.iter().any(|(stream, _)| *stream == known.stream));
        for (stream, ratio) in streams.ratios {
            if self.ratios.iter().all(|known| known.stream != stream) {
                self.ratios.push(RatioCounter::new(stream, ratio));
            }
        }
    }

    /// Reads once for a slot that has ended, or is half over. Returns whether to go on.
    async fn scrape_slot(&mut self, slot: Slot) -> bool {
        let span = tracing::info_span!(
            "scrape",
            otel.kind = "client",
            otel.status_code = field::Empty,
            scrape.source = %self.scrape.name,
            reason = field::Empty,
        );
        let read = self.read().instrument(span.clone()).await;
        if let Err(error) = &read {
            span.record("otel.status_code", "ERROR").record("reason", error.reason());
        }
        let up = match &read {
            Ok(_) => Some(Counts { good: 1, bad: 0 }),
            Err(error) if error.is_local() => None,
            Err(_) => Some(Counts { good: 0, bad: 1 }),
        };
        let was_read = read.is_ok();
        let increases = match read {
            Ok(increases) => {
                self.note_success();
                self.count(&increases);
                self.closely =
                    increases.iter().any(|(_, increase)| increase.counts.bad > increase.counts.good);
                increases
            }
            Err(error) => {
                self.note_failure(&error);
                Vec::new()
            }
        };
        let starts = std::mem::take(&mut self.starts);
        let counted =
            increases.into_iter().map(|(stream, increase)| Observation::new(stream, slot, increase.counts));
        let up = self.up.iter().flat_map(|stream| {
            up.map(|counts| Observation { starts, ..Observation::new(*stream, slot, counts) })
        });
        let quarantined = self.ratios.iter().filter(|_| was_read).filter_map(|ratio| {
            // that several processes answer in turn is no wrong value
            let reason = ratio.quarantine.filter(|reason| *reason != Quarantine::OtherProcess)?;
            let quarantined = Quarantined { value: ratio.quarantined_value, reason: reason.as_str() };
            Some(Observation::quarantined(ratio.stream, slot, quarantined))
        });
        let observed: Vec<Observation> = counted.chain(up).chain(quarantined).collect();
        for observation in observed {
            if self.ports.feed.send(observation).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Moves the counters, but only when the whole exposition could be read.
    async fn read(&mut self) -> Result<Vec<(usize, Increase)>, ScrapeError> {
        let text = self.ports.fetch.fetch(&self.scrape).await?;
        let mut selected: Vec<Selected> = self.ratios.iter().map(|_| Selected::default()).collect();
        let (mut starts, mut is_empty) = (Starts::default(), true);
        for (number, sample) in samples(&text).enumerate() {
            let sample = sample?;
            is_empty = false;
            if number % YIELD_EVERY == YIELD_EVERY - 1 {
                tokio::task::yield_now().await;
            }
            starts.record(&sample);
            for (ratio, selected) in self.ratios.iter().zip(&mut selected) {
                ratio.select(selected, &sample);
            }
        }
        if is_empty {
            return Err(ScrapeError::Empty);
        }
        let now = self.ports.clock.now();
        let passed_s = now.seconds_since(std::mem::replace(&mut self.read_at, now));
        let life = self.lives.advance(starts, now);
        self.starts = self.starts.saturating_add(self.lives.take_starts());
        self.note_life(life);
        Ok(self.advance(selected, life, passed_s))
    }

    fn advance(&mut self, selected: Vec<Selected>, life: Life, seconds: f64) -> Vec<(usize, Increase)> {
        let source = &self.scrape.name;
        let mut increases = Vec::with_capacity(self.ratios.len());
        for (ratio, selected) in self.ratios.iter_mut().zip(selected) {
            let unbounded = ratio.check(&selected).err();
            note_bound(source, ratio, unbounded.as_ref());
            if unbounded.is_some() {
                // a bound that comes back must not bring the past of one side only
                ratio.forget();
                continue;
            }
            let (vanished, quarantine) = (ratio.vanished, ratio.quarantine);
            let increase = ratio.advance(selected, life, seconds);
            note_vanished(source, ratio, vanished);
            note_quarantine(source, ratio, quarantine);
            increases.extend(increase.map(|increase| (ratio.stream, increase)));
        }
        increases
    }

    fn note_life(&self, life: Life) {
        if life == Life::New {
            let source = &self.scrape.name;
            tracing::info!(scrape.source = %source, "a neighbour runs in a new process; its counters count from zero");
            metrics::counter!(names::SCRAPE_RESTARTS, "source" => source.clone()).increment(1);
        }
    }

    fn count(&self, increases: &[(usize, Increase)]) {
        let source = &self.scrape.name;
        // SLOs often select the same counters: the most that one of them saw is what there was
        let resets = increases.iter().map(|(_, increase)| increase.resets).max().unwrap_or(0);
        if resets > 0 {
            tracing::info!(scrape.source = %source, counters = resets, "counters of a neighbour started again");
            metrics::counter!(names::SCRAPE_RESETS, "source" => source.clone()).increment(resets);
        }
        for (stream, _) in increases.iter().filter(|(_, increase)| increase.skewed) {
            tracing::debug!(scrape.source = %source, stream.index = stream, "a part grew more than its total");
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

    fn note_failure(&mut self, error: &ScrapeError) {
        let (source, reason) = (&self.scrape.name, error.reason());
        metrics::counter!(
            names::SCRAPES, "source" => source.clone(), "outcome" => "fail", "reason" => reason
        )
        .increment(1);
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(
                scrape.source = %source,
                scrape.reason = reason,
                error = ?chain(error),
                "a neighbour's metrics cannot be read; its objectives go stale until they can",
            );
        }
    }
}

/// Logs once that the series of an SLO are gone, and once that they are back.
fn note_vanished(source: &str, ratio: &RatioCounter, before: bool) {
    match (before, ratio.vanished) {
        (false, true) => tracing::warn!(
            scrape.source = %source,
            stream.index = ratio.stream,
            "a neighbour no longer shows any series of an objective's total; the objective goes stale until it does",
        ),
        (true, false) => {
            tracing::info!(scrape.source = %source, stream.index = ratio.stream, "the series of an objective are back");
        }
        (true, true) | (false, false) => {}
    }
}

/// Counts what is not counted as events, and logs it when the reason changes.
fn note_quarantine(source: &str, ratio: &RatioCounter, before: Option<Quarantine>) {
    let Some(reason) = ratio.quarantine else { return };
    let labels = [("source", source.to_owned()), ("reason", reason.as_str().to_owned())];
    metrics::counter!(names::SCRAPE_QUARANTINED, &labels).increment(1);
    if before != Some(reason) {
        tracing::warn!(
            scrape.source = %source,
            scrape.reason = reason.as_str(),
            stream.index = ratio.stream,
            "a scrape shows what cannot have happened since the one before; it is not counted",
        );
    }
}

#[cfg(test)]
mod tests;
