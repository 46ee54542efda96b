//! Lives of the process behind an exposition: counters start again from zero in each of them.
//!
//! `process_start_time_seconds` tells one life from the next. A counter that does not fall below its last value hides a
//! restart: in a crash loop every scrape meets a new process with about the same counts.

use super::exposition::Sample;
use lookout_model::Timestamp;

const START_TIME: &str = "process_start_time_seconds";

/// Seconds by which one process may report its own start differently: some clients derive it from a boot time that the
/// kernel rounds.
const JITTER: f64 = 1.0;

/// Seconds by which two reports of one start differ below the second: the ticks of the kernel's clock.
const TICKS: f64 = 0.02;

/// Seconds by which the clock of a neighbour may be behind ours.
const SKEW: f64 = 60.0;

/// Relation of the process of a scrape to the process of the scrape before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// Nothing tells: the exposition names no start or several, or the process ran before it was first scraped.
    Unknown,
    /// The same process.
    Same,
    /// It started after the scrape before: everything it shows is new.
    New,
    /// Another process that ran already at the scrape before, as behind a load balancer. Its past is not ours to count.
    Other,
}

/// Start times of one exposition.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Starts {
    first: Option<f64>,
    several: bool,
}

impl Starts {
    /// Takes note of a sample.
    pub(super) fn record(&mut self, sample: &Sample<'_>) {
        if sample.metric == START_TIME && sample.value.is_finite() && sample.value > 0.0 {
            self.several |= self.first.is_some();
            self.first.get_or_insert(sample.value);
        }
    }

    fn single(self) -> Option<f64> {
        self.first.filter(|_| !self.several)
    }
}

/// Lives of a process, told apart from scrape to scrape.
#[derive(Debug)]
pub(super) struct Lives {
    watched_since: f64,
    start: Option<f64>,
    scraped_at: Option<f64>,
    /// The newest start that was ever seen.
    newest: f64,
    /// Several processes answer in turn. Each of them starts at a rollout, which is no crash loop.
    shared: bool,
    /// Starts since they were taken last.
    starts: u32,
}

impl Lives {
    /// Begins to watch. A process that starts later is new at its first scrape.
    pub(super) fn since(now: Timestamp) -> Self {
        let now = now.as_seconds_f64();
        let (start, scraped_at) = (None, None);
        Self { watched_since: now, start, scraped_at, newest: 0.0, shared: false, starts: 0 }
    }

    /// Takes the number of starts since the last call. A process that answers beside others has none.
    pub(super) fn take_starts(&mut self) -> u32 {
        std::mem::take(&mut self.starts)
    }

    /// Takes the start times of a scrape made at `now`.
    pub(super) fn advance(&mut self, starts: Starts, now: Timestamp) -> Life {
        let life = self.tell(starts, now);
        let start = starts.single().unwrap_or(0.0);
        self.shared |= starts.several || life == Life::Other;
        if life == Life::New && !self.shared && start > self.newest + TICKS {
            self.starts = self.starts.saturating_add(1);
        }
        self.newest = self.newest.max(start);
        life
    }

    fn tell(&mut self, starts: Starts, now: Timestamp) -> Life {
        let now = now.as_seconds_f64();
        let (before, start) = (self.start, starts.single());
        let scraped_at = self.scraped_at.replace(now);
        self.start = start.or(self.start.filter(|_| !starts.several));
        let (Some(before), Some(start), Some(scraped_at)) = (before, start, scraped_at) else {
            let unseen = scraped_at.is_none() && start.is_some_and(|start| start > self.watched_since);
            return if unseen { Life::New } else { Life::Unknown };
        };
        if start >= scraped_at && differs_below_the_second(start, before) {
            // two starts within a second, of which the later one came after the scrape before
            Life::New
        } else if (start - before).abs() <= JITTER {
            // the earlier value stays: small steps must not add up
            self.start = Some(before);
            Life::Same
        } else if start > before && start >= scraped_at - SKEW {
            Life::New
        } else {
            Life::Other
        }
    }
}

/// Returns whether two starts have a precision below the second and differ there. A boot time that is rounded differs by
/// whole seconds.
fn differs_below_the_second(a: f64, b: f64) -> bool {
    let fraction = (a - b).rem_euclid(1.0);
    let is_whole = |start: f64| start.fract() == 0.0;
    !is_whole(a) && !is_whole(b) && (TICKS..=1.0 - TICKS).contains(&fraction)
}

#[cfg(test)]
mod tests {
    use super::super::exposition::samples;
    use super::*;

    fn life(lives: &mut Lives, at_s: i64, text: &str) -> Life {
        let mut starts = Starts::default();
        for sample in samples(text) {
            starts.record(&sample.unwrap());
        }
        lives.advance(starts, Timestamp::from_seconds(at_s))
    }

    fn started(at_s: f64) -> String {
        format!("process_start_time_seconds {at_s}\n")
    }

    #[test]
    fn a_later_start_is_a_new_life_and_rounding_is_none() {
        let mut lives = Lives::since(Timestamp::from_seconds(950));
        assert_eq!(life(&mut lives, 1000, &started(900.0)), Life::Unknown);
        assert_eq!(life(&mut lives, 1010, &started(900.9)), Life::Same);
        assert_eq!(life(&mut lives, 1020, &started(899.5)), Life::Same);
        assert_eq!(life(&mut lives, 1030, &started(1025.0)), Life::New);
        assert_eq!(life(&mut lives, 1040, ""), Life::Unknown, "a start that is not told changes nothing");
        assert_eq!(life(&mut lives, 1050, &started(1025.0)), Life::Same);
        assert_eq!(life(&mut lives, 1060, &started(1010.0)), Life::Other, "an older process");
    }

    #[test]
    fn a_process_that_ran_already_is_another_one() {
        let mut lives = Lives::since(Timestamp::from_seconds(950));
        life(&mut lives, 10_000, &started(900.0));
        assert_eq!(life(&mut lives, 10_010, &started(5000.0)), Life::Other);
        assert_eq!(life(&mut lives, 10_020, &started(900.0)), Life::Other);
        assert_eq!(life(&mut lives, 10_030, &started(9_990.0)), Life::New, "within the skew of two clocks");
    }

    #[test]
    fn a_process_that_starts_while_it_is_watched_is_new_at_its_first_scrape() {
        let mut lives = Lives::since(Timestamp::from_seconds(1000));
        assert_eq!(life(&mut lives, 1100, &started(1050.0)), Life::New);
        let mut lives = Lives::since(Timestamp::from_seconds(1000));
        assert_eq!(life(&mut lives, 1100, &started(999.0)), Life::Unknown);
    }

    #[test]
    fn each_start_of_the_only_process_counts_once() {
        let mut lives = Lives::since(Timestamp::from_seconds(950));
        for (at, start) in [(1000, 900.0), (1010, 1005.0), (1020, 1015.0), (1030, 1015.4), (1040, 1035.0)] {
            life(&mut lives, at, &started(start));
        }
        assert_eq!((lives.take_starts(), lives.take_starts()), (3, 0));
    }

    #[test]
    fn two_starts_within_a_second_count_where_their_precision_tells_them_apart() {
        let mut lives = Lives::since(Timestamp::from_seconds(950));
        let scrapes = [(1000, 900.25), (1001, 1000.13), (1002, 1001.05), (1003, 1002.01), (1004, 1002.01)];
        let seen = scrapes.map(|(at, start)| life(&mut lives, at, &started(start)));
        assert_eq!(seen, [Life::Unknown, Life::New, Life::New, Life::New, Life::Same]);
        assert_eq!(lives.take_starts(), 3, "0.92 s and 0.96 s apart");
        // whole seconds may be one start, rounded twice; so may two that differ by a whole second
        for (first, second) in [(1001.0, 1002.0), (1001.5, 1002.5)] {
            let mut lives = Lives::since(Timestamp::from_seconds(950));
            life(&mut lives, 1000, &started(900.0));
            assert_eq!(life(&mut lives, 1002, &started(first)), Life::New);
            assert_eq!(life(&mut lives, 1003, &started(second)), Life::Same, "{first} {second}");
        }
    }

    #[test]
    fn a_rollout_of_several_replicas_is_no_crash_loop() {
        let mut lives = Lives::since(Timestamp::from_seconds(950));
        // two replicas answer in turn, and both are replaced
        for (at, start) in [(1000, 900.0), (1010, 910.0), (1020, 900.0)] {
            life(&mut lives, at, &started(start));
        }
        lives.take_starts();
        for (at, start) in [(1030, 1025.0), (1040, 910.0), (1050, 1025.0), (1060, 1055.0), (1070, 1025.0)] {
            life(&mut lives, at, &started(start));
        }
        assert_eq!(lives.take_starts(), 0);
    }

    #[test]
    fn several_processes_in_one_exposition_tell_nothing() {
        let mut lives = Lives::since(Timestamp::from_seconds(950));
        let two = "process_start_time_seconds{a=\"1\"} 5\nprocess_start_time_seconds{a=\"2\"} 9\n";
        assert_eq!(life(&mut lives, 1000, two), Life::Unknown);
        assert_eq!(life(&mut lives, 1010, two), Life::Unknown);
    }
}
