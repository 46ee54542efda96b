//! The way to an Alertmanager: a proxy that hands on every request, and remembers what the Alertmanager accepted and when it
//! lost its memory.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, DATE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use reqwest::Client;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::recorder::now_ms;

/// Labels of an alert that name it: service, SLO and severity.
pub(crate) type Alert = (String, String, String);

/// An event at an Alertmanager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// It accepted the state of an alert.
    Accepted(Posted),
    /// It was killed, and what it held is gone.
    Killed { at_ms: i64 },
    /// It answers again after it was killed.
    Started { at_ms: i64 },
    /// It was stopped where it stood, for a while.
    Hung { from_ms: i64, until_ms: i64 },
}

/// A state of an alert that an Alertmanager accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Posted {
    pub(crate) alert: Alert,
    pub(crate) starts_ms: i64,
    pub(crate) ends_ms: i64,
    /// The wall time at which it was handed on.
    pub(crate) sent_ms: i64,
    /// The wall time at which it was accepted.
    pub(crate) at_ms: i64,
}

impl Posted {
    pub(crate) fn fires(&self) -> bool {
        self.ends_ms > self.at_ms
    }
}

/// A running proxy. Dropping it stops it.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    to: SocketAddr,
    client: Client,
    events: Mutex<Vec<Event>>,
    /// Posts go one after the other, so that it is known which one the Alertmanager took last.
    posting: tokio::sync::Mutex<()>,
}

/// The part of a posted alert that is judged.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    labels: Value,
    starts_at: jiff::Timestamp,
    ends_at: jiff::Timestamp,
}

impl Wire {
    /// Starts a proxy to an address at which something listens or will.
    pub(crate) async fn start(to: SocketAddr) -> Result<Self> {
        // a request whose sender went away stays with an Alertmanager that hangs, as in the buffers of the system
        let client = Client::builder().no_proxy().build().context("setting up the HTTP client")?;
        let events = Mutex::default();
        let shared = Arc::new(Shared { to, client, events, posting: tokio::sync::Mutex::default() });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("opening a port")?;
        let address = listener.local_addr().context("reading the port")?;
        let router = axum::Router::new().fallback(hand_on).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move {
            let _ends_with_the_drill = axum::serve(listener, router).await;
        });
        Ok(Self { address, shared, server })
    }

    /// Notes what happened to the Alertmanager.
    pub(crate) fn note(&self, event: Event) {
        self.shared.note([event]);
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.shared.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn note(&self, events: impl IntoIterator<Item = Event>) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).extend(events);
    }

    async fn send(&self, method: Method, uri: &Uri, kind: HeaderMap, body: Bytes) -> Result<Response> {
        let url = format!("http://{}{uri}", self.to);
        let answer = self.client.request(method, url).headers(kind).body(body).send().await?;
        let (status, date) = (answer.status(), answer.headers().get(DATE).cloned());
        let mut answer = (status, answer.bytes().await?).into_response();
        if let Some(date) = date {
            answer.headers_mut().insert(DATE, date);
        }
        Ok(answer)
    }

    /// Posts alerts. What the Alertmanager accepted is known although the sender may be gone.
    async fn post(&self, uri: &Uri, kind: HeaderMap, body: Bytes) -> Result<Response> {
        let posted: Vec<Body> = serde_json::from_slice(&body).context("reading posted alerts")?;
        let _one_after_the_other = self.posting.lock().await;
        let sent_ms = now_ms();
        let answer = self.send(Method::POST, uri, kind, body).await?;
        if answer.status().is_success() {
            let at_ms = now_ms();
            self.note(posted.into_iter().map(|one| {
                let label =
                    |name| one.labels.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                Event::Accepted(Posted {
                    alert: (label("service"), label("slo"), label("severity")),
                    starts_ms: one.starts_at.as_millisecond(),
                    ends_ms: one.ends_at.as_millisecond(),
                    sent_ms,
                    at_ms,
                })
            }));
        }
        Ok(answer)
    }
}

/// Hands a request on. It goes on when its sender goes away.
async fn hand_on(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let kind: HeaderMap =
        headers.get(CONTENT_TYPE).map(|kind| (CONTENT_TYPE, kind.clone())).into_iter().collect();
    let is_post = method == Method::POST && uri.path().ends_with("/api/v2/alerts");
    let sent = tokio::spawn(async move {
        if is_post {
            shared.post(&uri, kind, body).await
        } else {
            shared.send(method, &uri, kind, body).await
        }
    });
    match sent.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::post;
    use serde_json::json;
    use tokio::sync::watch;

    use super::*;

    /// An Alertmanager that answers once it is let, and refuses alerts without a start.
    async fn slow(free: watch::Receiver<bool>) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = move |body: axum::Json<Value>| {
            let mut free = free.clone();
            async move {
                free.wait_for(|free| *free).await.unwrap();
                let bad = body.0.to_string().contains("bad");
                if bad { StatusCode::BAD_REQUEST } else { StatusCode::OK }
            }
        };
        let router = axum::Router::new().route("/api/v2/alerts", post(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn alert(slo: &str) -> Value {
        let labels = json!({ "service": "svc-1", "slo": slo, "severity": "page" });
        json!([{ "labels": labels, "startsAt": "2026-01-02T03:04:05.5Z", "endsAt": "2026-01-02T03:05:05Z" }])
    }

    #[tokio::test]
    async fn what_is_accepted_is_known_although_its_sender_is_gone() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (free, is_free) = watch::channel(false);
        let wire = Wire::start(slow(is_free).await).await.unwrap();
        let client = programs::http::client().unwrap();
        let url = format!("http://{}/api/v2/alerts", wire.address);
        let send = |slo: &str| {
            client.post(&url).json(&alert(slo)).timeout(std::time::Duration::from_millis(300)).send()
        };
        assert!(send("given-up").await.unwrap_err().is_timeout());
        assert_eq!(wire.events(), []);
        free.send_replace(true);
        assert_eq!(send("bad").await.unwrap().status(), StatusCode::BAD_REQUEST);
        assert_eq!(send("good").await.unwrap().status(), StatusCode::OK);
        let events = wire.events();
        let accepted = events.iter().map(|event| match event {
            Event::Accepted(posted) => (posted.alert.1.as_str(), posted.starts_ms % 60_000, posted.fires()),
            Event::Killed { .. } | Event::Started { .. } | Event::Hung { .. } => {
                unreachable!("nothing was noted")
            }
        });
        // in the order in which they came
        assert_eq!(accepted.collect::<Vec<_>>(), [("given-up", 5_500, false), ("good", 5_500, false)]);
    }

    #[tokio::test]
    async fn an_instance_that_is_away_accepts_nothing() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let wire = Wire::start(SocketAddr::from(([127, 0, 0, 1], 1))).await.unwrap();
        let url = format!("http://{}/api/v2/alerts", wire.address);
        let answer = programs::http::client().unwrap().post(&url).json(&alert("a")).send().await.unwrap();
        assert_eq!((answer.status(), wire.events()), (StatusCode::BAD_GATEWAY, Vec::new()));
    }
}
