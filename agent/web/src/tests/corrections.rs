//! Corrections: who may write them, what cannot be one, and where they are seen.

use serde_json::{Value, json};

use super::*;
use lookout_ledger::CorrectionStore as _;
use lookout_model::{Corrected, CorrectedBy, CorrectionKind};

fn body() -> Value {
    json!({
        "scope": { "slo": "titanic-requests" },
        "from": "2026-01-01T02:00:00Z",
        "to": "2026-01-01T04:00:00Z",
        "reason": "The database moves",
    })
}

fn post(path: &str, token: Option<&str>, body: &Value) -> Request<Body> {
    let mut request = Request::post(format!("/api/v1/corrections{path}"));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(Body::from(body.to_string())).unwrap()
}

fn fixture() -> Fixture {
    let mut fixture = Fixture::empty().with_token(&["correct"]);
    fixture.add("requests", "Requests succeed", 0.5);
    fixture
}

#[tokio::test]
async fn a_correction_is_written_once_listed_and_revoked_once() {
    let (router, _) = routed(&fixture());
    let first = send(&router, post("", Some("secret"), &body())).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let shown = first.json();
    assert_eq!(shown["actor"], "pipeline", "whoever holds the token, unless told otherwise");
    assert_eq!((&shown["kind"], &shown["revoked"]), (&json!("maintenance"), &Value::Null));
    assert_eq!(shown["to_ms"].as_i64().unwrap() - shown["from_ms"].as_i64().unwrap(), 7_200_000);
    let again = send(&router, post("", Some("secret"), &body())).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, shown.clone()));

    let mut weekly = body();
    weekly["scope"] = json!("all");
    weekly["to"] = Value::Null;
    weekly["recurrence"] = json!("weekly mon,thu 02:00 for 120m in europe/zurich");
    let second = send(&router, post("", Some("secret"), &weekly)).await.json();
    assert_eq!(second["recurrence"], "weekly mon,thu 02:00 for 2h in Europe/Zurich");
    let listed = get(&router, "/api/v1/corrections").await.json();
    assert_eq!(listed, json!({ "corrections": [second, shown] }));
    let page = get(&router, "/api/v1/corrections?limit=1").await.json();
    let before = page["corrections"][0]["id"].as_str().unwrap().to_owned();
    let rest = get(&router, &format!("/api/v1/corrections?before={before}")).await.json();
    assert_eq!(rest["corrections"], json!([shown]));

    let id = shown["id"].as_str().unwrap();
    let why = json!({ "reason": "It was us", "actor": "Ada" });
    let revoked = send(&router, post(&format!("/{id}/revoke"), Some("secret"), &why)).await;
    assert_eq!(revoked.status, 200, "{}", revoked.text);
    assert_eq!(
        revoked.json()["revoked"],
        json!({ "at_ms": NOW, "actor": "pipeline (for Ada)", "reason": "It was us" })
    );
    let other = json!({ "reason": "No, them" });
    let again = send(&router, post(&format!("/{id}/revoke"), Some("secret"), &other)).await;
    assert_eq!((again.status.as_u16(), again.json()), (200, revoked.json()));
    let anew = send(&router, post("", Some("secret"), &body())).await;
    assert_eq!(anew.status, 201, "what was revoked can be written again");
}

#[tokio::test]
async fn only_who_may_correct_writes_and_revokes() {
    let mut other = Fixture::empty().with_token(&["ask", "mark"]);
    other.add("requests", "Requests succeed", 0.5);
    let (router, ledger) = routed(&other);
    for path in ["", "/cor-1/revoke"] {
        for (token, status, code) in [
            (None, 401, "token_missing"),
            (Some("guess"), 401, "token_unknown"),
            (Some("secret"), 403, "scope_missing"),
        ] {
            let refused = send(&router, post(path, token, &body())).await;
            assert_eq!(refused.problem(), (status, code.to_owned()), "{path} {token:?}");
        }
    }
    assert!(ledger.corrections(None, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn what_cannot_be_a_correction_is_explained() {
    let (router, ledger) = routed(&fixture());
    for (key, value, code, said) in [
        ("scope", json!({ "slo": "titanic-x" }), "unknown_slo", "known are: titanic-requests"),
        ("scope", json!({ "service": "olympic" }), "unknown_service", "known are: titanic"),
        ("scope", json!({ "team": "x" }), "bad_body", "unknown variant"),
        ("from", json!("yesterday"), "bad_times", "write it like 2026-03-01T00:00:00Z"),
        ("from", json!("2026-01-01T04:00:00Z"), "bad_times", "after `from`"),
        ("from", json!("2024-01-01T04:00:00Z"), "bad_times", "within 400 days"),
        ("to", Value::Null, "bad_times", "when it ends"),
        ("to", json!("2028-01-01T04:00:00Z"), "bad_times", "within 400 days"),
        ("recurrence", json!("hourly"), "bad_body", "write it like"),
        ("kind", json!("holiday"), "bad_body", "maintenance"),
        ("reason", json!(" "), "bad_field", "reason"),
        ("reason", json!("x".repeat(501)), "bad_field", "1 to 500 bytes"),
        ("actor", json!("x".repeat(201)), "bad_field", "actor"),
        ("until", json!("2026-01-01T04:00:00Z"), "bad_body", "unknown field"),
    ] {
        let mut body = body();
        body[key] = value;
        let refused = send(&router, post("", Some("secret"), &body)).await;
        assert_eq!(refused.problem(), (400, code.to_owned()), "{key}: {}", refused.text);
        assert!(refused.text.contains(said), "{key}: {}", refused.text);
    }
    assert!(ledger.corrections(None, 9).await.unwrap().is_empty());
    let unknown = send(&router, post("/cor-1/revoke", Some("secret"), &json!({ "reason": "x" }))).await;
    assert_eq!(unknown.problem(), (404, "unknown_correction".to_owned()));
    let empty = send(&router, post("/cor-1/revoke", Some("secret"), &json!({ "reason": "" }))).await;
    assert_eq!(empty.problem(), (400, "bad_field".to_owned()));
}

#[tokio::test]
async fn corrected_time_is_seen_and_its_reason_is_only_text() {
    let mut fixture = Fixture::healthy();
    let plain = get(&routed(&fixture).0, "/slos/titanic/requests").await.text;
    assert!(!plain.contains("Corrections"), "nothing to say, nothing said");
    fixture.snapshot.slos[1].evidence.corrected = Corrected {
        seconds: 7200,
        now: true,
        entries: vec![CorrectedBy {
            id: "cor-1".to_owned(),
            kind: CorrectionKind::Maintenance,
            reason: format!("<script>alert(1)</script>{}", "x".repeat(2000)),
            actor: "<b>ops".to_owned(),
            from: NOW - Duration::from_secs(7200),
            to: NOW,
            seconds: 7200,
            recurring: true,
        }],
        more: 2,
    };
    let (router, ledger) = routed(&fixture);
    let now = lookout_model::sample::correction("cor-1");
    let now = lookout_model::CorrectionRecord { from: NOW - Duration::from_secs(7140), to: Some(NOW), ..now };
    ledger.record_correction(&now).await.unwrap();
    for path in ["/", "/slos/titanic/requests"] {
        let page = get(&router, path).await.text;
        assert!(
            page.contains("2 h of the period corrected") && page.contains("Nothing counts now"),
            "{path}"
        );
        assert!(!page.contains("<script") && !page.contains("<b>ops"), "{path}");
        assert!(!page.contains(&"x".repeat(400)), "{path}: bounded");
    }
    let page = get(&router, "/slos/titanic/requests").await.text;
    assert!(page.contains("8 columns stand on a band"), "the marked range of the picture");
    assert_eq!(page.matches("class=\"corrected\"").count(), 8);
    assert!(page.contains("recurring") && page.contains("2 more, listed"));
    let shown = get(&router, "/api/v1/slos").await.json();
    assert_eq!(shown["slos"][1]["evidence"]["corrected"]["seconds"], 7200);
    let metrics = get(&router, "/metrics").await.text;
    assert!(metrics.contains("lookout_slo_corrected_seconds{service=\"titanic\",slo=\"requests\"} 7200"));
    assert!(metrics.contains("lookout_slo_corrected_seconds{service=\"titanic\",slo=\"latency\"} 0"));
}
