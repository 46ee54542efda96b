//! A request that is sent again.

use axum::http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use titanic::passengers::{Claim, Repeatable};

use crate::app::{Answer, App};

on_both_databases!(
    a_request_that_comes_again_gets_the_first_answer,
    a_key_stands_for_one_body,
    of_many_at_once_one_is_carried_out,
    what_was_refused_may_be_mended_under_the_same_key,
    an_unfinished_claim_is_taken_over_when_nobody_can_hold_it_any_more,
    a_claim_that_was_lost_creates_nobody,
    an_answer_is_forgotten_after_a_day,
    a_request_without_a_key_may_have_been_stored,
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
    let made = answers.iter().filter(|answer| answer.status == 201 && !replayed(answer)).count();
    assert_eq!(made, 1);
    for answer in &answers {
        if answer.status != 201 {
            assert_eq!(answer.problem(409).0, "idempotency_key_busy");
            assert_eq!(answer.headers["retry-after"], "1");
        }
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

fn request(key: &str) -> Repeatable {
    Repeatable { client: String::new(), key: key.to_owned(), fingerprint: String::from("f") }
}

fn later(from: Timestamp, seconds: i64) -> Timestamp {
    from.checked_add(SignedDuration::from_secs(seconds)).unwrap()
}

fn start() -> Timestamp {
    "2026-04-14T23:40:00Z".parse().unwrap()
}

async fn an_unfinished_claim_is_taken_over_when_nobody_can_hold_it_any_more(app: App) {
    let (store, request, now) = (&app.store, request("k"), start());
    let Claim::Ours(first) = store.claim(&request, now).await.unwrap() else { panic!("it is new") };
    assert_eq!(store.claim(&request, later(now, 29)).await.unwrap(), Claim::Busy);
    let other = Repeatable { fingerprint: String::from("g"), ..request.clone() };
    assert_eq!(store.claim(&other, now).await.unwrap(), Claim::Misused);
    let stranger = Repeatable { client: String::from("purser"), ..request.clone() };
    assert!(matches!(store.claim(&stranger, now).await.unwrap(), Claim::Ours(_)), "another client's key");
    let Claim::Ours(second) = store.claim(&request, later(now, 30)).await.unwrap() else {
        panic!("it is left")
    };
    assert_ne!(first, second);
    assert_eq!(store.claim(&request, later(now, 31)).await.unwrap(), Claim::Busy);
    // Who lost it cannot give it back; who has it can.
    store.release(&request, first).await.unwrap();
    assert_eq!(store.claim(&request, later(now, 31)).await.unwrap(), Claim::Busy);
    store.release(&request, second).await.unwrap();
    assert!(matches!(store.claim(&request, later(now, 31)).await.unwrap(), Claim::Ours(_)));
}

fn details() -> titanic::passengers::domain::model::NewPassenger {
    let Value::Object(object) = person("Brown, Miss. A") else { panic!("an object") };
    titanic::passengers::domain::model::NewPassenger::from_json(object).unwrap()
}

async fn a_claim_that_was_lost_creates_nobody(app: App) {
    let (store, request, now) = (&app.store, request("k"), start());
    let Claim::Ours(lost) = store.claim(&request, now).await.unwrap() else { panic!("it is new") };
    let Claim::Ours(ours) = store.claim(&request, later(now, 40)).await.unwrap() else {
        panic!("it is left")
    };
    let create = async |claim, answer: &str| {
        let answer = answer.to_owned();
        store.create_once(details(), now, (&request, claim), move |_| answer).await.unwrap()
    };
    assert!(create(lost, "late").await.is_none());
    assert_eq!(total(&app).await, 1309);
    assert!(create(ours, "in time").await.is_some());
    assert!(create(ours, "twice").await.is_none());
    assert_eq!(total(&app).await, 1310);
    let answered = Claim::Answered(String::from("in time"));
    assert_eq!(store.claim(&request, later(now, 41)).await.unwrap(), answered);
}

async fn an_answer_is_forgotten_after_a_day(app: App) {
    let (store, request, now) = (&app.store, request("k"), start());
    let Claim::Ours(claim) = store.claim(&request, now).await.unwrap() else { panic!("it is new") };
    store.create_once(details(), now, (&request, claim), |_| String::from("kept")).await.unwrap();
    let day = 24 * 60 * 60;
    assert_eq!(store.claim(&request, later(now, day)).await.unwrap(), Claim::Answered(String::from("kept")));
    assert!(matches!(store.claim(&request, later(now, day + 1)).await.unwrap(), Claim::Ours(_)));
}
