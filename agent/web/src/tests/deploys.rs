//! Marking deploys: who may, and what a repeated request does.

use super::*;

const BODY: &str = r#"{"service":"titanic","version":"1.4.3","commit":"abc","class":"fix"}"#;

fn post(token: Option<&str>, key: Option<&str>, body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::post("/api/v1/deploys");
    if let Some(token) = token {
        request = request.header("authorization", token);
    }
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    request.body(body.into()).unwrap()
}

#[tokio::test]
async fn the_same_key_marks_once_and_never_something_else() {
    let (router, ledger) = routed(&Fixture::empty().with_token(&["ask", "mark"]));
    let first = send(&router, post(Some("Bearer secret"), Some("run-1"), BODY)).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let shown = first.json();
    assert_eq!(shown["environment"], "production");
    assert_eq!(shown["class"], "fix");
    assert_eq!(shown["actor"], "pipeline", "whoever holds the token, unless told otherwise");
    assert_eq!(shown["started_at_ms"], NOW.as_millis());

    let again = send(&router, post(Some("bearer secret"), Some("run-1"), BODY)).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, shown));
    let other =
        send(&router, post(Some("Bearer secret"), Some("run-1"), BODY.replace("1.4.3", "1.4.4"))).await;
    assert_eq!(other.problem(), (422, "idempotency_key_reused".to_owned()));
    assert_eq!(ledger.deploys.lock().unwrap().len(), 1);

    let listed = get(&router, "/api/v1/deploys?service=titanic").await.json();
    assert_eq!(listed["deploys"][0]["version"], "1.4.3");
    assert_eq!(get(&router, "/api/v1/deploys?service=other").await.json()["deploys"], serde_json::json!([]));
}

#[tokio::test]
async fn only_a_known_token_with_the_scope_may_mark() {
    let fixture = Fixture::empty().with_token(&["ask"]);
    let (router, ledger) = routed(&fixture);
    for (token, status, code) in [
        (None, 401, "token_missing"),
        (Some("Basic c2VjcmV0"), 401, "token_missing"),
        (Some("Bearer "), 401, "token_missing"),
        (Some("Bearer secrets"), 401, "token_unknown"),
        (Some("Bearer secret"), 403, "scope_missing"),
    ] {
        let refused = send(&router, post(token, Some("k"), BODY)).await;
        assert_eq!(refused.problem(), (status, code.to_owned()), "{token:?}");
        assert_eq!(refused.headers.contains_key("www-authenticate"), status == 401);
    }
    let open = send(&routed(&Fixture::empty()).0, post(Some("Bearer secret"), Some("k"), BODY)).await;
    assert_eq!(open.problem(), (403, "no_tokens_configured".to_owned()));
    assert!(open.text.contains("sha256sum") && open.text.contains("`mark`"), "{}", open.text);
    assert!(ledger.deploys.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_cannot_be_marked_is_explained() {
    let (router, ledger) = routed(&Fixture::empty().with_token(&["mark"]));
    let token = Some("Bearer secret");
    for (key, body, status, code) in [
        (None, BODY.to_owned(), 400, "idempotency_key_missing"),
        (Some(""), BODY.to_owned(), 400, "bad_idempotency_key"),
        (Some("k"), "{".to_owned(), 400, "bad_body"),
        (Some("k"), BODY.replace("fix", "fun"), 400, "bad_body"),
        (Some("k"), BODY.replace("commit", "comit"), 400, "bad_body"),
        (Some("k"), BODY.replace("1.4.3", ""), 400, "bad_field"),
        (Some("k"), BODY.replace("1.4.3", &"v".repeat(201)), 400, "bad_field"),
        (Some("k"), BODY.replace("titanic", "olympic"), 400, "unknown_service"),
        (Some("k"), "x".repeat(65 * 1024), 413, "bad_body"),
    ] {
        let refused = send(&router, post(token, key, body)).await;
        assert_eq!(refused.problem(), (status, code.to_owned()));
    }
    assert!(ledger.deploys.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_service_that_only_an_slo_names_is_known() {
    let mut fixture = Fixture::empty().with_token(&["mark"]);
    fixture.add("requests", "Requests succeed", 0.5);
    fixture.config.slos[0].service = "olympic".to_owned();
    let (router, _) = routed(&fixture);
    let token = Some("Bearer secret");
    let marked = send(&router, post(token, Some("k"), BODY.replace("titanic", "olympic"))).await;
    assert_eq!(marked.status, 201, "{}", marked.text);
    let refused = send(&router, post(token, Some("l"), BODY.replace("titanic", "gigantic"))).await;
    assert_eq!(refused.problem(), (400, "unknown_service".to_owned()));
    assert!(refused.text.contains("known services: olympic, titanic"), "{}", refused.text);
}
