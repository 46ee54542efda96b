//! A service with scripted answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;

pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    status: Arc<AtomicU16>,
}

impl Target {
    pub(crate) async fn start() -> Self {
        let status = Arc::new(AtomicU16::new(200));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = get({
            let answer = Arc::clone(&status);
            async move || {
                let status = StatusCode::from_u16(answer.load(Ordering::SeqCst)).unwrap();
                let word = if status.is_success() { "ok" } else { "fail" };
                (status, axum::Json(serde_json::json!({ "status": word })))
            }
        });
        // the second as an agent would have it that stands behind a path
        let router = Router::new().route("/health", answer.clone()).route("/health/readyz", answer);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, status }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/health", self.address)
    }

    pub(crate) fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}
