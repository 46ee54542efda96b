//! The promises about deploys and decisions.

use lookout_model::sample::{T0, deploy};

use super::*;

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

promises! {
    a_deploy_is_known_by_its_key
    decisions_form_a_chain
    old_decisions_and_deploys_are_forgotten_and_the_chain_goes_on
}
