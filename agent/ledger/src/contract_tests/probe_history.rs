//! History of probes.

use lookout_model::probe_history::{ProbeCounts, ProbeMinute};

use super::*;

promises! {
    minutes_of_probes_add_up_to_hours
    old_hours_of_probes_get_smaller_and_end
}

fn minute(target: &str, minute: i64, probes: u64, failed: u64) -> ProbeMinute {
    let mut counts = ProbeCounts::default();
    for number in 0..probes {
        counts.add_probe(Duration::from_millis(20 + number), number >= failed);
    }
    ProbeMinute { target: target.to_owned(), minute, counts }
}

/// Probes, failures and the length of the shortest span of each hour.
async fn history(ledger: &dyn Ledger, target: &str, from_h: i64, until_h: i64) -> Vec<(i64, u64, u64, u8)> {
    let at = |hour: i64| Timestamp::from_seconds(hour * 3600);
    let hours = ledger.probe_hours(target, at(from_h), at(until_h)).await.unwrap();
    let sums = hours.into_iter().map(|(hour, probes)| {
        let sum = |of: fn(&ProbeCounts) -> u64| probes.spans().map(|(_, counts)| of(counts)).sum();
        let shortest = probes.spans().map(|(span, _)| span.minutes).min().unwrap();
        (hour, sum(ProbeCounts::probes), sum(ProbeCounts::failed), shortest)
    });
    sums.collect()
}

async fn minutes_of_probes_add_up_to_hours(ledger: &dyn Ledger) {
    assert_eq!(history(ledger, "api", 0, 9).await, []);
    let first = [minute("api", 119, 6, 1), minute("api", 120, 6, 0), minute("web", 120, 3, 3)];
    ledger.add_probe_minutes(&first).await.unwrap();
    ledger.add_probe_minutes(&[minute("api", 120, 1, 1), minute("api", 121, 2, 0)]).await.unwrap();
    ledger.add_probe_minutes(&[]).await.unwrap();
    assert_eq!(history(ledger, "api", 0, 9).await, [(1, 6, 1, 1), (2, 9, 1, 1)]);
    assert_eq!(history(ledger, "api", 2, 2).await, [(2, 9, 1, 1)]);
    assert_eq!(history(ledger, "web", 0, 9).await, [(2, 3, 3, 1)]);
}

async fn old_hours_of_probes_get_smaller_and_end(ledger: &dyn Ledger) {
    let hour: Vec<_> = (0..60).map(|number| minute("api", number, 6, 1)).collect();
    ledger.add_probe_minutes(&hour).await.unwrap();
    ledger.prune(EPOCH + 7 * DAY).await.unwrap();
    assert_eq!(history(ledger, "api", 0, 0).await, [(0, 360, 60, 1)]);
    ledger.prune(EPOCH + 7 * DAY + HOUR).await.unwrap();
    let old = history(ledger, "api", 0, 0).await;
    assert_eq!((old[0].1, old[0].2, old[0].3 > 1), (360, 60, true), "{old:?}");
    ledger.prune(EPOCH + 90 * DAY).await.unwrap();
    assert_eq!(history(ledger, "api", 0, 0).await.len(), 1);
    ledger.prune(EPOCH + 90 * DAY + HOUR).await.unwrap();
    assert_eq!(history(ledger, "api", 0, 0).await, []);
}
