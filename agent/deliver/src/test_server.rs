//! A receiver on this machine for tests: it answers as scripted and records every request.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

/// Answer to one request; `ok` when nothing is scripted.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Status(u16, &'static str),
    RetryAfter(u64),
    Json(Value),
    /// An answer that comes when the test lets it.
    Held(Value, Arc<Notify>),
    /// No answer ever.
    Hang,
}

#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) authorization: Option<String>,
    pub(super) body: Value,
    /// The body as it came.
    pub(super) text: String,
    pub(super) signature: Option<String>,
}

#[derive(Clone)]
pub(super) struct Local {
    pub(super) address: SocketAddr,
    script: Arc<Mutex<VecDeque<Reply>>>,
    seen: Arc<watch::Sender<Vec<Request>>>,
    server: AbortHandle,
}

impl Local {
    pub(super) async fn start(script: Vec<Reply>) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), script).await
    }

    pub(super) async fn start_at(address: SocketAddr, script: Vec<Reply>) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(Mutex::new(VecDeque::from(script)));
        let seen = Arc::new(watch::Sender::new(Vec::new()));
        let router = Router::new().fallback(answer).with_state((Arc::clone(&script), Arc::clone(&seen)));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }).abort_handle();
        Self { address, script, seen, server }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn seen(&self) -> Vec<Request> {
        self.seen.borrow().clone()
    }

    /// Waits until so many requests have come.
    pub(super) async fn seen_at_least(&self, n: usize) -> Vec<Request> {
        let mut seen = self.seen.subscribe();
        let arrived = seen.wait_for(|seen| seen.len() >= n);
        let arrived = tokio::time::timeout(Duration::from_secs(20), arrived).await;
        arrived.unwrap_or_else(|_| panic!("only {:?} came", self.seen())).unwrap().clone()
    }

    pub(super) fn then(&self, reply: Reply) {
        self.script.lock().unwrap().push_back(reply);
    }

    /// Answers everything with `ok` from now on.
    pub(super) fn heal(&self) {
        self.script.lock().unwrap().clear();
    }

    pub(super) fn stop(&self) {
        self.server.abort();
    }
}

type Shared = (Arc<Mutex<VecDeque<Reply>>>, Arc<watch::Sender<Vec<Request>>>);

async fn answer(
    State((script, seen)): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if method == Method::GET {
        // only what is posted is scripted and recorded
        return "ok".into_response();
    }
    let authorization = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
    let signature = headers.get("lookout-signature").map(|value| value.to_str().unwrap().to_owned());
    let text = String::from_utf8(body.to_vec()).unwrap();
    let body = serde_json::from_str(&text).unwrap();
    let path = uri.path().to_owned();
    seen.send_modify(|seen| seen.push(Request { path, authorization, body, text, signature }));
    let reply = script.lock().unwrap().pop_front();
    match reply {
        None => "ok".into_response(),
        Some(Reply::Status(status, text)) => (StatusCode::from_u16(status).unwrap(), text).into_response(),
        Some(Reply::RetryAfter(seconds)) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())]).into_response()
        }
        Some(Reply::Json(value)) => axum::Json(value).into_response(),
        Some(Reply::Held(value, free)) => {
            free.notified().await;
            axum::Json(value).into_response()
        }
        Some(Reply::Hang) => std::future::pending().await,
    }
}
