//! Acknowledgements and silences: who may give them, what is recorded, and what pages show.

use lookout_deliver::{HeldAlert, HeldState, InstanceState};
use lookout_ledger::{DeliveryStore as _, IncidentStore as _, Ledger as _, SilenceStore as _};
use lookout_model::sample::lifecycle;
use lookout_model::{News, TransitionRecord};
use serde_json::json;

use super::*;

fn post(path: &str, token: Option<&str>, body: &str) -> Request<Body> {
    let mut request = Request::post(format!("/api/v1/{path}"));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(body.to_owned().into()).unwrap()
}

/// Opens an incident of `titanic-requests` that the destination `chat` was told of, and returns it.
async fn open(ledger: &ledger::FakeLedger) -> TransitionRecord {
    let [mut opened, ..] = lifecycle(NOW - Duration::from_secs(600), &["chat"]);
    for incident in [&mut opened.incident, &mut opened.notice.incident] {
        (incident.slo_id, incident.slo) = ("titanic-requests".to_owned(), "requests".to_owned());
    }
    ledger.books.commit(&[], std::slice::from_ref(&opened)).await.unwrap();
    *ledger.incidents.lock().unwrap() = vec![opened.incident.clone()];
    opened
}

#[tokio::test]
async fn an_acknowledgement_bears_the_name_of_the_token_and_is_told_to_all_who_heard() {
    let (router, ledger) = routed(&Fixture::healthy().with_token(&["acknowledge"]));
    let opened = open(&ledger).await;
    let path = format!("incidents/{}/acknowledge", opened.incident.id);
    let free = send(&router, post(&path, Some("secret"), r#"{"actor":"the captain"}"#)).await;
    assert_eq!(free.problem(), (400, "bad_body".to_owned()), "nobody chooses a name");
    let given = send(&router, post(&path, Some("secret"), r#"{"note":"<b>on it</b>"}"#)).await;
    assert_eq!(given.status, 201, "{}", given.text);
    let answer = given.json();
    assert_eq!(
        (&answer["acknowledgement"]["actor"], &answer["destinations"]),
        (&json!("pipeline"), &json!(["chat"]))
    );
    let again = send(&router, post(&path, Some("secret"), r#"{"note":"<b>on it</b>"}"#)).await;
    assert_eq!((again.status.as_u16(), &again.json()["acknowledgement"]), (200, &answer["acknowledgement"]));
    let told = ledger.books.deliveries_of(&opened.incident.id).await.unwrap();
    let told: Vec<_> = told.iter().map(|one| one.change.as_str()).collect();
    assert_eq!(told, ["opened", "acknowledged"]);
    let shown = get(&router, "/api/v1/incidents").await.json();
    assert_eq!(shown["incidents"][0]["acknowledgement"], answer["acknowledgement"]);
    for page in ["/incidents", "/", "/slos/titanic/requests"] {
        let page = get(&router, page).await.text;
        assert!(page.contains("acknowledged by pipeline at 03:12:40 UTC: &#60;b&#62;on it"), "{page}");
    }
    let other = send(&router, post(&path, Some("secret"), r#"{"note":"rolled back"}"#)).await;
    assert_eq!(other.status, 201, "another note is another acknowledgement");
    let followed = ledger.books.followed(NOW).await.unwrap();
    assert_eq!(followed[0].acknowledgement.as_ref().unwrap().note, "rolled back");
    assert_eq!(followed[0].told.last().unwrap().news, Some(News::Acknowledged));
}

#[tokio::test]
async fn what_cannot_be_acknowledged_is_explained() {
    let (router, ledger) = routed(&Fixture::healthy().with_token(&["acknowledge"]));
    let opened = open(&ledger).await;
    let path = format!("incidents/{}/acknowledge", opened.incident.id);
    let long = format!(r#"{{"note":"{}"}}"#, "x".repeat(5000));
    for (path, token, body, status, code) in [
        (path.as_str(), None, "", 401, "token_missing"),
        (&path, Some("guess"), "", 401, "token_unknown"),
        (&path, Some("secret"), "{\"notes\":\"x\"}", 400, "bad_body"),
        (&path, Some("secret"), &long, 400, "bad_field"),
        ("incidents/inc-none/acknowledge", Some("secret"), "", 404, "unknown_incident"),
        ("silences", Some("secret"), "{}", 403, "scope_missing"),
    ] {
        let refused = send(&router, post(path, token, body)).await;
        assert_eq!(refused.problem(), (status, code.to_owned()), "{path} {body:.20}");
    }
    let [.., mut resolved] = lifecycle(NOW - Duration::from_secs(600), &["chat"]);
    resolved.incident.id.clone_from(&opened.incident.id);
    resolved.notice.incident = resolved.incident.clone();
    ledger.books.commit(&[], &[resolved]).await.unwrap();
    let late = send(&router, post(&path, Some("secret"), "")).await;
    assert_eq!(late.problem(), (404, "unknown_incident".to_owned()), "it is over");
}

#[tokio::test]
async fn a_silence_is_bounded_named_and_shown() {
    let (router, ledger) = routed(&Fixture::healthy().with_token(&["silence"]));
    let opened = open(&ledger).await;
    for (body, code) in [
        (r#"{"for":"2h","reason":"r"}"#, "bad_matcher"),
        (r#"{"slos":["titanic-requests"],"for":"8d","reason":"r"}"#, "bad_length"),
        (r#"{"slos":["titanic-requests"],"for":"0s","reason":"r"}"#, "bad_length"),
        (r#"{"slos":["titanic-requests"],"for":"2h","reason":" "}"#, "bad_field"),
        (r#"{"slos":["titanic-nothing"],"for":"2h","reason":"r"}"#, "unknown_slo"),
        (r#"{"slos":["titanic-requests"],"for":"2h","reason":"r","actor":"x"}"#, "bad_body"),
    ] {
        let refused = send(&router, post("silences", Some("secret"), body)).await;
        assert_eq!(refused.problem(), (400, code.to_owned()), "{body}");
    }
    let body = r#"{"slos":["titanic-requests"],"for":"2h","reason":"<i>failover</i>"}"#;
    let made = send(&router, post("silences", Some("secret"), body)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let silence = made.json();
    assert_eq!(silence["actor"], "pipeline");
    let again = send(&router, post("silences", Some("secret"), body)).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, silence.clone()), "a request may be repeated");
    let listed = get(&router, "/api/v1/silences").await.json();
    assert_eq!(listed, json!({ "silences": [silence] }));
    let shown = get(&router, "/api/v1/incidents").await.json();
    assert_eq!(shown["incidents"][0]["silence"]["id"], silence["id"]);
    let incidents = get(&router, "/incidents").await.text;
    assert!(incidents.contains("silenced by pipeline until"), "{incidents}");
    assert!(incidents.contains(&opened.incident.id) && !incidents.contains("<i>failover"));
    let page = get(&router, "/silences?slo=titanic-latency").await.text;
    assert!(page.contains("SLO titanic-requests") && page.contains("&#60;i&#62;failover"), "{page}");
    assert!(page.contains("lookout silence add --slo titanic-latency "), "{page}");
    let hostile = get(&router, "/silences?slo=x;rm+-rf").await.text;
    assert!(hostile.contains("lookout silence add --slo titanic-probes ") && !hostile.contains("rm -rf"));
    let id = silence["id"].as_str().unwrap();
    let ended = send(&router, post(&format!("silences/{id}/expire"), Some("secret"), "")).await;
    assert_eq!((ended.status.as_u16(), &ended.json()["expired_by"]), (200, &json!("pipeline")));
    assert_eq!(ledger.books.silences(NOW).await.unwrap(), []);
    let unknown = send(&router, post("silences/sil-none/expire", Some("secret"), "")).await;
    assert_eq!(unknown.problem(), (404, "unknown_silence".to_owned()));
    assert!(!get(&router, "/incidents").await.text.contains("silenced by"));
}

#[tokio::test]
async fn an_incident_tells_that_alertmanager_holds_its_alert_back_or_has_lost_it() {
    for (state, told) in [
        (Some(HeldState::Inhibited), Some("chat (am-1:9093): inhibited by another alert")),
        (Some(HeldState::Active), None),
        (None, Some("chat (am-1:9093): it does not hold the alert")),
    ] {
        let mut fixture = Fixture::healthy();
        let slo = fixture.config.slo("titanic-requests").unwrap();
        let alert = |state| HeldAlert {
            alert: slo.alert_name_for(lookout_engine::Cause::Burn),
            severity: "critical".to_owned(),
            service: "titanic".to_owned(),
            slo: "requests".to_owned(),
            state,
            silences: Vec::new(),
        };
        let instance = InstanceState {
            instance: "am-1:9093".to_owned(),
            clock_ahead_ms: Some(0),
            read_at: Some(NOW),
            failure: None,
            alerts: state.map(alert).into_iter().collect(),
        };
        fixture.receivers = vec![ReceiverRow { destination: "chat".to_owned(), instances: vec![instance] }];
        let (router, ledger) = routed(&fixture);
        open(&ledger).await;
        let page = get(&router, "/incidents").await.text;
        match told {
            Some(told) => assert!(page.contains(told), "{told}: {page}"),
            None => assert!(!page.contains("am-1:9093"), "{page}"),
        }
    }
}
