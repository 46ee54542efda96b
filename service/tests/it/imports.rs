//! Many passengers at once.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use futures_util::stream;
use serde_json::{Value, json};

use crate::app::{Answer, App};

on_both_databases!(
    a_list_is_imported_and_every_line_at_fault_is_named,
    a_large_list_is_imported_in_batches,
    what_is_too_much_is_refused_or_cut,
    a_body_that_breaks_off_keeps_what_was_whole,
    a_database_that_goes_away_ends_the_import,
);

const PATH: &str = "/api/v1/passengers/import";

fn line(name: &str) -> String {
    json!({"name": name, "class": 2, "sex": "female", "survived": true}).to_string()
}

async fn import(app: &App, body: impl Into<Body>) -> Answer {
    let request = Request::post(PATH).header("content-type", "application/x-ndjson");
    app.send(request.body(body.into()).unwrap()).await
}

/// The lines of an answer, and the summary that ends it.
fn told(answer: &Answer) -> (Vec<Value>, Value) {
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    let mut lines: Vec<Value> = answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = lines.pop().unwrap()["summary"].take();
    (lines, summary)
}

async fn total(app: &App) -> Value {
    app.get("/api/v1/passengers?total=true&limit=1").await.json()["total"].clone()
}

async fn a_list_is_imported_and_every_line_at_fault_is_named(app: App) {
    let body = [
        line("Noël, Mrs. Ève"),
        String::from("\r"),
        String::from("{"),
        json!({"name": "", "class": 9, "sex": "male", "survived": true, "cabin": 1}).to_string(),
        String::from("[]"),
        format!("{{\"name\": \"{}\"}}", "x".repeat(9000)),
        line("Noël, Mr. Jean"),
    ];
    let (lines, summary) = told(&import(&app, body.join("\n")).await);
    let faults: Vec<_> = lines.iter().filter(|line| line.get("error").is_some()).collect();
    let named: Vec<_> = faults
        .iter()
        .map(|fault| {
            let fields = fault["error"]["errors"].as_array().unwrap().iter();
            (
                fault["line"].as_u64().unwrap(),
                fields.map(|e| e["field"].as_str().unwrap()).collect::<Vec<_>>(),
            )
        })
        .collect();
    assert_eq!(
        named,
        [(3, vec!["line"]), (4, vec!["name", "class", "cabin"]), (5, vec!["line"]), (6, vec!["line"])]
    );
    assert_eq!(
        lines.last().unwrap()["progress"],
        json!({"lines": 7, "imported": 2, "skipped": 0, "failed": 4})
    );
    assert_eq!(
        summary,
        json!({"lines": 7, "imported": 2, "skipped": 0, "failed": 4, "errors_not_shown": 0, "complete": true})
    );
    let found =
        app.get("/api/v1/passengers?total=true&name=noel%20m&sort=-name&survived=true&class=2").await.json();
    assert_eq!((&found["total"], &found["items"][0]["name"]), (&json!(2), &json!("Noël, Mrs. Ève")));
    assert_eq!(told(&import(&app, "").await).1["complete"], true);
}

async fn a_large_list_is_imported_in_batches(app: App) {
    let mut body: Vec<_> = (0..1200).map(|number| line(&format!("Stowaway, No. {number}"))).collect();
    body.extend((0..1100).map(|_| String::from("nonsense")));
    let (lines, summary) = told(&import(&app, body.join("\n")).await);
    let progress: Vec<_> = lines.iter().filter_map(|line| line["progress"]["imported"].as_u64()).collect();
    assert_eq!(progress, [500, 1000, 1200]);
    assert_eq!(lines.iter().filter(|line| line.get("error").is_some()).count(), 1000);
    assert_eq!((&summary["imported"], &summary["errors_not_shown"]), (&json!(1200), &json!(100)));
    assert_eq!(total(&app).await, 2509);
    assert_eq!(app.get("/api/v1/passengers?total=true&name=stowaway").await.json()["total"], 1200);
}

async fn what_is_too_much_is_refused_or_cut(app: App) {
    let announced = Request::post(PATH)
        .header("content-type", "application/x-ndjson")
        .header("content-length", 65 * 1024 * 1024)
        .body(Body::empty());
    assert_eq!(app.send(announced.unwrap()).await.problem(413).0, "body_too_large");
    let plain = Request::post(PATH).header("content-type", "application/json").body(Body::from("{}"));
    assert_eq!(app.send(plain.unwrap()).await.problem(415).1, ["content-type"]);
    assert_eq!(app.call(Method::PUT, PATH, Some(&json!({}))).await.problem(405).0, "method_not_allowed");

    let (_, summary) = told(&import(&app, "\n".repeat(100_001)).await);
    assert_eq!((&summary["lines"], &summary["complete"]), (&json!(100_000), &json!(false)));
    assert_eq!(summary["ended_early"]["code"], "too_many_lines");

    // A line without an end costs no memory, only the patience to read past it.
    let chunk = Bytes::from(vec![b'x'; 1 << 20]);
    let endless = stream::iter((0..65).map(move |_| Ok::<_, Infallible>(chunk.clone())));
    let (_, summary) = told(&import(&app, Body::from_stream(endless)).await);
    assert_eq!(summary["ended_early"]["code"], "body_too_large");
    assert_eq!(total(&app).await, 1309);
}

async fn a_body_that_breaks_off_keeps_what_was_whole(app: App) {
    let pieces = [
        Ok(format!("{}\n{}", line("Whole, Miss. A"), &line("Half, Miss. B")[..20])),
        Err("the line went dead"),
    ];
    let (lines, summary) = told(&import(&app, Body::from_stream(stream::iter(pieces))).await);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&summary["imported"], &summary["complete"]), (&json!(1), &json!(false)));
    assert_eq!(summary["ended_early"]["code"], "body_unreadable");
    assert_eq!(total(&app).await, 1310);
}

async fn a_database_that_goes_away_ends_the_import(app: App) {
    app.database.close().await;
    let (_, summary) = told(&import(&app, line("Late, Mr. Too")).await);
    assert_eq!((&summary["imported"], &summary["complete"]), (&json!(0), &json!(false)));
    assert_eq!(summary["ended_early"]["code"], "database_unavailable");
}
