//! The description of the API and the API.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use titanic::api::routes;

use crate::app::App;

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"];

/// The methods of each path, as documented.
fn documented(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let paths = document["paths"].as_object().unwrap();
    let methods =
        |path: &Value| path.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
    paths.iter().map(|(path, operations)| (path.clone(), methods(operations))).collect()
}

#[tokio::test]
async fn what_is_documented_is_served_and_what_is_not_is_refused() {
    let app = App::new().await;
    let document = app.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, methods) in documented(&document) {
        let place = path.replace("{id}", "01890000-0000-7000-8000-000000000000");
        let mut allowed: BTreeSet<_> = methods.clone();
        if methods.contains("GET") {
            allowed.insert(String::from("HEAD"));
        }
        for method in METHODS {
            let request = Request::builder().method(method).uri(&place).body(Body::empty()).unwrap();
            let answer = app.send(request).await;
            if !allowed.contains(method) {
                assert_eq!(answer.status, 405, "{method} {path}");
                // Who asks for the head alone gets no body.
                assert!(method == "HEAD" || answer.problem(405).0 == "method_not_allowed", "{path}");
                let allow = answer.headers["allow"].to_str().unwrap().split(',').map(str::to_owned).collect();
                assert_eq!(allowed, allow, "{method} {path}");
                continue;
            }
            if method == "HEAD" {
                continue;
            }
            let operation = &document["paths"][&path][method.to_lowercase()];
            let status = answer.status.as_u16().to_string();
            assert!(operation["responses"].get(&status).is_some(), "{method} {path} answered {status}");
        }
    }
}

#[tokio::test]
async fn what_is_measured_and_can_be_hit_by_faults_is_what_is_documented() {
    let app = App::new().await;
    let document = app.get("/openapi.json").await.json();
    let described: BTreeSet<_> = documented(&document)
        .into_iter()
        .filter(|(path, _)| path.starts_with("/api/"))
        .flat_map(|(path, methods)| methods.into_iter().map(move |method| (path.clone(), method)))
        .collect();
    let listed: BTreeSet<_> =
        routes().iter().map(|(path, method, _)| ((*path).to_owned(), (*method).to_owned())).collect();
    assert_eq!(described, listed);
    for (path, method, status) in routes() {
        let answers = &document["paths"][path][method.to_lowercase()]["responses"];
        assert!(answers.get(status.to_string()).is_some(), "{method} {path} {status}");
    }
}

#[tokio::test]
async fn names_are_unique_and_every_reference_leads_somewhere() {
    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(array) => array.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let app = App::new().await;
    let document = app.get("/openapi.json").await.json();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in &found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let operations: Vec<_> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap().values())
        .collect();
    let names: BTreeSet<_> =
        operations.iter().map(|operation| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.len(), operations.len());
    for schema in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(found.iter().any(|reference| reference.ends_with(&format!("/{schema}"))), "{schema} is used");
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let app = App::with(&[("APP_VERSION", "<b>2</b>")]).await;
    let page = app.get("/docs").await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert!(page.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert!(
        !page.text.contains("<script") && !page.text.contains("src=") && !page.text.contains("//"),
        "no other place"
    );
    assert!(page.text.contains("&#60;b&#62;2&#60;/b&#62;") && !page.text.contains("<b>2</b>"));
    let document = app.get("/openapi.json").await.json();
    for path in documented(&document).keys() {
        assert!(page.text.contains(&format!("<code>{path}</code>")), "{path}");
    }
    for schema in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(page.text.contains(&format!("id=\"{schema}\"")), "{schema}");
    }
    assert_eq!(app.get("/docs/style.css").await.headers["content-type"], "text/css; charset=utf-8");
}

/// The parts of a request: a body, headers, a key.
struct Ask {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

#[tokio::test]
async fn every_documented_answer_of_the_passengers_is_real() {
    let app = App::new().await;
    let person = json!({"name": "A", "class": 1, "sex": "male", "survived": false});
    let closed = App::with(&[("ENVIRONMENT", "staging")]).await;
    let keys = format!("purser voyages:write sha256:{}", crate::edge::digest("iceberg"));
    let locked = App::with(&[("API_KEYS", &keys), ("ANONYMOUS_READS", "deny")]).await;
    let named = App::with(&[("ALLOWED_HOSTS", "carpathia.example")]).await;
    let away = App::new().await;
    away.database.close().await;
    let document = app.get("/openapi.json").await.json();
    let mut missing = BTreeSet::new();
    for (path, method, success) in routes() {
        if path.starts_with("/api/v1/voyages") {
            continue;
        }
        let responses = &document["paths"][path][method.to_lowercase()]["responses"];
        for status in responses.as_object().unwrap().keys().map(|status| status.parse::<u16>().unwrap()) {
            let at = match status {
                401 => &locked,
                403 if method == "GET" => &locked,
                403 => &closed,
                421 => &named,
                503 if path != "/api/hello" => &away,
                _ => &app,
            };
            // These need a change in between, a second request at the same time, a slow client, a full disk, or a defect
            // of ours: see `changes`, `idempotency`, `edge`, `slow_clients`, `degraded` and the tests of the middleware.
            if matches!(status, 408 | 409 | 500 | 507) || (status == 503 && !std::ptr::eq(at, &away)) {
                continue;
            }
            let (made, own) = app.board(&person).await;
            let tag = format!(
                "\"1-{:x}\"",
                made["updated_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()
            );
            let ask = ask(path, method, status, success, &own, &tag, &person);
            let mut request = Request::builder().method(ask.method).uri(&ask.path);
            for (name, value) in ask.headers {
                request = request.header(name, value);
            }
            let answer = at.send(request.body(Body::from(ask.body)).unwrap()).await;
            if answer.status != status {
                missing.insert(format!("{method} {path} {status}: {} {}", answer.status, answer.text));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

fn ask(
    path: &str,
    method: &'static str,
    status: u16,
    success: u16,
    own: &str,
    tag: &str,
    person: &Value,
) -> Ask {
    let is_import = path.ends_with("import");
    let mut place = if path.ends_with("{id}") { own.to_owned() } else { path.to_owned() };
    let mut headers = Vec::new();
    let media_type = match method {
        "POST" if is_import => Some("application/x-ndjson"),
        "PATCH" => Some("application/merge-patch+json"),
        "POST" | "PUT" => Some("application/json"),
        _ => None,
    };
    let mut body = media_type.map(|_| person.to_string()).unwrap_or_default();
    if let Some(media_type) = media_type {
        headers.push(("content-type", if status == 415 { "text/plain".into() } else { media_type.into() }));
    }
    match status {
        304 => headers.push(("if-none-match", tag.to_owned())),
        403 => headers.push(("authorization", "Bearer iceberg".into())),
        400 if is_import => headers.push(("idempotency-key", "k".into())),
        400 if path.ends_with("{id}") => place.push('7'),
        400 if method == "GET" => place.push_str("?colour=red"),
        400 => body = "{".into(),
        404 => place = "/api/v1/passengers/01890000-0000-7000-8000-000000000000".into(),
        412 => headers.push(("if-match", "\"x\"".into())),
        413 => headers.push(("content-length", (100 << 20).to_string())),
        422 => body = json!({"class": 9}).to_string(),
        status => {
            assert!(status == success || matches!(status, 401 | 403 | 415 | 421 | 503), "{status}")
        }
    }
    Ask { method: method.parse().unwrap(), path: place, headers, body }
}
