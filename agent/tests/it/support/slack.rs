//! A Slack incoming webhook that records every message.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::Value;

#[derive(Clone)]
pub(crate) struct Slack {
    pub(crate) address: SocketAddr,
    messages: Arc<Mutex<Vec<Value>>>,
}

impl Slack {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let slack = Self { address: listener.local_addr().unwrap(), messages: Arc::default() };
        let router = Router::new()
            .route(
                "/services/T0/B0/secret",
                post(
                    async |State(messages): State<Arc<Mutex<Vec<Value>>>>,
                           axum::Json(body): axum::Json<Value>| {
                        messages.lock().unwrap().push(body);
                        "ok"
                    },
                ),
            )
            .with_state(Arc::clone(&slack.messages));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        slack
    }

    pub(crate) fn webhook(&self) -> String {
        format!("http://{}/services/T0/B0/secret", self.address)
    }

    /// Returns the messages so far, as a person reads them.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.messages.lock().unwrap().iter().map(lookout_deliver::slack_as_text).collect()
    }
}
