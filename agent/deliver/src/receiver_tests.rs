//! PagerDuty and webhooks against a local server, over real connections.

use lookout_engine::Severity;
use serde_json::json;

use super::test_server::{Local, Reply};
use super::*;
use lookout_model::Timestamp;
use lookout_model::sample::{T0, lifecycle};
use lookout_runtime::clock::SystemClock;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn pagerduty(local: &Local) -> Arc<dyn Receiver> {
    let events_url = Url::parse(&local.url("/v2/")).unwrap();
    let kind = DestinationKind::PagerDuty { events_url, routing_key: Secret::new(KEY) };
    receiver(&Destination::new("pager", kind), Arc::new(SystemClock)).unwrap()
}

fn webhook(local: &Local) -> Arc<dyn Receiver> {
    let kind = DestinationKind::Webhook {
        url: Secret::new(local.url("/hooks/secretsecret")),
        signing_secret: Some(Secret::new("s1gn")),
        form: lookout_config::WebhookForm::Lookout,
        headers: vec![("Authorization".to_owned(), Secret::new("Bearer t0ken"))],
    };
    receiver(&Destination::new("program", kind), Arc::new(SystemClock)).unwrap()
}

fn nth(n: usize) -> Delivery {
    let notice = lifecycle(T0, &[])[n].notice.clone();
    Delivery { id: 1, destination: "x".to_owned(), notice, attempts: 0, unsure: false, thread: None }
}

#[tokio::test]
async fn pagerduty_gets_one_alert_per_incident_and_each_deploy_once() {
    let local = Local::start(vec![]).await;
    let pager = pagerduty(&local);
    for n in 0..4 {
        pager.deliver(&nth(n)).await.unwrap();
    }
    let seen = local.seen();
    let deploys: Vec<_> = seen.iter().filter(|one| one.path == "/v2/change/enqueue").collect();
    assert_eq!(deploys.len(), 1);
    assert_eq!(deploys[0].body["payload"]["summary"], "Deploy of titanic 1.4.2");
    let events: Vec<_> = seen.iter().filter(|one| one.path == "/v2/enqueue").map(|one| &one.body).collect();
    let actions: Vec<_> = events.iter().map(|event| &event["event_action"]).collect();
    assert_eq!(actions, ["trigger", "trigger", "trigger", "resolve"]);
    let severities: Vec<_> = events.iter().map(|event| &event["payload"]["severity"]).collect();
    assert_eq!(severities, ["warning", "critical", "warning", "warning"]);
    let id = nth(0).notice.incident.id;
    assert!(events.iter().all(|event| event["dedup_key"] == json!(id) && event["routing_key"] == KEY));
}

#[tokio::test]
async fn pagerduty_says_what_to_try_again() {
    let local = Local::start(vec![]).await;
    let refused = async |reply: Reply| {
        local.then(reply);
        pagerduty(&local).deliver(&nth(0)).await.unwrap_err()
    };
    let bad = refused(Reply::Status(400, "invalid routing key 0123456789abcdef0123456789abcdef")).await;
    assert_eq!(bad.retry, Retry::Never);
    assert!(bad.error.contains("invalid routing key ***"), "{}", bad.error);
    assert_eq!(refused(Reply::Status(429, "")).await.retry, Retry::BackOff);
    assert_eq!(refused(Reply::RetryAfter(30)).await.retry, Retry::After(Duration::from_secs(30)));
    assert_eq!(refused(Reply::Status(503, "")).await.retry, Retry::BackOff);
    local.then(Reply::Status(202, ""));
    local.then(Reply::Status(500, ""));
    pagerduty(&local).deliver(&nth(0)).await.unwrap();
}

#[tokio::test]
async fn a_webhook_gets_every_change_signed() {
    let local = Local::start(vec![]).await;
    let program = webhook(&local);
    let deliveries = vec![nth(0), Delivery { id: 2, unsure: true, ..nth(1) }];
    let update = Update::new(deliveries, None, Vec::new());
    for _ in 0..2 {
        program.deliver_group(&update).await.unwrap();
    }
    let [first, second] = local.seen().try_into().unwrap();
    assert_eq!(first.authorization.as_deref(), Some("Bearer t0ken"));
    assert_eq!((first.body["version"].as_str(), first.body["resent"].as_bool()), (Some("1"), Some(true)));
    assert_eq!(first.body["incidents"].as_array().unwrap().len(), 2);
    assert_eq!(first.body["severity"], Severity::Page.as_str());
    assert_eq!(first.body["id"], second.body["id"], "a reader recognises a repetition");
    let signature = first.signature.clone().unwrap();
    let seconds = signature.strip_prefix("t=").unwrap().split(',').next().unwrap().parse().unwrap();
    let expected = webhook::signature(&Secret::new("s1gn"), Timestamp::from_seconds(seconds), &first.text);
    assert_eq!(signature, expected);
    local.then(Reply::Status(404, "no /hooks/secretsecret for t0ken"));
    let refused = program.deliver(&nth(0)).await.unwrap_err();
    assert_eq!(refused.retry, Retry::Never);
    assert!(!refused.error.contains("secretsecret"), "{}", refused.error);
}
