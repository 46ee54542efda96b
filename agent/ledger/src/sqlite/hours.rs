//! The minutes of an hour as one value.

use std::collections::BTreeMap;

use lookout_engine::Counts;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use crate::retention::COUNT_CEILING;

const MINUTES: i64 = 60;
/// Hours per statement.
const HOURS_PER_STATEMENT: usize = 400;

/// Counts of an hour, by minute. A minute without events differs from a minute that was not observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hour([Option<Counts>; MINUTES as usize]);

impl Default for Hour {
    fn default() -> Self {
        Self([None; MINUTES as usize])
    }
}

impl Hour {
    /// Adds to a minute, given by its number since the epoch.
    fn add(&mut self, minute: i64, counts: Counts) {
        if let Some(known) = self.0.get_mut(minute.rem_euclid(MINUTES) as usize) {
            let mut sum = known.unwrap_or(Counts::ZERO);
            sum += counts;
            *known = Some(Counts { good: sum.good.min(COUNT_CEILING), bad: sum.bad.min(COUNT_CEILING) });
        }
    }

    /// Returns the minutes that are known, by their number since the epoch.
    pub(super) fn minutes(&self, hour: i64) -> impl Iterator<Item = (i64, Counts)> {
        let first = hour.saturating_mul(MINUTES);
        (first..).zip(&self.0).filter_map(|(minute, counts)| counts.map(|counts| (minute, counts)))
    }

    fn encode(&self) -> Vec<u8> {
        let bits = self.0.iter().rev().fold(0_u64, |bits, known| bits << 1 | u64::from(known.is_some()));
        let mut bytes = bits.to_le_bytes().to_vec();
        for counts in self.0.iter().flatten() {
            put(&mut bytes, counts.good);
            put(&mut bytes, counts.bad);
        }
        bytes
    }

    /// # Errors
    /// Fails when the value is not one of [`Hour::encode`].
    pub(super) fn decode(bytes: &[u8]) -> sqlx::Result<Self> {
        let damaged = || sqlx::Error::Decode("an hour of counts is damaged".into());
        let (bits, mut rest) = bytes.split_first_chunk().ok_or_else(damaged)?;
        let bits = u64::from_le_bytes(*bits);
        let mut hour = Self::default();
        let known = hour.0.iter_mut().enumerate().filter(|(minute, _)| bits >> minute & 1 == 1);
        for (_, known) in known {
            let mut number = || take(&mut rest).filter(|&n| n <= COUNT_CEILING).ok_or_else(damaged);
            *known = Some(Counts { good: number()?, bad: number()? });
        }
        if rest.is_empty() && bits >> MINUTES == 0 { Ok(hour) } else { Err(damaged()) }
    }
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS - 1).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Hours by the number of their SLO and their own.
#[derive(Debug, Default)]
pub(super) struct Hours(BTreeMap<(i64, i64), Hour>);

impl Hours {
    /// Adds to a minute of an SLO, given by its number since the epoch.
    pub(super) fn add(&mut self, slo: i64, minute: i64, counts: Counts) {
        self.0.entry((slo, minute.div_euclid(MINUTES))).or_default().add(minute, counts);
    }

    /// Adds all of it to what is stored.
    pub(super) async fn store(mut self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let keys: Vec<(i64, i64)> = self.0.keys().copied().collect();
        for keys in keys.chunks(HOURS_PER_STATEMENT) {
            let mut stored = QueryBuilder::<Sqlite>::new("select hour.slo, hour.hour, hour.counts from (");
            stored.push_values(keys, |mut tuple, (slo, hour)| {
                tuple.push_bind(*slo).push_bind(*hour);
            });
            stored.push(") as new join hour on hour.slo = new.column1 and hour.hour = new.column2");
            let stored: Vec<(i64, i64, Vec<u8>)> =
                stored.build_query_as().persistent(false).fetch_all(&mut *connection).await?;
            for (slo, hour, counts) in stored {
                for (minute, counts) in Hour::decode(&counts)?.minutes(hour) {
                    self.add(slo, minute, counts);
                }
            }
            let mut put = QueryBuilder::<Sqlite>::new("insert into hour (slo, hour, counts) ");
            put.push_values(keys, |mut tuple, key| {
                let counts = self.0.get(key).map(Hour::encode).unwrap_or_default();
                tuple.push_bind(key.0).push_bind(key.1).push_bind(counts);
            });
            put.push(" on conflict (slo, hour) do update set counts = excluded.counts");
            put.build().persistent(false).execute(&mut *connection).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_hour_of_usual_traffic_is_small() {
        let mut hour = Hour::default();
        (0..60).for_each(|minute| hour.add(minute, Counts { good: 60_000, bad: 60 }));
        assert_eq!(hour.encode().len(), 8 + 60 * 4);
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let mut hour = Hour::default();
        hour.add(3, Counts { good: 300, bad: 0 });
        let whole = hour.encode();
        for damaged in
            [&whole[..7], &whole[..10], &[whole.as_slice(), &[0]].concat(), &[0xff; 9], &[0xff; 2000]]
        {
            assert!(Hour::decode(damaged).is_err(), "{damaged:?}");
        }
    }

    proptest! {
        #[test]
        fn an_hour_reads_as_it_was_written(
            added in prop::collection::vec((0_i64..60, any::<u64>(), any::<u64>(), 0_u32..64), 0..90),
        ) {
            let mut hour = Hour::default();
            let mut sums: BTreeMap<i64, Counts> = BTreeMap::new();
            for (minute, good, bad, digits) in added {
                let counts = Counts { good: (good >> digits).min(COUNT_CEILING), bad: (bad >> digits).min(COUNT_CEILING) };
                hour.add(minute + 6000, counts);
                *sums.entry(minute + 6000).or_default() += counts;
            }
            for sum in sums.values_mut() {
                *sum = Counts { good: sum.good.min(COUNT_CEILING), bad: sum.bad.min(COUNT_CEILING) };
            }
            let read = Hour::decode(&hour.encode()).unwrap();
            prop_assert_eq!(&read, &hour);
            prop_assert_eq!(read.minutes(100).collect::<BTreeMap<_, _>>(), sums);
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(hour) = Hour::decode(&bytes) {
                prop_assert_eq!(Hour::decode(&hour.encode()).unwrap(), hour);
            }
        }
    }
}
