//! The edge of the service: keys, limits, origins, compression.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::program::Program;

/// Returns the digest that stands for a secret in the configuration.
pub(crate) fn digest(secret: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn keys() -> String {
    format!(
        "purser passengers:write sha256:{}; agent passengers:import sha256:{}",
        digest("iceberg"),
        digest("ticket")
    )
}

fn person() -> Value {
    json!({"name": "Brown, Mrs. Margaret", "class": 1, "sex": "female", "survived": true})
}

async fn with_key(app: &App, key: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
    app.call_with(method, path, &[("authorization", key)], body).await
}

#[tokio::test]
async fn changes_need_a_key_that_goes_so_far_and_reading_needs_none() {
    let app = App::with(&[("API_KEYS", &keys()), ("ENVIRONMENT", "production")]).await;
    let one = "/api/v1/passengers/01890000-0000-7000-8000-000000000000";
    let changes = [
        (Method::POST, "/api/v1/passengers"),
        (Method::PUT, one),
        (Method::PATCH, one),
        (Method::DELETE, one),
        (Method::POST, "/api/v1/passengers/import"),
    ];
    for (method, path) in &changes {
        // Even a body and a path that are wrong say nothing before the key is right.
        let nothing = app.call(method.clone(), path, Some(&json!(7))).await;
        assert_eq!(nothing.problem(401).0, "unauthorized");
        let challenge = nothing.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Bearer realm=\"titanic\", scope=\"passengers:"), "{challenge}");
        for wrong in ["Bearer nonsense", "Basic aWNlYmVyZw==", "iceberg", "Bearer", &"x".repeat(9000)] {
            let answer = with_key(&app, wrong, method.clone(), path, None).await;
            assert_eq!(answer.problem(401).0, "unauthorized", "{wrong}");
            let challenge = answer.headers["www-authenticate"].to_str().unwrap();
            assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
        }
    }
    for (method, path) in &changes[..4] {
        let answer = with_key(&app, "Bearer ticket", method.clone(), path, None).await;
        assert_eq!(answer.problem(403).0, "insufficient_scope");
    }
    let answer = with_key(&app, "Bearer iceberg", Method::POST, changes[4].1, None).await;
    assert_eq!(answer.problem(403).0, "insufficient_scope");
    assert!(answer.headers["www-authenticate"].to_str().unwrap().contains("scope=\"passengers:import\""));

    let made = with_key(&app, "bearer iceberg", Method::POST, changes[0].1, Some(&person())).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let path = format!("/api/v1/passengers/{}", made.json()["id"].as_str().unwrap());
    assert_eq!(app.get(&path).await.status, 200);
    assert_eq!(with_key(&app, "Bearer iceberg", Method::DELETE, &path, None).await.status, 204);
    let lines = Request::post(changes[4].1)
        .header("content-type", "application/x-ndjson")
        .header("authorization", "Bearer ticket")
        .body(Body::from(person().to_string()));
    let imported = app.send(lines.unwrap()).await;
    assert!(imported.text.contains("\"imported\":1"), "{}", imported.text);
}

#[tokio::test]
async fn without_keys_nobody_changes_anything_but_on_a_machine_of_ones_own() {
    let app = App::with(&[("ENVIRONMENT", "staging")]).await;
    let answer = app.call(Method::POST, "/api/v1/passengers", Some(&person())).await;
    assert_eq!(answer.problem(403).0, "read_only");
    assert!(answer.text.contains("API_KEYS"), "{}", answer.text);
    assert_eq!(app.get("/api/v1/passengers").await.status, 200);
    let app = App::with(&[("ENVIRONMENT", "development")]).await;
    assert_eq!(app.call(Method::POST, "/api/v1/passengers", Some(&person())).await.status, 201);
}

#[tokio::test]
async fn the_program_says_at_its_start_who_may_change_what() {
    let folder = tempfile::tempdir().unwrap();
    for (variables, message) in [
        (&[][..], "no API keys are configured: in development anyone may change anything"),
        (
            &[("ENVIRONMENT", "staging")],
            "no API keys are configured (API_KEYS): every change will be refused",
        ),
        (&[("API_KEYS", keys().as_str())], "changes need an API key"),
    ] {
        Program::start(&folder, variables).await.line(message).await;
    }
}

#[tokio::test]
async fn who_is_too_many_is_told_so_at_once_and_probes_are_not() {
    let app = App::with(&[("MAX_IN_FLIGHT", "1")]).await;
    let place = app.shared.in_flight.take().unwrap();
    for path in ["/api/hello", "/nowhere", "/docs"] {
        let answer = app.get(path).await;
        assert_eq!(answer.problem(503).0, "overloaded", "{path}");
        assert_eq!(answer.headers["retry-after"], "1");
    }
    for probe in ["/health", "/livez", "/readyz", "/version"] {
        assert_eq!(app.get(probe).await.status, 200, "{probe}");
    }
    drop(place);
    for _ in 0..3 {
        assert_eq!(app.get("/api/hello").await.status, 200, "a place is given back");
    }
}

#[tokio::test]
async fn pages_of_configured_origins_may_read_and_no_others() {
    let app = App::with(&[("CORS_ORIGINS", "https://titanic.example")]).await;
    let ours = [("origin", "https://titanic.example")];
    let theirs = [("origin", "https://carpathia.example")];
    let get =
        async |headers: &[(&str, &str)], path: &str| app.call_with(Method::GET, path, headers, None).await;
    for path in ["/api/hello", "/nowhere", "/api/v1/passengers/7"] {
        let answer = get(&ours, path).await;
        assert_eq!(answer.headers["access-control-allow-origin"], "https://titanic.example", "{path}");
        assert!(answer.headers["access-control-expose-headers"].to_str().unwrap().contains("etag"));
        let answer = get(&theirs, path).await;
        assert_eq!(answer.headers.get("access-control-allow-origin"), None, "{path}");
        assert_eq!(answer.headers["vary"], "origin");
    }
    let asks = [("access-control-request-method", "PATCH"), ("access-control-request-headers", "if-match")];
    let preflight = async |origin: [(&str, &str); 1]| {
        let headers = [&origin[..], &asks].concat();
        app.call_with(Method::OPTIONS, "/api/v1/passengers", &headers, None).await
    };
    let granted = preflight(ours).await;
    assert_eq!(granted.status, 200);
    assert_eq!(granted.headers["access-control-allow-origin"], "https://titanic.example");
    assert!(granted.headers["access-control-allow-methods"].to_str().unwrap().contains("PATCH"));
    assert!(granted.headers["access-control-allow-headers"].to_str().unwrap().contains("if-match"));
    let refused = preflight(theirs).await;
    assert_eq!(refused.headers.get("access-control-allow-origin"), None);

    let closed = App::new().await;
    let answer = closed.call_with(Method::GET, "/api/hello", &ours, None).await;
    assert_eq!((answer.headers.get("access-control-allow-origin"), answer.headers.get("vary")), (None, None));
    let open = App::with(&[("CORS_ORIGINS", "*")]).await;
    let answer = open.call_with(Method::GET, "/api/hello", &theirs, None).await;
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn large_answers_are_compressed_and_those_with_an_entity_tag_or_line_by_line_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[]).await;
    let list = format!("{}/api/v1/passengers", program.address);
    let get = async |url: &str| program.http.get(url).header("accept-encoding", "gzip").send().await.unwrap();
    let page = get(&format!("{list}?limit=100")).await;
    assert_eq!(page.headers()["content-encoding"], "gzip");
    assert!(page.headers()["vary"].to_str().unwrap().contains("accept-encoding"));
    let bytes = page.bytes().await.unwrap();
    assert_eq!(&bytes[..2], [0x1f, 0x8b]);
    let plain = program.http.get(format!("{list}?limit=100")).send().await.unwrap().bytes().await.unwrap();
    assert!(bytes.len() * 3 < plain.len(), "{} of {}", bytes.len(), plain.len());

    // What a client that asks for the head alone is told fits both.
    for (url, varies) in [(format!("{list}?limit=100"), true), (format!("{list}?limit=1"), false)] {
        let head = program.http.head(&url).header("accept-encoding", "gzip").send().await.unwrap();
        let told = |name: &str| head.headers().contains_key(name);
        assert_eq!((told("vary"), told("content-length")), (varies, !varies), "{url}");
        let head = program.http.head(&url).send().await.unwrap();
        assert_eq!(
            (head.headers().contains_key("vary"), head.headers().contains_key("content-length")),
            (varies, true)
        );
    }

    let small = get(&format!("{}/api/hello", program.address)).await;
    assert_eq!(small.headers().get("content-encoding"), None);
    let page: Value = serde_json::from_slice(&plain).unwrap();
    let one = get(&format!("{list}/{}", page["items"][0]["id"].as_str().unwrap())).await;
    assert_eq!((one.headers().get("content-encoding"), one.headers().contains_key("etag")), (None, true));
    let export = get(&format!("{list}/export")).await;
    assert_eq!(export.headers().get("content-encoding"), None);
    assert_eq!(export.text().await.unwrap().lines().count(), 1309);
}
