//! Corrections of past and future, against sums that know nothing of evaluators.

use std::collections::BTreeMap;

use lookout_engine::{DataState, Grid, Period, Tier, Window};
use lookout_model::{GridTime, Timestamp};
use proptest::prelude::*;

use super::*;
use lookout_config::{UrlOptions, config_of_urls};
use lookout_ledger::{CorrectionStore as _, CountStore as _, IncidentStore as _, MemoryLedger};
use lookout_model::sample::correction;
use lookout_model::{CorrectionRecord, Revocation};

const SLOT: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// The end of the recorded time: a whole hour.
const END: Timestamp = Timestamp::from_seconds(1_772_359_200);
const LONG: Duration = Duration::from_secs(9 * 3600);

fn config() -> Arc<Config> {
    let url = "http://service.test/".parse().unwrap();
    let mut config = config_of_urls(&[url], &UrlOptions::default());
    config.grid = Grid::try_new(10).unwrap();
    for slo in &mut config.slos {
        slo.policy.grid = config.grid;
        slo.policy.period = Period::Rolling(Window::days(30));
        slo.policy.tiers = Tier::defaults(Window::days(30));
        slo.policy.stale_after_seconds = 35;
    }
    Arc::new(config)
}

async fn driver(ledger: &Arc<MemoryLedger>, now: Timestamp) -> Driver {
    let ledger = Arc::clone(ledger) as Arc<dyn Ledger>;
    Driver::restore(config(), ledger, Arc::new(|_| None), now).await.unwrap()
}

/// A driver whose source is observed every ten minutes, so that the time between two observations is no gap.
async fn sparse_driver(ledger: &Arc<MemoryLedger>, now: Timestamp) -> Driver {
    let mut config = Config::clone(&config());
    config.slos.iter_mut().for_each(|slo| slo.policy.stale_after_seconds = 7200);
    let ledger = Arc::clone(ledger) as Arc<dyn Ledger>;
    Driver::restore(Arc::new(config), ledger, Arc::new(|_| None), now).await.unwrap()
}

fn slot(at: Timestamp) -> Slot {
    config().grid.slot_at(at)
}

fn observation(at: Timestamp, counts: Counts) -> Observation {
    Observation::new(0, slot(at), counts)
}

/// Good and bad events of every slot, oldest first, up to the end.
type World = BTreeMap<Timestamp, Counts>;

fn world() -> impl Strategy<Value = World> {
    // mostly fine, at times bad, at times nothing is observed
    let counts = prop_oneof![
        6 => (1_u64..9).prop_map(|good| Some(Counts { good, bad: 0 })),
        2 => (0_u64..9, 1_u64..9).prop_map(|(good, bad)| Some(Counts { good, bad })),
        1 => Just(None),
    ];
    // every tenth minute, so that nine hours are quickly made
    prop::collection::vec(counts, LONG.as_secs() as usize / 600).prop_map(|all| {
        let slots = all.into_iter().enumerate();
        slots.filter_map(|(n, counts)| Some((END - LONG + n as u32 * 10 * MINUTE, counts?))).collect()
    })
}

fn corrections() -> impl Strategy<Value = Vec<CorrectionRecord>> {
    let millis = |from: Duration, to: Duration| {
        (from.as_millis() as u64..to.as_millis() as u64).prop_map(Duration::from_millis)
    };
    let times = (millis(Duration::ZERO, LONG), millis(MINUTE, 3 * HOUR), 0..4);
    let one = times.prop_map(|(from, long, kind)| CorrectionRecord {
        from: END - from,
        to: Some(END - from + long),
        recurrence: (kind == 0).then(|| "daily 06:00 for 45m in Asia/Kolkata".parse().unwrap()),
        revoked: (kind == 1).then(|| revocation(END)),
        ..correction("")
    });
    prop::collection::vec(one, 0..6)
}

fn revocation(at: Timestamp) -> Revocation {
    Revocation { at, actor: "ops".to_owned(), reason: "wrong".to_owned() }
}

/// Returns the counts of a window that ends at the end, slot by slot.
fn sum(world: &World, corrections: &[CorrectionRecord], from: Timestamp) -> Counts {
    let counts = |at: Timestamp| {
        let minute = at.floor(MINUTE);
        !corrections
            .iter()
            .any(|one| !lookout_model::expand([one], minute, minute + MINUTE, MINUTE).is_empty())
    };
    let mut sum = Counts::ZERO;
    world.range(from..).filter(|(at, _)| counts(**at)).for_each(|(_, counts)| sum += *counts);
    sum
}

async fn write(ledger: &MemoryLedger, corrections: &[CorrectionRecord]) {
    for (n, one) in corrections.iter().enumerate() {
        let id = format!("cor-{n}");
        let written = CorrectionRecord { id: id.clone(), revoked: None, ..one.clone() };
        assert!(ledger.record_correction(&written).await.unwrap());
        if let Some(revocation) = &one.revoked {
            ledger.revoke_correction(&id, revocation).await.unwrap();
        }
    }
}

/// Returns the part of the last status that rests on counts alone.
fn figures(snapshot: &Snapshot) -> String {
    let mut evidence = snapshot.slos[0].evidence.clone();
    // a tier that is frozen since a restart is that of the incident, not of the counts
    evidence.tiers.iter_mut().for_each(|tier| tier.firing = false);
    if let Some(present) = &mut evidence.present {
        (present.status, present.lets_go_after_s) = (lookout_engine::Status::Healthy, None);
    }
    format!("{evidence:?} {:?}", snapshot.slos[0].data_age_s)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Known before, written when it was all over, and read back after a restart: one and the same, and the sum of what
    /// is not corrected.
    #[test]
    fn windows_are_the_sums_of_what_counts(world in world(), corrections in corrections()) {
        block_on(async {
            let last = slot(END).plus(-1);
            let planned = Arc::new(MemoryLedger::default());
            write(&planned, &corrections).await;
            let mut live = sparse_driver(&planned, END - LONG).await;
            let late = Arc::new(MemoryLedger::default());
            let mut retroactive = sparse_driver(&late, END - LONG).await;
            for (at, counts) in &world {
                live.record(observation(*at, *counts));
                live.tick(slot(*at)).await;
                retroactive.record(observation(*at, *counts));
                retroactive.tick(slot(*at)).await;
            }
            let (planned_for, _) = live.tick(last).await;
            write(&late, &corrections).await;
            let (corrected, _) = retroactive.tick(last).await;
            late.prune(END).await.unwrap();
            let (restarted, _) = sparse_driver(&late, END).await.tick(last).await;

            prop_assert_eq!(figures(&corrected), figures(&restarted));
            let evidence = &corrected.slos[0].evidence;
            prop_assert_eq!(&planned_for.slos[0].evidence.tiers[0].long_total, &evidence.tiers[0].long_total);
            for tier in &evidence.tiers {
                let from = END - Duration::from_secs(tier.long_s);
                let expected = sum(&world, &corrections, from);
                prop_assert_eq!((tier.long_bad, tier.long_total), (expected.bad, expected.total()), "{:?}", tier);
            }
            let expected = sum(&world, &corrections, Timestamp::MIN);
            prop_assert_eq!((evidence.bad, evidence.total), (expected.bad, expected.total()));
            let planned_for = &planned_for.slos[0].evidence;
            prop_assert_eq!((planned_for.bad, planned_for.total), (expected.bad, expected.total()));
            prop_assert_eq!(&planned_for.corrected, &evidence.corrected);
            // revoked, all of it is back
            for n in 0..corrections.len() {
                late.revoke_correction(&format!("cor-{n}"), &revocation(END)).await.unwrap();
            }
            let (restored, _) = retroactive.tick(last).await;
            let expected = sum(&world, &[], Timestamp::MIN);
            let evidence = &restored.slos[0].evidence;
            prop_assert_eq!((evidence.bad, evidence.total), (expected.bad, expected.total()));
            prop_assert_eq!(evidence.corrected.seconds, 0);
            Ok(())
        })?;
    }
}

/// The starts of the slots between two instants.
fn slots(from: Timestamp, to: Timestamp) -> impl Iterator<Item = Timestamp> {
    std::iter::successors(Some(from), |at| Some(*at + SLOT)).take_while(move |at| *at < to)
}

/// Ten minutes of traffic, all of it bad for the last two.
async fn outage(driver: &mut Driver, from: Timestamp, minutes: u32, bad: bool) -> (Snapshot, bool) {
    let mut last = None;
    for at in slots(from, from + minutes * MINUTE) {
        let counts = if bad { Counts { good: 0, bad: 5 } } else { Counts { good: 5, bad: 0 } };
        driver.record(observation(at, counts));
        last = Some(driver.tick(slot(at)).await);
    }
    last.unwrap()
}

#[tokio::test]
async fn a_corrected_incident_is_resolved_and_a_revoked_correction_reopens_it() {
    let ledger = Arc::new(MemoryLedger::default());
    let start = END - LONG;
    let mut driver = driver(&ledger, start).await;
    outage(&mut driver, start, 60, false).await;
    let (burning, _) = outage(&mut driver, start + HOUR, 10, true).await;
    let open = burning.slos[0].incidents.clone();
    assert_eq!(open.len(), 1, "{burning:?}");

    let half =
        CorrectionRecord { from: start + HOUR, to: Some(start + HOUR + 5 * MINUTE), ..correction("cor-1") };
    ledger.record_correction(&half).await.unwrap();
    let (still, _) = outage(&mut driver, start + 70 * MINUTE, 1, true).await;
    assert_eq!(still.slos[0].incidents, open, "half of it is enough to burn: same id, same start");
    assert_eq!(still.slos[0].evidence.bad, 6 * 6 * 5);

    let whole = CorrectionRecord { to: Some(start + 2 * HOUR), ..half };
    ledger.record_correction(&CorrectionRecord { id: "cor-2".to_owned(), ..whole }).await.unwrap();
    let (over, told) = driver.tick(slot(start + 71 * MINUTE)).await;
    assert!(told);
    let evidence = &over.slos[0].evidence;
    assert_eq!((over.slos[0].incidents.len(), evidence.bad, evidence.budget_left_ratio), (0, 0, 1.0));
    let ended = ledger.incidents(None, 9).await.unwrap();
    assert_eq!((ended.len(), &ended[0].id), (1, &open[0].id));
    assert!(ended[0].resolved_at.is_some());
    let notice = &ledger.latest_transitions(Timestamp::EPOCH).await.unwrap()[0].notice;
    assert_eq!(notice.evidence.corrected.entries.len(), 2, "what is told names the corrections");
    assert!(notice.evidence.corrected.now);

    ledger.revoke_correction("cor-2", &revocation(start)).await.unwrap();
    let (again, _) = driver.tick(slot(start + 71 * MINUTE + SLOT)).await;
    assert_eq!(again.slos[0].evidence.bad, 6 * 6 * 5, "the counts were there all the time");
    assert_eq!(again.slos[0].incidents.len(), 1);
    assert_eq!(again.slos[0].incidents[0].id, open[0].id, "the same incident, a moment later");
}

#[tokio::test]
async fn counts_that_wait_for_the_ledger_and_early_ones_survive_a_correction() {
    let ledger = Arc::new(MemoryLedger::default());
    let start = END - LONG;
    let mut driver = driver(&ledger, start).await;
    outage(&mut driver, start, 10, false).await;
    let now = start + 10 * MINUTE;
    // one of the slot that closes, one of the next that came early
    driver.record(observation(now, Counts { good: 1, bad: 0 }));
    driver.record(observation(now + SLOT, Counts { good: 2, bad: 0 }));
    ledger
        .record_correction(&CorrectionRecord { from: start, to: Some(start + MINUTE), ..correction("cor-1") })
        .await
        .unwrap();
    let (first, _) = driver.tick(slot(now)).await;
    assert_eq!(first.slos[0].evidence.total, 9 * 6 * 5 + 1);
    // stored early, then read back by another correction
    ledger
        .record_correction(&CorrectionRecord {
            from: start,
            to: Some(start + 2 * MINUTE),
            ..correction("cor-2")
        })
        .await
        .unwrap();
    let (second, _) = driver.tick(slot(now + SLOT)).await;
    assert_eq!(second.slos[0].evidence.total, 8 * 6 * 5 + 1 + 2);
    let corrected = &second.slos[0].evidence.corrected;
    assert_eq!((corrected.seconds, corrected.now), (120, false), "what overlaps is counted once");
    let seconds: Vec<u64> = corrected.entries.iter().map(|entry| entry.seconds).collect();
    assert_eq!(seconds, [120, 60]);
}

#[tokio::test]
async fn a_source_that_is_silent_during_maintenance_is_not_missed() {
    for (corrected, missing) in [(true, 0), (false, 1)] {
        let ledger = Arc::new(MemoryLedger::default());
        let start = END - LONG;
        if corrected {
            let window = CorrectionRecord {
                from: start + 10 * MINUTE,
                to: Some(start + 40 * MINUTE),
                ..correction("cor-1")
            };
            ledger.record_correction(&window).await.unwrap();
        }
        let mut driver = driver(&ledger, start).await;
        outage(&mut driver, start, 10, false).await;
        for at in slots(start + 10 * MINUTE, start + 40 * MINUTE) {
            let (snapshot, _) = driver.tick(slot(at)).await;
            if corrected {
                assert_ne!(snapshot.slos[0].evidence.data_state, DataState::Stale);
                assert_eq!(snapshot.slos[0].data_age_s, Some(0.0));
            }
        }
        assert_eq!(ledger.incidents(None, 9).await.unwrap().len(), missing);
        // the same after a restart, and from its end on silence counts again
        let mut driver = Driver::restore(
            config(),
            Arc::clone(&ledger) as Arc<dyn Ledger>,
            Arc::new(|_| None),
            start + 40 * MINUTE,
        )
        .await
        .unwrap();
        let (snapshot, _) = driver.tick(slot(start + 40 * MINUTE)).await;
        assert_eq!(snapshot.slos[0].data_age_s, Some(if corrected { 10.0 } else { 30.0 * 60.0 + 10.0 }));
    }
}

#[tokio::test]
async fn maintenance_that_comes_again_is_known_however_long_the_agent_runs() {
    let ledger = Arc::new(MemoryLedger::default());
    let daily = CorrectionRecord {
        from: END - LONG,
        to: None,
        recurrence: Some("daily 02:00 for 1h".parse().unwrap()),
        ..correction("cor-1")
    };
    ledger.record_correction(&daily).await.unwrap();
    let mut driver = driver(&ledger, END).await;
    let midnight = END.floor(24 * HOUR);
    for day in 1..9 {
        let at = midnight + day * 24 * HOUR + 2 * HOUR + 30 * MINUTE;
        driver.record(observation(at, Counts { good: 0, bad: 100 }));
        let (snapshot, _) = driver.tick(slot(at)).await;
        assert!(snapshot.slos[0].evidence.corrected.now, "day {day}");
        assert_eq!(snapshot.slos[0].evidence.bad, 0, "day {day}");
    }
}

#[tokio::test]
async fn counts_that_no_service_can_have_are_neither_counted_nor_stored() {
    let ledger = Arc::new(MemoryLedger::default());
    let mut driver = driver(&ledger, END - HOUR).await;
    for absurd in [Counts { good: u64::MAX, bad: u64::MAX }, Counts { good: 1 << 60, bad: 0 }] {
        driver.record(observation(END - MINUTE, absurd));
    }
    driver.record(observation(END - MINUTE, Counts { good: 3, bad: 1 }));
    let (snapshot, _) = driver.tick(slot(END - MINUTE)).await;
    assert_eq!((snapshot.slos[0].evidence.total, snapshot.slos[0].evidence.bad), (4, 1));
    let stored = ledger.counts(&config().slos[0].id(), Timestamp::EPOCH).await.unwrap().total();
    assert_eq!((stored.good, stored.bad), (3, 1));
}
