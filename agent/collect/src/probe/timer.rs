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
}

impl PhaseTimer {
    /// Starts to measure with a phase.
    pub(super) fn start(phase: Phase) -> Self {
        let now = Instant::now();
        Self { started: now, phase, since: now, phases: Phases::default() }
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

    /// Ends the last phase. Returns the phases and their sum.
    pub(super) fn stop(mut self) -> (Phases, Duration) {
        let now = Instant::now().max(self.since);
        self.close(now);
        (self.phases, now.duration_since(self.started))
    }

    fn close(&mut self, at: Instant) {
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
}
