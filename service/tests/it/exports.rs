//! All passengers as a stream, and back.

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use futures_util::stream;
use serde_json::{Value, json};

use crate::app::{Answer, App};

on_both_databases!(
    an_export_has_everyone_once_in_either_format,
    an_export_that_is_not_read_keeps_no_other_request_out,
    a_name_is_no_formula_in_a_table,
    nobody_is_imported_under_the_nil_uuid,
    an_export_can_be_imported_again_and_again,
    lines_without_ids_can_be_sent_again,
    an_atomic_import_stores_all_lines_or_none,
    a_stream_that_breaks_counts_as_an_error,
    a_body_that_was_got_can_be_put_back,
);

const EXPORT: &str = "/api/v1/passengers/export";

async fn send_lines(app: &App, query: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(format!("/api/v1/passengers/import{query}"));
    app.send(request.header("content-type", "application/x-ndjson").body(body.into()).unwrap()).await
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

async fn import(app: &App, query: &str, body: impl Into<Body>) -> Value {
    let answer = send_lines(app, query, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let last: Value = serde_json::from_str(answer.text.lines().last().unwrap()).unwrap();
    last["summary"].clone()
}

async fn total(app: &App) -> Value {
    app.get("/api/v1/passengers?total=true&limit=1").await.json()["total"].clone()
}

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

async fn nobody_is_imported_under_the_nil_uuid(app: App) {
    let line = json!({"id": "00000000-0000-0000-0000-000000000000", "name": "Nobody", "class": 1,
        "sex": "male", "survived": true});
    let summary = import(&app, "", line.to_string()).await;
    assert_eq!((&summary["imported"], &summary["failed"]), (&json!(0), &json!(1)));
    assert_eq!(total(&app).await, 1309);
}

async fn an_export_can_be_imported_again_and_again(app: App) {
    let lines = app.get(EXPORT).await.text;
    for _ in 0..2 {
        let summary = import(&app, "", lines.clone()).await;
        assert_eq!(
            (&summary["imported"], &summary["skipped"], &summary["failed"]),
            (&json!(0), &json!(1309), &json!(0))
        );
    }
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let path = format!("/api/v1/passengers/{}", first["id"].as_str().unwrap());
    assert_eq!(app.call(Method::DELETE, &path, None).await.status, 204);
    let summary = import(&app, "", lines).await;
    assert_eq!((&summary["imported"], &summary["skipped"]), (&json!(1), &json!(1308)));
    assert_eq!(app.get(&path).await.json()["name"], first["name"]);
}

/// Without ids what is said of a passenger is the key: sent twice, cut in the middle and sent again, atomic or not.
async fn lines_without_ids_can_be_sent_again(app: App) {
    let line = |name: &str, age: u8| {
        json!({"name": name, "class": 3, "sex": "male", "age": age, "survived": false}).to_string()
    };
    let lines: Vec<_> = (0..1200).map(|number| line(&format!("Stoker {number}"), 30)).collect();
    let whole = lines.join("\n");
    let start = whole[..40_000].to_owned();
    for expected in [&lines[..], &[]] {
        let cut = stream::iter([Ok(start.clone()), Err("the line went dead")]);
        let summary = import(&app, "", Body::from_stream(cut)).await;
        assert_eq!((&summary["complete"], &summary["failed"]), (&json!(false), &json!(0)));
        let known = summary["imported"].as_u64().unwrap() as usize;
        assert_eq!(known > 300, !expected.is_empty(), "{summary}");
        let summary = import(&app, "", whole.clone()).await;
        let imported = expected.len().saturating_sub(known);
        assert_eq!((&summary["imported"], &summary["skipped"]), (&json!(imported), &json!(1200 - imported)));
        assert_eq!(total(&app).await, 2509);
    }
    for imported in [2, 0] {
        // The same name and another age is another passenger; the same line twice is one.
        let three = [line("Stoker 1", 31), line("Stoker 1", 32), line("Stoker 1", 31)].join("\n");
        let summary = import(&app, "?atomic=true", three).await;
        assert_eq!((&summary["imported"], &summary["skipped"]), (&json!(imported), &json!(3 - imported)));
        assert_eq!(total(&app).await, 2511);
    }
}

async fn an_atomic_import_stores_all_lines_or_none(app: App) {
    let line = |name: &str| json!({"name": name, "class": 2, "sex": "female", "survived": true}).to_string();
    let mut lines: Vec<_> = (0..1200).map(|number| line(&format!("Visitor {number}"))).collect();
    lines.extend([line(""), String::from("{")]);
    for _ in 0..2 {
        let refused = send_lines(&app, "?atomic=true", lines.join("\n")).await;
        let (code, fields) = refused.problem(422);
        assert_eq!(
            (code.as_str(), fields),
            ("not_imported", strings(&["line 1201: name", "line 1202: line"]))
        );
        assert_eq!(total(&app).await, 1309);
    }
    let many = "{}\n".repeat(2000);
    assert_eq!(send_lines(&app, "?atomic=true", many).await.problem(422).1.len(), 1000);
    assert_eq!(send_lines(&app, "?atomic=true", "\n".repeat(10_001)).await.problem(413).0, "too_many_lines");
    let broken = stream::iter([Ok(line("A")), Err("the line went dead")]);
    let broken = send_lines(&app, "?atomic=true", Body::from_stream(broken)).await;
    assert_eq!(broken.problem(400).0, "body_unreadable");
    assert_eq!(total(&app).await, 1309);
    lines.truncate(1200);
    let summary = import(&app, "?atomic=true", lines.join("\n")).await;
    assert_eq!((&summary["imported"], &summary["complete"]), (&json!(1200), &json!(true)));
    assert_eq!(total(&app).await, 2509);
    app.database.close().await;
    for _ in 0..2 {
        let failed = send_lines(&app, "?atomic=true", line("Late, Mr. Too")).await;
        assert_eq!(failed.problem(503).0, "database_unavailable");
        assert_eq!(failed.headers["retry-after"], "1");
    }
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
    let line = json!({"name": "A", "class": 2, "sex": "female", "survived": true}).to_string();
    for _ in 0..2 {
        assert_eq!(import(&app, "", line.clone()).await["ended_early"]["code"], "database_unavailable");
    }
    import(&app, "", "{").await;
    assert_eq!(errors("/api/v1/passengers/import").await, 2, "a line at fault is the client's");
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
