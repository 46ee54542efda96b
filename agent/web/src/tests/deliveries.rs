//! Dead letters, drills, and who may try and begin them.

use std::time::Duration;

use lookout_deliver::{HeldAlert, HeldSilence, HeldState, InstanceState};
use lookout_ledger::DeadLetter;
use serde_json::json;

use super::*;

fn letter(destination: &str) -> DeadLetter {
    DeadLetter {
        destination: destination.to_owned(),
        incident_id: "inc-1".to_owned(),
        slo_id: "titanic-requests".to_owned(),
        change: "opened".to_owned(),
        at: lookout_model::Timestamp::from_millis(7),
        refused_at: lookout_model::Timestamp::from_millis(8),
        error: "slack answered 401: <b>invalid_auth</b>".to_owned(),
    }
}

fn post(path: &str, token: Option<&str>, body: &str) -> Request<Body> {
    let mut request = Request::post(format!("/api/v1/{path}"));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(body.to_owned().into()).unwrap()
}

#[tokio::test]
async fn dead_letters_are_shown_and_tried_again_by_destination() {
    let (router, ledger) = routed(&Fixture::burning().with_token(&["deliver"]));
    ledger.dead_letters.lock().unwrap().extend([letter("pager"), letter("chat")]);
    let shown = get(&router, "/api/v1/deliveries").await.json();
    let expected = json!({
        "destination": "chat", "incident_id": "inc-1", "slo_id": "titanic-requests", "change": "opened", "at_ms": 7, "refused_at_ms": 8,
        "error": "slack answered 401: <b>invalid_auth</b>",
    });
    assert_eq!(shown["dead_letters"][0], expected);
    assert_eq!(shown["dead_letters"][1]["destination"], "pager");
    let page = get(&router, "/").await.text;
    assert!(page.contains("chat does not know that inc-1 of titanic-requests is opened"), "{page}");
    assert!(page.contains("pager does not know") && !page.contains("<b>invalid_auth"), "escaped");
    let ready = get(&router, "/readyz").await.text;
    assert!(ready.contains("chat refused 1 message:"), "{ready}");
    let retried = send(&router, post("deliveries/retry?destination=chat", Some("secret"), "")).await;
    assert_eq!((retried.status.as_u16(), retried.json()), (200, json!({ "retried": 1 })));
    assert_eq!(ledger.dead_letters.lock().unwrap()[0].destination, "pager");
    let all = send(&router, post("deliveries/retry", Some("secret"), "")).await;
    assert_eq!(all.json(), json!({ "retried": 1 }));
    assert!(!get(&router, "/").await.text.contains("does not know that"));
    let unknown = get(&router, "/api/v1/deliveries?incidents=x").await;
    assert_eq!(unknown.problem(), (400, "bad_query".to_owned()));
}

#[tokio::test]
async fn dead_letters_are_given_up_by_destination_and_incident() {
    let (router, ledger) = routed(&Fixture::burning().with_token(&["deliver"]));
    let other = DeadLetter { incident_id: "inc-2".to_owned(), ..letter("chat") };
    ledger.dead_letters.lock().unwrap().extend([letter("chat"), other, letter("pager")]);
    let all = send(&router, post("deliveries/discard", Some("secret"), "")).await;
    assert_eq!(all.problem(), (400, "bad_query".to_owned()), "nothing is given up by mistake");
    for (which, gone) in
        [("destination=chat&incident=inc-2", 1), ("incident=inc-2", 0), ("destination=chat", 1)]
    {
        let answer = send(&router, post(&format!("deliveries/discard?{which}"), Some("secret"), "")).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "discarded": gone })), "{which}");
    }
    let left: Vec<_> =
        ledger.dead_letters.lock().unwrap().iter().map(|one| one.destination.clone()).collect();
    assert_eq!(left, ["pager"]);
}

fn receivers(failure: Option<&str>, state: HeldState) -> Vec<ReceiverRow> {
    let silence = HeldSilence {
        id: "s-1".to_owned(),
        actor: "ana".to_owned(),
        reason: "moving <house>".to_owned(),
        until: Some(NOW + Duration::from_secs(600)),
    };
    let alert = HeldAlert {
        alert: "TitanicRequests".to_owned(),
        severity: "critical".to_owned(),
        service: "titanic".to_owned(),
        slo: "requests".to_owned(),
        state,
        silences: if state == HeldState::Silenced { vec![silence] } else { Vec::new() },
    };
    let instance = |name: &str, clock_ahead_ms| InstanceState {
        instance: name.to_owned(),
        clock_ahead_ms,
        read_at: Some(NOW),
        failure: failure.map(str::to_owned),
        alerts: if failure.is_some() { Vec::new() } else { vec![alert.clone()] },
    };
    let instances = vec![instance("am-1:9093", Some(0)), instance("am-2:9093", Some(-600_000))];
    vec![ReceiverRow { destination: "alertmanager".to_owned(), instances }]
}

#[tokio::test]
async fn what_alertmanager_does_with_alerts_and_how_its_clocks_differ_are_shown() {
    for (state, treatment, holds) in [
        (HeldState::Silenced, "silenced by ana until ", "1 alert, 1 silenced"),
        (HeldState::Inhibited, "inhibited by another alert", "1 alert, 1 inhibited"),
        (HeldState::Active, "notifies", "1 alert<"),
    ] {
        let fixture = Fixture { receivers: receivers(None, state), ..Fixture::burning() };
        let (router, _) = routed(&fixture);
        let page = get(&router, "/deliveries").await.text;
        for text in ["am-1:9093", "am-2:9093", "as ours", "10 min behind", treatment, holds] {
            assert!(page.contains(text), "{text}: {page}");
        }
        assert!(page.contains("Every message was taken") && !page.contains("<house>"), "{page}");
        let shown = get(&router, "/api/v1/deliveries").await.json();
        let instance = &shown["receivers"][0]["instances"][1];
        assert_eq!((&instance["clock_ahead_ms"], &instance["failure"]), (&json!(-600_000), &json!(null)));
        assert_eq!(instance["alerts"][0]["state"], json!(state), "{instance}");
    }
}

#[tokio::test]
async fn what_is_not_known_of_alertmanager_is_said_so() {
    let failure = Some("alertmanager am-1:9093 did not answer: <b>connection refused</b>");
    let fixture = Fixture { receivers: receivers(failure, HeldState::Active), ..Fixture::burning() };
    let (router, _) = routed(&fixture);
    let page = get(&router, "/deliveries").await.text;
    assert!(page.contains("Of 2 receivers nothing is known") && page.contains("Not known"), "{page}");
    assert!(page.contains("connection refused") && !page.contains("<b>connection"), "escaped: {page}");
    assert!(page.contains("None that is known."), "{page}");
}

#[tokio::test]
async fn refused_messages_have_a_page_that_tells_what_to_do() {
    let (router, ledger) = routed(&Fixture::burning());
    ledger.dead_letters.lock().unwrap().push(letter("chat"));
    let page = get(&router, "/deliveries").await.text;
    assert!(page.contains("1 message refused") && page.contains("lookout deliver retry --url"), "{page}");
    assert!(page.contains("invalid_auth") && !page.contains("<b>invalid_auth"), "{page}");
}

#[tokio::test]
async fn thousands_of_refused_messages_are_counted_and_the_newest_are_listed() {
    let (router, ledger) = routed(&Fixture::burning());
    let numbered = |number: usize| DeadLetter { incident_id: format!("inc-{number}"), ..letter("chat") };
    ledger.dead_letters.lock().unwrap().extend((1..=20_000).map(numbered));
    let shown = get(&router, "/api/v1/deliveries").await.json();
    assert_eq!(shown["dead_letters"].as_array().unwrap().len(), 1000);
    assert_eq!(shown["dead_letters"][0]["incident_id"], "inc-20000");
    assert_eq!(shown["dead_letter_counts"], json!({ "chat": 20_000 }));
    let page = get(&router, "/deliveries").await.text;
    assert!(page.contains("20,000 messages refused") && page.contains("19,500 older ones are not listed"));
    assert!(page.contains("inc-19501") && !page.contains("inc-19500<"), "{}", page.len());
    assert!(get(&router, "/readyz").await.text.contains("chat refused 20,000 messages"));
}

#[tokio::test]
async fn only_who_may_deliver_tries_again_and_drills() {
    let (router, ledger) = routed(&Fixture::burning().with_token(&["ask", "mark", "correct"]));
    ledger.dead_letters.lock().unwrap().push(letter("chat"));
    for path in ["deliveries/retry", "deliveries/discard?destination=chat", "drills"] {
        for (token, status, code) in [
            (None, 401, "token_missing"),
            (Some("guess"), 401, "token_unknown"),
            (Some("secret"), 403, "scope_missing"),
        ] {
            let refused = send(&router, post(path, token, r#"{"slo":"titanic-requests"}"#)).await;
            assert_eq!(refused.problem(), (status, code.to_owned()), "{path} {token:?}");
        }
    }
    assert_eq!(ledger.dead_letters.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_a_drill_is_explained() {
    let (router, _) = routed(&Fixture::burning().with_token(&["deliver"]));
    for (body, status, code) in [
        (r#"{"slo":"titanic-nothing"}"#, 404, "unknown_slo"),
        (r#"{"slo":"titanic-requests","seconds":0}"#, 400, "bad_length"),
        (r#"{"slo":"titanic-requests","seconds":3601}"#, 400, "bad_length"),
        (r#"{"slo":"titanic-requests","severity":"loud"}"#, 400, "bad_body"),
        ("{}", 400, "bad_body"),
    ] {
        let refused = send(&router, post("drills", Some("secret"), body)).await;
        assert_eq!(refused.problem(), (status, code.to_owned()), "{body}: {}", refused.text);
    }
    let begun = send(&router, post("drills", Some("secret"), r#"{"slo":"titanic-requests"}"#)).await;
    assert_eq!(begun.status, 201, "{}", begun.text);
}
