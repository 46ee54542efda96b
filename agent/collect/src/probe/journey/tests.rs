//! Journeys against an API that keeps items, as a client of it would go.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{get as route_get, post};
use axum::{Json, Router};
use lookout_config::{Check, Extraction, Variable};
use serde_json::json;
use tokio::net::TcpListener;

use super::super::test_support::*;
use super::*;
use lookout_config::Assertion;

#[derive(Default)]
struct Items {
    kept: BTreeMap<String, serde_json::Value>,
    writes_fail: bool,
    reads_hang: bool,
    tokens: Vec<String>,
    /// The id that is told instead of the true one.
    id: Option<serde_json::Value>,
    /// Paths of requests that are about no item.
    strays: Vec<String>,
}

type Shared = Arc<Mutex<Items>>;

/// An API whose ids need encoding in a URL.
async fn api() -> (SocketAddr, Shared) {
    let items = Shared::default();
    let create = |State(items): State<Shared>, headers: HeaderMap, Json(item): Json<serde_json::Value>| async move {
        let mut items = items.lock().unwrap();
        items.tokens.push(headers["authorization"].to_str().unwrap().to_owned());
        if items.writes_fail {
            return (StatusCode::SERVICE_UNAVAILABLE, [("etag", "none")], Json(json!({ "title": "away" })));
        }
        items.kept.insert("a/1 ?".to_owned(), item);
        let id = items.id.clone().unwrap_or(json!("a/1 ?"));
        (StatusCode::CREATED, [("etag", "\"v7\"")], Json(json!({ "id": id })))
    };
    let stray = |State(items): State<Shared>, uri: Uri| async move {
        items.lock().unwrap().strays.push(uri.path().to_owned());
        StatusCode::NO_CONTENT
    };
    let read = |State(items): State<Shared>, Path(id): Path<String>| async move {
        if items.lock().unwrap().reads_hang {
            std::future::pending::<()>().await;
        }
        items.lock().unwrap().kept.get(&id).cloned().map(Json).ok_or(StatusCode::NOT_FOUND)
    };
    let delete = |State(items): State<Shared>, Path(id): Path<String>, headers: HeaderMap| async move {
        let matches = headers["if-match"] == "7";
        let gone = matches && items.lock().unwrap().kept.remove(&id).is_some();
        if gone { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
    };
    let router = Router::new()
        .route("/items", post(create))
        .route("/items/{id}", route_get(read).delete(delete))
        .fallback(stray)
        .method_not_allowed_fallback(stray)
        .with_state(Arc::clone(&items));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, items)
}

fn step(name: &str, http: HttpCheck, expected: &str, needs: &[usize]) -> JourneyStep {
    let expect = [Assertion::parse(expected).unwrap()].into();
    JourneyStep {
        name: name.to_owned(),
        always: false,
        http,
        expect,
        extract: Vec::new(),
        needs: needs.to_vec(),
    }
}

/// Create, read, delete; the variables are a token, an id and a version.
fn client(address: SocketAddr) -> Target {
    let [token, id, version] = [0, 1, 2].map(JourneyCheck::placeholder);
    let item = get(format!("http://{address}/items/{id}"));
    let create = HttpCheck {
        method: "POST".to_owned(),
        headers: vec![("content-type".to_owned(), Secret::new("application/json"))],
        body: Some("{\"name\":\"probe\"}".to_owned()),
        authorization: Credentials::Bearer(Secret::new(token)),
        ..get(format!("http://{address}/items"))
    };
    let delete = HttpCheck {
        method: "DELETE".to_owned(),
        headers: vec![("if-match".to_owned(), Secret::new(version))],
        ..item.clone()
    };
    let extract = vec![
        (1, Extraction::parse("json(\"$.id\")").unwrap()),
        (2, Extraction::parse("header(\"etag\") matches \"v([0-9]+)\"").unwrap()),
    ];
    let steps = vec![
        JourneyStep { extract, ..step("create", create, "status == 201", &[0]) },
        step("read", item, "status == 200 and json(\"$.name\") == \"probe\"", &[1]),
        JourneyStep { always: true, ..step("delete", delete, "status == 204", &[1, 2]) },
    ];
    let variable =
        |name: &str, value: Option<&str>| Variable { name: name.to_owned(), value: value.map(Secret::new) };
    let variables = vec![variable("token", Some("hunter2")), variable("id", None), variable("version", None)];
    probing(Check::Journey(Box::new(JourneyCheck { variables, steps })))
}

fn results(outcome: &super::super::Outcome) -> Vec<(&str, Option<u16>, bool)> {
    outcome.steps.iter().map(|step| (step.name.as_str(), step.status, step.verdict == Verdict::Ok)).collect()
}

#[tokio::test]
async fn a_client_creates_reads_and_deletes() {
    let (address, items) = api().await;
    let (told, outcome) = verdict_of(&client(address)).await;
    assert_eq!((told.as_str(), outcome.summary.as_deref()), ("ok", Some("3 steps")));
    assert_eq!(
        results(&outcome),
        [("create", Some(201), true), ("read", Some(200), true), ("delete", Some(204), true)]
    );
    assert!(items.lock().unwrap().kept.is_empty());
    assert_eq!(items.lock().unwrap().tokens, ["Bearer hunter2"]);
    let sum: Duration = outcome.steps.iter().map(|step| step.total).sum();
    assert!(sum <= outcome.total, "{outcome:?}");
    assert!(!format!("{outcome:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_step_that_fails_ends_the_journey_but_not_the_cleanup() {
    let (address, items) = api().await;
    items.lock().unwrap().writes_fail = true;
    let (told, outcome) = verdict_of(&client(address)).await;
    assert_eq!(told, "status: step `create`: status (503) == 201");
    assert_eq!(results(&outcome), [("create", Some(503), false)], "there is nothing to read or to delete");

    *items.lock().unwrap() = Items { reads_hang: true, ..Items::default() };
    let started = Instant::now();
    let hasty = Target { timeout: Duration::from_millis(800), ..client(address) };
    let (told, outcome) = verdict_of(&hasty).await;
    assert!(told.starts_with("ttfb_timeout: step `read`: no answer within "), "{told}");
    assert_eq!(
        results(&outcome),
        [("create", Some(201), true), ("read", None, false), ("delete", Some(204), true)]
    );
    assert!(started.elapsed() < Duration::from_millis(900), "the deadline covers the cleanup");
    assert!(items.lock().unwrap().kept.is_empty(), "what was created is gone");

    *items.lock().unwrap() = Items::default();
    assert_eq!(verdict_of(&client(address)).await.0, "ok", "healed");
}

#[tokio::test]
async fn a_value_that_is_not_there_is_a_failure() {
    let (address, _items) = api().await;
    let mut target = client(address);
    let Check::Journey(journey) = &mut target.check else { unreachable!() };
    journey.steps[0].extract.push((1, Extraction::parse("json(\"$.identity\")").unwrap()));
    let told = verdict_of(&target).await.0;
    assert_eq!(told, "json: step `create`: json(\"$.identity\") is missing");
}

/// An answer cannot aim the cleanup at the folder of all items.
#[tokio::test]
async fn an_id_that_names_no_item_is_no_request() {
    let (address, items) = api().await;
    for (id, told) in [
        (json!(""), "json: step `create`: json(\"$.id\") is empty"),
        (json!(null), "json: step `create`: json(\"$.id\") is null"),
        (json!("."), "write: step `read`: a value makes no URL, or one of another place"),
        (json!(".."), "write: step `read`: a value makes no URL, or one of another place"),
        (json!("a/1 ?"), "ok"),
    ] {
        items.lock().unwrap().id = Some(id.clone());
        assert_eq!(verdict_of(&client(address)).await.0, told, "{id}");
        assert_eq!(items.lock().unwrap().strays, [""; 0], "{id}");
    }
    assert!(is_dots("%2E.") && is_dots("..") && !is_dots("..."));
}

#[test]
fn values_cannot_leave_their_part_of_a_url() {
    assert_eq!(percent_encoded("a/../b?c=d&e#f%2F ü"), "a%2F..%2Fb%3Fc%3Dd%26e%23f%252F%20%C3%BC");
}
