//! The promises about deliveries.

use lookout_engine::{Change, Severity};
use lookout_model::sample::{T0, lifecycle};

use super::*;

async fn deliver(ledger: &dyn Ledger, delivery: &Delivery, thread: Option<&str>) {
    ledger.begin_attempt(delivery.id, T0).await.unwrap();
    let result = DeliveryResult::Delivered { thread: thread.map(str::to_owned) };
    ledger.end_attempt(delivery.id, T0, &result).await.unwrap();
}

async fn every_delivery_of_an_incident_is_shown(ledger: &dyn Ledger) {
    let story = lifecycle(T0, &["slack", "pagerduty"]);
    ledger.commit(&[], &story[..2]).await.unwrap();
    let id = &story[0].incident.id;
    let [first, ..] = &due(ledger, "slack", T0).await[..] else { panic!("nothing is due") };
    deliver(ledger, first, None).await;
    let [refused, ..] = &due(ledger, "pagerduty", T0).await[..] else { panic!("nothing is due") };
    let failed = DeliveryResult::Failed { error: "404".to_owned() };
    ledger.begin_attempt(refused.id, T0).await.unwrap();
    ledger.end_attempt(refused.id, T0, &failed).await.unwrap();
    let mut shown = ledger.deliveries_of(id).await.unwrap();
    shown.sort_by_key(|state| (state.at, state.change.clone(), state.destination.clone()));
    let shown: Vec<_> = shown
        .iter()
        .map(|state| (state.change.as_str(), state.destination.as_str(), state.state, state.attempts))
        .collect();
    let expected = [
        ("opened", "pagerduty", "failed", 1),
        ("opened", "slack", "delivered", 1),
        ("escalated", "pagerduty", "waiting", 0),
        ("escalated", "slack", "waiting", 0),
    ];
    assert_eq!(shown, expected);
    assert_eq!(ledger.deliveries_of("none").await.unwrap(), []);
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

async fn pages_go_first_and_each_incident_in_its_order(ledger: &dyn Ledger) {
    let opens = |second: u32, severity| {
        let [mut opened, ..] = lifecycle(T0 + Duration::from_secs(1) * second, &["slack"]);
        opened.incident.severity = severity;
        opened.notice.incident = opened.incident.clone();
        opened
    };
    let (ticket, page) = (|at| opens(at, Severity::Ticket), |at| opens(at, Severity::Page));
    let mut grown = ticket(0);
    (grown.change, grown.at) = (Change::Escalated, T0 + 5 * TICK);
    grown.incident.severity = Severity::Page;
    (grown.notice.change, grown.notice.at) = (grown.change, grown.at);
    grown.notice.incident = grown.incident.clone();
    ledger.commit(&[], &[ticket(1), ticket(2), ticket(0), page(3)]).await.unwrap();
    ledger.commit(&[], &[grown, page(4)]).await.unwrap();
    let mut told = Vec::new();
    while let [delivery] = ledger.due_deliveries("slack", T0, 1).await.unwrap().as_slice() {
        told.push((delivery.notice.incident.detected_at.since(T0).as_secs(), delivery.notice.change));
        deliver(ledger, delivery, None).await;
    }
    let opened = |second| (second, Change::Opened);
    let expected = [opened(0), opened(3), (0, Change::Escalated), opened(4), opened(1), opened(2)];
    assert_eq!(told, expected, "the ticket that pages by now goes first");
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
    let members = async || ledger.conversation("slack", "C1:1").await.unwrap();
    assert_eq!(
        members().await,
        [first[0].notice.clone(), second[0].notice.clone()],
        "what waits is told with its own message"
    );
    for change in 1..4 {
        let due = due(ledger, "slack", T0).await;
        let next = due.iter().find(|one| one.notice.incident.id == first[0].incident.id).unwrap();
        ledger.begin_attempt(next.id, T0).await.unwrap();
        assert_eq!(members().await[0], first[change - 1].notice, "under way");
        let told = DeliveryResult::Delivered { thread: None };
        ledger.end_attempt(next.id, T0, &told).await.unwrap();
        assert_eq!(members().await, [first[change].notice.clone(), second[0].notice.clone()]);
    }
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
    let letters = ledger.dead_letters().await.unwrap();
    let told: Vec<_> = letters.iter().map(|letter| (letter.change.as_str(), letter.error.as_str())).collect();
    assert_eq!(told, [("opened", "slack answered 401"), ("escalated", "slack answered 401")]);
    let newest = ledger.newest_dead_letters(1).await.unwrap();
    assert_eq!(newest.iter().map(|letter| letter.change.as_str()).collect::<Vec<_>>(), ["escalated"]);
    assert_eq!(ledger.dead_letter_counts().await.unwrap(), [("slack".to_owned(), 2)].into());
    assert_eq!(ledger.retry_dead_letters(Some("pager"), T0).await.unwrap(), 0);
    assert_eq!(ledger.retry_dead_letters(Some("slack"), T0).await.unwrap(), 2);
    assert_eq!(ledger.dead_letters().await.unwrap(), []);
    assert_eq!(ledger.dead_letter_counts().await.unwrap(), [].into());
    let first = due(ledger, "slack", T0).await.remove(0);
    assert_eq!(first.notice.change, Change::Opened, "in their order");
    deliver(ledger, &first, None).await;
    assert_eq!(due(ledger, "slack", T0).await[0].notice.change, Change::Escalated);
}

/// Refuses everything that is due at a destination.
async fn refuse(ledger: &dyn Ledger, destination: &str, at: Timestamp) {
    while let Some(delivery) = due(ledger, destination, at).await.first() {
        ledger.begin_attempt(delivery.id, at).await.unwrap();
        let refused = DeliveryResult::Failed { error: "slack answered 401".to_owned() };
        ledger.end_attempt(delivery.id, at, &refused).await.unwrap();
    }
}

async fn a_dead_letter_outlives_a_long_weekend_and_expires_once(ledger: &dyn Ledger) {
    let [opened, escalated, _, resolved] = lifecycle(T0, &["slack"]);
    let over = resolved.at;
    ledger.commit(&[], &[opened, escalated]).await.unwrap();
    refuse(ledger, "slack", T0).await;
    let much_later = T0 + 60 * DAY;
    assert_eq!(ledger.expire_dead_letters(much_later).await.unwrap(), [], "the incident is open");
    assert_eq!(ledger.dead_letters().await.unwrap().len(), 2);
    ledger.commit(&[], &[resolved]).await.unwrap();
    refuse(ledger, "slack", over).await;
    // twice: a refusal after another try begins no shorter time
    for days in [3, 6] {
        assert_eq!(ledger.expire_dead_letters(over + days * DAY).await.unwrap(), []);
        assert_eq!(
            ledger.retry_dead_letters(Some("slack"), over + days * DAY).await.unwrap(),
            3,
            "{days} days"
        );
        refuse(ledger, "slack", over + days * DAY).await;
    }
    let last = over + 13 * DAY;
    assert_eq!(ledger.expire_dead_letters(last - TICK).await.unwrap(), []);
    let expired = ledger.expire_dead_letters(last).await.unwrap();
    let changes: Vec<_> = expired.iter().map(|letter| letter.change.as_str()).collect();
    assert_eq!(changes, ["opened", "escalated", "resolved"]);
    assert_eq!(ledger.expire_dead_letters(last).await.unwrap(), [], "once");
    assert_eq!(ledger.dead_letters().await.unwrap(), []);
    assert_eq!(ledger.retry_dead_letters(None, last).await.unwrap(), 0);
}

async fn a_dead_letter_that_is_given_up_is_not_tried_again(ledger: &dyn Ledger) {
    let [opened, ..] = lifecycle(T0, &["slack", "pager"]);
    let [other, ..] = lifecycle(T0 + TICK, &["slack"]);
    ledger.commit(&[], &[opened.clone(), other.clone()]).await.unwrap();
    refuse(ledger, "slack", T0 + TICK).await;
    refuse(ledger, "pager", T0 + TICK).await;
    let discard = |destination: Option<&str>, incident: Option<&str>| Discard {
        destination: destination.map(str::to_owned),
        incident: incident.map(str::to_owned),
        actor: "ada".to_owned(),
    };
    let elsewhere = discard(Some("pager"), Some(&other.incident.id));
    assert_eq!(ledger.discard_dead_letters(&elsewhere).await.unwrap(), []);
    // twice: by destination and incident, and by destination
    for (which, left) in
        [(discard(Some("slack"), Some(&opened.incident.id)), 2), (discard(Some("slack"), None), 1)]
    {
        let given_up = ledger.discard_dead_letters(&which).await.unwrap();
        let told: Vec<_> =
            given_up.iter().map(|one| (one.destination.as_str(), one.error.as_str())).collect();
        assert_eq!(told, [("slack", "given up by ada: slack answered 401")]);
        assert_eq!(ledger.discard_dead_letters(&which).await.unwrap(), [], "once");
        assert_eq!(ledger.dead_letters().await.unwrap().len(), left);
    }
    assert_eq!(ledger.retry_dead_letters(None, T0).await.unwrap(), 1, "the pager's");
    assert_eq!(ledger.waiting("slack").await.unwrap(), (None, 0));
    let states = ledger.deliveries_of(&opened.incident.id).await.unwrap();
    let error = states.iter().find(|one| one.destination == "slack").and_then(|one| one.error.clone());
    assert_eq!(error.as_deref(), Some("given up by ada: slack answered 401"), "it is on record");
}

async fn what_a_former_destination_has_expires_once(ledger: &dyn Ledger) {
    let [opened, escalated, ..] = lifecycle(T0, &["slack", "former"]);
    ledger.commit(&[], &[opened, escalated]).await.unwrap();
    let first = due(ledger, "former", T0).await.remove(0);
    ledger.begin_attempt(first.id, T0).await.unwrap();
    let refused = DeliveryResult::Failed { error: "former answered 410".to_owned() };
    ledger.end_attempt(first.id, T0, &refused).await.unwrap();
    let all = ["slack".to_owned(), "former".to_owned()];
    assert_eq!(ledger.expire_all_but(&all, T0).await.unwrap(), []);
    for round in 0..2 {
        let expired = ledger.expire_all_but(&all[..1], T0 + TICK).await.unwrap();
        let told: Vec<_> = expired.iter().map(|one| (one.change.as_str(), one.error.as_str())).collect();
        let expected = [("opened", "former answered 410"), ("escalated", "it is no destination any more")];
        assert_eq!(told, if round == 0 { &expected[..] } else { &[] }, "round {round}");
        assert_eq!(ledger.waiting("former").await.unwrap(), (None, 0));
        assert_eq!(ledger.dead_letters().await.unwrap(), []);
        assert_eq!(ledger.waiting("slack").await.unwrap().1, 2, "others keep what they wait for");
    }
    assert_eq!(ledger.retry_dead_letters(None, T0 + TICK).await.unwrap(), 0);
}

async fn an_accepted_message_is_known_by_its_destination_and_time(ledger: &dyn Ledger) {
    let [opened, ..] = lifecycle(T0, &["slack", "pager"]);
    ledger.commit(&[], &[opened]).await.unwrap();
    refuse(ledger, "pager", T0).await;
    let first = due(ledger, "slack", T0).await.remove(0);
    deliver(ledger, &first, None).await;
    assert!(ledger.has_accepted("slack", T0).await.unwrap());
    assert!(!ledger.has_accepted("slack", T0 + TICK).await.unwrap());
    assert!(!ledger.has_accepted("pager", EPOCH).await.unwrap());
}

async fn a_transition_can_be_forwarded_once(ledger: &dyn Ledger) {
    let [opened, escalated, ..] = lifecycle(T0, &["slack"]);
    ledger.commit(&[], std::slice::from_ref(&opened)).await.unwrap();
    assert!(ledger.forward(&opened.notice, "mail").await.unwrap());
    assert!(!ledger.forward(&opened.notice, "mail").await.unwrap(), "it has one");
    assert!(!ledger.forward(&opened.notice, "slack").await.unwrap(), "it had one from the start");
    assert!(!ledger.forward(&escalated.notice, "mail").await.unwrap(), "that one is not stored");
    let due = due(ledger, "mail", T0).await;
    assert_eq!((due.len(), &due[0].notice), (1, &opened.notice));
}

async fn a_refused_one_that_is_delivered_late_is_followed_by_what_came_after_it(ledger: &dyn Ledger) {
    let [opened, .., resolved] = lifecycle(T0, &["pager", "other"]);
    ledger.commit(&[], &[opened, resolved]).await.unwrap();
    let first = due(ledger, "pager", T0).await.remove(0);
    ledger.begin_attempt(first.id, T0).await.unwrap();
    let refused = DeliveryResult::Failed { error: "401".to_owned() };
    ledger.end_attempt(first.id, T0, &refused).await.unwrap();
    for destination in ["pager", "other", "other"] {
        deliver(ledger, &due(ledger, destination, T0).await.remove(0), Some("C1:1")).await;
    }
    // twice: a refusal repeats nothing
    for _ in 0..2 {
        assert_eq!(ledger.retry_dead_letters(None, T0).await.unwrap(), 1);
        let again = due(ledger, "pager", T0).await.remove(0);
        ledger.begin_attempt(again.id, T0).await.unwrap();
        ledger.end_attempt(again.id, T0, &refused).await.unwrap();
        assert_eq!(ledger.waiting("pager").await.unwrap().1, 0);
    }
    assert_eq!(ledger.retry_dead_letters(None, T0).await.unwrap(), 1);
    let mut told = Vec::new();
    while let Some(delivery) = due(ledger, "pager", T0).await.first() {
        told.push((delivery.notice.change, delivery.unsure));
        deliver(ledger, delivery, None).await;
    }
    assert_eq!(told, [(Change::Opened, false), (Change::Resolved, true)], "the end is told last, and marked");
    assert_eq!(ledger.waiting("other").await.unwrap().1, 0, "other destinations hear nothing again");
}

promises! {
    every_delivery_of_an_incident_is_shown
    later_transitions_wait_for_earlier_ones
    incidents_do_not_wait_for_each_other
    pages_go_first_and_each_incident_in_its_order
    a_retry_is_due_when_it_says
    an_attempt_of_unknown_outcome_is_remembered
    the_first_message_names_the_thread
    incidents_of_one_message_are_known
    what_is_over_stays_over
    a_dead_letter_is_seen_and_can_be_tried_again
    a_dead_letter_outlives_a_long_weekend_and_expires_once
    a_dead_letter_that_is_given_up_is_not_tried_again
    what_a_former_destination_has_expires_once
    an_accepted_message_is_known_by_its_destination_and_time
    a_refused_one_that_is_delivered_late_is_followed_by_what_came_after_it
    a_transition_can_be_forwarded_once
}
