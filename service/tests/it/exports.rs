//! All passengers as a stream.

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::app::{Answer, App};

on_both_databases!(
    an_export_has_everyone_once_in_either_format,
    an_export_that_is_not_read_keeps_no_other_request_out,
    a_name_is_no_formula_in_a_table,
    a_stream_that_breaks_counts_as_an_error,
    a_body_that_was_got_can_be_put_back,
);

const EXPORT: &str = "/api/v1/passengers/export";

async fn an_export_has_everyone_once_in_either_format(app: App) {
    let (made, _) =
        app.board(&json!({"name": "Says \"no\", Mr.", "class": 3, "sex": "male", "survived": false})).await;
    let lines = app.get(EXPORT).await;
    assert_eq!(
        (lines.status.as_u16(), lines.headers["content-type"].to_str().unwrap()),
        (200, "application/x-ndjson")
    );
    let all: Vec<Value> = lines.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: std::collections::BTreeSet<_> = all.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!((all.len(), ids.len(), all.last()), (1310, 1310, Some(&made)));

    let table: Answer = app.get(&format!("{EXPORT}?format=csv")).await;
    assert_eq!(table.headers["content-type"], "text/csv; charset=utf-8");
    let mut reader = csv::Reader::from_reader(table.text.as_bytes());
    let names = reader.headers().unwrap().iter().map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!((names[0].as_str(), rows.len()), ("id", 1310));
    assert_eq!(&rows[1309][1], "Says \"no\", Mr.");
    assert_eq!(app.get(&format!("{EXPORT}?format=xml")).await.problem(400).1, ["format"]);
    app.database.close().await;
    assert_eq!(app.get(EXPORT).await.problem(503).0, "database_unavailable");
}

async fn an_export_that_is_not_read_keeps_no_other_request_out(app: App) {
    for _ in 0..2 {
        let mut unread = Vec::new();
        for _ in 0..16 {
            let request = Request::get(EXPORT).header("host", "titanic.example").body(Body::empty());
            let response = app.public.answer(request.unwrap()).await;
            assert_eq!(response.status(), 200);
            unread.push(response);
        }
        let refused = app.get(EXPORT).await;
        assert_eq!(refused.problem(503).0, "overloaded");
        assert_eq!(refused.headers["retry-after"], "1");
        assert_eq!(app.get("/api/v1/passengers?limit=1").await.status, 200);
        drop(unread);
        assert_eq!(app.get(EXPORT).await.status, 200);
    }
}

async fn a_name_is_no_formula_in_a_table(app: App) {
    let names = ["=HYPERLINK(\"http://x\",\"y\")", "+1", "-1", "@SUM(A1)", "O'Hara"];
    for name in names {
        app.board(&json!({"name": name, "class": 3, "sex": "male", "survived": false})).await;
    }
    let table = app.get(&format!("{EXPORT}?format=csv")).await.text;
    let rows: Vec<_> =
        csv::Reader::from_reader(table.as_bytes()).into_records().map(Result::unwrap).collect();
    let written: Vec<_> = rows[1309..].iter().map(|row| row[1].to_owned()).collect();
    assert_eq!(written, ["'=HYPERLINK(\"http://x\",\"y\")", "'+1", "'-1", "'@SUM(A1)", "O'Hara"]);
    let lines = app.get(EXPORT).await.text;
    assert!(lines.contains("\"name\":\"@SUM(A1)\""), "NDJSON is exact");
}

/// A stream fails after its status was sent: the client sees a broken body, and objectives see an error.
async fn a_stream_that_breaks_counts_as_an_error(app: App) {
    let errors = async |route: &str| {
        let metrics = app.metrics().await;
        let mut lines = metrics.lines().filter(|line| {
            line.starts_with("http_server_request_duration_seconds_count") && line.contains(route)
        });
        let found = lines.find_map(|line| line.split_once("status_code=\"503\"} "));
        found.map_or(0, |(_, count)| count.parse::<u64>().unwrap())
    };
    let mut streams = Vec::new();
    for _ in 0..2 {
        let request = Request::get(EXPORT).header("host", "titanic.example").body(Body::empty());
        streams.push(app.public.answer(request.unwrap()).await);
    }
    assert_eq!(app.get(EXPORT).await.status, 200);
    app.database.close().await;
    for broken in streams {
        assert_eq!(broken.status(), 200);
        assert!(to_bytes(broken.into_body(), usize::MAX).await.is_err(), "it has no end");
    }
    assert_eq!(errors(EXPORT).await, 2);
}

async fn a_body_that_was_got_can_be_put_back(app: App) {
    let (made, path) = app.board(&json!({"name": "A", "class": 3, "sex": "male", "survived": false})).await;
    let put = app.call(Method::PUT, &path, Some(&made)).await;
    assert_eq!((put.status.as_u16(), put.json()), (200, made.clone()), "nothing changes");
    let mut other = made.clone();
    other["class"] = json!(1);
    let put = app.call(Method::PUT, &path, Some(&other)).await.json();
    assert_eq!((&put["class"], &put["version"]), (&json!(1), &json!(2)));
    other["id"] = json!("01890000-0000-7000-8000-000000000000");
    assert_eq!(app.call(Method::PUT, &path, Some(&other)).await.problem(422).1, ["id"]);
}
