//! A receiver on this machine: a real HTTP server that takes messages, remembers them, and fails as it is told to.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::weather::Weather;

/// Largest request that is read.
const LARGEST: usize = 8 << 20;

/// A message that was taken.
#[derive(Debug, Clone)]
pub(crate) struct ReceivedMessage {
    pub(crate) path: String,
    pub(crate) body: Value,
    /// The id that a Slack message got.
    pub(crate) ts: Option<String>,
    /// The wall time at which it was taken.
    pub(crate) at_ms: i64,
}

/// A running receiver. Dropping it stops it.
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    pub(crate) weather: watch::Sender<Weather>,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    taken: Mutex<Vec<ReceivedMessage>>,
    /// Messages that were taken and not answered, though the sender lived.
    cut: AtomicU64,
    /// Requests that were refused for good.
    refused: AtomicU64,
    /// The requests of the present sender that were taken and wait for their answer, by its number.
    under_way: Mutex<(u64, usize)>,
}

/// One request.
struct Request {
    path: String,
    body: Value,
}

impl Recorder {
    pub(crate) async fn start(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| format!("listening at {address}"))?;
        let address = listener.local_addr().context("reading the port of a receiver")?;
        let (weather, now) = watch::channel(Weather::Fine);
        let shared = Arc::new(Shared::default());
        let server = tokio::spawn(serve(listener, address, now, Arc::clone(&shared)));
        Ok(Self { address, weather, shared, server })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn taken(&self) -> Vec<ReceivedMessage> {
        self.shared.taken().clone()
    }

    /// Returns how many messages were taken whose answer was cut off.
    pub(crate) fn cut(&self) -> u64 {
        self.shared.cut.load(Ordering::SeqCst)
    }

    /// Returns how many requests were refused for good.
    pub(crate) fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::SeqCst)
    }

    /// Returns how many messages were taken and wait for their answer. Their sender was killed: the next call counts those of
    /// another one.
    pub(crate) fn take_under_way(&self) -> usize {
        let mut under_way = self.shared.under_way();
        let (sender, count) = *under_way;
        *under_way = (sender + 1, 0);
        count
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn under_way(&self) -> std::sync::MutexGuard<'_, (u64, usize)> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Vec<ReceivedMessage>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message. Returns the answer of the API that it was sent to.
    fn take(&self, request: Request) -> String {
        let mut taken = self.taken();
        let Request { path, body } = request;
        let slack = path.starts_with("/api/chat.");
        let posted = format!("17.{:06}", taken.len());
        let edited = body.get("ts").and_then(Value::as_str).map(str::to_owned);
        let ts = slack.then(|| edited.unwrap_or(posted));
        let answer = match &ts {
            Some(ts) => json!({ "ok": true, "channel": "C1", "ts": ts }),
            None => json!({ "status": "success" }),
        };
        taken.push(ReceivedMessage { path, body, ts, at_ms: now_ms() });
        answer.to_string()
    }
}

#[expect(clippy::disallowed_methods, reason = "the ledger of the agent has the wall time, too")]
pub(super) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// Serves until it is aborted. While the receiver is down, nothing listens at its address.
async fn serve(
    listener: TcpListener,
    address: SocketAddr,
    weather: watch::Receiver<Weather>,
    shared: Arc<Shared>,
) {
    let mut listener = Some(listener);
    let mut changes = weather.clone();
    loop {
        if *changes.borrow_and_update() == Weather::Down {
            listener = None;
            if changes.wait_for(|now| *now != Weather::Down).await.is_err() {
                return;
            }
        }
        let open = match listener.take() {
            Some(open) => open,
            None => match TcpListener::bind(address).await {
                Ok(open) => open,
                Err(_) => {
                    sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        tokio::select! {
            accepted = open.accept() => {
                if let Ok((stream, _)) = accepted {
                    tokio::spawn(answer(stream, weather.clone(), Arc::clone(&shared)));
                }
            }
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
            }
        }
        listener = Some(open);
    }
}

/// Reads one request and answers it. Every request has a connection of its own.
async fn answer(mut stream: TcpStream, mut weather: watch::Receiver<Weather>, shared: Arc<Shared>) {
    let Some(request) = read(&mut stream).await else { return };
    let now = *weather.borrow_and_update();
    let flap = fastrand::u8(..3);
    let (status, text) = match now {
        Weather::Refuses(status) => {
            if matches!(status, 400..=428) {
                shared.refused.fetch_add(1, Ordering::SeqCst);
            }
            (status, "refused".to_owned())
        }
        // the connection ends with the weather, without an answer
        Weather::Hangs | Weather::Down => {
            let _ = weather.changed().await;
            return;
        }
        Weather::Flapping if flap == 0 => (503, "flapping".to_owned()),
        Weather::Flapping if flap == 1 => {
            shared.take(request);
            shared.cut.fetch_add(1, Ordering::SeqCst);
            return;
        }
        Weather::Slow => {
            let text = shared.take(request);
            let sender = {
                let mut under_way = shared.under_way();
                under_way.1 += 1;
                under_way.0
            };
            sleep(Duration::from_millis(fastrand::u64(200..2_500))).await;
            let mut under_way = shared.under_way();
            if under_way.0 == sender {
                under_way.1 = under_way.1.saturating_sub(1);
            }
            (200, text)
        }
        Weather::Fine | Weather::Flapping => (200, shared.take(request)),
    };
    let pause = if status == 429 { "retry-after: 1\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status} Answer\r\ncontent-type: application/json\r\nconnection: close\r\n{pause}\
         content-length: {}\r\n\r\n",
        text.len()
    );
    let _ = stream.write_all(format!("{head}{text}").as_bytes()).await;
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    let (head, body_at) = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 || bytes.len() > LARGEST {
            return None;
        }
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            break (String::from_utf8_lossy(bytes.get(..end)?).into_owned(), end + 4);
        }
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    while bytes.len() < body_at + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 || bytes.len() > LARGEST {
            return None;
        }
    }
    let path = head.split_whitespace().nth(1)?.to_owned();
    let body = serde_json::from_slice(bytes.get(body_at..body_at + length)?).ok()?;
    Some(Request { path, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_receiver_takes_refuses_cuts_off_and_goes_away() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let recorder = Recorder::start(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let client = programs::http::client().unwrap();
        let post = async || {
            let sent =
                client.post(recorder.url("/api/chat.postMessage")).json(&json!({ "text": "a" })).send();
            Some(sent.await.ok()?.status().as_u16())
        };
        assert_eq!(post().await, Some(200));
        assert_eq!(recorder.taken()[0].ts.as_deref(), Some("17.000000"));
        recorder.weather.send_replace(Weather::Refuses(401));
        assert_eq!((post().await, recorder.refused()), (Some(401), 1));
        recorder.weather.send_replace(Weather::Down);
        while post().await.is_some() {}
        assert_eq!(recorder.taken().len(), 1, "nothing was taken while it was down");
        recorder.weather.send_replace(Weather::Fine);
        while post().await != Some(200) {}
        recorder.weather.send_replace(Weather::Flapping);
        while recorder.cut() == 0 {
            post().await;
        }
        assert!(recorder.taken().len() > 2, "it was taken before the connection was cut");
    }

    #[tokio::test]
    async fn what_a_killed_sender_left_is_not_under_way_for_the_next_one() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let recorder = Recorder::start(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let client = programs::http::client().unwrap();
        recorder.weather.send_replace(Weather::Slow);
        // twice: it is taken, and its sender goes away before the answer
        for taken in 1..=2 {
            let sent = client.post(recorder.url("/hook")).json(&json!({ "text": "a" })).send();
            let sent = tokio::spawn(sent);
            while recorder.taken().len() < taken {
                sleep(Duration::from_millis(5)).await;
            }
            sent.abort();
            assert_eq!(recorder.take_under_way(), 1);
        }
        sleep(Duration::from_millis(2_500)).await;
        assert_eq!(recorder.take_under_way(), 0, "late answers count for nobody");
    }
}
