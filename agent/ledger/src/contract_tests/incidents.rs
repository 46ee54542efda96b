//! The promises about incidents and their transitions.

use lookout_model::Notice;
use lookout_model::sample::{T0, lifecycle};

use super::*;

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
    assert_eq!(ledger.incidents(None, 9).await.unwrap(), [later.incident.clone(), resolved.incident]);
    assert_eq!(ledger.incidents(None, 1).await.unwrap(), [later.incident]);
}

async fn incidents_are_read_page_by_page(ledger: &dyn Ledger) {
    let at = |days: u32| lifecycle(T0 + DAY * days, &["slack"])[0].clone();
    let mut opened = [at(0), at(1), at(1), at(1), at(2)];
    for (index, one) in opened.iter_mut().enumerate() {
        // three of them open at the same instant
        one.incident.id = format!("inc-{index}");
        one.notice.incident = one.incident.clone();
    }
    ledger.commit(&[], &opened).await.unwrap();
    let mut pages: Vec<String> = Vec::new();
    loop {
        let page = ledger.incidents(pages.last().map(String::as_str), 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        pages.extend(page.into_iter().map(|one| one.id));
    }
    assert_eq!(pages, ["inc-4", "inc-1", "inc-2", "inc-3", "inc-0"]);
    assert_eq!(ledger.incidents(Some("inc-unknown"), 9).await.unwrap(), []);
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

async fn old_incidents_are_forgotten_whole(ledger: &dyn Ledger) {
    let past = lifecycle(T0, &["slack"]);
    let [still_open, ..] = lifecycle(T0 + TICK, &["slack"]);
    ledger.commit(&[], &past).await.unwrap();
    ledger.commit(&[], std::slice::from_ref(&still_open)).await.unwrap();
    let resolved_at = past[3].at;
    ledger.prune(resolved_at + 400 * DAY).await.unwrap();
    assert_eq!(ledger.incidents(None, 9).await.unwrap().len(), 2);
    ledger.prune(resolved_at + 400 * DAY + TICK).await.unwrap();
    assert_eq!(ledger.incidents(None, 9).await.unwrap(), std::slice::from_ref(&still_open.incident));
    assert_eq!(ledger.waiting("slack").await.unwrap().1, 1);
    assert_eq!(ledger.latest_transitions(EPOCH).await.unwrap(), [still_open]);
}

promises! {
    an_incident_is_open_until_it_is_resolved
    incidents_are_read_page_by_page
    a_transition_is_stored_once
    notices_come_back_as_they_were
    old_incidents_are_forgotten_whole
}
