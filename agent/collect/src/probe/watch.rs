//! The loop of one target: at every start of its schedule one probe, for every slot one outcome.
//!
//! A slot ends as `ok`, `fail` or `missed`. Missed is never silent and never a success: `overlap` when the probe before
//! still ran, `suspended` when the agent woke only after the slot was over (a sleeping machine, an overloaded one, a clock
//! set forward), `stopped` when the agent stopped during the probe, `panicked` when the probe panicked, `resources` and
//! `permission` when this machine or process lacked what the probe needs.

use std::sync::Arc;

use lookout_engine::{Counts, Grid};
use lookout_model::{GridTime, Timestamp};
use tokio::sync::watch::Receiver;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Certificate, Latest, Outcome, Phases, Probe, Verdict};
use crate::jump::JumpDetector;
use crate::{Feed, Observation, Schedule};
use lookout_config::Target;
use lookout_runtime::clock::Clock;
use lookout_runtime::events::names;

/// Dependencies of the loop.
#[derive(Clone)]
pub struct Ports {
    /// Makes the probes.
    pub prober: Arc<dyn Probe>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// The slots of the evaluation.
    pub grid: Grid,
    /// Receiver of the observations.
    pub feed: Feed,
    /// Table of the last outcomes.
    pub latest: Latest,
}

/// Target of a loop, and the streams that its outcomes count for.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The target.
    pub target: Arc<Target>,
    /// Numbers of streams.
    pub streams: Vec<usize>,
}

/// Probes a target on its schedule until `stop`, or until the feed is closed. Each outcome is an event of
/// every stream of the assignment, in the evaluation slot of the intended start.
///
/// A new assignment takes effect with the next probe. Neither the phase nor a slot is lost by it, and a probe that runs
/// is finished.
pub async fn watch(mut assigned: Receiver<Assignment>, ports: Ports, stop: CancellationToken) {
    let now = ports.clock.now();
    let Assignment { target, streams } = assigned.borrow_and_update().clone();
    let schedule = Schedule::new(&target.name, target.interval);
    let watch = Watch {
        schedule,
        due: schedule.next_after(now),
        jumps: JumpDetector::new(now, target.interval),
        tasks: JoinSet::new(),
        running: None,
        shown: [false; 5],
        target,
        streams,
        assigned,
        ports,
        stop,
    };
    watch.run().await;
}

/// A probe that runs.
#[derive(Debug, Clone, Copy)]
struct Running {
    intended: Timestamp,
    started_at: Timestamp,
}

struct Watch {
    target: Arc<Target>,
    streams: Vec<usize>,
    assigned: Receiver<Assignment>,
    ports: Ports,
    stop: CancellationToken,
    schedule: Schedule,
    /// The start of the first slot that has no outcome and no probe yet.
    due: Timestamp,
    jumps: JumpDetector,
    /// At most one probe, in a task of its own; aborted when the loop ends.
    tasks: JoinSet<Outcome>,
    running: Option<Running>,
    /// Phases that were exported once, which are zero from then on when they do not happen.
    shown: [bool; 5],
}

impl Watch {
    async fn run(mut self) {
        for outcome in ["ok", "fail", "missed"] {
            // a counter that is born with its first event hides that event from every rate
            self.count(outcome, 0);
        }
        let stop = self.stop.clone();
        loop {
            // no start is further away than an interval, unless the wall clock was set back
            let wait = self.due.since(self.ports.clock.now()).min(self.target.interval);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(joined) = self.tasks.join_next() => {
                    if !self.finish(joined).await {
                        break;
                    }
                }
                () = changed(&mut self.assigned) => self.reassign(),
                () = tokio::time::sleep(wait) => self.wake(),
            }
        }
        let now = self.ports.clock.now();
        let begun = self.schedule.over_since(self.due, now).saturating_add(i64::from(now >= self.due));
        let stopped = u64::from(self.running.is_some()).saturating_add(u64::try_from(begun).unwrap_or(0));
        if stopped > 0 {
            self.missed("stopped", stopped);
        }
    }

    /// Takes a new assignment. Slots up to now belong to the schedule before.
    fn reassign(&mut self) {
        let Assignment { target, streams } = self.assigned.borrow_and_update().clone();
        self.streams = streams;
        if target.interval != self.target.interval {
            self.wake();
            let now = self.ports.clock.now();
            self.schedule = Schedule::new(&target.name, target.interval);
            self.due = self.schedule.next_after(now);
            self.jumps = JumpDetector::new(now, target.interval);
        }
        self.target = target;
    }

    /// Gives every slot that is due an outcome or a probe.
    fn wake(&mut self) {
        let now = self.ports.clock.now();
        if self.jumps.look(now, &self.target.name).is_some_and(|jump_ms| jump_ms < 0) {
            // the wall clock repeats itself, and so do the slots on it
            self.due = self.schedule.next_after(now);
            return;
        }
        if now < self.due {
            return;
        }
        let over = self.schedule.over_since(self.due, now);
        if let Some(over) = u64::try_from(over).ok().filter(|over| *over > 0) {
            tracing::warn!(probe.target = %self.target.name, slots = over, "woke too late for slots of a target");
            self.missed("suspended", over);
        }
        let number = self.schedule.number_at(self.due).saturating_add(over);
        let intended = self.schedule.start_of(number);
        self.due = self.schedule.start_of(number.saturating_add(1));
        if self.running.is_some() {
            tracing::warn!(probe.target = %self.target.name, "the probe before still runs, the slot is missed");
            self.missed("overlap", 1);
        } else {
            self.start(intended, now);
        }
    }

    fn start(&mut self, intended: Timestamp, started_at: Timestamp) {
        let (prober, target) = (Arc::clone(&self.ports.prober), Arc::clone(&self.target));
        self.tasks.spawn(async move { prober.probe(&target).await });
        self.running = Some(Running { intended, started_at });
    }

    /// Takes the outcome of a probe. Returns whether to go on.
    async fn finish(&mut self, joined: Result<Outcome, JoinError>) -> bool {
        let Some(running) = self.running.take() else { return true };
        let outcome = match joined {
            Ok(outcome) => outcome,
            Err(error) => {
                tracing::error!(probe.target = %self.target.name, error = %error, "a probe broke, its slot is missed");
                self.missed("panicked", 1);
                return true;
            }
        };
        if let Verdict::Fail { reason, detail } = &outcome.verdict
            && reason.is_local()
        {
            // what this machine lacks says nothing about the target
            let reason = reason.as_str();
            tracing::error!(probe.target = %self.target.name, probe.reason = reason, detail = ?detail, "a probe could not be made, its slot is missed");
            self.missed(reason, 1);
            return true;
        }
        self.record(&outcome);
        let good = u64::from(outcome.is_ok());
        self.ports.latest.put(&self.target.name, outcome, running.started_at);
        self.observe(running.intended, Counts { good, bad: 1 - good }).await
    }

    async fn observe(&self, intended: Timestamp, counts: Counts) -> bool {
        let slot = self.ports.grid.slot_at(intended);
        for stream in &self.streams {
            let observation = Observation::new(*stream, slot, counts);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return false,
                sent = self.ports.feed.send(observation) => {
                    if sent.is_err() {
                        return false;
                    }
                }
            }
        }
        true
    }

    fn record(&mut self, outcome: &Outcome) {
        let target = &self.target.name;
        let word = match &outcome.verdict {
            Verdict::Ok => "ok",
            Verdict::Fail { reason, detail } => {
                let reason = reason.as_str();
                tracing::info!(
                    probe.target = %target,
                    probe.reason = reason,
                    trace.id = %outcome.trace_id,
                    detail = ?detail,
                    "probe failed",
                );
                metrics::counter!(names::PROBE_FAILURES, "target" => target.clone(), "reason" => reason)
                    .increment(1);
                "fail"
            }
        };
        self.count(word, 1);
        metrics::histogram!(names::PROBE_SECONDS, "target" => target.clone(), "outcome" => word)
            .record(outcome.total.as_secs_f64());
        for step in &outcome.steps {
            let outcome = if step.verdict == Verdict::Ok { "ok" } else { "fail" };
            let labels =
                [("target", target.clone()), ("step", step.name.clone()), ("outcome", outcome.to_owned())];
            metrics::counter!(names::PROBE_STEPS, &labels).increment(1);
        }
        self.export_phases(&outcome.phases);
        if let Some(certificate) = &outcome.certificate {
            self.export_certificate(certificate);
        }
    }

    /// Exports when the certificate expires, whatever its verdict: that is when the figure is needed most.
    fn export_certificate(&self, certificate: &Certificate) {
        let ends = [
            ("leaf", Some(certificate.not_after_s)),
            ("sent", Some(certificate.sent_not_after_s)),
            ("verified", certificate.verified_not_after_s),
        ];
        for (chain, end) in ends {
            let Some(end) = end else { continue };
            let target = self.target.name.clone();
            metrics::gauge!(names::PROBE_CERTIFICATE_END, "target" => target, "chain" => chain)
                .set(end as f64);
        }
    }

    /// Exports the phases of the last probe. One that never happens for this target (TLS without TLS) is absent, not zero.
    fn export_phases(&mut self, phases: &Phases) {
        for ((phase, spent), shown) in phases.named().into_iter().zip(&mut self.shown) {
            *shown |= spent.is_some();
            if *shown {
                let target = self.target.name.clone();
                metrics::gauge!(names::PROBE_PHASE_SECONDS, "target" => target, "phase" => phase)
                    .set(spent.unwrap_or_default().as_secs_f64());
            }
        }
    }

    fn missed(&self, reason: &'static str, slots: u64) {
        self.count("missed", slots);
        metrics::counter!(names::PROBE_MISSED, "target" => self.target.name.clone(), "reason" => reason)
            .increment(slots);
    }

    fn count(&self, outcome: &'static str, slots: u64) {
        metrics::counter!(names::PROBES, "target" => self.target.name.clone(), "outcome" => outcome)
            .increment(slots);
    }
}

/// Resolves when there is another assignment; never when nobody can give one any more.
async fn changed(assigned: &mut Receiver<Assignment>) {
    if assigned.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
