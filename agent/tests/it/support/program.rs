//! A program that takes webhooks from who knows its token, or refuses all of them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;

#[derive(Debug, Default)]
struct Shared {
    /// The value of `Authorization` that is accepted; `None` refuses everything with 410.
    token: Option<String>,
    changes: Vec<String>,
    refused: usize,
}

#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

impl Program {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let program = Self { address: listener.local_addr().unwrap(), shared: Arc::default() };
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&program.shared));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        program
    }

    pub(crate) fn accept(&self, token: &str) {
        self.shared.lock().unwrap().token = Some(token.to_owned());
    }

    pub(crate) fn refuse(&self) {
        self.shared.lock().unwrap().token = None;
    }

    /// Returns `SLO change` of each transition it took.
    pub(crate) fn changes(&self) -> Vec<String> {
        self.shared.lock().unwrap().changes.clone()
    }

    pub(crate) fn refused(&self) -> usize {
        self.shared.lock().unwrap().refused
    }
}

async fn take(
    State(shared): State<Arc<Mutex<Shared>>>,
    headers: HeaderMap,
    axum::Json(body): axum::Json<Value>,
) -> StatusCode {
    let mut shared = shared.lock().unwrap();
    let token = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let refusal = match &shared.token {
        None => Some(StatusCode::GONE),
        Some(wanted) => (token.as_ref() != Some(wanted)).then_some(StatusCode::UNAUTHORIZED),
    };
    if let Some(status) = refusal {
        shared.refused += 1;
        return status;
    }
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = body["incidents"].as_array().unwrap();
    shared
        .changes
        .extend(items.iter().map(|item| format!("{} {}", text(&item["slo"]), text(&item["change"]))));
    StatusCode::OK
}
