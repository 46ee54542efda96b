//! Durations of the phases of a probe. Every phase begins at the instant the one before ends, so that the phases are a
//! partition of the total: nothing is counted twice and nothing is lost.

use std::time::Duration;

use lookout_config::Phase;
use tokio::time::Instant;

use super::Phases;

/// Measures the phases of one probe. It stands outside of what it measures, so that a cut leaves it readable.
#[derive(Debug)]
pub(super) struct PhaseTimer {
    started: Instant,
    phase: Phase,
    since: Instant,
    phases: Phases,
    /// Time that belongs to no phase.
    apart: Duration,
    /// The instant since which the measurement is suspended.
    suspended: Option<Instant>,
}

impl PhaseTimer {
    /// Starts to measure with a phase.
    pub(super) fn start(phase: Phase) -> Self {
        let now = Instant::now();
        Self {
            started: now,
            phase,
            since: now,
            phases: Phases::default(),
            apart: Duration::ZERO,
            suspended: None,
        }
    }

    /// Returns the start of the measurement.
    pub(super) const fn started(&self) -> Instant {
        self.started
    }

    /// The phase that is measured now.
    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Ends the phase and begins the next.
    pub(super) fn enter(&mut self, phase: Phase) {
        self.enter_at(phase, Instant::now());
    }

    /// Ends the phase at an instant that was noted elsewhere, never before the phase began.
    pub(super) fn enter_at(&mut self, phase: Phase, at: Instant) {
        let at = at.max(self.since);
        self.close(at);
        (self.phase, self.since) = (phase, at);
    }

    /// Returns the phases so far, the present one included.
    pub(super) fn snapshot(&mut self) -> Phases {
        self.enter(self.phase);
        self.phases
    }

    /// Suspends the measurement: time until [`resume`](Self::resume) belongs to no phase and not to the total.
    pub(super) fn suspend(&mut self) {
        self.enter(self.phase);
        self.suspended.get_or_insert(self.since);
    }

    /// Goes on with the phase of before.
    pub(super) fn resume(&mut self) {
        if let Some(from) = self.suspended.take() {
            self.since = Instant::now().max(from);
            self.apart += self.since.duration_since(from);
        }
    }

    /// Returns the time that belongs to no phase.
    pub(super) fn apart(&self) -> Duration {
        self.apart + self.suspended.map_or(Duration::ZERO, |from| from.elapsed())
    }

    /// Ends the last phase. Returns the phases and their sum.
    pub(super) fn stop(mut self) -> (Phases, Duration) {
        self.resume();
        let now = Instant::now().max(self.since);
        self.close(now);
        (self.phases, now.duration_since(self.started).saturating_sub(self.apart))
    }

    fn close(&mut self, at: Instant) {
        if self.suspended.is_some() {
            return;
        }
        let spent = at.duration_since(self.since);
        let place = self.phases.get_mut(self.phase);
        *place = Some(place.unwrap_or_default() + spent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn phases_sum_to_the_total_wherever_it_is_cut() {
        let order = [Phase::Connect, Phase::Tls, Phase::Processing, Phase::Transfer];
        for cut in 0..=order.len() {
            let mut watch = PhaseTimer::start(Phase::Resolve);
            tokio::time::advance(Duration::from_micros(1_111)).await;
            for phase in &order[..cut] {
                watch.enter(*phase);
                tokio::time::advance(Duration::from_micros(777)).await;
            }
            let (phases, total) = watch.stop();
            let sum: Duration = phases.named().into_iter().filter_map(|(_, spent)| spent).sum();
            assert_eq!(sum, total);
            assert_eq!(phases.named().into_iter().filter(|(_, spent)| spent.is_some()).count(), cut + 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_instant_from_before_the_phase_cannot_make_time_negative() {
        let early = Instant::now();
        tokio::time::advance(Duration::from_millis(5)).await;
        let mut watch = PhaseTimer::start(Phase::Processing);
        watch.enter_at(Phase::Transfer, early);
        tokio::time::advance(Duration::from_millis(2)).await;
        let (phases, total) = watch.stop();
        assert_eq!((phases.processing, phases.transfer), (Some(Duration::ZERO), Some(total)));
    }

    #[tokio::test(start_paused = true)]
    async fn suspended_time_is_no_part_of_the_phases() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let begun = Instant::now();
            let mut watch = PhaseTimer::start(Phase::Resolve);
            for _ in 0..random.usize(0..12) {
                tokio::time::advance(Duration::from_micros(random.u64(0..5_000))).await;
                match random.u8(0..4) {
                    0 => watch.suspend(),
                    1 => watch.resume(),
                    2 => drop(watch.snapshot()),
                    _ => watch.enter(Phase::ALL[random.usize(0..5)]),
                }
            }
            tokio::time::advance(Duration::from_micros(random.u64(0..5_000))).await;
            let apart = watch.apart();
            let (phases, total) = watch.stop();
            let sum: Duration = phases.named().into_iter().filter_map(|(_, spent)| spent).sum();
            assert_eq!((sum, total + apart), (total, begun.elapsed()), "seed {seed}");
        }
    }
}
