//! Replace, patch, and the states in which a client may do so.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::app::{Answer, App};

on_both_databases!(
    a_passenger_is_replaced_and_patched,
    every_change_has_a_state_of_its_own,
    who_knows_an_older_state_changes_nothing,
    a_state_that_is_known_is_not_sent_again,
    patches_that_meet_are_all_made,
    what_cannot_be_changed_is_said_so,
);

fn person() -> Value {
    json!({"name": "Brown, Mrs. Margaret", "class": 1, "sex": "female", "age": 44, "fare": 27.7208, "survived": true})
}

fn tag(answer: &Answer) -> String {
    answer.headers["etag"].to_str().unwrap().to_owned()
}

async fn a_passenger_is_replaced_and_patched(app: App) {
    let (made, path) = app.board(&person()).await;
    let mut other = person();
    other["name"] = json!("Brown, Molly");
    other["age"] = json!(null);
    other["siblings_or_spouses_aboard"] = json!(3);
    let replaced = app.call(Method::PUT, &path, Some(&other)).await;
    assert_eq!(replaced.status, 200, "{}", replaced.text);
    let now = replaced.json();
    assert_eq!(
        (&now["name"], &now["age"], &now["fare"]),
        (&json!("Brown, Molly"), &json!(null), &json!(27.7208))
    );
    assert_eq!((&now["id"], &now["version"]), (&made["id"], &json!(2)));
    assert_eq!(app.get(&path).await.json(), now);
    assert_eq!(app.get("/api/v1/passengers?name=molly").await.json()["items"], json!([now]));
    assert_eq!(app.get("/api/v1/passengers?total=true&name=margaret%20brown").await.json()["total"], 0);

    let patched = app.call(Method::PATCH, &path, Some(&json!({"fare": null, "class": 2}))).await;
    assert_eq!(patched.status, 200, "{}", patched.text);
    let now = patched.json();
    assert_eq!(
        (&now["class"], &now["fare"], &now["name"]),
        (&json!(2), &json!(null), &json!("Brown, Molly"))
    );
    assert_eq!(now["siblings_or_spouses_aboard"], 3);
    assert_eq!(app.get(&path).await.json(), now);
}

async fn every_change_has_a_state_of_its_own(app: App) {
    let created = app.call(Method::POST, "/api/v1/passengers", Some(&person())).await;
    let path = format!("/api/v1/passengers/{}", created.json()["id"].as_str().unwrap());
    let mut tags = vec![tag(&created)];
    for age in [45, 46, 44] {
        let patched = app.call(Method::PATCH, &path, Some(&json!({"age": age}))).await;
        assert_eq!(tag(&patched), tag(&app.get(&path).await));
        assert!(!tags.contains(&tag(&patched)), "{tags:?}");
        tags.push(tag(&patched));
    }
    // What changes nothing is no change.
    let same = app.call(Method::PATCH, &path, Some(&json!({"age": 44, "survived": true}))).await;
    assert_eq!(tag(&same), tags[3]);
    assert_eq!(same.json()["version"], 4);
}

async fn who_knows_an_older_state_changes_nothing(app: App) {
    let (_, path) = app.board(&person()).await;
    let old = tag(&app.get(&path).await);
    let if_match = |tag: &str| [("if-match", tag.to_owned())];
    let call = async |method: Method, headers: &[(&str, String)], body: Option<Value>| {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        app.call_with(method, &path, &headers, body.as_ref()).await
    };
    let patched = call(Method::PATCH, &if_match(&old), Some(json!({"age": 45}))).await;
    assert_eq!(patched.status, 200, "{}", patched.text);
    let new = tag(&patched);

    for (method, body) in
        [(Method::PATCH, Some(json!({"age": 46}))), (Method::PUT, Some(person())), (Method::DELETE, None)]
    {
        let weak = format!("W/{new}");
        for stale in [old.as_str(), weak.as_str(), "\"x\""] {
            let answer = call(method.clone(), &if_match(stale), body.clone()).await;
            assert_eq!(answer.problem(412), (String::from("precondition_failed"), vec!["if-match".into()]));
        }
        let answer = call(method.clone(), &[("if-none-match", "*".to_owned())], body.clone()).await;
        assert_eq!(answer.problem(412).1, ["if-none-match"]);
        let answer = call(method, &if_match("unquoted"), body).await;
        assert_eq!(answer.problem(400), (String::from("invalid_header"), vec!["if-match".into()]));
    }
    assert_eq!(app.get(&path).await.json()["age"], 45);
    assert_eq!(call(Method::PUT, &if_match(&format!("{old}, {new}")), Some(person())).await.status, 200);
    assert_eq!(call(Method::DELETE, &if_match("*"), None).await.status, 204);
    assert_eq!(call(Method::DELETE, &if_match("*"), None).await.problem(404).0, "not_found");
}

async fn a_state_that_is_known_is_not_sent_again(app: App) {
    let (_, path) = app.board(&person()).await;
    let known = tag(&app.get(&path).await);
    for (header, status) in [
        (known.clone(), 304),
        (format!("W/{known}"), 304),
        (String::from("\"x\""), 200),
        (String::from("*"), 304),
    ] {
        let answer = app.call_with(Method::GET, &path, &[("if-none-match", &header)], None).await;
        assert_eq!(answer.status, status, "{header}");
        assert_eq!(tag(&answer), known);
        assert_eq!(answer.text.is_empty(), status == 304);
    }
    let answer = app.call_with(Method::GET, &path, &[("if-match", "\"x\"")], None).await;
    assert_eq!(answer.problem(412).0, "precondition_failed");
}

async fn patches_that_meet_are_all_made(app: App) {
    let (_, path) = app.board(&person()).await;
    // Each names a field of its own: none may undo another, though all begin with the same state.
    let patches = [
        json!({"age": 1}),
        json!({"fare": 2}),
        json!({"class": 3}),
        json!({"siblings_or_spouses_aboard": 4}),
    ];
    let calls = patches.iter().map(|patch| app.call(Method::PATCH, &path, Some(patch)));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    let now = app.get(&path).await.json();
    let fields =
        ["age", "fare", "class", "siblings_or_spouses_aboard", "version"].map(|field| now[field].clone());
    assert_eq!(fields, [json!(1), json!(2), json!(3), json!(4), json!(5)]);
}

async fn what_cannot_be_changed_is_said_so(app: App) {
    let (made, path) = app.board(&person()).await;
    // A body that was read may be put back, but a patch names what it changes.
    let answer = app.call(Method::PATCH, &path, Some(&made)).await;
    assert_eq!(answer.problem(422).1, ["id", "version", "updated_at"]);
    let answer = app.call(Method::POST, "/api/v1/passengers", Some(&made)).await;
    assert_eq!(answer.problem(422).1, ["id", "version", "updated_at"]);
    let answer = app.call(Method::PATCH, &path, Some(&json!({"name": null, "age": -1, "cabin": "B4"}))).await;
    assert_eq!(answer.problem(422).1, ["name", "age", "cabin"]);
    let unknown = "/api/v1/passengers/01890000-0000-7000-8000-000000000000";
    assert_eq!(app.call(Method::PUT, unknown, Some(&person())).await.problem(404).0, "not_found");
    assert_eq!(app.call(Method::PATCH, unknown, Some(&json!({}))).await.problem(404).0, "not_found");
    assert_eq!(
        app.call(Method::PATCH, "/api/v1/passengers/7", Some(&json!({}))).await.problem(400).1,
        ["id"]
    );
    let plain =
        Request::patch(&path).header("content-type", "application/json").body(Body::from("{}")).unwrap();
    assert_eq!(app.send(plain).await.problem(415).0, "unsupported_media_type");
    for malformed in ["[]", "null", "{"] {
        let request = Request::patch(&path).header("content-type", "application/merge-patch+json");
        let answer = app.send(request.body(Body::from(malformed)).unwrap()).await;
        assert_eq!(answer.problem(400).0, "malformed_body", "{malformed}");
    }
    assert_eq!(app.get(&path).await.json(), made);
}
