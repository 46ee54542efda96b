//! An alert at one Alertmanager: what it accepted, and until when it has told what it accepted.

use crate::delivery::alertmanagers::{GROUP_INTERVAL, PEER_TIMEOUT};
use crate::delivery::wire::{Alert, Event, Posted};

/// Time that a flush and a notification take on a machine with work to do.
const SLACK_MS: i64 = 500;

/// Positions before an instance that it waits for: the other one, and the name that each of them leaves in the cluster for some
/// seconds when it is killed.
const POSITIONS: u32 = 3;

/// The longest time in which an Alertmanager tells what it accepted: the next flush begins, and waits for its peers.
pub(super) fn tells_within_ms() -> i64 {
    i64::try_from(GROUP_INTERVAL.as_millis()).unwrap_or(i64::MAX) + tells_from_ms()
}

/// The longest age of what a notification says: a flush reads the alerts before it waits for its peers.
pub(super) fn tells_from_ms() -> i64 {
    i64::try_from((PEER_TIMEOUT * POSITIONS).as_millis()).unwrap_or(i64::MAX) + SLACK_MS
}

/// Pause after the first failure of an instance (`FIRST` in the breaker of `lookout-deliver`); each further one doubles it. So the agent tries an instance that was away
/// again after no longer than it was away, and this.
const FIRST_PAUSE_MS: i64 = 2_000;

/// The longest time until the agent tells an instance that came back what it missed.
pub(super) fn hears_within_ms(away_ms: i64) -> i64 {
    away_ms + FIRST_PAUSE_MS + SLACK_MS
}

/// An alert at one Alertmanager.
#[derive(Debug, Default)]
pub(super) struct AlertHistory {
    /// Its states, in the order in which they were accepted.
    pub(super) posts: Vec<Posted>,
    kills: Vec<i64>,
    starts: Vec<i64>,
    hangs: Vec<(i64, i64)>,
}

impl AlertHistory {
    pub(super) fn of(events: &[Event], alert: &Alert) -> Self {
        let mut held = Self::default();
        for event in events {
            match event {
                Event::Accepted(posted) if posted.alert == *alert => held.posts.push(posted.clone()),
                Event::Accepted(_) => {}
                Event::Killed { at_ms } => held.kills.push(*at_ms),
                Event::Started { at_ms } => held.starts.push(*at_ms),
                Event::Hung { from_ms, until_ms } => held.hangs.push((*from_ms, *until_ms)),
            }
        }
        held
    }

    /// Returns whether it ran or hung, and was not killed, from an instant to another one.
    pub(super) fn lived(&self, from_ms: i64, until_ms: i64) -> bool {
        !self.kills.iter().any(|at_ms| (from_ms..=until_ms).contains(at_ms))
    }

    /// Returns when it was away last between two instants, killed or hung, and came back before the later one.
    pub(super) fn was_away(&self, from_ms: i64, until_ms: i64) -> Option<(i64, i64)> {
        let started = |killed: &i64| {
            let started = self.starts.iter().filter(|started| *started > killed).min();
            started.map(|started| (*killed, *started))
        };
        let away = self.hangs.iter().copied().chain(self.kills.iter().filter_map(started));
        away.filter(|(_, back)| (from_ms..=until_ms).contains(back)).max_by_key(|(_, back)| *back)
    }

    /// Returns the end of a span in which it did not hang.
    pub(super) fn after(&self, from_ms: i64, span_ms: i64) -> i64 {
        let mut until = from_ms + span_ms;
        for (from, to) in &self.hangs {
            if *from <= until && *to >= from_ms {
                until += to - (*from).max(from_ms);
            }
        }
        until
    }

    /// Returns the start of a span in which it did not hang.
    pub(super) fn before(&self, until_ms: i64, span_ms: i64) -> i64 {
        let mut start = until_ms - span_ms;
        for (from, to) in self.hangs.iter().rev() {
            if *to >= start && *from <= until_ms {
                start -= (*to).min(until_ms) - from;
            }
        }
        start
    }

    /// Returns what it held last before an instant, since it was killed last.
    pub(super) fn last_before(&self, at_ms: i64) -> Option<&Posted> {
        let post = self.posts.iter().rfind(|post| post.at_ms < at_ms)?;
        self.lived(post.at_ms, at_ms).then_some(post)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_it_hangs_does_not_count() {
        let hung = |from_ms, until_ms| Event::Hung { from_ms, until_ms };
        let alert = Alert::default();
        let held = AlertHistory::of(
            &[hung(100, 200), hung(230, 330), Event::Killed { at_ms: 500 }, Event::Started { at_ms: 700 }],
            &alert,
        );
        assert_eq!(held.after(0, 99), 99);
        assert_eq!(held.after(0, 100), 200);
        assert_eq!(held.after(150, 20), 220);
        assert_eq!(held.after(0, 140), 340, "both");
        assert_eq!(held.after(201, 28), 229);
        assert_eq!(held.before(229, 28), 201);
        assert_eq!(held.before(220, 20), 100);
        assert_eq!(held.before(340, 140), 0, "both");
        assert!(held.lived(331, 499) && !held.lived(331, 500) && held.lived(501, 900));
        assert_eq!(held.was_away(0, 199), None);
        assert_eq!(held.was_away(0, 329), Some((100, 200)));
        assert_eq!((held.was_away(0, 699), held.was_away(0, 900)), (Some((230, 330)), Some((500, 700))));
    }
}
