//! Faults on purpose: exact, bounded in time, behind a token, never in production, never on health.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::app::{App, TOKEN};

fn order(ttl_seconds: u32) -> Value {
    json!({"route": "/api/v1/passengers", "error_percent": 30, "status": 503, "delay_percent": 0, "delay_ms": 0,
        "ttl_seconds": ttl_seconds})
}

#[tokio::test]
async fn precisely_thirty_of_a_hundred_fail_and_only_on_the_ordered_route() {
    let app = App::new().await;
    let started = app.faults(Method::POST, Some(TOKEN), Some(&order(60))).await;
    assert_eq!(started.status, 201, "{}", started.text);
    assert!(started.json()["expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(app.faults(Method::GET, Some(TOKEN), None).await.json()["items"], json!([started.json()]));

    let mut failed = 0;
    for _ in 0..100 {
        let answer = app.get("/api/v1/passengers?limit=1").await;
        if answer.status == 503 {
            assert_eq!(answer.problem(503).0, "fault_injected");
            assert_eq!(answer.headers["x-fault-injected"], "true");
            failed += 1;
        } else {
            assert_eq!(answer.status, 200);
            assert!(!answer.headers.contains_key("x-fault-injected"));
        }
    }
    assert_eq!(failed, 30);
    for spared in ["/health", "/livez", "/readyz", "/version", "/api/hello"] {
        assert_eq!(app.get(spared).await.status, 200, "{spared}");
    }
    let metrics = app.metrics().await;
    let line = "titanic_faults_injected_total{route=\"/api/v1/passengers\",kind=\"error\"} 30";
    assert!(metrics.lines().any(|shown| shown == line), "{metrics}");

    assert_eq!(app.faults(Method::DELETE, Some(TOKEN), None).await.status, 204);
    assert_eq!(app.faults(Method::GET, Some(TOKEN), None).await.json(), json!({"items": []}));
    for _ in 0..10 {
        assert_eq!(app.get("/api/v1/passengers").await.status, 200);
    }
}

#[tokio::test]
async fn a_fault_ends_by_itself() {
    let app = App::new().await;
    let mut order = order(1);
    order["error_percent"] = json!(100);
    let since = Instant::now();
    assert_eq!(app.faults(Method::POST, Some(TOKEN), Some(&order)).await.status, 201);
    while app.get("/api/v1/passengers?limit=1").await.status == 503 {
        assert!(since.elapsed() < Duration::from_secs(10), "the fault did not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(since.elapsed() >= Duration::from_secs(1), "it ended after {:?}", since.elapsed());
    assert_eq!(app.faults(Method::GET, Some(TOKEN), None).await.json(), json!({"items": []}));
}

#[tokio::test]
async fn a_delay_only_delays() {
    let app = App::new().await;
    let order = json!({"route": "/api/hello", "delay_percent": 100, "delay_ms": 50, "ttl_seconds": 60});
    assert_eq!(app.faults(Method::POST, Some(TOKEN), Some(&order)).await.status, 201);
    let since = Instant::now();
    let answer = app.get("/api/hello").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["x-fault-injected"]),
        (200, &"true".parse().unwrap())
    );
    assert!(since.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn only_the_token_lets_in() {
    let app = App::new().await;
    for token in [None, Some("iceber"), Some("iceberg2"), Some("")] {
        for method in [Method::GET, Method::POST, Method::DELETE] {
            let answer = app.faults(method, token, Some(&order(60))).await;
            assert_eq!(answer.problem(401).0, "unauthorized", "{token:?}");
            assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        }
    }
    assert_eq!(app.faults(Method::GET, Some(TOKEN), None).await.json(), json!({"items": []}));
}

#[tokio::test]
async fn without_a_token_faults_are_switched_off() {
    let answer = App::with(&[]).await.faults(Method::POST, Some(""), Some(&order(60))).await;
    assert_eq!(answer.problem(404).0, "faults_disabled");
    assert!(answer.json()["detail"].as_str().unwrap().contains("ADMIN_TOKEN"));
}

#[tokio::test]
async fn production_refuses_whoever_asks() {
    let app = App::with(&[("ENVIRONMENT", "production"), ("ADMIN_TOKEN", TOKEN)]).await;
    let answer = app.faults(Method::POST, Some(TOKEN), Some(&order(60))).await;
    assert_eq!(answer.problem(403).0, "faults_forbidden");
    assert_eq!(app.get("/api/v1/passengers").await.status, 200);
}

#[tokio::test]
async fn an_order_is_read_strictly() {
    let app = App::new().await;
    for route in ["/health", "/readyz", "/metrics", "/version", "/api/nowhere", "/api/v1/passengers/7"] {
        let order = json!({"route": route, "error_percent": 100, "ttl_seconds": 60});
        let answer = app.faults(Method::POST, Some(TOKEN), Some(&order)).await;
        assert_eq!(answer.problem(422).1, ["route"], "{route}");
    }
    let wrong = json!({"route": "/api/hello", "error_percent": 101, "ttl_seconds": 3601, "reason": "fun"});
    let answer = app.faults(Method::POST, Some(TOKEN), Some(&wrong)).await;
    assert_eq!(answer.problem(422).1, ["error_percent", "reason", "ttl_seconds"]);
    let endless = json!({"route": "/api/hello", "error_percent": 10});
    assert_eq!(app.faults(Method::POST, Some(TOKEN), Some(&endless)).await.problem(422).1, ["ttl_seconds"]);
    assert_eq!(app.faults(Method::GET, Some(TOKEN), None).await.json(), json!({"items": []}));
}
