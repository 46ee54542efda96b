//! List, read, add, remove.

use std::collections::HashSet;

use axum::http::Method;
use serde_json::{Value, json};

use crate::app::App;

#[tokio::test]
async fn an_empty_database_is_loaded_with_everyone() {
    let page = App::new().await.get("/api/v1/passengers").await.json();
    assert_eq!(page["total"], 1309);
    assert_eq!(page["items"].as_array().unwrap().len(), 20);
    assert_eq!(
        page["items"][1],
        json!({
            "id": page["items"][1]["id"], "name": "Allison, Master. Hudson Trevor", "class": 1, "sex": "male",
            "age": 0.9167, "siblings_or_spouses_aboard": 1, "parents_or_children_aboard": 2, "survived": true
        })
    );
}

#[tokio::test]
async fn walking_the_pages_meets_everyone_exactly_once() {
    let app = App::new().await;
    let (mut met, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = app.get(&format!("/api/v1/passengers?limit=100{after}")).await.json();
        assert_eq!(page["total"], 1309);
        met.extend(page["items"].as_array().unwrap().iter().map(|p| p["id"].as_str().unwrap().to_owned()));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(met.len(), 1309);
    assert_eq!(met.iter().collect::<HashSet<_>>().len(), 1309);
}

#[tokio::test]
async fn a_last_page_that_is_full_has_no_next() {
    let app = App::new().await;
    let page = app.get("/api/v1/passengers?name=smith,%20mr.%20james&limit=1").await.json();
    assert_eq!((&page["total"], &page["next_cursor"]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn filters_hold_together() {
    let app = App::new().await;
    let total =
        async |query: &str| app.get(&format!("/api/v1/passengers?{query}")).await.json()["total"].clone();
    assert_eq!(total("class=1").await, 323);
    assert_eq!(total("sex=female").await, 466);
    assert_eq!(total("survived=true").await, 500);
    assert_eq!(total("survived=true&class=3&sex=female").await, 106);
    // An unknown age is neither above nor below anything.
    assert_eq!(total("min_age=0&max_age=120").await, 1309 - 263);
    assert_eq!(total("min_age=80").await, 1);
    assert_eq!(total("name=ALLISON").await, total("name=allison").await);
    assert_eq!(total("name=%25").await, 0);
    assert_eq!(total("name=_").await, 0);

    let page = app.get("/api/v1/passengers?class=2&sex=male&max_age=10&limit=100").await.json();
    let items = page["items"].as_array().unwrap();
    assert_eq!(page["total"], items.len());
    assert!(!items.is_empty());
    assert!(
        items.iter().all(|p| p["class"] == 2 && p["sex"] == "male" && p["age"].as_f64().unwrap() <= 10.0)
    );
}

#[tokio::test]
async fn a_passenger_comes_aboard_is_read_and_leaves() {
    let app = App::with(&[("API_BASE_URL", "https://titanic.example/")]).await;
    let person =
        json!({"name": "Ödegård, Miss. Åsa", "class": 3, "sex": "female", "age": 22, "survived": true});
    let created = app.call(Method::POST, "/api/v1/passengers", Some(&person)).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let made = created.json();
    let path = format!("/api/v1/passengers/{}", made["id"].as_str().unwrap());
    assert_eq!(created.headers["location"].to_str().unwrap(), format!("https://titanic.example{path}"));
    assert_eq!((&made["age"], &made["siblings_or_spouses_aboard"]), (&json!(22), &json!(0)));

    assert_eq!(app.get(&path).await.json(), made);
    // Who comes last is listed last, and is found in whatever case beyond ASCII too.
    assert_eq!(app.get("/api/v1/passengers?name=%C3%85SA").await.json()["items"][0], made);

    assert_eq!(app.call(Method::DELETE, &path, None).await.status, 204);
    assert_eq!(app.get(&path).await.problem(404).0, "not_found");
    assert_eq!(app.call(Method::DELETE, &path, None).await.problem(404).0, "not_found");
    assert_eq!(app.get("/api/v1/passengers").await.json()["total"], 1309);
}
