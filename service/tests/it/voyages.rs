//! The second entity: voyages and their ports of call.

use axum::http::Method;
use serde_json::{Value, json};

use crate::app::App;
use crate::edge::digest;

on_both_databases!(
    the_maiden_voyage_is_there_with_its_calls,
    a_voyage_is_added_read_and_removed_with_its_calls,
    what_cannot_be_used_is_named,
    a_list_is_walked_page_by_page,
);

const ALL: &str = "/api/v1/voyages";
const NOBODY: &str = "/api/v1/voyages/01890000-0000-7000-8000-000000000000";

async fn add(app: &App, ship: &str, day: &str) -> (Value, String) {
    let made = app.call(Method::POST, ALL, Some(&json!({"ship": ship, "departed_on": day}))).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let voyage = made.json();
    let path = format!("{ALL}/{}", voyage["id"].as_str().unwrap());
    assert_eq!(made.headers["location"], format!("https://titanic.example{path}"));
    (voyage, path)
}

async fn the_maiden_voyage_is_there_with_its_calls(app: App) {
    let page = app.get(ALL).await.json();
    assert_eq!((&page["items"][0]["ship"], &page["next_cursor"]), (&json!("Titanic"), &json!(null)));
    let calls = app.get(&format!("{ALL}/{}/calls", page["items"][0]["id"].as_str().unwrap())).await.json();
    let ports: Vec<_> =
        calls["items"].as_array().unwrap().iter().map(|call| call["port"].as_str().unwrap()).collect();
    assert_eq!(ports, ["Southampton", "Cherbourg", "Queenstown"]);
}

async fn a_voyage_is_added_read_and_removed_with_its_calls(app: App) {
    let (voyage, path) = add(&app, " Olympic ", "1911-06-14").await;
    assert_eq!((&voyage["ship"], &voyage["departed_on"]), (&json!("Olympic"), &json!("1911-06-14")));
    assert_eq!(app.get(&path).await.json(), voyage);
    let calls = format!("{path}/calls");
    assert_eq!(app.get(&calls).await.json()["items"], json!([]));
    for (port, day) in [("New York", "1911-06-21"), ("Southampton", "1911-06-14")] {
        let added = app.call(Method::POST, &calls, Some(&json!({"port": port, "called_on": day}))).await;
        assert_eq!((added.status.as_u16(), &added.json()["voyage_id"]), (201, &voyage["id"]));
    }
    let listed = app.get(&calls).await.json();
    assert_eq!(
        (&listed["items"][0]["port"], &listed["items"][1]["port"]),
        (&json!("Southampton"), &json!("New York"))
    );
    assert_eq!(app.call(Method::DELETE, &path, None).await.status, 204);
    for gone in [&path, &calls] {
        assert_eq!(app.get(gone).await.problem(404).0, "not_found");
    }
    assert_eq!(app.call(Method::DELETE, &path, None).await.problem(404).0, "not_found");
}

async fn what_cannot_be_used_is_named(app: App) {
    let wrong = json!({"ship": "", "departed_on": "1912-04-31", "line": "White Star"});
    let answer = app.call(Method::POST, ALL, Some(&wrong)).await;
    assert_eq!(answer.problem(422).1, ["ship", "departed_on", "line"]);
    for unseen in ["\u{200d}", "\u{2800}\u{3164}", "\u{e0041}", "\u{202e}nhoJ", "Tit\u{200b}anic"] {
        let body = json!({"ship": unseen, "departed_on": "1912-04-10"});
        assert_eq!(app.call(Method::POST, ALL, Some(&body)).await.problem(422).1, ["ship"], "{unseen:?}");
        let body = json!({"name": unseen, "class": 1, "sex": "male", "survived": true});
        let refused = app.call(Method::POST, "/api/v1/passengers", Some(&body)).await;
        assert_eq!(refused.problem(422).1, ["name"], "{unseen:?}");
    }
    assert_eq!(app.get(&format!("{ALL}/7")).await.problem(400).1, ["id"]);
    assert_eq!(app.get(&format!("{ALL}?colour=red")).await.problem(400).1, ["cursor"]);
    let call = json!({"port": "Cherbourg", "called_on": "1912-04-10"});
    assert_eq!(
        app.call(Method::POST, &format!("{NOBODY}/calls"), Some(&call)).await.problem(404).0,
        "not_found"
    );
    assert_eq!(app.get(NOBODY).await.problem(404).0, "not_found");
}

async fn a_list_is_walked_page_by_page(app: App) {
    for number in 0..60 {
        add(&app, &format!("Ship {number}"), "1913-01-01").await;
    }
    let first = app.get(ALL).await.json();
    let next = first["next_cursor"].as_str().unwrap();
    let second = app.get(&format!("{ALL}?cursor={next}")).await.json();
    let count = |page: &Value| page["items"].as_array().unwrap().len();
    assert_eq!((count(&first), count(&second), &second["next_cursor"]), (50, 11, &json!(null)));
    assert_eq!(app.get(&format!("{ALL}?cursor=7")).await.problem(400).1, ["cursor"]);

    let (_, path) = add(&app, "Olympic", "1911-06-14").await;
    let mut sent = Vec::new();
    for number in 0..120 {
        let port = format!("Port {number}");
        let call = json!({"port": port, "called_on": format!("1912-04-{:02}", 30 - number % 7)});
        let made = app.call(Method::POST, &format!("{path}/calls"), Some(&call)).await;
        assert_eq!(made.status, 201, "{}", made.text);
        sent.push((call["called_on"].as_str().unwrap().to_owned(), made.json()["id"].clone().to_string()));
    }
    sent.sort();
    let (mut met, mut query) = (Vec::new(), String::new());
    for size in [50, 50, 20] {
        let page = app.get(&format!("{path}/calls{query}")).await.json();
        let items = page["items"].as_array().unwrap();
        assert_eq!(items.len(), size);
        met.extend(
            items.iter().map(|call| (call["called_on"].as_str().unwrap().to_owned(), call["id"].to_string())),
        );
        query = format!("?cursor={}", page["next_cursor"].as_str().unwrap_or_default());
    }
    assert_eq!((met, query.as_str()), (sent, "?cursor="), "each call is met once, in the order of days");
    for wrong in ["cursor=7", "cursor=1912-04-31_x", "limit=3"] {
        assert_eq!(app.get(&format!("{path}/calls?{wrong}")).await.problem(400).1, ["cursor"], "{wrong}");
    }
    app.database.close().await;
    assert_eq!(app.get(ALL).await.problem(503).0, "database_unavailable");
}

#[tokio::test]
async fn a_key_for_passengers_changes_no_voyage() {
    let keys = format!(
        "purser passengers:write sha256:{}; officer voyages:write sha256:{}",
        digest("iceberg"),
        digest("bridge")
    );
    let app = App::with(&[("API_KEYS", &keys), ("ENVIRONMENT", "production")]).await;
    let voyage = json!({"ship": "Olympic", "departed_on": "1911-06-14"});
    let post = async |key: &str| {
        let bearer = format!("Bearer {key}");
        app.call_with(Method::POST, ALL, &[("authorization", &bearer)], Some(&voyage)).await
    };
    assert_eq!(post("iceberg").await.problem(403).0, "insufficient_scope");
    assert_eq!(post("bridge").await.status, 201);
}
