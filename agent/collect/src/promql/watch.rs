//! The loop of one server: when a slot has been over for as long as samples need to arrive, every SLO that counts there
//! is asked for what it does not know, the newest first; then, until the next slot is due, for the rest of its period.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lookout_engine::{Counts, Grid, Slot};
use lookout_model::{GridTime, Timestamp};
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

use super::counters::{Counters, Standing};
use super::known::{Progress, coarse_before_s};
use super::ports::Ports;
use super::read::{Counted, Span, read_counters, read_windows};
use super::windowed::Windowed;
use crate::Observation;
use crate::jump::JumpDetector;
use crate::wording::chain;
use lookout_config::{Prometheus, Queries};
use lookout_promql::client::{BODY_LIMIT, Error};
use lookout_runtime::events::names;

/// Range of the first question; longer while answers are short, shorter when they are too long.
const FIRST_SPAN_S: i64 = 3600;
/// Raw samples are never asked for over more than this at once.
const LONGEST_SPAN_S: i64 = 86_400;
/// Prometheus answers no range query with more points.
const MOST_POINTS: i64 = 11_000;
/// Observations of the past in one round: the evaluator stores them in one transaction.
const MOST_ROWS: usize = 10_000;
/// Longest delay of data where nothing newer shows that they will never come.
const LATE_S: i64 = 3600;

/// One SLO that is counted at a server.
#[derive(Debug, Clone)]
pub struct Job {
    /// Number of the stream.
    pub stream: usize,
    /// Queries.
    pub queries: Queries,
    /// Reach of its windows.
    pub reach: Duration,
    /// Counts that are known already.
    pub progress: Progress,
}

/// Asks a server about every slot once it is over, until told to stop or until nobody takes observations.
///
/// Other jobs take effect with the next round. A job whose stream keeps its number keeps its progress.
pub async fn watch(
    server: Arc<Prometheus>,
    mut assigned: Receiver<Vec<Job>>,
    ports: Ports,
    stop: CancellationToken,
) {
    let jobs = assigned.borrow_and_update().clone();
    let watched = jobs.into_iter().map(|job| Watched::new(job, &server, ports.grid)).collect();
    let watch = Watch { server, ports, watched, assigned, failing: false };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = watch.run() => {}
    }
}

struct Watch {
    server: Arc<Prometheus>,
    ports: Ports,
    watched: Vec<Watched>,
    assigned: Receiver<Vec<Job>>,
    /// The server itself cannot be asked.
    failing: bool,
}

/// Nobody takes observations any more.
struct Closed;

impl Watch {
    async fn run(mut self) {
        let source = &self.server.name;
        metrics::counter!(names::PROMQL, "source" => source.clone(), "outcome" => "ok").increment(0);
        let grid = self.ports.grid;
        let width = Duration::from_secs(u64::from(grid.width_seconds()));
        let delay = self.server.delay;
        let mut jumps = JumpDetector::new(self.ports.clock.now(), width);
        loop {
            self.reassign();
            let now = self.ports.clock.now();
            jumps.look(now, &self.server.name);
            let ready = grid.slot_at(now - delay).plus(-1);
            let due = grid.end_of(ready.plus(1)) + delay;
            if self.round(ready.0, due).await.is_err() {
                return;
            }
            let wait = due.since(self.ports.clock.now()).min(width);
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes other jobs, if there are some.
    fn reassign(&mut self) {
        if !self.assigned.has_changed().unwrap_or(false) {
            return;
        }
        let jobs = self.assigned.borrow_and_update().clone();
        self.watched.retain(|known| jobs.iter().any(|job| job.stream == known.job.stream));
        for job in jobs {
            match self.watched.iter_mut().find(|known| known.job.stream == job.stream) {
                Some(known) => known.job.reach = job.reach,
                None => self.watched.push(Watched::new(job, &self.server, self.ports.grid)),
            }
        }
    }

    /// Asks for everything that is not known up to the slot `ready`: once for the newest part of every SLO, then for
    /// older parts until `due`.
    async fn round(&mut self, ready: i64, due: Timestamp) -> Result<(), Closed> {
        let mut rows = 0_usize;
        let mut pending: Vec<(&mut Watched, i64)> =
            self.watched.iter_mut().map(|watched| (watched, ready)).collect();
        let mut history = false;
        while !pending.is_empty() {
            let mut further = Vec::new();
            for (watched, upto) in pending {
                if history && (rows >= MOST_ROWS || self.ports.clock.now() >= due) {
                    return Ok(());
                }
                let step = match watched.step(&self.server, &self.ports, upto, ready).await {
                    Ok(Some(step)) => step,
                    Ok(None) => continue,
                    Err(error) if history && error.is_of_the_size() => {
                        let reason = error.reason();
                        tracing::debug!(promql.source = %self.server.name, promql.reason = reason, "history in shorter parts");
                        continue;
                    }
                    Err(error) if error.is_of_the_query() => {
                        watched.note(&self.server.name, &error);
                        continue;
                    }
                    Err(error) => {
                        note(&self.server.name, &mut self.failing, &error);
                        return Ok(());
                    }
                };
                if step.asked {
                    watched.note_success(&self.server.name, history, step.observations.len());
                    note_success(&self.server.name, &mut self.failing);
                }
                rows = rows.saturating_add(step.observations.len());
                for observation in step.observations {
                    self.ports.feed.send(observation).await.map_err(|_| Closed)?;
                }
                further.push((watched, step.from.saturating_sub(1)));
            }
            pending = further;
            history = true;
        }
        Ok(())
    }
}

struct Watched {
    job: Job,
    form: Form,
    /// Seconds that are asked for at once.
    span_s: i64,
    shortest_s: i64,
    longest_s: i64,
    /// Its query cannot be answered.
    failing: bool,
    /// It was said that its query finds nothing.
    silent: bool,
}

enum Form {
    Counters(Counters, Option<Standing>),
    Windowed(Windowed),
}

/// Result of one round.
struct Step {
    /// The first slot that was looked at.
    from: i64,
    /// True if the round had a question.
    asked: bool,
    observations: Vec<Observation>,
}

impl Watched {
    fn new(job: Job, server: &Prometheus, grid: Grid) -> Self {
        let width_s = i64::from(grid.width_seconds());
        let (form, shortest_s, longest_s) = match &job.queries {
            Queries::Counters(ratio) => {
                (Form::Counters(Counters::new(ratio), None), width_s, LONGEST_SPAN_S.max(width_s))
            }
            Queries::Windowed { part, part_is_bad, total } => {
                let form = Windowed::new(part.clone(), total.clone(), *part_is_bad, server.window, grid);
                let window_s = form.slots().saturating_mul(width_s);
                // a span that begins with a whole minute is up to a minute longer
                (Form::Windowed(form), window_s, window_s.saturating_mul(MOST_POINTS - 60))
            }
        };
        let span_s = FIRST_SPAN_S.clamp(shortest_s, longest_s);
        Self { job, form, span_s, shortest_s, longest_s, failing: false, silent: false }
    }

    /// Asks for the newest slots up to `upto` that are not known; `None` when all of them are.
    async fn step(
        &mut self,
        server: &Prometheus,
        ports: &Ports,
        upto: i64,
        ready: i64,
    ) -> Result<Option<Step>, Error> {
        let Some(mut span) = self.next_span(ports, upto) else { return Ok(None) };
        let asked = match &mut self.form {
            Form::Counters(counters, standing) => {
                read_counters(counters, standing, server, ports, span).await.map(Some)
            }
            Form::Windowed(windowed) => match windowed.windows(span.from, span.to, ready) {
                Some(windows) => {
                    span.to = span.to.min(windows.1.saturating_mul(windowed.slots()));
                    read_windows(windowed, windows, server, ports).await.map(Some)
                }
                None => Ok(None),
            },
        };
        let (counted, bytes) = match asked {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(Some(Step { from: span.from, asked: false, observations: Vec::new() })),
            Err(error) => {
                if error.is_of_the_size() {
                    self.span_s = (self.span_s / 2).max(self.shortest_s);
                }
                return Err(error);
            }
        };
        let used_s = (span.to - span.from).saturating_mul(i64::from(ports.grid.width_seconds()));
        if bytes < BODY_LIMIT / 8 && used_s >= self.span_s {
            self.span_s = self.span_s.saturating_mul(2).min(self.longest_s);
        }
        let observations = self.settle(ports.grid, span, &counted);
        Ok(Some(Step { from: span.from, asked: true, observations }))
    }

    /// The newest slots that are not known, as many as are asked for at once. Known ones may lie between them.
    fn next_span(&self, ports: &Ports, upto: i64) -> Option<Span> {
        let (grid, now) = (ports.grid, ports.clock.now());
        let width_s = i64::from(grid.width_seconds());
        // whole minutes, because old ones are sent as one
        let whole =
            |slot: i64| if width_s < 60 { (slot * width_s).div_euclid(60) * 60 / width_s } else { slot };
        let oldest = whole(grid.slot_at(now - self.job.reach).0);
        let mut known = self.job.progress.lock();
        known.forget_before(oldest);
        let last = known.last_unknown(oldest, upto)?;
        let start = last.saturating_add(1).saturating_sub((self.span_s / width_s).max(1)).max(oldest);
        Some(Span { from: known.first_unknown(whole(start)).min(last), to: last.saturating_add(1), now })
    }

    /// Takes note of what is known now and makes observations of what was not known before.
    fn settle(&self, grid: Grid, span: Span, counted: &Counted) -> Vec<Observation> {
        let mut known = self.job.progress.lock();
        let coarse_before_s = coarse_before_s(span.now);
        let width_s = i64::from(grid.width_seconds());
        let mut sums: BTreeMap<i64, Counts> = BTreeMap::new();
        for (slot, counts) in counted.slots.iter().filter(|(slot, _)| (span.from..span.to).contains(*slot)) {
            if known.contains(*slot) {
                continue;
            }
            let end_s = slot.saturating_add(1).saturating_mul(width_s);
            let minute_end = (end_s + 59).div_euclid(60) * 60 / width_s - 1;
            let coarse = width_s < 60 && end_s <= coarse_before_s;
            *sums.entry(if coarse { minute_end } else { *slot }).or_default() += *counts;
        }
        // slots without data are settled by newer data, or by time
        let late = grid.slot_at(Timestamp::from_seconds(span.now.as_seconds().saturating_sub(LATE_S))).0;
        let settled_to = match known.newest {
            Some(newest) if newest >= span.to => span.to,
            _ => counted.newest.map_or(late, |newest| late.max(newest.saturating_add(1))),
        };
        known.add(span.from, settled_to.min(span.to));
        sums.keys().for_each(|slot| known.observe(*slot));
        let observation =
            |(slot, counts): (i64, Counts)| Observation::new(self.job.stream, Slot(slot), counts);
        sums.into_iter().map(observation).collect()
    }

    fn note_success(&mut self, source: &str, history: bool, observations: usize) {
        if std::mem::take(&mut self.failing) {
            tracing::info!(
                promql.source = source,
                stream.index = self.job.stream,
                "the query is answered again"
            );
        }
        if history {
            metrics::counter!(names::PROMQL_HISTORY, "source" => source.to_owned())
                .increment(u64::try_from(observations).unwrap_or(0));
        }
        let nothing = self.job.progress.lock().newest.is_none();
        if nothing && !std::mem::replace(&mut self.silent, true) {
            tracing::warn!(
                promql.source = source,
                stream.index = self.job.stream,
                "the query for all events finds nothing: does it select what the server has, and is \
                 `scrape_interval` what the server scrapes at? The objective has no data until it finds something",
            );
        }
    }

    fn note(&mut self, source: &str, error: &Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(
                promql.source = source,
                promql.reason = error.reason(),
                stream.index = self.job.stream,
                error = ?chain(error),
                "a query cannot be answered; its objective goes stale until it can",
            );
        }
    }
}

fn note_success(source: &str, failing: &mut bool) {
    if std::mem::take(failing) {
        tracing::info!(promql.source = source, "the Prometheus answers again");
    }
}

fn note(source: &str, failing: &mut bool, error: &Error) {
    if !std::mem::replace(failing, true) {
        tracing::warn!(
            promql.source = source,
            promql.reason = error.reason(),
            error = ?chain(error),
            "a Prometheus cannot be asked; its objectives go stale until it can",
        );
    }
}

#[cfg(test)]
mod tests;
