//! Many passengers at once.

use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use futures_util::stream;
use serde_json::{Value, json};

use crate::app::{Answer, App};

on_both_databases!(
    an_import_stores_all_lines_or_none,
    every_line_at_fault_is_named,
    what_is_too_much_is_refused,
    a_body_that_breaks_off_stores_nobody,
    a_database_that_is_away_is_said_so,
    nobody_is_imported_under_the_nil_uuid,
    an_export_can_be_imported_again_and_again,
    lines_without_ids_can_be_sent_again,
);

const PATH: &str = "/api/v1/passengers/import";

fn line(name: &str) -> String {
    json!({"name": name, "class": 2, "sex": "female", "survived": true}).to_string()
}

async fn import(app: &App, body: impl Into<Body>) -> Answer {
    let request = Request::post(PATH).header("content-type", "application/x-ndjson");
    app.send(request.body(body.into()).unwrap()).await
}

/// The passengers that were imported and skipped.
fn stored(answer: &Answer) -> (u64, u64) {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let number = |name: &str| answer.json()[name].as_u64().unwrap();
    (number("imported"), number("skipped"))
}

async fn total(app: &App) -> Value {
    app.get("/api/v1/passengers?total=true&limit=1").await.json()["total"].clone()
}

async fn an_import_stores_all_lines_or_none(app: App) {
    let mut lines: Vec<_> = (0..1200).map(|number| line(&format!("Visitor {number}"))).collect();
    lines.extend([line(""), String::from("{")]);
    for _ in 0..2 {
        let (code, fields) = import(&app, lines.join("\n")).await.problem(422);
        assert_eq!(
            (code.as_str(), fields.as_slice()),
            ("not_imported", ["line 1201: name", "line 1202: line"].map(str::to_owned).as_slice())
        );
        assert_eq!(total(&app).await, 1309);
    }
    lines.truncate(1200);
    assert_eq!(stored(&import(&app, lines.join("\n")).await), (1200, 0));
    assert_eq!(total(&app).await, 2509);
    assert_eq!(app.get("/api/v1/passengers?total=true&name=visitor").await.json()["total"], 1200);
}

async fn every_line_at_fault_is_named(app: App) {
    let body = [
        line("Noël, Mrs. Ève"),
        String::from("\r"),
        String::from("{"),
        json!({"name": "", "class": 9, "sex": "male", "survived": true, "cabin": 1}).to_string(),
        String::from("[]"),
        line(&"x".repeat(9000)),
        line("Noël, Mr. Jean"),
    ];
    let (_, fields) = import(&app, body.join("\n")).await.problem(422);
    let expected =
        ["line 3: line", "line 4: name", "line 4: class", "line 4: cabin", "line 5: line", "line 6: name"];
    assert_eq!(fields, expected);
    assert_eq!(import(&app, "{}\n".repeat(2000)).await.problem(422).1.len(), 1000);
    assert_eq!(total(&app).await, 1309);

    assert_eq!(
        stored(&import(&app, [&body[0], &body[1], &body[6]].map(String::as_str).join("\r\n")).await),
        (2, 0)
    );
    let found =
        app.get("/api/v1/passengers?total=true&name=noel%20m&sort=-name&survived=true&class=2").await.json();
    assert_eq!((&found["total"], &found["items"][0]["name"]), (&json!(2), &json!("Noël, Mrs. Ève")));
    assert_eq!(stored(&import(&app, "").await), (0, 0));
}

async fn what_is_too_much_is_refused(app: App) {
    let announced = Request::post(PATH)
        .header("content-type", "application/x-ndjson")
        .header("content-length", 5 << 20)
        .body(Body::empty());
    assert_eq!(app.send(announced.unwrap()).await.problem(413).0, "body_too_large");
    let plain = Request::post(PATH).header("content-type", "application/json").body(Body::from("{}"));
    assert_eq!(app.send(plain.unwrap()).await.problem(415).1, ["content-type"]);
    assert_eq!(app.call(Method::PUT, PATH, Some(&json!({}))).await.problem(405).0, "method_not_allowed");

    let lines =
        |most: u32| (0..most).map(|number| line(&format!("No. {number}"))).collect::<Vec<_>>().join("\n");
    assert_eq!(import(&app, lines(10_001)).await.problem(413).0, "too_many_lines");
    // A line without an end is not read beyond the limit.
    let chunk = Bytes::from(vec![b'x'; 1 << 20]);
    let endless = stream::repeat_with(move || Ok::<_, std::convert::Infallible>(chunk.clone()));
    assert_eq!(import(&app, Body::from_stream(endless)).await.problem(413).0, "body_too_large");
    assert_eq!(total(&app).await, 1309);
    assert_eq!(stored(&import(&app, lines(10_000)).await), (10_000, 0));
}

async fn a_body_that_breaks_off_stores_nobody(app: App) {
    for _ in 0..2 {
        let pieces = [Ok(format!("{}\n", line("Whole, Miss. A"))), Err("the line went dead")];
        let broken = import(&app, Body::from_stream(stream::iter(pieces))).await;
        assert_eq!(broken.problem(400), (String::from("malformed_body"), vec!["body".into()]));
        assert_eq!(total(&app).await, 1309);
    }
}

async fn a_database_that_is_away_is_said_so(app: App) {
    app.database.close().await;
    for _ in 0..2 {
        let failed = import(&app, line("Late, Mr. Too")).await;
        assert_eq!(failed.problem(503).0, "database_unavailable");
        assert_eq!(failed.headers["retry-after"], "1");
    }
}

async fn nobody_is_imported_under_the_nil_uuid(app: App) {
    let line = json!({"id": "00000000-0000-0000-0000-000000000000", "name": "Nobody", "class": 1,
        "sex": "male", "survived": true});
    assert_eq!(import(&app, line.to_string()).await.problem(422).1, ["line 1: id"]);
    assert_eq!(total(&app).await, 1309);
}

async fn an_export_can_be_imported_again_and_again(app: App) {
    let lines = app.get("/api/v1/passengers/export").await.text;
    for _ in 0..2 {
        assert_eq!(stored(&import(&app, lines.clone()).await), (0, 1309));
    }
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let path = format!("/api/v1/passengers/{}", first["id"].as_str().unwrap());
    assert_eq!(app.call(Method::DELETE, &path, None).await.status, 204);
    assert_eq!(stored(&import(&app, lines).await), (1, 1308));
    assert_eq!(app.get(&path).await.json()["name"], first["name"]);
}

/// Without ids what is said of a passenger is the key.
async fn lines_without_ids_can_be_sent_again(app: App) {
    let line = |name: &str, age: u8| {
        json!({"name": name, "class": 3, "sex": "male", "age": age, "survived": false}).to_string()
    };
    let lines: Vec<_> = (0..1200).map(|number| line(&format!("Stoker {number}"), 30)).collect();
    assert_eq!(stored(&import(&app, lines[..400].join("\n")).await), (400, 0));
    for imported in [800, 0] {
        assert_eq!(stored(&import(&app, lines.join("\n")).await), (imported, 1200 - imported));
        assert_eq!(total(&app).await, 2509);
    }
    for imported in [2, 0] {
        // The same name and another age is another passenger; the same line twice is one.
        let three = [line("Stoker 1", 31), line("Stoker 1", 32), line("Stoker 1", 31)].join("\n");
        assert_eq!(stored(&import(&app, three).await), (imported, 3 - imported));
        assert_eq!(total(&app).await, 2511);
    }
}
