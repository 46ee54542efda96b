//! A request that is sent again.

use std::time::Duration;

use axum::http::Method;
use jiff::SignedDuration;
use serde_json::{Value, json};
use titanic::passengers::{Repeatable, Repetition};

use crate::app::{Answer, App};

on_both_databases!(
    a_request_that_comes_again_gets_the_first_answer,
    a_key_stands_for_one_body,
    of_many_at_once_one_is_carried_out,
    what_was_refused_may_be_mended_under_the_same_key,
    a_key_belongs_to_its_client,
    an_answer_is_forgotten_after_a_day,
    a_request_without_a_key_may_have_been_stored,
    what_failed_leaves_nothing_of_its_key,
);

const PATH: &str = "/api/v1/passengers";

fn person(name: &str) -> Value {
    json!({"name": name, "class": 2, "sex": "female", "survived": true})
}

async fn post(app: &App, key: &str, person: &Value) -> Answer {
    app.call_with(Method::POST, PATH, &[("idempotency-key", key)], Some(person)).await
}

async fn total(app: &App) -> Value {
    app.get("/api/v1/passengers?total=true&limit=1").await.json()["total"].clone()
}

fn replayed(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

async fn a_request_that_comes_again_gets_the_first_answer(app: App) {
    let first = post(&app, "\"voyage-1\"", &person("Brown, Miss. A")).await;
    assert_eq!((first.status.as_u16(), replayed(&first)), (201, false), "{}", first.text);
    // Spelled in another way, it says the same.
    let again =
        json!({"survived": true, "class": 2.0, "sex": "female", "name": " Brown, Miss. A ", "age": null});
    let second = post(&app, "voyage-1", &again).await;
    assert_eq!((second.status.as_u16(), replayed(&second)), (201, true));
    assert_eq!(second.text, first.text);
    for name in ["location", "etag", "content-type"] {
        assert_eq!(second.headers[name], first.headers[name], "{name}");
    }
    assert_eq!(total(&app).await, 1310);
    // Even when the passenger has changed since: it is the answer that comes again.
    let path = format!("{PATH}/{}", first.json()["id"].as_str().unwrap());
    assert_eq!(app.call(Method::DELETE, &path, None).await.status, 204);
    assert_eq!(post(&app, "voyage-1", &person("Brown, Miss. A")).await.text, first.text);
    assert_eq!(total(&app).await, 1309);
}

async fn a_key_stands_for_one_body(app: App) {
    assert_eq!(post(&app, "k", &person("A")).await.status, 201);
    let other = post(&app, "k", &person("B")).await;
    assert_eq!(other.problem(422), (String::from("idempotency_key_reused"), vec!["idempotency-key".into()]));
    assert_eq!(post(&app, "l", &person("B")).await.status, 201);
    for wrong in ["", "two words", "\"open", "é", &"x".repeat(129)] {
        let answer = post(&app, wrong, &person("C")).await;
        assert_eq!(answer.problem(400), (String::from("invalid_header"), vec!["idempotency-key".into()]));
    }
    assert_eq!(total(&app).await, 1311);
}

async fn of_many_at_once_one_is_carried_out(app: App) {
    let person = person("Brown, Miss. A");
    let answers = futures_util::future::join_all((0..12).map(|_| post(&app, "rush", &person))).await;
    let first: Vec<_> = answers.iter().filter(|answer| !replayed(answer)).collect();
    assert_eq!(first.len(), 1);
    for answer in &answers {
        assert_eq!((answer.status.as_u16(), &answer.text), (201, &first[0].text));
    }
    assert_eq!(total(&app).await, 1310);
}

async fn what_was_refused_may_be_mended_under_the_same_key(app: App) {
    assert_eq!(post(&app, "k", &json!({"name": "A"})).await.problem(422).0, "invalid_fields");
    assert_eq!(post(&app, "k", &person("A")).await.status, 201);
}

async fn a_request_without_a_key_may_have_been_stored(app: App) {
    app.database.close().await;
    let warning = "may have been carried out";
    let plain = app.call(Method::POST, PATH, Some(&person("A"))).await;
    assert_eq!(plain.problem(503).0, "database_unavailable");
    assert!(plain.json()["detail"].as_str().unwrap().contains(warning), "{}", plain.text);
    for certain in [post(&app, "k", &person("A")).await, app.get(PATH).await] {
        assert_eq!(certain.problem(503).0, "database_unavailable");
        assert!(!certain.text.contains(warning), "{}", certain.text);
    }
}

fn request(client: &str) -> Repeatable {
    Repeatable { client: client.to_owned(), key: String::from("k"), fingerprint: String::from("f") }
}

/// Adds a passenger with an answer, so many seconds after the first.
async fn create(app: &App, request: &Repeatable, seconds: i64, answer: &str) -> Repetition {
    let Value::Object(details) = person("Brown, Miss. A") else { panic!("an object") };
    let details = titanic::passengers::domain::model::NewPassenger::from_json(details).unwrap();
    let start: jiff::Timestamp = "2026-04-14T23:40:00Z".parse().unwrap();
    let now = start.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    app.store.create_once(details, now, request, |_| answer.to_owned()).await.unwrap()
}

async fn a_key_belongs_to_its_client(app: App) {
    assert!(matches!(create(&app, &request("cook"), 0, "one").await, Repetition::First(_)));
    assert!(matches!(create(&app, &request("purser"), 0, "other").await, Repetition::First(_)));
    assert_eq!(create(&app, &request("cook"), 1, "two").await, Repetition::Answered(String::from("one")));
    let other = Repeatable { fingerprint: String::from("g"), ..request("cook") };
    assert_eq!(create(&app, &other, 1, "two").await, Repetition::Misused);
    assert_eq!(total(&app).await, 1311);
}

async fn an_answer_is_forgotten_after_a_day(app: App) {
    let day = 24 * 60 * 60;
    assert!(matches!(create(&app, &request(""), 0, "one").await, Repetition::First(_)));
    assert_eq!(create(&app, &request(""), day, "two").await, Repetition::Answered(String::from("one")));
    assert!(matches!(create(&app, &request(""), day + 1, "three").await, Repetition::First(_)));
    assert_eq!(total(&app).await, 1311);
}

/// The version before this one stored a key first and its answer later.
#[tokio::test]
async fn a_key_that_was_never_answered_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("titanic.db").display());
    let app = App::on(&url).await;
    let mut connection = <sqlx::SqliteConnection as sqlx::Connection>::connect(&url).await.unwrap();
    let claim = "insert into idempotency_keys (client, key, fingerprint, claim, claimed_at) \
         values ('cook', 'k', 'f', '00000000-0000-7000-8000-000000000001', 9000000000000)";
    sqlx::raw_sql(claim).execute(&mut connection).await.unwrap();
    assert!(matches!(create(&app, &request("cook"), 0, "one").await, Repetition::First(_)));
    assert_eq!(create(&app, &request("cook"), 1, "two").await, Repetition::Answered(String::from("one")));
}

/// A request whose client goes away, or whose database does, is as if it had never come, or done: sent again, it says which.
async fn what_failed_leaves_nothing_of_its_key(app: App) {
    for (turn, patience) in (0..20).zip([0, 1, 3].into_iter().cycle()) {
        let (key, person) = (format!("hasty-{turn}"), person(&format!("Hasty, Miss. {turn}")));
        let _given_up =
            tokio::time::timeout(Duration::from_millis(patience), post(&app, &key, &person)).await;
        assert_eq!(post(&app, &key, &person).await.status, 201);
        assert_eq!(total(&app).await, 1310 + turn);
    }
}
