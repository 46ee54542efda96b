//! The whole application in memory: every layer, a database in memory, no sockets.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use serde_json::Value;
use titanic::Config;
use titanic::api;
use titanic::clock::SystemClock;
use titanic::database::{Database, Opening};
use titanic::http::{PortService, Shared, admin};
use titanic::passengers::Store;

pub(crate) const TOKEN: &str = "iceberg";

pub(crate) struct App {
    pub(crate) shared: Shared,
    pub(crate) database: Database,
    pub(crate) store: Store,
    pub(crate) public: PortService,
    pub(crate) admin: PortService,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {:?}", self.text))
    }

    /// Checks the shape that all errors have, and returns their code and the fields they name.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> (String, Vec<String>) {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let body = self.json();
        assert_eq!(body["status"], status);
        let code = body["code"].as_str().unwrap().to_owned();
        assert_eq!(body["type"], format!("urn:titanic:problem:{}", code.replace('_', "-")));
        assert_eq!(body["request_id"], self.headers["x-request-id"].to_str().unwrap());
        for text in ["title", "detail", "instance"] {
            assert!(body[text].as_str().is_some_and(|text| !text.is_empty()), "{text} in {body}");
        }
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        (code, errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect())
    }
}

impl App {
    pub(crate) async fn new() -> Self {
        Self::with(&[("ADMIN_TOKEN", TOKEN)]).await
    }

    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let mut all = HashMap::from([
            ("DATABASE_URL", "sqlite::memory:"),
            ("API_BASE_URL", "https://titanic.example/"),
        ]);
        all.extend(variables.iter().copied());
        let variables = all;
        let config = Config::from_variables(&variables, api::SCOPES).unwrap();
        let database = api::open(Opening::Serve, &config, config.max_connections).await.unwrap();
        let shared = api::shared(config, database.clone(), Arc::new(SystemClock));
        let store = Store::new(database.clone());
        Self { public: api::public(&shared), admin: admin(&shared), shared, database, store }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// An application on a database of its own, which other applications may share.
    pub(crate) async fn on(database_url: &str) -> Self {
        Self::with(&[("ADMIN_TOKEN", TOKEN), ("DATABASE_URL", database_url)]).await
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.call_with(method, path, &[], body).await
    }

    /// A call with headers. A patch is a merge patch.
    pub(crate) async fn call_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let patch = method == Method::PATCH;
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            let media_type = if patch { "application/merge-patch+json" } else { "application/json" };
            request = request.header("content-type", media_type);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    /// Brings someone aboard, and returns them with their path.
    pub(crate) async fn board(&self, person: &Value) -> (Value, String) {
        let created = self.call(Method::POST, "/api/v1/passengers", Some(person)).await;
        assert_eq!(created.status, 201, "{}", created.text);
        let made = created.json();
        let path = format!("/api/v1/passengers/{}", made["id"].as_str().unwrap());
        (made, path)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        answer(&self.public, request).await
    }

    pub(crate) async fn faults(&self, method: Method, token: Option<&str>, body: Option<&Value>) -> Answer {
        self.operate(method, "/faults", token, body).await
    }

    /// Orders a fault that is expected to be accepted.
    pub(crate) async fn order(&self, order: Value) -> Value {
        let answer = self.faults(Method::POST, Some(TOKEN), Some(&order)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    }

    /// A call to the operators' port.
    pub(crate) async fn operate(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        answer(&self.admin, request.body(body).unwrap()).await
    }

    pub(crate) async fn metrics(&self) -> String {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        let answer = answer(&self.admin, request).await;
        assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        answer.text
    }
}

async fn answer(port: &PortService, mut request: Request<Body>) -> Answer {
    // A connection has none that lacks it: see `host`.
    request.headers_mut().entry("host").or_insert(HeaderValue::from_static("titanic.example"));
    let response = port.answer(request).await;
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 8 << 20).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
}
