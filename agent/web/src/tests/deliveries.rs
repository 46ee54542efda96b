//! Dead letters, drills, and who may try and begin them.

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
    ledger.dead_letters.lock().unwrap().extend([letter("chat"), letter("pager")]);
    let shown = get(&router, "/api/v1/deliveries").await.json();
    let expected = json!({
        "destination": "chat", "incident_id": "inc-1", "slo_id": "titanic-requests", "change": "opened", "at_ms": 7,
        "error": "slack answered 401: <b>invalid_auth</b>",
    });
    assert_eq!(shown["dead_letters"][0], expected);
    assert_eq!(shown["dead_letters"][1]["destination"], "pager");
    let page = get(&router, "/").await.text;
    assert!(page.contains("chat does not know that inc-1 of titanic-requests is opened"), "{page}");
    assert!(page.contains("pager does not know") && !page.contains("<b>invalid_auth"), "escaped");
    let ready = get(&router, "/readyz").await.text;
    assert!(ready.contains("chat refused 1 messages"), "{ready}");
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
async fn only_who_may_deliver_tries_again_and_drills() {
    let (router, ledger) = routed(&Fixture::burning().with_token(&["ask", "mark", "correct", "override"]));
    ledger.dead_letters.lock().unwrap().push(letter("chat"));
    for path in ["deliveries/retry", "drills"] {
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
