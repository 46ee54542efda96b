//! Many who ask for passengers at the same time: those are fetched together, and nobody may notice.

use std::time::Duration;

use axum::http::Method;
use futures_util::future::join_all;
use serde_json::{Value, json};
use titanic::passengers::domain::filter::Query;
use tokio::time::timeout;

use crate::app::App;

on_both_databases!(
    everyone_gets_who_they_asked_for,
    what_was_changed_is_read_changed_however_many_ask,
    who_gives_up_leaves_nobody_behind,
    when_the_database_is_out_of_reach_everyone_is_told_and_all_is_well_again_afterwards,
);

async fn some(app: &App) -> Vec<Value> {
    let page = app.get("/api/v1/passengers?limit=50&sort=name").await.json();
    page["items"].as_array().unwrap().clone()
}

fn path(passenger: &Value) -> String {
    format!("/api/v1/passengers/{}", passenger["id"].as_str().unwrap())
}

async fn everyone_gets_who_they_asked_for(app: App) {
    let known = some(&app).await;
    let nobody = "/api/v1/passengers/01890a5d-ac96-774b-bcce-b302099a8057";
    // Each several times at once, and in between someone who is not aboard.
    let answers = join_all((0..300).map(async |number: usize| {
        let expected = &known[number * 7 % known.len()];
        let wanted = if number.is_multiple_of(11) { nobody.to_owned() } else { path(expected) };
        (number, expected, app.get(&wanted).await)
    }));
    for (number, expected, answer) in answers.await {
        if number % 11 == 0 {
            assert_eq!(answer.problem(404).0, "not_found");
        } else {
            assert_eq!((answer.status.as_u16(), &answer.json()), (200, expected), "{number}");
        }
    }
}

async fn what_was_changed_is_read_changed_however_many_ask(app: App) {
    let known = some(&app).await;
    let readers = join_all((0..40).map(async |reader: usize| {
        for turn in 0..10 {
            let answer = app.get(&path(&known[(reader + turn) % known.len()])).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
        }
    }));
    let writer = async {
        for age in 1..=20 {
            let changed = app.call(Method::PATCH, &path(&known[0]), Some(&json!({"age": age}))).await;
            assert_eq!(changed.status, 200, "{}", changed.text);
            assert_eq!(app.get(&path(&known[0])).await.json()["age"], age);
        }
    };
    tokio::join!(readers, writer);
}

async fn who_gives_up_leaves_nobody_behind(app: App) {
    let known = some(&app).await;
    for wait in 0..20 {
        let answers = join_all((0..30).map(async |number: usize| {
            let path = path(&known[number]);
            let asking = app.get(&path);
            if number.is_multiple_of(3) {
                let _gave_up = timeout(Duration::from_micros(wait * 50), asking).await;
            } else {
                assert_eq!(asking.await.json(), known[number]);
            }
        }));
        timeout(Duration::from_secs(20), answers).await.expect("somebody waits for ever");
    }
}

async fn when_the_database_is_out_of_reach_everyone_is_told_and_all_is_well_again_afterwards(app: App) {
    let known = some(&app).await;
    let all =
        async || join_all((0..20).map(async |number: usize| app.get(&path(&known[number])).await)).await;
    let exhausted = app.database.exhaust().await;
    for answer in all().await {
        assert_eq!(answer.problem(503).0, "database_unavailable");
    }
    drop(exhausted);
    for answer in all().await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}

/// A future is copied by each function that takes it by value, and each handler holds that of its statement.
#[tokio::test]
async fn the_futures_of_statements_are_small() {
    let app = App::new().await;
    let one = size_of_val(&app.store.get(uuid::Uuid::nil()));
    let page = size_of_val(&app.store.list(&Query::from_pairs(&[]).unwrap()));
    assert!(one.max(page) < 4096, "{one} and {page} bytes");
}
