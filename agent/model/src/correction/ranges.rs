//! Stretches of time as a set: sorted, half-open, apart from each other.

use core::time::Duration;

use super::CorrectionRecord;
use crate::Timestamp;

/// A set of instants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges {
    /// Start (inclusive) and end (exclusive) of each stretch, ascending and apart.
    parts: Vec<(Timestamp, Timestamp)>,
    /// The total length of the stretches before each.
    before: Vec<Duration>,
}

impl Ranges {
    /// Creates the union of stretches in any order, empty and overlapping ones among them.
    #[must_use]
    pub fn union(parts: impl IntoIterator<Item = (Timestamp, Timestamp)>) -> Self {
        let mut all: Vec<(Timestamp, Timestamp)> = parts.into_iter().filter(|(from, to)| from < to).collect();
        all.sort_unstable();
        let mut parts: Vec<(Timestamp, Timestamp)> = Vec::with_capacity(all.len());
        for (from, to) in all {
            match parts.last_mut() {
                Some((_, end)) if from <= *end => *end = (*end).max(to),
                _ => parts.push((from, to)),
            }
        }
        parts.shrink_to_fit();
        let mut length = Duration::ZERO;
        let before = parts
            .iter()
            .map(|(from, to)| {
                let so_far = length;
                length = length.saturating_add(to.since(*from));
                so_far
            })
            .collect();
        Self { parts, before }
    }

    /// Returns whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Returns start and end of each stretch, ascending.
    #[must_use]
    pub fn parts(&self) -> &[(Timestamp, Timestamp)] {
        &self.parts
    }

    /// Returns whether an instant is in it.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.last_before(at + Timestamp::TICK) == Some(at)
    }

    /// Returns the last instant in it that is earlier than another.
    #[must_use]
    pub fn last_before(&self, at: Timestamp) -> Option<Timestamp> {
        let place = self.parts.partition_point(|(from, _)| *from < at);
        let (_, to) = self.parts.get(place.checked_sub(1)?)?;
        Some((*to).min(at) - Timestamp::TICK)
    }

    /// Returns the part of it between two instants.
    pub fn between(
        &self,
        start: Timestamp,
        end: Timestamp,
    ) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        let first = self.parts.partition_point(|(_, to)| *to <= start);
        let rest = self.parts.get(first..).unwrap_or_default().iter();
        rest.take_while(move |(from, _)| *from < end)
            .map(move |&(from, to)| (from.max(start), to.min(end)))
            .filter(|(from, to)| from < to)
    }

    /// Returns its length between two instants, in seconds.
    #[must_use]
    pub fn seconds_between(&self, from: Timestamp, to: Timestamp) -> u64 {
        self.length_before(to).saturating_sub(self.length_before(from)).as_secs()
    }

    fn length_before(&self, at: Timestamp) -> Duration {
        let place = self.parts.partition_point(|(from, _)| *from < at);
        let last =
            place.checked_sub(1).and_then(|last| Some((self.parts.get(last)?, self.before.get(last)?)));
        last.map_or(Duration::ZERO, |((from, to), before)| before.saturating_add((*to).min(at).since(*from)))
    }
}

/// Returns the time that corrections exclude between two instants, rounded outward to whole units: the ledger keeps
/// minutes, and a slot that is wider is kept as one. `unit` is a whole number of minutes.
#[must_use]
pub fn expand<'a>(
    corrections: impl IntoIterator<Item = &'a CorrectionRecord>,
    start: Timestamp,
    end: Timestamp,
    unit: Duration,
) -> Ranges {
    let unit = unit.max(Timestamp::TICK);
    let outward = |(from, to): (Timestamp, Timestamp)| (from.floor(unit).max(start), to.ceil(unit).min(end));
    let stretches = corrections.into_iter().flat_map(|correction| {
        let inside = (correction.from, correction.to.unwrap_or(Timestamp::MAX));
        // a stretch outside may reach inside once it is rounded
        let looked_at = (inside.0.max(start - unit), inside.1.min(end + unit));
        match (&correction.revoked, &correction.recurrence) {
            (Some(_), _) => Vec::new(),
            (None, None) => vec![inside],
            (None, Some(recurrence)) => recurrence
                .between(looked_at.0, looked_at.1)
                .map(|(from, to)| (from.max(inside.0), to.min(inside.1)))
                .collect(),
        }
    });
    Ranges::union(stretches.filter(|(from, to)| from < to).map(outward))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sample::correction;
    use crate::{CorrectionRecord, Revocation};

    const MINUTE: i64 = 60_000;
    const SPAN: i64 = 400 * MINUTE;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn one_off(from: i64, to: i64) -> CorrectionRecord {
        CorrectionRecord { from: at(from), to: Some(at(to)), ..correction("cor-1") }
    }

    fn parts(ranges: &Ranges) -> Vec<(i64, i64)> {
        ranges.parts().iter().map(|(from, to)| (from.as_millis(), to.as_millis())).collect()
    }

    /// Returns the time that is excluded between two instants, rounded to units.
    fn expand<'a>(
        corrections: impl IntoIterator<Item = &'a CorrectionRecord>,
        from: i64,
        to: i64,
        unit: i64,
    ) -> Ranges {
        super::expand(corrections, at(from), at(to), Duration::from_millis(unit.unsigned_abs()))
    }

    #[test]
    fn times_are_rounded_outward_to_minutes() {
        let excluded = expand(&[one_off(61_000, 120_001)], 0, SPAN, MINUTE);
        assert_eq!(parts(&excluded), [(60_000, 180_000)]);
        assert!(excluded.contains(at(60_000)) && excluded.contains(at(179_999)));
        assert!(!excluded.contains(at(59_999)) && !excluded.contains(at(180_000)));
        let in_hours = expand(&[one_off(61_000, 120_001)], 0, SPAN, 60 * MINUTE);
        assert_eq!(parts(&in_hours), [(0, 60 * MINUTE)]);
    }

    #[test]
    fn what_lies_outside_is_cut_off() {
        let excluded = expand(&[one_off(-5 * MINUTE, 2 * MINUTE), one_off(SPAN, SPAN + 1)], 0, SPAN, MINUTE);
        assert_eq!(parts(&excluded), [(0, 2 * MINUTE)]);
        assert_eq!(expand(&[], 0, SPAN, MINUTE), Ranges::default());
    }

    #[test]
    fn a_recurring_one_lies_between_its_bounds() {
        let recurring = CorrectionRecord {
            recurrence: Some("daily 02:00 for 2h".parse().unwrap()),
            from: at(3 * 60 * MINUTE),
            to: Some(at(51 * 60 * MINUTE)),
            ..correction("cor-1")
        };
        let hour = 60 * MINUTE;
        let excluded = expand(&[recurring], 0, 1000 * hour, MINUTE);
        assert_eq!(parts(&excluded), [(3 * hour, 4 * hour), (26 * hour, 28 * hour), (50 * hour, 51 * hour)]);
    }

    fn corrections() -> impl Strategy<Value = Vec<CorrectionRecord>> {
        let recurrences = prop_oneof![
            3 => Just(None),
            1 => Just(Some("daily 00:30 for 45m".parse().unwrap())),
            1 => Just(Some("weekly thu-sat 01:15 for 3h in Asia/Kolkata".parse().unwrap())),
        ];
        let one =
            (-SPAN..SPAN, 1..SPAN, recurrences, any::<bool>()).prop_map(|(from, long, recurrence, void)| {
                let revoked =
                    void.then(|| Revocation { at: at(0), actor: String::new(), reason: String::new() });
                CorrectionRecord { recurrence, revoked, ..one_off(from, from + long) }
            });
        prop::collection::vec(one, 0..8)
    }

    proptest! {
        /// The reference is a loop over minutes, without sorting and merging.
        #[test]
        fn the_union_is_every_minute_that_some_correction_touches(all in corrections()) {
            let excluded = expand(&all, 0, SPAN, MINUTE);
            for pair in excluded.parts().windows(2) {
                prop_assert!(pair[0].1 < pair[1].0, "sorted and apart: {:?}", excluded.parts());
            }
            let mut seconds = 0;
            for minute in 0..SPAN / MINUTE {
                let (from, to) = (minute * MINUTE, (minute + 1) * MINUTE);
                let touched = all.iter().any(|one| !expand([one], from, to, MINUTE).is_empty());
                prop_assert_eq!(excluded.contains(at(from)), touched, "minute {}", minute);
                prop_assert_eq!(excluded.contains(at(to - 1)), touched, "minute {}", minute);
                seconds += if touched { 60 } else { 0 };
            }
            prop_assert_eq!(excluded.seconds_between(at(0), at(SPAN)), seconds);
            prop_assert_eq!(Ranges::union(excluded.between(at(0), at(SPAN))), excluded);
        }

        #[test]
        fn order_and_repetition_change_nothing(all in corrections(), turn in 0_usize..8) {
            let mut turned = all.clone();
            turned.rotate_left(turn.min(all.len()));
            turned.reverse();
            turned.extend(all.clone());
            prop_assert_eq!(expand(&turned, 0, SPAN, MINUTE), expand(&all, 0, SPAN, MINUTE));
        }

        #[test]
        fn what_is_added_and_revoked_never_was(all in corrections(), more in corrections()) {
            let revocation = Revocation { at: at(1), actor: String::new(), reason: String::new() };
            let void = more.into_iter().map(|one| CorrectionRecord { revoked: Some(revocation.clone()), ..one });
            let with: Vec<_> = all.iter().cloned().chain(void).collect();
            prop_assert_eq!(expand(&with, 0, SPAN, MINUTE), expand(&all, 0, SPAN, MINUTE));
        }
    }
}
