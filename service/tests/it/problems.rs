//! Every error has one shape and names the field at fault.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use crate::app::App;
use crate::program::until;

fn post(content_type: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post("/api/v1/passengers").header("content-type", content_type).body(body.into()).unwrap()
}

#[tokio::test]
async fn what_the_framework_answers_has_our_shape() {
    let app = App::new().await;
    assert_eq!(app.get("/nowhere").await.problem(404).0, "not_found");
    assert_eq!(app.get("/nowhere").await.problem(404).0, "not_found");
    let answer = app.call(Method::PUT, "/api/hello", None).await;
    assert_eq!(answer.problem(405).0, "method_not_allowed");
    assert_eq!(answer.headers["allow"], "GET,HEAD");
}

#[tokio::test]
async fn wrong_parameters_and_paths_are_named() {
    let app = App::new().await;
    let answer = app.get("/api/v1/passengers?class=9&limit=0&colour=red").await;
    assert_eq!(
        answer.problem(400),
        (String::from("invalid_query"), vec!["class".into(), "limit".into(), "colour".into()])
    );
    let answer = app.get("/api/v1/passengers/12").await;
    assert_eq!(answer.problem(400), (String::from("invalid_path"), vec!["id".into()]));
    assert_eq!(app.get("/api/v1/passengers/%FF").await.problem(400).0, "invalid_path");
    let unknown = "/api/v1/passengers/01890000-0000-7000-8000-000000000000";
    assert_eq!(app.get(unknown).await.problem(404).0, "not_found");
}

#[tokio::test]
async fn bodies_are_read_strictly() {
    let app = App::new().await;
    let person = json!({"name": "A", "class": 4, "sex": "female", "survived": true, "cabin": 1});
    let answer = app.call(Method::POST, "/api/v1/passengers", Some(&person)).await;
    assert_eq!(answer.problem(422), (String::from("invalid_fields"), vec!["class".into(), "cabin".into()]));

    let answer = app.send(post("text/plain", "{}")).await;
    assert_eq!(answer.problem(415), (String::from("unsupported_media_type"), vec!["content-type".into()]));
    for malformed in ["", "{", "[]", "\u{0}"] {
        let answer = app.send(post("application/json; charset=utf-8", malformed)).await;
        assert_eq!(
            answer.problem(400),
            (String::from("malformed_body"), vec!["body".into()]),
            "{malformed:?}"
        );
    }
    assert_eq!(app.get("/api/v1/passengers?total=true").await.json()["total"], 1309);
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_with_and_without_an_announced_length() {
    let app = App::new().await;
    let large = "x".repeat(64 * 1024 + 1);
    let announced = Request::post("/api/v1/passengers")
        .header("content-type", "application/json")
        .header("content-length", large.len())
        .body(Body::from(large.clone()))
        .unwrap();
    assert_eq!(app.send(announced).await.problem(413), (String::from("body_too_large"), vec!["body".into()]));
    let streamed = app.send(post("application/json", large)).await;
    assert_eq!(streamed.problem(413), (String::from("body_too_large"), vec!["body".into()]));
}

#[tokio::test]
async fn a_request_keeps_the_name_its_client_gave_it() {
    let app = App::new().await;
    let named = |id: &str| Request::get("/nowhere").header("x-request-id", id).body(Body::empty()).unwrap();
    let answer = app.send(named("probe-7")).await;
    assert_eq!(answer.json()["request_id"], "probe-7");
    answer.problem(404);
    let answer = app.send(named("not\tplain")).await;
    assert_ne!(answer.headers["x-request-id"], "not\tplain");
    answer.problem(404);
}

#[tokio::test]
async fn a_database_that_is_away_is_said_so_everywhere() {
    let app = App::new().await;
    assert_eq!(
        app.get("/health").await.json(),
        json!({"status": "ok", "checks": {"database": "ok"},
        "version": env!("CARGO_PKG_VERSION")})
    );
    assert_eq!(app.get("/readyz").await.status, 200);

    app.database.close().await;
    let answer = app.get("/api/v1/passengers").await;
    assert_eq!(answer.problem(503).0, "database_unavailable");
    assert_eq!(answer.headers["retry-after"], "1");
    // A check may answer for probes that come shortly after it.
    let health = until("the report says so", async || {
        Some(app.get("/health").await).filter(|health| health.status == 503)
    })
    .await;
    assert_eq!(health.headers["content-type"], "application/json");
    assert_eq!(
        (&health.json()["status"], &health.json()["checks"]["database"]),
        (&json!("fail"), &json!("fail"))
    );
    assert_eq!(app.get("/readyz").await.status, 503);
    // Restarting would not bring the database back.
    assert_eq!(app.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_draining_service_is_alive_and_healthy_but_not_ready() {
    let app = App::new().await;
    app.shared.readiness.withdraw();
    let ready = app.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.json()["checks"]["accepting"]), (503, &json!("draining")));
    assert_eq!(app.get("/health").await.status, 200);
    assert_eq!(app.get("/livez").await.status, 200);
    assert_eq!(app.get("/api/hello").await.status, 200);
}

#[tokio::test]
async fn the_version_is_the_one_it_was_told() {
    let app = App::with(&[("APP_VERSION", "2.3.4"), ("ENVIRONMENT", "staging")]).await;
    let version = app.get("/version").await.json();
    assert_eq!(version, json!({"name": "titanic", "version": "2.3.4", "environment": "staging"}));
    assert!(app.metrics().await.contains("titanic_build_info{version=\"2.3.4\"} 1"));
}
