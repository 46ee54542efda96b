//! The JSON API, metrics and health.

use lookout_evaluate::Snapshot;
use lookout_model::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use lookout_gate::Answer;
use lookout_runtime::clock::Clock;

#[tokio::test]
async fn slos_are_the_snapshot_and_its_age() {
    let fixture = Fixture::burning();
    let body = get(&routed(&fixture).0, "/api/v1/slos").await;
    assert_eq!(body.header("content-type"), "application/json");
    let shown = body.json();
    assert_eq!(shown["age_seconds"], 3.0);
    assert_eq!(shown["slos"].as_array().unwrap().len(), 5);
    assert_eq!(shown["slos"][1]["incidents"][0]["severity"], "page");
    let read: Snapshot = serde_json::from_str(&body.text).unwrap();
    assert_eq!(read.slos[1].id, "titanic-requests");
}

#[tokio::test]
async fn incidents_are_limited_and_a_bad_limit_is_explained() {
    let (router, _) = routed(&Fixture::burning());
    let shown = get(&router, "/api/v1/incidents").await.json();
    assert_eq!(shown["incidents"].as_array().unwrap().len(), 2);
    let shown = get(&router, "/api/v1/incidents?limit=1").await.json();
    assert_eq!(shown["incidents"][0]["resolved_at_ms"], serde_json::Value::Null);
    let first = shown["incidents"][0]["id"].as_str().unwrap().to_owned();
    let next = get(&router, &format!("/api/v1/incidents?limit=1&before={first}")).await.json();
    assert_ne!(next["incidents"][0]["id"], first.as_str());
    let last = next["incidents"][0]["id"].as_str().unwrap().to_owned();
    let none = get(&router, &format!("/api/v1/incidents?before={last}")).await.json();
    assert_eq!(none["incidents"].as_array().unwrap().len(), 0);
    for bad in ["limit=0", "limit=1001", "limit=x", "lmit=3"] {
        let refused = get(&router, &format!("/api/v1/incidents?{bad}")).await;
        assert_eq!(refused.problem(), (400, "bad_query".to_owned()), "{bad}");
    }
}

/// Asks as a client with a token.
async fn ask(router: &Router, path: &str) -> Answered {
    let request = Request::get(path).header("authorization", "Bearer secret");
    send(router, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn strangers_get_an_answer_and_leave_no_row() {
    let (router, ledger) = routed(&Fixture::burning().with_token(&["mark"]));
    let question = "/api/v1/gate?service=titanic&class=feature";
    let wrong = Request::get(question).header("authorization", "Bearer guessed").body(Body::empty()).unwrap();
    for answered in [get(&router, question).await, send(&router, wrong).await] {
        assert_eq!(answered.status, 200);
        let shown = answered.json();
        assert_eq!((shown["decision"].as_str(), shown["decision_id"].as_str()), (Some("deny"), Some("")));
    }
    assert!(ledger.decisions.lock().unwrap().is_empty());
    assert_ne!(ask(&router, question).await.json()["decision_id"], "");
    assert_eq!(ledger.decisions.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_gate_answers_and_records_what_it_answered() {
    let (router, ledger) = routed(&Fixture::burning().with_token(&["mark"]));
    let answered = ask(&router, "/api/v1/gate?service=titanic&class=feature").await;
    assert_eq!(answered.status, 200, "a denial is an answer, no error");
    let shown = answered.json();
    let keys: Vec<&String> = shown.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "data_age_seconds",
            "decided_by",
            "decision",
            "decision_id",
            "evaluated_at",
            "evidence",
            "minimum_detectable_effect",
            "policy_hash",
            "reasons",
            "valid_until"
        ]
    );
    assert_eq!((shown["decision"].as_str(), shown["evidence"].as_str()), (Some("deny"), Some("bad")));
    assert_eq!(shown["reasons"][0]["code"], "burn_fast");
    assert_eq!(shown["evaluated_at"], "2026-01-01T03:12:40Z");
    assert_eq!(shown["valid_until"], "2026-01-01T03:13:40Z");
    let answer: Answer = serde_json::from_str(&answered.text).unwrap();
    assert_eq!(answer.exit_code(), 1);
    let decisions = ledger.decisions.lock().unwrap();
    assert_eq!(decisions.len(), 1);
    assert_eq!(
        (decisions[0].id.as_str(), decisions[0].service.as_str()),
        (answer.decision_id.as_str(), "titanic")
    );
    assert_eq!(decisions[0].answer, answered.text);
}

#[tokio::test]
async fn a_webhook_reads_the_decision_from_the_status() {
    for (fixture, class, status, decision) in [
        (Fixture::healthy(), "feature", 200, "allow"),
        (Fixture::burning(), "feature", 403, "deny"),
        (Fixture::burning(), "rollback", 200, "allow"),
        (Fixture::empty(), "feature", 409, "hold"),
    ] {
        let (router, _) = routed(&fixture);
        let path = format!("/api/v1/gate/confirm?service=titanic&class={class}");
        let request =
            Request::post(&path).body(Body::from(r#"{"name":"titanic","phase":"Progressing"}"#)).unwrap();
        let answered = send(&router, request).await;
        let shown = answered.json();
        assert_eq!(
            (answered.status.as_u16(), shown["decision"].as_str()),
            (status, Some(decision)),
            "{shown}"
        );
        assert_eq!(get(&router, &path).await.problem().0, 405, "a question that is recorded is no GET here");
    }
}

#[tokio::test]
async fn every_decision_has_an_id_of_its_own_and_a_rollback_passes() {
    let (router, ledger) = routed(&Fixture::burning().with_token(&["mark"]));
    for class in ["rollback", "security"] {
        let shown = ask(&router, &format!("/api/v1/gate?service=titanic&class={class}")).await.json();
        assert_eq!(shown["decision"], "allow");
        assert_eq!(shown["reasons"][0]["code"], "passed_over");
        assert_eq!(shown["reasons"][1]["code"], "burn_fast", "the reasons are listed all the same");
    }
    let decisions = ledger.decisions.lock().unwrap();
    assert_ne!(decisions[0].id, decisions[1].id);
}

#[tokio::test]
async fn who_asks_again_at_once_gets_the_recorded_answer() {
    let fixture = Fixture::burning().with_token(&["mark"]);
    let state = fixture.state();
    let (router, ledger) = (router(state.clone()), fixture.ledger.clone());
    let question = "/api/v1/gate?service=titanic&class=feature";
    let first = ask(&router, question).await;
    for _ in 0..20 {
        assert_eq!(ask(&router, question).await.text, first.text);
    }
    assert_eq!(ledger.decisions.lock().unwrap().len(), 1);
    state.board.publish(Fixture::healthy().snapshot);
    let second = ask(&router, question).await.json();
    assert_eq!(second["decision"], "allow", "what has changed is another answer");
    assert_ne!(second["decision_id"], first.json()["decision_id"]);
    assert_eq!(ledger.decisions.lock().unwrap().len(), 2);
}

/// Clock that is set by hand.
struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn an_answer_is_given_again_for_ten_seconds_and_never_beyond_its_validity() {
    let minute = Duration::from_secs(60);
    for (valid_for, later, again) in
        [(minute, 9999, true), (minute, 10_000, false), (minute, -1, false), (minute / 12, 5000, false)]
    {
        let mut fixture = Fixture::healthy().with_token(&["mark"]);
        fixture.config.gate.valid_for = valid_for;
        let clock = Arc::new(HandClock(AtomicI64::new(NOW.as_millis())));
        let router = router(State { clock: clock.clone(), ..fixture.state() });
        let first = ask(&router, "/api/v1/gate?service=titanic").await.json();
        clock.0.fetch_add(later, Ordering::Relaxed);
        let second = ask(&router, "/api/v1/gate?service=titanic").await.json();
        assert_eq!(first["decision_id"] == second["decision_id"], again, "{valid_for:?} {later}");
    }
}

#[tokio::test]
async fn the_gate_asks_for_a_token_once_there_is_one_for_it() {
    let question = "/api/v1/gate?service=titanic";
    let (open, _) = routed(&Fixture::healthy().with_token(&["mark"]));
    assert_eq!(get(&open, question).await.status, 200, "no token is good for asking, so asking is open");
    let (router, ledger) = routed(&Fixture::healthy().with_token(&["ask"]));
    assert_eq!(get(&router, question).await.problem(), (401, "token_missing".to_owned()));
    assert!(ledger.decisions.lock().unwrap().is_empty());
    let request = Request::get(question).header("authorization", "Bearer secret");
    assert_eq!(send(&router, request.body(Body::empty()).unwrap()).await.status, 200);
    assert_eq!(ledger.decisions.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn questions_the_gate_cannot_understand_are_refused() {
    let (router, ledger) = routed(&Fixture::burning());
    for (query, code) in [
        ("", "service_missing"),
        ("?service=", "service_missing"),
        ("?service=titanic&class=feture", "bad_class"),
        ("?servise=titanic", "bad_query"),
    ] {
        let refused = get(&router, &format!("/api/v1/gate{query}")).await;
        assert_eq!(refused.problem(), (400, code.to_owned()), "{query}");
    }
    let long = "x".repeat(201);
    assert_eq!(get(&router, &format!("/api/v1/gate?service={long}")).await.problem().0, 400);
    let unknown = get(&router, "/api/v1/gate?service=titanik").await.json();
    assert_eq!(unknown["decision_id"], "", "anyone can make up names: they are not recorded");
    assert!(ledger.decisions.lock().unwrap().is_empty());
    assert_eq!((unknown["decision"].as_str(), unknown["evidence"].as_str()), (Some("hold"), Some("unknown")));
}

#[tokio::test]
async fn a_decision_that_cannot_be_recorded_is_not_given() {
    let (router, ledger) = routed(&Fixture::healthy().with_token(&["mark"]));
    ledger.fails.store(true, Ordering::Relaxed);
    let refused = ask(&router, "/api/v1/gate?service=titanic").await;
    assert_eq!(refused.problem(), (503, "ledger_unavailable".to_owned()));
    assert!(!refused.text.contains("pool"), "the cause is for the log: {}", refused.text);
}

#[tokio::test]
async fn metrics_are_text_for_prometheus() {
    let answered = get(&routed(&Fixture::burning()).0, "/metrics").await;
    assert_eq!(answered.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(answered.text.contains("lookout_build_info{version=\"0.1.0\",external_url=\""));
    assert!(answered.text.contains("sloth_id=\"titanic-requests\""));
    assert!(!answered.text.contains("NaN"));
}

#[tokio::test]
async fn readiness_waits_for_the_first_evaluation_and_falls_with_the_ledger() {
    let mut fixture = Fixture::healthy();
    fixture.snapshot.at = Snapshot::NEVER;
    let (router, _) = routed(&fixture);
    assert_eq!(get(&router, "/livez").await.status, 200);
    assert_eq!(get(&router, "/readyz").await.problem(), (503, "starting".to_owned()));
    let (router, ledger) = routed(&Fixture::healthy());
    assert_eq!(get(&router, "/readyz").await.status, 200);
    ledger.fails.store(true, Ordering::Relaxed);
    assert_eq!(get(&router, "/readyz").await.problem(), (503, "ledger_unavailable".to_owned()));
    assert_eq!(get(&router, "/livez").await.status, 200);
    let mut fixture = Fixture::healthy();
    fixture.snapshot.ledger_is_down = true;
    let down = get(&routed(&fixture).0, "/readyz").await;
    assert_eq!(down.problem(), (503, "ledger_unavailable".to_owned()));
    assert!(down.text.contains("takes no writes"), "reading may still work: {}", down.text);
}

#[tokio::test]
async fn what_does_not_exist_is_a_problem_under_api_and_a_page_elsewhere() {
    let (router, _) = routed(&Fixture::healthy());
    assert_eq!(get(&router, "/api/v1/slo").await.problem(), (404, "not_found".to_owned()));
    assert!(get(&router, "/slo").await.text.contains("<h1>Not found</h1>"));
    let posted = send(&router, Request::post("/metrics").body(Body::empty()).unwrap()).await;
    assert_eq!(posted.problem(), (405, "method_not_allowed".to_owned()));
}

#[tokio::test]
async fn a_panic_is_one_failed_answer() {
    let mut state = Fixture::healthy().state();
    state.probes = ProbeView::new(|| panic!("a bug in a probe"));
    let router = router(state);
    assert_eq!(get(&router, "/").await.problem(), (500, "internal".to_owned()));
    assert_eq!(get(&router, "/livez").await.status, 200);
}
