//! The loop of one target: at every start of its schedule one probe, for every slot one outcome.
//!
//! A slot ends as `ok`, `fail` or `missed`. Missed is never silent and never a success; it has a [`MissedReason`].

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use lookout_engine::{Counts, Grid};
use lookout_model::{GridTime, Timestamp};
use tokio_util::sync::CancellationToken;

use super::assignment::{Assigned, Assignment};
use super::inline::Inline;
use super::series::{Series, set_info};
use super::{Latest, MissedReason, Outcome, Pauses, Probe, ProbeHistory, Rounds, Verdict, peer_of};
use crate::jump::JumpDetector;
use crate::{Feed, Observation, Schedule};
use lookout_runtime::clock::Clock;
use lookout_runtime::task::panic_message;

/// Dependencies of all loops.
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
    /// Probes of the last minutes.
    pub history: ProbeHistory,
    /// Pauses that operators asked for.
    pub pauses: Pauses,
    /// Outcomes of targets with several addresses.
    pub rounds: Rounds,
}

/// Probes a target on its schedule until `stop`, or until the feed is closed. Each outcome is an event of
/// every stream of the assignment, in the evaluation slot of the intended start.
///
/// A new assignment takes effect with the next probe. Neither the phase nor a slot is lost by it, and a probe that runs
/// is finished.
pub fn watch(
    assigned: Arc<Assigned>,
    ports: Arc<Ports>,
    stop: CancellationToken,
) -> impl Future<Output = ()> {
    let now = ports.clock.now();
    let assignment = assigned.present();
    let target = &assignment.target;
    let schedule = Schedule::new(&target.name, target.interval);
    let mut watch = Watch {
        schedule,
        due: schedule.next_after(now),
        jumps: JumpDetector::new(now, target.interval),
        running: None,
        series: Series::of(target),
        assignment,
        certificate: None,
        assigned,
        ports,
        stop,
    };
    async move { watch.run().await }
}

/// A probe that runs. It is polled by the loop itself: a task of its own would wake another thread for every probe, which
/// costs as much as the connection.
struct Running {
    intended: Timestamp,
    started_at: Timestamp,
    probe: Inline<Ended>,
}

/// Counts of one probe by the number of the stream.
struct Counted {
    intended: Timestamp,
    by_stream: Vec<(usize, Counts)>,
}

/// The outcome of a probe, or the message of its panic.
type Ended = Result<Outcome, Box<dyn Any + Send>>;

/// Validity of a certificate.
#[derive(Debug, Clone, Copy)]
struct SeenCertificate {
    /// Unix time of its end.
    end_s: i64,
    /// True if clients refuse it, however long it is valid.
    is_refused: bool,
}

struct Watch {
    assignment: Arc<Assignment>,
    /// The certificate that was seen last. A peer that cannot be reached does not renew it.
    certificate: Option<SeenCertificate>,
    assigned: Arc<Assigned>,
    ports: Arc<Ports>,
    stop: CancellationToken,
    schedule: Schedule,
    /// The start of the first slot that has no outcome and no probe yet.
    due: Timestamp,
    jumps: JumpDetector,
    /// At most one probe; dropped when the loop ends.
    running: Option<Running>,
    series: Series,
}

impl Watch {
    async fn run(&mut self) {
        self.export_target();
        if let Some(group) = &self.assignment.target.group {
            self.ports.rounds.join(group, &self.assignment.target.name);
        }
        let stop = self.stop.clone();
        loop {
            // no start is further away than an interval, unless the wall clock was set back
            let wait = self.due.since(self.ports.clock.now()).min(self.assignment.target.interval);
            // an outcome is large, and thousands of loops wait: nothing of it is kept across an await
            let counted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                ended = end_of(&mut self.running) => self.finish(ended),
                () = self.assigned.replaced() => {
                    self.reassign();
                    None
                }
                () = tokio::time::sleep(wait) => {
                    self.wake();
                    None
                }
            };
            if let Some(counted) = counted
                && !self.observe(counted).await
            {
                break;
            }
        }
        // what a journey created is removed before the loop ends; its slot is missed all the same
        if self.assignment.target.check.has_cleanup()
            && let Some(running) = &mut self.running
        {
            let _ = (&mut running.probe).await;
        }
        let now = self.ports.clock.now();
        let begun = self.schedule.over_since(self.due, now).saturating_add(i64::from(now >= self.due));
        let stopped = u64::from(self.running.is_some()).saturating_add(u64::try_from(begun).unwrap_or(0));
        if stopped > 0 {
            self.missed(MissedReason::Stopped, stopped);
        }
        if let Some(group) = &self.assignment.target.group {
            self.ports.pauses.groups.forget(group, &self.assignment.target.name);
            self.ports.rounds.leave_out(group, &self.assignment.target.name);
        }
    }

    /// Takes a new assignment. Slots up to now belong to the schedule before.
    fn reassign(&mut self) {
        let assignment = self.assigned.present();
        let (target, before) = (&assignment.target, Arc::clone(&self.assignment.target));
        if peer_of(&target.check) != peer_of(&before.check) {
            self.certificate = None;
        }
        if target.interval != before.interval {
            self.wake();
            let now = self.ports.clock.now();
            self.schedule = Schedule::new(&target.name, target.interval);
            self.due = self.schedule.next_after(now);
            self.jumps = JumpDetector::new(now, target.interval);
        }
        set_info(&before, 0.0);
        self.series = Series::of(target);
        self.assignment = assignment;
        self.export_target();
    }

    /// Gives every slot that is due an outcome or a probe.
    fn wake(&mut self) {
        let now = self.ports.clock.now();
        if self.jumps.look(now, &self.assignment.target.name).is_some_and(|jump_ms| jump_ms < 0) {
            // the wall clock repeats itself, and so do the slots on it
            self.due = self.schedule.next_after(now);
            return;
        }
        if now < self.due {
            return;
        }
        let over = self.schedule.over_since(self.due, now);
        if let Some(over) = u64::try_from(over).ok().filter(|over| *over > 0) {
            tracing::warn!(probe.target = %self.assignment.target.name, slots = over, "woke too late for slots of a target");
            self.missed(MissedReason::Suspended, over);
        }
        let number = self.schedule.number_at(self.due).saturating_add(over);
        let intended = self.schedule.start_of(number);
        self.due = self.schedule.start_of(number.saturating_add(1));
        if self.note_pause(now) {
            self.missed(MissedReason::Paused, 1);
        } else if self.running.is_some() {
            tracing::warn!(probe.target = %self.assignment.target.name, "the probe before still runs, the slot is missed");
            self.missed(MissedReason::Overlap, 1);
        } else {
            self.start(intended, now);
        }
    }

    fn start(&mut self, intended: Timestamp, started_at: Timestamp) {
        let (prober, target) = (Arc::clone(&self.ports.prober), Arc::clone(&self.assignment.target));
        let probe = AssertUnwindSafe(async move { prober.probe(&target).await }).catch_unwind();
        self.running = Some(Running { intended, started_at, probe: Inline::new(probe) });
    }

    /// Takes the outcome of a probe. Returns its counts, unless the slot is missed.
    fn finish(&mut self, ended: Ended) -> Option<Counted> {
        let running = self.running.take()?;
        let outcome = match ended {
            Ok(outcome) => outcome,
            Err(panic) => {
                let error = panic_message(&*panic);
                tracing::error!(probe.target = %self.assignment.target.name, error, "a probe panicked, its slot is missed");
                self.missed(MissedReason::Panicked, 1);
                return None;
            }
        };
        if let Verdict::Fail { reason, detail } = &outcome.verdict
            && let Some(reason) = reason.missed()
        {
            // what this machine lacks says nothing about the target
            tracing::error!(probe.target = %self.assignment.target.name, probe.reason = reason.as_str(), detail = ?detail, "a probe could not be made, its slot is missed");
            self.missed(reason, 1);
            return None;
        }
        self.record(&outcome, running.started_at);
        let count = |is_good: bool| Counts { good: u64::from(is_good), bad: u64::from(!is_good) };
        let counts = count(outcome.is_ok());
        let mut by_stream: Vec<(usize, Counts)> =
            self.assignment.streams.iter().map(|stream| (*stream, counts)).collect();
        let validity = self.certificate_validity(&outcome);
        by_stream.extend(validity.into_iter().map(|(stream, is_valid)| (stream, count(is_valid))));
        if let Some(is_good) = self.end_of_round(outcome.is_ok()) {
            self.series.count_round(is_good);
            by_stream.extend(self.assignment.rounds.iter().map(|stream| (*stream, count(is_good))));
        }
        self.ports.latest.put(&self.assignment.target.name, outcome, running.started_at);
        Some(Counted { intended: running.intended, by_stream })
    }

    /// Returns for each stream about certificates whether the last one is valid for long enough.
    fn certificate_validity(&mut self, outcome: &Outcome) -> Vec<(usize, bool)> {
        if let Some(certificate) = &outcome.certificate {
            let is_refused = match &outcome.verdict {
                Verdict::Fail { reason, .. } => reason.refuses_certificate(),
                Verdict::Ok => false,
            };
            let end_s = certificate.verified_not_after_s.unwrap_or(certificate.not_after_s);
            self.certificate = Some(SeenCertificate { end_s, is_refused });
        }
        let Some(SeenCertificate { end_s, is_refused }) = self.certificate else { return Vec::new() };
        let left_s = end_s.saturating_sub(self.ports.clock.now().as_seconds());
        let valid = |&(stream, days): &(usize, u32)| {
            let is_valid = !is_refused && left_s >= i64::from(days) * 86_400;
            self.series.count_certificate(days, is_valid);
            (stream, is_valid)
        };
        self.assignment.certificates.iter().map(valid).collect()
    }

    /// Returns the outcome of all addresses as a whole when that of this one decides it.
    fn end_of_round(&self, is_good: bool) -> Option<bool> {
        let Assignment { target, rounds, .. } = &*self.assignment;
        let group = target.group.as_ref().filter(|_| !rounds.is_empty())?;
        self.ports.rounds.add(group, &target.name, is_good)
    }

    /// Hands the counts of a probe over. Returns whether to go on.
    async fn observe(&mut self, counted: Counted) -> bool {
        let slot = self.ports.grid.slot_at(counted.intended);
        for (stream, counts) in counted.by_stream {
            let observation = Observation::new(stream, slot, counts);
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

    fn record(&mut self, outcome: &Outcome, at: Timestamp) {
        if let Verdict::Fail { reason, detail } = &outcome.verdict {
            tracing::info!(
                probe.target = %self.assignment.target.name,
                probe.reason = reason.as_str(),
                trace.id = %outcome.trace_id,
                detail = ?detail,
                "probe failed",
            );
        }
        self.series.record(outcome, at);
        self.ports.history.add_probe(&self.assignment.target.name, at, outcome.total, outcome.is_ok());
    }

    fn missed(&self, reason: MissedReason, slots: u64) {
        self.series.missed(reason, slots);
        if let Some(group) = &self.assignment.target.group {
            self.ports.rounds.leave_out(group, &self.assignment.target.name);
        }
        self.ports.history.add_missed(&self.assignment.target.name, self.ports.clock.now(), slots);
    }

    /// Exports the labels of the target, and whether it is paused.
    fn export_target(&mut self) {
        set_info(&self.assignment.target, 1.0);
        self.note_pause(self.ports.clock.now());
    }

    /// Exports whether the target is paused, and returns it.
    fn note_pause(&mut self, now: Timestamp) -> bool {
        let is_paused = self.ports.pauses.at(&self.assignment.target, now).is_some();
        let is_news = self.series.set_paused(is_paused);
        if let Some(group) = self.assignment.target.group.as_ref().filter(|_| is_news) {
            self.ports.pauses.groups.note(group, &self.assignment.target.name, is_paused);
        }
        is_paused
    }
}

/// Resolves when the probe that runs has ended; never when none runs.
async fn end_of(running: &mut Option<Running>) -> Ended {
    match running {
        Some(running) => (&mut running.probe).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
