//! Acknowledgements and other news, and silences.

use lookout_model::sample::{T0, lifecycle};
use lookout_model::{Acknowledgement, Matcher, News, SilenceRecord, TransitionRecord};

use super::*;

promises! {
    news_go_to_their_destinations_and_change_no_incident
    news_of_a_state_of_before_are_not_stored
    an_acknowledgement_is_part_of_all_that_follows
    silences_end_and_are_bounded
}

fn acknowledged(change: &TransitionRecord, second: u64) -> TransitionRecord {
    let at = T0 + Duration::from_secs(second);
    let mut base = change.clone();
    base.notice.acknowledgement =
        Some(Acknowledgement { at, actor: "ana".to_owned(), note: "on it".to_owned() });
    base.with_news(News::Acknowledged, at, vec!["chat".to_owned()])
}

async fn news_go_to_their_destinations_and_change_no_incident(ledger: &dyn Ledger) {
    let [opened, ..] = lifecycle(T0, &["chat"]);
    ledger.commit(&[], std::slice::from_ref(&opened)).await.unwrap();
    let after = News::Unacknowledged { from: "chat".to_owned(), after_s: 900 };
    let at = T0 + Duration::from_secs(900);
    let escalation = opened.with_news(after.clone(), at, vec!["manager".to_owned()]);
    for _ in 0..2 {
        ledger.commit(&[], std::slice::from_ref(&escalation)).await.unwrap();
    }
    let due = due(ledger, "manager", at).await;
    assert_eq!(due.len(), 1, "the same news are stored once");
    assert_eq!((due[0].notice.word(), &due[0].notice.news), ("unacknowledged", &Some(after.clone())));
    let latest = ledger.latest_transitions(T0).await.unwrap();
    assert_eq!((latest.len(), latest[0].notice.news.is_none(), latest[0].at), (1, true, T0));
    assert_eq!(latest[0].destinations, ["chat", "manager"], "all who were told");
    let followed = ledger.followed(T0).await.unwrap();
    assert_eq!((followed.len(), followed[0].changed_at), (1, T0));
    let told: Vec<_> = followed[0].told.iter().map(|told| (told.destination.as_str(), told.at)).collect();
    assert_eq!(told, [("chat", T0), ("manager", at)]);
    assert_eq!((&followed[0].told[0].news, &followed[0].told[1].news), (&None, &Some(after)));
    let changes: Vec<_> = ledger.deliveries_of(&opened.incident.id).await.unwrap();
    let changes: Vec<_> = changes.into_iter().map(|one| one.change).collect();
    assert_eq!(changes, ["opened", "unacknowledged"]);
    assert_eq!(ledger.open_incidents().await.unwrap(), [opened.incident]);
}

async fn news_of_a_state_of_before_are_not_stored(ledger: &dyn Ledger) {
    let [opened, escalated, _, resolved] = lifecycle(T0, &["chat"]);
    ledger.commit(&[], &[opened.clone(), escalated.clone()]).await.unwrap();
    ledger.commit(&[], &[acknowledged(&opened, 130)]).await.unwrap();
    assert_eq!(ledger.followed(T0).await.unwrap()[0].acknowledgement, None, "it was escalated since");
    ledger.commit(&[], &[acknowledged(&escalated, 131)]).await.unwrap();
    assert!(ledger.followed(T0).await.unwrap()[0].acknowledgement.is_some());
    ledger.commit(&[], std::slice::from_ref(&resolved)).await.unwrap();
    ledger.commit(&[], &[acknowledged(&escalated, 800), acknowledged(&resolved, 801)]).await.unwrap();
    let followed = ledger.followed(T0).await.unwrap();
    let changes: Vec<_> = followed[0].told.iter().map(|told| told.at).collect();
    let acknowledged = T0 + Duration::from_secs(131);
    assert_eq!(changes, [T0, escalated.at, acknowledged, resolved.at]);
    assert_eq!(followed[0].incident.resolved_at, Some(resolved.at));
}

async fn an_acknowledgement_is_part_of_all_that_follows(ledger: &dyn Ledger) {
    let [opened, escalated, _, resolved] = lifecycle(T0, &["chat"]);
    ledger.commit(&[], std::slice::from_ref(&opened)).await.unwrap();
    let acknowledgement = acknowledged(&opened, 60);
    ledger.commit(&[], std::slice::from_ref(&acknowledgement)).await.unwrap();
    let latest = ledger.latest_transitions(T0).await.unwrap();
    assert_eq!(latest[0].notice.acknowledgement, acknowledgement.notice.acknowledgement);
    ledger.commit(&[], &[escalated, resolved]).await.unwrap();
    for word in ["opened", "acknowledged", "escalated", "resolved"] {
        let due = due(ledger, "chat", T0 + HOUR).await;
        assert_eq!(due[0].notice.word(), word);
        assert_eq!(due[0].notice.acknowledgement.is_some(), word != "opened", "{word}");
        let result = DeliveryResult::Delivered { thread: None };
        ledger.end_attempt(due[0].id, T0 + HOUR, &result).await.unwrap();
    }
}

async fn silences_end_and_are_bounded(ledger: &dyn Ledger) {
    let silence = |n: u64| SilenceRecord {
        id: format!("sil-{n}"),
        matcher: Matcher { services: vec!["shop".to_owned()], ..Matcher::default() },
        severity: (n == 0).then_some(lookout_engine::Severity::Ticket),
        reason: "a planned failover".to_owned(),
        actor: "ana".to_owned(),
        created_at: T0,
        ends_at: T0 + HOUR,
        expired_by: None,
    };
    for n in 0..MAX_SILENCES as u64 {
        assert!(ledger.record_silence(&silence(n)).await.unwrap());
    }
    assert!(!ledger.record_silence(&silence(9999)).await.unwrap(), "there are as many as may be");
    let stored = ledger.silences(T0).await.unwrap();
    assert_eq!((stored.len(), &stored[0]), (MAX_SILENCES, &silence(0)));
    let expired = ledger.expire_silence("sil-1", "bo", T0 + TICK).await.unwrap().unwrap();
    assert_eq!((expired.ends_at, expired.expired_by.as_deref()), (T0 + TICK, Some("bo")));
    let again = ledger.expire_silence("sil-1", "cy", T0 + HOUR / 2).await.unwrap().unwrap();
    assert_eq!(again, expired, "one that is over stays as it is");
    assert_eq!(ledger.expire_silence("sil-none", "bo", T0).await.unwrap(), None);
    assert_eq!(ledger.silences(T0 + TICK).await.unwrap().len(), MAX_SILENCES - 1);
    assert_eq!(ledger.silences(T0 + HOUR).await.unwrap(), []);
    ledger.prune(T0 + 401 * DAY).await.unwrap();
    assert_eq!(ledger.silences(EPOCH).await.unwrap(), []);
}
