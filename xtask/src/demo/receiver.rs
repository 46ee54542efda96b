//! A Slack workspace on loopback: as strict as the real one about tokens, channels and threads, and it remembers when
//! everything arrived.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::message::as_read;
use super::narrator::Narrator;
use super::now_ms;

/// Names of the channel, for people and for the API.
pub(super) const CHANNEL: &str = "#oncall";
const CHANNEL_ID: &str = "C0LOOKOUT";

/// A request to Slack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A message of its own.
    Message,
    /// A message in the thread of the first.
    Reply { thread: String },
    /// A message that was there already has a new text.
    Edit { message: String },
}

/// One accepted call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) at_ms: i64,
    pub(super) kind: Kind,
    /// The name of the message: new for posts, given for edits.
    pub(super) ts: String,
    pub(super) text: String,
}

/// Everything the workspace has seen.
#[derive(Debug, Default)]
pub(super) struct SlackLog {
    pub(super) calls: Vec<Call>,
    /// Calls that Slack would have refused, and why.
    pub(super) refused: Vec<String>,
}

impl SlackLog {
    /// Posts, edits not counted.
    pub(super) fn posts(&self) -> usize {
        self.calls.iter().filter(|call| !matches!(call.kind, Kind::Edit { .. })).count()
    }
}

/// The running receiver.
#[derive(Clone)]
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    token: String,
    seen: Arc<Mutex<SlackLog>>,
    narrator: Narrator,
}

impl Receiver {
    /// Starts to listen on a free port; the token is the one that is accepted.
    pub(super) async fn start(token: &str, narrator: &Narrator) -> Result<Self> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("opening a port for the receiver")?;
        let address = listener.local_addr().context("reading the port of the receiver")?;
        let receiver =
            Self { address, token: token.to_owned(), seen: Arc::default(), narrator: narrator.clone() };
        let router = axum::Router::new()
            .route("/api/chat.postMessage", post(post_message))
            .route("/api/chat.update", post(update))
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(receiver)
    }

    /// Returns the requests so far.
    pub(super) fn seen(&self) -> MutexGuard<'_, SlackLog> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, headers: &HeaderMap, body: &Value, edit: bool) -> Value {
        let answer = self.accept(headers, body, edit);
        match answer {
            Ok(call) => {
                let heading = match &call.kind {
                    Kind::Message => format!("Slack {CHANNEL}, a message:"),
                    Kind::Reply { .. } => format!("Slack {CHANNEL}, a reply in its thread:"),
                    Kind::Edit { .. } => format!("Slack {CHANNEL}, the first message now reads:"),
                };
                self.narrator.say(&heading);
                self.narrator.quote(&call.text);
                let ts = call.ts.clone();
                self.seen().calls.push(call);
                json!({"ok": true, "channel": CHANNEL_ID, "ts": ts})
            }
            Err(error) => {
                self.narrator.say(&format!("Slack refuses a call: {error}"));
                self.seen().refused.push(error.to_owned());
                json!({"ok": false, "error": error})
            }
        }
    }

    fn accept(&self, headers: &HeaderMap, body: &Value, edit: bool) -> Result<Call, &'static str> {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if bearer.and_then(|value| value.strip_prefix("Bearer ")) != Some(self.token.as_str()) {
            return Err(if bearer.is_none() { "not_authed" } else { "invalid_auth" });
        }
        let part = |key: &str| body.get(key).and_then(Value::as_str);
        let channel = part("channel").unwrap_or_default();
        // Only the id names a channel when a message is edited; a post may use the name too.
        if channel != CHANNEL_ID && (edit || channel != CHANNEL) {
            return Err("channel_not_found");
        }
        let text = as_read(body);
        if text.is_empty() {
            return Err("no_text");
        }
        let seen = self.seen();
        let known = |ts: &str| seen.calls.iter().any(|call| call.ts == ts);
        let at_ms = now_ms();
        let fresh = format!("{}.{:06}", at_ms / 1000, (at_ms % 1000) * 1000 + seen.calls.len() as i64 % 1000);
        let (kind, ts) = if edit {
            let ts = part("ts").filter(|ts| known(ts)).ok_or("message_not_found")?;
            (Kind::Edit { message: ts.to_owned() }, ts.to_owned())
        } else if let Some(thread) = part("thread_ts") {
            // The real one would start a new conversation here; in this story it can only be a mistake.
            let thread = Some(thread).filter(|ts| known(ts)).ok_or("thread_not_found")?;
            (Kind::Reply { thread: thread.to_owned() }, fresh)
        } else {
            (Kind::Message, fresh)
        };
        Ok(Call { at_ms, kind, ts, text })
    }
}

async fn post_message(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Json<Value> {
    Json(receiver.handle(&headers, &body, false))
}

async fn update(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Json<Value> {
    Json(receiver.handle(&headers, &body, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn receiver() -> Receiver {
        Receiver::start("secret", &Narrator::new()).await.unwrap()
    }

    fn with_token(token: &str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())])
    }

    #[tokio::test]
    async fn a_message_is_answered_in_its_thread_and_edited() {
        let receiver = receiver().await;
        let headers = with_token("secret");
        let first = receiver.handle(&headers, &json!({"channel": CHANNEL, "text": "opened"}), false);
        let ts = first.get("ts").unwrap();
        let reply = json!({"channel": CHANNEL_ID, "text": "resolved", "thread_ts": ts});
        assert_eq!(receiver.handle(&headers, &reply, false).get("ok"), Some(&json!(true)));
        let edit = json!({"channel": CHANNEL_ID, "text": "resolved", "ts": ts});
        assert_eq!(receiver.handle(&headers, &edit, true).get("ok"), Some(&json!(true)));
        let seen = receiver.seen();
        assert_eq!((seen.posts(), seen.calls.len()), (2, 3));
    }

    #[tokio::test]
    async fn what_slack_refuses_is_refused() {
        let receiver = receiver().await;
        let error = |headers: &HeaderMap, body: Value, edit| {
            receiver.handle(headers, &body, edit).get("error").and_then(Value::as_str).map(str::to_owned)
        };
        let text = |channel| json!({"channel": channel, "text": "hello"});
        assert_eq!(error(&HeaderMap::new(), text(CHANNEL), false).as_deref(), Some("not_authed"));
        assert_eq!(error(&with_token("other"), text(CHANNEL), false).as_deref(), Some("invalid_auth"));
        let good = with_token("secret");
        assert_eq!(error(&good, text("#other"), false).as_deref(), Some("channel_not_found"));
        assert_eq!(error(&good, text(CHANNEL), true).as_deref(), Some("channel_not_found"));
        assert_eq!(error(&good, json!({"channel": CHANNEL}), false).as_deref(), Some("no_text"));
        let lost = json!({"channel": CHANNEL_ID, "text": "hello", "ts": "1.000000"});
        assert_eq!(error(&good, lost, true).as_deref(), Some("message_not_found"));
        assert_eq!(receiver.seen().refused.len(), 6);
    }
}
