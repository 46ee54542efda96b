use core::time::Duration;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn minute(durations: &[u64], failed: usize, missed: u64) -> ProbeCounts {
    let mut counts = ProbeCounts::default();
    for (place, ms) in durations.iter().enumerate() {
        counts.add_probe(Duration::from_millis(*ms), place >= failed);
    }
    counts.add_missed(missed);
    counts
}

#[test]
fn percentiles_are_bounds_that_are_at_most_a_fifth_too_high() {
    let counts = minute(&(1..=100).collect::<Vec<_>>(), 3, 2);
    assert_eq!((counts.probes(), counts.failed(), counts.missed()), (100, 3, 2));
    for (share, exact) in [(0.5, 50.0), (0.9, 90.0), (0.99, 99.0), (1.0, 100.0)] {
        let told = counts.percentile(share).unwrap().as_secs_f64() * 1e3;
        assert!(told >= exact && told <= exact * 1.2, "{share}: {told}");
    }
    assert_eq!(ProbeCounts::default().percentile(0.5), None);
}

#[test]
fn an_hour_of_a_steady_target_keeps_its_minutes() {
    let mut hour = ProbeHour::default();
    for number in 0..60 {
        hour.add(number, &minute(&[20, 21, 22, 23, 24, 25], 0, 0));
    }
    let bytes = hour.encode(RECENT_HOUR_BYTES);
    assert!(bytes.len() <= RECENT_HOUR_BYTES, "{}", bytes.len());
    let read = ProbeHour::decode(&bytes).unwrap();
    assert_eq!(read.spans().count(), 60);
    assert!(read.spans().all(|(span, counts)| span.minutes == 1 && counts.probes() == 6));
}

#[test]
fn what_is_damaged_is_refused() {
    let mut hour = ProbeHour::default();
    hour.add(7, &minute(&[20, 9_000], 1, 300));
    let whole = hour.encode(RECENT_HOUR_BYTES);
    assert_eq!(ProbeHour::decode(&whole), Some(hour));
    for cut in 2..whole.len() {
        assert_eq!(ProbeHour::decode(&whole[..cut]), None, "{cut}");
    }
    for damaged in [vec![], vec![200], vec![0xff; 9], vec![0, 0xff, 0xff, 0xff, 0xff], vec![0; 100]] {
        assert_eq!(ProbeHour::decode(&damaged), None, "{damaged:?}");
    }
}

type Written = Vec<(u8, u64, bool, u64)>;

/// Minute, microseconds, whether it was good, slots missed.
fn written() -> impl Strategy<Value = Written> {
    prop::collection::vec((0_u8..60, 0_u64..200_000_000, any::<bool>(), 0_u64..3), 0..3000)
}

fn hour_of(written: &Written) -> ProbeHour {
    let mut hour = ProbeHour::default();
    for (at, us, is_ok, missed) in written {
        let mut counts = ProbeCounts::default();
        counts.add_probe(Duration::from_micros(*us), *is_ok);
        counts.add_missed(*missed);
        hour.add(*at, &counts);
    }
    hour
}

/// Probes, failures and misses of each quarter of an hour, or of the hour where spans are longer.
fn sums(hour: &ProbeHour, minutes: u8) -> BTreeMap<u8, (u64, u64, u64)> {
    let mut sums: BTreeMap<u8, (u64, u64, u64)> = BTreeMap::new();
    for (span, counts) in hour.spans() {
        let sum = sums.entry(span.minute / minutes).or_default();
        *sum = (sum.0 + counts.probes(), sum.1 + counts.failed(), sum.2 + counts.missed());
    }
    sums
}

proptest! {
    #[test]
    fn an_hour_fits_and_loses_no_probe(written in written(), limit in prop::sample::select(vec![OLD_HOUR_BYTES, RECENT_HOUR_BYTES])) {
        let hour = hour_of(&written);
        let bytes = hour.encode(limit);
        prop_assert!(bytes.len() <= limit, "{} bytes", bytes.len());
        let read = ProbeHour::decode(&bytes).unwrap();
        let longest = read.spans().map(|(span, _)| span.minutes).max().unwrap_or(1);
        prop_assert_eq!(sums(&read, longest), sums(&hour, longest));
        prop_assert_eq!(&read.encode(limit), &bytes, "what was read is written again as it was");
        for ((_, coarse), share) in read.spans().flat_map(|span| [(span, 0.5), (span, 0.99)]) {
            prop_assert!(coarse.probes() == 0 || coarse.percentile(share).is_some());
        }
    }

    #[test]
    fn an_hour_that_fits_reads_as_it_was_written(written in prop::collection::vec((0_u8..60, 1_000_u64..9_000, any::<bool>(), 0_u64..3), 0..40)) {
        let hour = hour_of(&written);
        prop_assert_eq!(ProbeHour::decode(&hour.encode(usize::MAX)), Some(hour));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Some(hour) = ProbeHour::decode(&bytes) {
            prop_assert!(hour.spans().all(|(span, _)| span.minute < 60));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn counts_of_any_size_fit(probes in any::<u64>(), failed in any::<u64>(), missed in any::<u64>()) {
        let mut hour = ProbeHour::default();
        for at in 0..60 {
            let durations = (0..80).map(|bucket| (bucket, probes >> (bucket % 60)).max((bucket, 1))).collect();
            hour.add(at, &ProbeCounts::of_parts(durations, failed, missed));
        }
        prop_assert!(hour.encode(RECENT_HOUR_BYTES).len() <= RECENT_HOUR_BYTES);
        prop_assert!(hour.encode(OLD_HOUR_BYTES).len() <= OLD_HOUR_BYTES + 16);
    }
}
