//! The promises about counts, objectives and their retention.

use lookout_engine::{Counts, Severity};
use lookout_model::sample::{T0, lifecycle, transition};

use super::*;

async fn counts_of_a_slot_add_up(ledger: &dyn Ledger) {
    ledger.commit(&[row(100, 5, 1), row(90, 1, 0), row(100, 2, 2)], &[]).await.unwrap();
    let other = CountRow { slo_id: "other".to_owned(), ..row(100, 7, 7) };
    ledger.commit(&[row(100, 0, 4), row(110, 0, 0), other], &[]).await.unwrap();
    let expected = vec![
        (90, 10, Counts { good: 1, bad: 0 }),
        (100, 10, Counts { good: 7, bad: 7 }),
        (110, 10, Counts::ZERO),
    ];
    assert_eq!(ledger.counts(SLO, EPOCH).await.unwrap().slots(), expected, "nothing happened is kept too");
    assert_eq!(ledger.counts(SLO, Timestamp::from_seconds(100)).await.unwrap().slots(), expected[1..]);
    assert_eq!(ledger.counts("unknown", EPOCH).await.unwrap(), CountSeries::default());
}

async fn absurd_counts_stay_readable(ledger: &dyn Ledger) {
    for _ in 0..3 {
        ledger.commit(&[row(0, u64::MAX, 1 << 53), row(10, u64::MAX, 0)], &[]).await.unwrap();
    }
    ledger.prune(EPOCH + DAY).await.unwrap();
    let counts = ledger.counts(SLO, EPOCH).await.unwrap();
    assert_eq!(counts.minutes(), [(0, Counts { good: 1 << 53, bad: 1 << 53 })]);
}

async fn many_rows_in_one_tick(ledger: &dyn Ledger) {
    let rows: Vec<_> = (0..2500).map(|n| row(n * 10, 1, 0)).collect();
    ledger.commit(&rows, &[]).await.unwrap();
    assert_eq!(ledger.counts(SLO, EPOCH).await.unwrap().slots().len(), 2500);
}

async fn old_slots_become_minutes(ledger: &dyn Ledger) {
    let minute = T0.as_seconds() / 60;
    let start = minute * 60;
    let rows: Vec<_> = (0..12).map(|n| row(start + n * 10, 3, 1)).collect();
    ledger.commit(&rows, &[]).await.unwrap();
    ledger.prune(T0 + 7 * HOUR + Duration::from_millis(119_999)).await.unwrap();
    let counts = ledger.counts(SLO, EPOCH).await.unwrap();
    assert_eq!(counts.minutes(), [(minute, Counts { good: 18, bad: 6 })]);
    assert_eq!(counts.slots().len(), 6, "a minute that is not wholly past stays in slots");

    ledger.commit(&[row(start, 1, 0)], &[]).await.unwrap();
    ledger.prune(T0 + 7 * HOUR + Duration::from_secs(120)).await.unwrap();
    let counts = ledger.counts(SLO, EPOCH).await.unwrap();
    let expected = [(minute, Counts { good: 19, bad: 6 }), (minute + 1, Counts { good: 18, bad: 6 })];
    assert_eq!((counts.minutes().as_slice(), counts.slots().len()), (expected.as_slice(), 0));
    assert_eq!(ledger.counts(SLO, T0 + TICK).await.unwrap().minutes(), expected[1..]);
}

async fn old_minutes_become_quarters_of_an_hour(ledger: &dyn Ledger) {
    let quarter = T0.as_seconds() / 900;
    let start = quarter * 900;
    let rows: Vec<_> = (0..180).map(|n| row(start + 20 + n * 10, 3, 1)).collect();
    ledger.commit(&rows, &[]).await.unwrap();
    let next_hour = row(start + 3600, 2, 0);
    ledger.commit(&[next_hour], &[]).await.unwrap();
    let end = T0 + 90 * DAY + HOUR;
    ledger.prune(end - TICK).await.unwrap();
    let counts = ledger.counts(SLO, EPOCH).await.unwrap();
    assert_eq!(
        (counts.minutes().len(), counts.quarters().len()),
        (32, 0),
        "an hour is kept until it is past"
    );
    assert_eq!(counts.first_s(), Some(start + 20), "to the second, whatever became of the slot");

    ledger.prune(end).await.unwrap();
    let counts = ledger.counts(SLO, EPOCH).await.unwrap();
    assert_eq!(counts.minutes(), [(start / 60 + 60, Counts { good: 2, bad: 0 })]);
    let of = |rows: u64| Counts { good: rows * 3, bad: rows };
    assert_eq!(counts.quarters(), [(quarter, of(88)), (quarter + 1, of(90)), (quarter + 2, of(2))]);
    ledger.commit(&[row(start + 890, 1, 0), row(start + 10, 0, 1)], &[]).await.unwrap();
    ledger.prune(end).await.unwrap();
    let counts = ledger.counts(SLO, T0).await.unwrap();
    let late = Counts { good: 88 * 3 + 1, bad: 89 };
    assert_eq!(counts.quarters()[0], (quarter, late), "late counts find their row");
    assert_eq!(counts.first_s(), Some(start + 10));
    assert_eq!(ledger.counts(SLO, T0 + TICK).await.unwrap().quarters().len(), 2);

    ledger.prune(T0 + 400 * DAY + Duration::from_secs(900)).await.unwrap();
    let counts = ledger.counts(SLO, EPOCH).await.unwrap();
    let numbers: Vec<i64> = counts.quarters().iter().map(|(number, _)| *number - quarter).collect();
    assert_eq!((numbers.as_slice(), counts.minutes().len()), ([1, 2, 4].as_slice(), 0));
    assert_eq!(counts.first_s(), Some(start + 10), "that something was observed is not forgotten");
}

async fn the_first_slot_is_known_before_anything_is_rolled_up(ledger: &dyn Ledger) {
    assert_eq!(ledger.counts(SLO, EPOCH).await.unwrap().first_s(), None);
    ledger.commit(&[row(70, 1, 0), row(50, 0, 0)], &[]).await.unwrap();
    assert_eq!(ledger.counts(SLO, Timestamp::from_seconds(60)).await.unwrap().first_s(), Some(50));
}

async fn the_last_call_of_a_job_is_kept(ledger: &dyn Ledger) {
    assert_eq!(ledger.heartbeats().await.unwrap(), []);
    for (name, second) in [("report", 5), ("backup", 10), ("backup", 30), ("backup", 20)] {
        ledger.record_heartbeat(name, Timestamp::from_seconds(second)).await.unwrap();
    }
    let last = |name: &str, second| (name.to_owned(), Timestamp::from_seconds(second));
    assert_eq!(ledger.heartbeats().await.unwrap(), [last("backup", 30), last("report", 5)]);
}

async fn a_target_has_one_pause(ledger: &dyn Ledger) {
    let pause = |target: &str, until, reason: &str| PauseRecord {
        target: target.to_owned(),
        from: Timestamp::from_seconds(1),
        until: Timestamp::from_seconds(until),
        reason: reason.to_owned(),
        actor: "ops".to_owned(),
    };
    assert_eq!(ledger.pauses().await.unwrap(), []);
    for one in [pause("web", 50, "backup"), pause("api", 60, "move"), pause("web", 70, "it takes longer")] {
        ledger.record_pause(&one).await.unwrap();
    }
    assert_eq!(
        ledger.pauses().await.unwrap(),
        [pause("api", 60, "move"), pause("web", 70, "it takes longer")]
    );
    ledger.prune(Timestamp::from_seconds(65 + 86_400)).await.unwrap();
    assert!(ledger.pauses().await.unwrap().contains(&pause("web", 70, "it takes longer")));
}

async fn objectives_are_kept_by_their_time(ledger: &dyn Ledger) {
    let version = |from_ms, good_ppb| ObjectiveRecord { from: Timestamp::from_millis(from_ms), good_ppb };
    for objective in [version(900, 990_000_000), version(0, 950_000_000), version(900, 999_000_000)] {
        ledger.record_objective(SLO, objective).await.unwrap();
    }
    let known = ledger.objectives(SLO).await.unwrap();
    assert_eq!(known, [version(0, 950_000_000), version(900, 999_000_000)]);
    assert_eq!(ledger.objectives("other").await.unwrap(), []);
    for n in 0..100 {
        ledger.record_objective(SLO, version(1000 + n, 0)).await.unwrap();
    }
    let known = ledger.objectives(SLO).await.unwrap();
    assert_eq!((known.len(), known[0].from), (64, Timestamp::from_millis(1036)));
}

async fn concurrent_ticks_all_count(ledger: &dyn Ledger) {
    let ticks = (0..20).map(|n| async move {
        let [_, escalated, ..] = lifecycle(T0 + Duration::from_millis(n), &["slack"]);
        let change =
            transition(escalated.change, T0 + Duration::from_millis(n), escalated.incident, &["slack"]);
        ledger.commit(&[row(0, 1, 1)], &[change]).await.unwrap();
    });
    futures_util::future::join_all(ticks).await;
    assert_eq!(ledger.counts(SLO, EPOCH).await.unwrap().slots(), [(0, 10, Counts { good: 20, bad: 20 })]);
    assert_eq!(ledger.waiting("slack").await.unwrap().1, 20);
    assert_eq!(ledger.open_incidents().await.unwrap().len(), 20);
    assert!(ledger.open_incidents().await.unwrap().iter().all(|i| i.peak == Severity::Page));
}

promises! {
    counts_of_a_slot_add_up
    absurd_counts_stay_readable
    many_rows_in_one_tick
    old_slots_become_minutes
    old_minutes_become_quarters_of_an_hour
    the_first_slot_is_known_before_anything_is_rolled_up
    the_last_call_of_a_job_is_kept
    a_target_has_one_pause
    objectives_are_kept_by_their_time
    concurrent_ticks_all_count
}
