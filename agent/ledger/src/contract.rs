//! The promises of [`Ledger`], kept by every implementation: each of these runs against all of them.

use lookout_engine::{Change, Counts, Severity};

mod states;

use self::states::states_come_back_with_the_tick_they_belong_to;
use super::*;
use lookout_model::sample::{T0, correction, deploy, lifecycle, transition};
use lookout_model::{CorrectionKind, CorrectionScope, MAX_IN_FORCE, Notice};

const SLO: &str = "titanic-requests-availability";
const EPOCH: Timestamp = Timestamp::EPOCH;
const TICK: Duration = Timestamp::TICK;
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn row(start_s: i64, good: u64, bad: u64) -> CountRow {
    CountRow { slo_id: SLO.to_owned(), start_s, width_s: 10, good, bad }
}

async fn due(ledger: &dyn Ledger, destination: &str, now: Timestamp) -> Vec<Delivery> {
    ledger.due_deliveries(destination, now, 100).await.unwrap()
}

async fn deliver(ledger: &dyn Ledger, delivery: &Delivery, thread: Option<&str>) {
    ledger.begin_attempt(delivery.id, T0).await.unwrap();
    let result = DeliveryResult::Delivered { thread: thread.map(str::to_owned) };
    ledger.end_attempt(delivery.id, T0, &result).await.unwrap();
}

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

async fn an_incident_is_open_until_it_is_resolved(ledger: &dyn Ledger) {
    let [opened, escalated, _, resolved] = lifecycle(T0, &["slack"]);
    ledger.commit(&[], std::slice::from_ref(&opened)).await.unwrap();
    assert_eq!(ledger.open_incidents().await.unwrap(), [opened.incident]);
    ledger.commit(&[], std::slice::from_ref(&escalated)).await.unwrap();
    assert_eq!(ledger.open_incidents().await.unwrap(), std::slice::from_ref(&escalated.incident));
    assert_eq!(ledger.latest_transitions(Timestamp::MAX).await.unwrap(), [escalated]);
    ledger.commit(&[], std::slice::from_ref(&resolved)).await.unwrap();
    assert_eq!(ledger.open_incidents().await.unwrap(), []);
    let over_at = resolved.at;
    assert_eq!(ledger.latest_transitions(over_at).await.unwrap(), std::slice::from_ref(&resolved));
    assert_eq!(ledger.latest_transitions(over_at + TICK).await.unwrap(), []);

    let [later, ..] = lifecycle(T0 + DAY, &["slack"]);
    ledger.commit(&[], std::slice::from_ref(&later)).await.unwrap();
    assert_eq!(ledger.incidents(9).await.unwrap(), [later.incident.clone(), resolved.incident]);
    assert_eq!(ledger.incidents(1).await.unwrap(), [later.incident]);
}

async fn a_transition_is_stored_once(ledger: &dyn Ledger) {
    let [opened, escalated, ..] = lifecycle(T0, &["slack", "alertmanager", "slack"]);
    ledger.commit(&[], &[opened.clone(), escalated.clone()]).await.unwrap();
    ledger.commit(&[row(0, 1, 0)], &[opened, escalated.clone()]).await.unwrap();
    assert_eq!(ledger.waiting("slack").await.unwrap().1, 2);
    assert_eq!(ledger.waiting("alertmanager").await.unwrap().1, 2);
    assert_eq!(
        ledger.open_incidents().await.unwrap(),
        [escalated.incident],
        "an old one does not turn time back"
    );
    assert_eq!(ledger.counts(SLO, EPOCH).await.unwrap().slots().len(), 1);
}

async fn later_transitions_wait_for_earlier_ones(ledger: &dyn Ledger) {
    let story = lifecycle(T0, &["slack"]);
    ledger.commit(&[], &story).await.unwrap();
    let mut told = Vec::new();
    while let [delivery] = due(ledger, "slack", T0).await.as_slice() {
        told.push(delivery.notice.change);
        deliver(ledger, delivery, None).await;
    }
    assert_eq!(told, [Change::Opened, Change::Escalated, Change::Eased, Change::Resolved]);
    assert_eq!(ledger.waiting("slack").await.unwrap(), (None, 0));
}

async fn incidents_do_not_wait_for_each_other(ledger: &dyn Ledger) {
    let [first, second, ..] = lifecycle(T0, &["slack"]);
    let [other, ..] = lifecycle(T0 + Duration::from_secs(1), &["slack"]);
    ledger.commit(&[], &[first, second, other]).await.unwrap();
    let ready = due(ledger, "slack", T0).await;
    assert_eq!(
        ready.iter().map(|delivery| delivery.notice.at).collect::<Vec<_>>(),
        [T0, T0 + Duration::from_secs(1)]
    );
    assert_eq!(ledger.due_deliveries("slack", T0, 1).await.unwrap(), ready[..1]);
    let failed = DeliveryResult::Failed { error: "404".to_owned() };
    ledger.begin_attempt(ready[0].id, T0).await.unwrap();
    ledger.end_attempt(ready[0].id, T0, &failed).await.unwrap();
    let changes: Vec<_> = due(ledger, "slack", T0).await.into_iter().map(|d| d.notice.change).collect();
    assert_eq!(changes, [Change::Escalated, Change::Opened], "a failed one does not hold up the next");
}

async fn a_retry_is_due_when_it_says(ledger: &dyn Ledger) {
    let [first, second, ..] = lifecycle(T0, &["slack"]);
    ledger.commit(&[], &[first, second]).await.unwrap();
    assert!(ledger.waiting("slack").await.unwrap().0.is_some_and(|at| at <= T0));
    let delivery = due(ledger, "slack", T0).await.remove(0);
    assert_eq!((delivery.attempts, delivery.unsure), (0, false));
    ledger.begin_attempt(delivery.id, T0).await.unwrap();
    let retry = DeliveryResult::Retry { at: T0 + Duration::from_secs(5), error: "429".to_owned() };
    ledger.end_attempt(delivery.id, T0, &retry).await.unwrap();
    assert_eq!(due(ledger, "slack", T0 + Duration::from_millis(4999)).await, []);
    assert_eq!(
        ledger.waiting("slack").await.unwrap(),
        (Some(T0 + Duration::from_secs(5)), 2),
        "the second waits for the first"
    );
    let again = due(ledger, "slack", T0 + Duration::from_secs(5)).await.remove(0);
    assert_eq!((again.id, again.attempts, again.unsure), (delivery.id, 1, false));
}

async fn an_attempt_of_unknown_outcome_is_remembered(ledger: &dyn Ledger) {
    let [first, ..] = lifecycle(T0, &["slack"]);
    ledger.commit(&[], &[first]).await.unwrap();
    let delivery = due(ledger, "slack", T0).await.remove(0);
    ledger.begin_attempt(delivery.id, T0).await.unwrap();
    assert!(due(ledger, "slack", T0).await[0].unsure, "begun, and never ended");
    let retry = DeliveryResult::Retry { at: T0, error: "refused".to_owned() };
    ledger.begin_attempt(delivery.id, T0).await.unwrap();
    ledger.end_attempt(delivery.id, T0, &retry).await.unwrap();
    assert!(due(ledger, "slack", T0).await[0].unsure, "a later refusal does not take it back");

    let [other, ..] = lifecycle(T0 + TICK, &["pager"]);
    ledger.commit(&[], &[other]).await.unwrap();
    let delivery = due(ledger, "pager", T0).await.remove(0);
    ledger.begin_attempt(delivery.id, T0).await.unwrap();
    let unsure = DeliveryResult::Unsure { at: T0 + TICK, error: "no answer".to_owned() };
    ledger.end_attempt(delivery.id, T0, &unsure).await.unwrap();
    assert!(due(ledger, "pager", T0 + TICK).await[0].unsure);
}

async fn the_first_message_names_the_thread(ledger: &dyn Ledger) {
    let [first, second, third, _] = lifecycle(T0, &["slack", "other"]);
    ledger.commit(&[], &[first, second, third]).await.unwrap();
    for (thread, known) in [(Some("C1:1.0"), None), (None, Some("C1:1.0")), (Some("C1:2.0"), Some("C1:1.0"))]
    {
        let delivery = due(ledger, "slack", T0).await.remove(0);
        assert_eq!(delivery.thread.as_deref(), known);
        deliver(ledger, &delivery, thread).await;
    }
    assert_eq!(due(ledger, "other", T0).await[0].thread, None);
}

async fn incidents_of_one_message_are_known(ledger: &dyn Ledger) {
    let stories = [0, 1, 2].map(|n| lifecycle(T0 + n * TICK, &["slack"]));
    let opened: Vec<_> = stories.iter().map(|story| story[0].clone()).collect();
    ledger.commit(&[], &opened).await.unwrap();
    let newest = async || ledger.newest_conversation("slack", "titanic", T0).await.unwrap();
    assert_eq!(newest().await, None, "nothing was told yet");
    let ids: Vec<i64> = due(ledger, "slack", T0).await.iter().map(|delivery| delivery.id).collect();
    ledger.begin_attempts(&ids, T0).await.unwrap();
    assert!(due(ledger, "slack", T0).await.iter().all(|delivery| delivery.unsure), "all were begun");
    let told = DeliveryResult::Delivered { thread: Some("C1:1".to_owned()) };
    ledger.end_attempts(&ids[..2], T0, &told).await.unwrap();
    let [first, second, third] = &stories;
    ledger.commit(&[], &first[1..]).await.unwrap();
    let members = ledger.conversation("slack", "C1:1").await.unwrap();
    assert_eq!(members, [first[3].notice.clone(), second[0].notice.clone()], "as they are now");
    assert_eq!(ledger.conversation("other", "C1:1").await.unwrap(), []);
    assert_eq!(newest().await.as_deref(), Some("C1:1"));
    let after = ledger.newest_conversation("slack", "titanic", T0 + DAY).await.unwrap();
    assert_eq!(after, None, "it is too old");
    assert_eq!(ledger.newest_conversation("slack", "other", T0).await.unwrap(), None);
    ledger.commit(&[], &[second[3].clone(), third[3].clone()]).await.unwrap();
    assert_eq!(newest().await, None, "all are over");
}

async fn what_is_over_stays_over(ledger: &dyn Ledger) {
    let [first, ..] = lifecycle(T0, &["slack"]);
    ledger.commit(&[], &[first]).await.unwrap();
    let delivery = due(ledger, "slack", T0).await.remove(0);
    deliver(ledger, &delivery, None).await;
    ledger.begin_attempt(delivery.id, T0).await.unwrap();
    let retry = DeliveryResult::Retry { at: EPOCH, error: String::new() };
    ledger.end_attempt(delivery.id, T0, &retry).await.unwrap();
    assert_eq!(ledger.waiting("slack").await.unwrap(), (None, 0));
}

async fn a_dead_letter_is_seen_and_can_be_tried_again(ledger: &dyn Ledger) {
    let [opened, escalated, ..] = lifecycle(T0, &["slack", "pager"]);
    ledger.commit(&[], &[opened, escalated]).await.unwrap();
    let refused = || DeliveryResult::Failed { error: "slack answered 401".to_owned() };
    for _ in 0..2 {
        let delivery = due(ledger, "slack", T0).await.remove(0);
        ledger.begin_attempt(delivery.id, T0).await.unwrap();
        ledger.end_attempt(delivery.id, T0, &refused()).await.unwrap();
    }
    assert_eq!(ledger.waiting("slack").await.unwrap(), (None, 0));
    let letters = ledger.dead_letters(T0).await.unwrap();
    let told: Vec<_> = letters.iter().map(|letter| (letter.change.as_str(), letter.error.as_str())).collect();
    assert_eq!(told, [("opened", "slack answered 401"), ("escalated", "slack answered 401")]);
    assert_eq!(ledger.dead_letters(T0 + DAY + TICK).await.unwrap(), [], "news of yesterday");
    assert_eq!(ledger.retry_dead_letters(Some("pager"), T0).await.unwrap(), 0);
    assert_eq!(ledger.retry_dead_letters(Some("slack"), T0).await.unwrap(), 2);
    assert_eq!(ledger.dead_letters(T0).await.unwrap(), []);
    let first = due(ledger, "slack", T0).await.remove(0);
    assert_eq!(first.notice.change, Change::Opened, "in their order");
    deliver(ledger, &first, None).await;
    assert_eq!(due(ledger, "slack", T0).await[0].notice.change, Change::Escalated);
}

async fn notices_come_back_as_they_were(ledger: &dyn Ledger) {
    let [opened, ..] = lifecycle(T0, &["slack"]);
    let notice = Notice {
        last_failure: Some("\u{0}\u{1F6A2}'; drop table incident; --\"\u{202E}".to_owned()),
        last_deploy: None,
        environment: None,
        ..opened.notice.clone()
    };
    let odd = TransitionRecord { notice: notice.clone(), ..opened };
    ledger.commit(&[], &[odd]).await.unwrap();
    assert_eq!(due(ledger, "slack", T0).await[0].notice, notice);
}

async fn a_deploy_is_known_by_its_key(ledger: &dyn Ledger) {
    let first = deploy();
    assert_eq!(ledger.record_deploy(&first).await.unwrap(), first);
    let twin = DeployRecord { id: "dep-2".to_owned(), version: "9".to_owned(), ..deploy() };
    assert_eq!(ledger.record_deploy(&twin).await.unwrap(), first, "same key, same deploy");
    let later = DeployRecord {
        id: "dep-3".to_owned(),
        idempotency_key: "k3".to_owned(),
        service: "other".to_owned(),
        started_at: first.started_at + TICK,
        ..deploy()
    };
    ledger.record_deploy(&later).await.unwrap();
    assert_eq!(ledger.deploys(None, 9).await.unwrap(), [later.clone(), first.clone()]);
    assert_eq!(ledger.deploys(None, 1).await.unwrap(), [later]);
    assert_eq!(ledger.deploys(Some("titanic"), 9).await.unwrap(), [first]);
}

async fn decisions_form_a_chain(ledger: &dyn Ledger) {
    let ask = |id: &str| DecisionRecord {
        id: id.to_owned(),
        sequence: 99,
        at: T0,
        service: "titanic".to_owned(),
        answer: r#"{"decision":"deny"}"#.to_owned(),
        previous_hash: "made up".to_owned(),
        hash: "made up".to_owned(),
    };
    let first = ledger.record_decision(ask("a")).await.unwrap();
    let second = ledger.record_decision(ask("b")).await.unwrap();
    assert_eq!((first.sequence, second.sequence), (1, 2));
    assert_eq!(second.previous_hash, first.hash);
    assert_eq!((first.hash.len(), first.previous_hash.as_str()), (64, "0".repeat(64).as_str()));
    assert_eq!(ledger.decision("b").await.unwrap(), Some(second));
    assert_eq!(ledger.decision("c").await.unwrap(), None);
}

async fn old_decisions_and_deploys_are_forgotten_and_the_chain_goes_on(ledger: &dyn Ledger) {
    let ask = |id: &str, at: Timestamp| DecisionRecord {
        id: id.to_owned(),
        sequence: 0,
        at,
        service: "titanic".to_owned(),
        answer: "{}".to_owned(),
        previous_hash: String::new(),
        hash: String::new(),
    };
    ledger.record_decision(ask("a", T0)).await.unwrap();
    ledger.record_decision(ask("b", T0 + 2 * DAY)).await.unwrap();
    let old = DeployRecord { started_at: T0, ..deploy() };
    let new = DeployRecord {
        id: "new".to_owned(),
        idempotency_key: "new".to_owned(),
        started_at: T0 + 2 * DAY,
        ..deploy()
    };
    for deploy in [&old, &new] {
        ledger.record_deploy(deploy).await.unwrap();
    }
    ledger.prune(T0 + 401 * DAY).await.unwrap();
    assert_eq!(ledger.decision("a").await.unwrap(), None);
    assert!(ledger.decision("b").await.unwrap().is_some());
    assert_eq!(ledger.deploys(None, 9).await.unwrap(), [new]);
    let third = ledger.record_decision(ask("c", T0 + 3 * DAY)).await.unwrap();
    ledger.prune(T0 + 999 * DAY).await.unwrap();
    assert_eq!(ledger.decision("c").await.unwrap(), None);
    let fourth = ledger.record_decision(ask("d", T0 + 999 * DAY)).await.unwrap();
    assert_eq!((fourth.sequence, &fourth.previous_hash), (4, &third.hash), "after a gap, too");
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

async fn old_incidents_are_forgotten_whole(ledger: &dyn Ledger) {
    let past = lifecycle(T0, &["slack"]);
    let [still_open, ..] = lifecycle(T0 + TICK, &["slack"]);
    ledger.commit(&[], &past).await.unwrap();
    ledger.commit(&[], std::slice::from_ref(&still_open)).await.unwrap();
    let resolved_at = past[3].at;
    ledger.prune(resolved_at + 400 * DAY).await.unwrap();
    assert_eq!(ledger.incidents(9).await.unwrap().len(), 2);
    ledger.prune(resolved_at + 400 * DAY + TICK).await.unwrap();
    assert_eq!(ledger.incidents(9).await.unwrap(), std::slice::from_ref(&still_open.incident));
    assert_eq!(ledger.waiting("slack").await.unwrap().1, 1);
    assert_eq!(ledger.latest_transitions(EPOCH).await.unwrap(), [still_open]);
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

fn revocation(at: Timestamp) -> Revocation {
    Revocation { at, actor: "ops".to_owned(), reason: "It was our fault after all".to_owned() }
}

async fn corrections_come_back_as_they_were(ledger: &dyn Ledger) {
    let odd = "\u{1F6A2}'; drop table correction; --\"\u{202E}<b>".to_owned();
    let recurring = CorrectionRecord {
        scope: CorrectionScope::Service("titanic".to_owned()),
        to: None,
        recurrence: Some("weekly mon,thu 02:00 for 2h in Europe/Zurich".parse().unwrap()),
        ..correction("cor-b")
    };
    let written = [
        correction("cor-a"),
        recurring,
        CorrectionRecord {
            scope: CorrectionScope::Slo(SLO.to_owned()),
            kind: CorrectionKind::Excluded,
            reason: odd.clone(),
            actor: odd,
            ..correction("cor-c")
        },
    ];
    for correction in &written {
        assert!(ledger.record_correction(correction).await.unwrap());
    }
    let [first, second, third] = written.clone();
    let newest_first = [third, second, first];
    assert_eq!(ledger.corrections(None, 9).await.unwrap(), newest_first);
    assert_eq!(ledger.corrections(None, 2).await.unwrap(), newest_first[..2]);
    assert_eq!(ledger.corrections(Some("cor-b"), 9).await.unwrap(), newest_first[2..]);
    assert_eq!(ledger.corrections(Some("cor-x"), 9).await.unwrap(), []);
    assert_eq!(ledger.corrections_in_force(EPOCH).await.unwrap(), written);
    let end = T0 + 2 * HOUR;
    assert_eq!(ledger.corrections_in_force(end - TICK).await.unwrap().len(), 3);
    assert_eq!(ledger.corrections_in_force(end).await.unwrap(), written[1..2], "what has no end never ends");
}

async fn a_revoked_correction_stays_in_the_books(ledger: &dyn Ledger) {
    let before = ledger.corrections_version().await.unwrap();
    ledger.record_correction(&correction("cor-a")).await.unwrap();
    ledger.record_correction(&correction("cor-b")).await.unwrap();
    let written = ledger.corrections_version().await.unwrap();
    assert_ne!(before, written);
    assert_eq!(
        ledger.revoke_correction("cor-x", &revocation(Timestamp::from_millis(1))).await.unwrap(),
        None
    );
    assert_eq!(ledger.corrections_version().await.unwrap(), written, "nothing has changed");

    let revoked = CorrectionRecord { revoked: Some(revocation(T0)), ..correction("cor-a") };
    assert_eq!(ledger.revoke_correction("cor-a", &revocation(T0)).await.unwrap(), Some(revoked.clone()));
    let version = ledger.corrections_version().await.unwrap();
    assert_ne!(version, written);
    assert_eq!(
        ledger.revoke_correction("cor-a", &revocation(T0 + TICK)).await.unwrap(),
        Some(revoked.clone())
    );
    assert_eq!(ledger.corrections_version().await.unwrap(), version, "once is enough");
    assert_eq!(ledger.corrections_in_force(EPOCH).await.unwrap(), [correction("cor-b")]);
    assert_eq!(ledger.corrections(None, 9).await.unwrap(), [correction("cor-b"), revoked]);
}

async fn corrections_are_bounded_in_number(ledger: &dyn Ledger) {
    for n in 0..MAX_IN_FORCE {
        assert!(ledger.record_correction(&correction(&format!("cor-{n}"))).await.unwrap());
    }
    assert!(!ledger.record_correction(&correction("cor-x")).await.unwrap());
    ledger.revoke_correction("cor-7", &revocation(T0)).await.unwrap();
    assert!(ledger.record_correction(&correction("cor-x")).await.unwrap(), "a revoked one makes room");
    let later = CorrectionRecord { created_at: T0 + 100 * DAY, ..correction("cor-y") };
    assert!(ledger.record_correction(&later).await.unwrap(), "and so does time");
}

async fn old_corrections_are_forgotten(ledger: &dyn Ledger) {
    let endless = CorrectionRecord {
        to: None,
        recurrence: Some("daily 02:00 for 1h".parse().unwrap()),
        ..correction("cor-b")
    };
    ledger.record_correction(&correction("cor-a")).await.unwrap();
    ledger.record_correction(&endless).await.unwrap();
    let end = T0 + 2 * HOUR;
    ledger.prune(end + 400 * DAY).await.unwrap();
    assert_eq!(ledger.corrections(None, 9).await.unwrap().len(), 2);
    ledger.prune(end + 400 * DAY + TICK).await.unwrap();
    assert_eq!(ledger.corrections(None, 9).await.unwrap(), [endless]);
    ledger.revoke_correction("cor-b", &revocation(T0)).await.unwrap();
    ledger.prune(end + 400 * DAY + TICK).await.unwrap();
    assert_eq!(ledger.corrections(None, 9).await.unwrap(), []);
}

macro_rules! promises {
    ($($promise:ident)*) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $promise() {
                let folder = tempfile::tempdir().unwrap();
                let ledger = super::SqliteLedger::open(&folder.path().join("ledger.db")).await.unwrap();
                super::$promise(&ledger).await;
                super::Ledger::close(&ledger).await;
            })*
        }

        mod write_through {
            $(#[tokio::test]
            async fn $promise() {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("ledger.db");
                let clock = std::sync::Arc::new(lookout_runtime::clock::SystemClock);
                let ledger = super::WriteThroughLedger::open(&path, clock).await.unwrap();
                super::$promise(&ledger).await;
                super::Ledger::close(&ledger).await;
            })*
        }

        mod memory {
            $(#[tokio::test]
            async fn $promise() {
                super::$promise(&super::MemoryLedger::default()).await;
            })*
        }
    };
}

promises! {
    counts_of_a_slot_add_up
    absurd_counts_stay_readable
    many_rows_in_one_tick
    an_incident_is_open_until_it_is_resolved
    a_transition_is_stored_once
    later_transitions_wait_for_earlier_ones
    incidents_do_not_wait_for_each_other
    a_retry_is_due_when_it_says
    an_attempt_of_unknown_outcome_is_remembered
    the_first_message_names_the_thread
    incidents_of_one_message_are_known
    what_is_over_stays_over
    a_dead_letter_is_seen_and_can_be_tried_again
    notices_come_back_as_they_were
    a_deploy_is_known_by_its_key
    decisions_form_a_chain
    old_decisions_and_deploys_are_forgotten_and_the_chain_goes_on
    old_slots_become_minutes
    old_minutes_become_quarters_of_an_hour
    the_first_slot_is_known_before_anything_is_rolled_up
    objectives_are_kept_by_their_time
    states_come_back_with_the_tick_they_belong_to
    old_incidents_are_forgotten_whole
    concurrent_ticks_all_count
    corrections_come_back_as_they_were
    a_revoked_correction_stays_in_the_books
    corrections_are_bounded_in_number
    old_corrections_are_forgotten
}
