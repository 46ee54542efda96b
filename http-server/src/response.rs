//! The parts of responses that clients have not taken yet.
//!
//! HTTP/2 lets a client hold back each response of a connection that is otherwise alive, so that no write to the socket
//! ever waits. Each piece of a body counts from the moment it is handed out until it is written and dropped.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Response;
use axum::http::header::CONTENT_ENCODING;
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

/// The bytes of a piece: those of one frame, unless a client asks for larger ones.
const PIECE: usize = 16 * 1024;

/// Bytes that the compression of one response keeps in memory.
const COMPRESSION: u64 = 320 * 1024;

/// An extension of a response: the bytes that its body keeps in memory, where the body does not say, such as a compressed one.
#[derive(Debug, Clone, Copy)]
pub struct HeldBytes(pub u64);

impl HeldBytes {
    /// Returns the bytes that a body keeps in memory.
    #[must_use]
    pub fn of(body: &Body) -> Self {
        Self(body.size_hint().lower())
    }

    /// Returns the bytes that a response keeps in memory until it is sent.
    pub(crate) fn of_response(response: &Response<Body>) -> u64 {
        let said = response.extensions().get::<Self>().map_or(0, |held| held.0);
        let compression = if response.headers().contains_key(CONTENT_ENCODING) { COMPRESSION } else { 0 };
        said.max(Self::of(response.body()).0) + compression
    }
}

/// The responses of one connection that are being sent.
#[derive(Debug)]
pub(crate) struct Unsent {
    responses: Mutex<Responses>,
    bytes: AtomicU64,
    /// The bytes of all connections.
    total: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Responses {
    next: u64,
    open: HashMap<u64, Progress>,
}

/// The pieces of a response that the client has not taken, and the time of the last change.
#[derive(Debug)]
struct Progress {
    pieces: u32,
    changed: Instant,
}

impl Unsent {
    /// Creates the table of a connection that adds its bytes to a total.
    pub(crate) fn new(total: Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Self { responses: Mutex::default(), bytes: AtomicU64::new(0), total })
    }

    /// Returns the bytes of responses that this connection has not taken.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the number of responses that are being sent.
    pub(crate) fn count(&self) -> usize {
        self.responses().open.len()
    }

    /// Watches the sending of a body that keeps so many bytes. What is held is dropped when the last piece is taken.
    pub(crate) fn watch<H>(self: Arc<Self>, body: Body, bytes: u64, held: H) -> WatchedBody<H> {
        let mut responses = self.responses();
        responses.next += 1;
        let number = responses.next;
        responses.open.insert(number, Progress { pieces: 0, changed: Instant::now() });
        drop(responses);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.total.fetch_add(bytes, Ordering::Relaxed);
        let response = Arc::new(Sending { number, bytes, unsent: self, _held: held });
        WatchedBody { body, rest: Bytes::new(), response }
    }

    /// Returns since when the slowest response waits for the client.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let responses = self.responses();
        let waiting = responses.open.values().filter(|progress| progress.pieces > 0);
        waiting.map(|progress| progress.changed).min()
    }

    /// Returns the last time at which the client took something of its slowest response.
    pub(crate) fn taken_at(&self) -> Option<Instant> {
        self.responses().open.values().map(|progress| progress.changed).min()
    }

    fn responses(&self) -> MutexGuard<'_, Responses> {
        self.responses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A response, until its body and all pieces of it are dropped.
#[derive(Debug)]
struct Sending<H> {
    number: u64,
    bytes: u64,
    unsent: Arc<Unsent>,
    _held: H,
}

impl<H> Sending<H> {
    fn change(&self, pieces: impl Fn(u32) -> u32) {
        if let Some(progress) = self.unsent.responses().open.get_mut(&self.number) {
            *progress = Progress { pieces: pieces(progress.pieces), changed: Instant::now() };
        }
    }
}

impl<H> Drop for Sending<H> {
    fn drop(&mut self) {
        self.unsent.responses().open.remove(&self.number);
        self.unsent.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.unsent.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A piece of a body. Dropped, it is written or given up.
struct Piece<H> {
    bytes: Bytes,
    response: Arc<Sending<H>>,
}

impl<H> AsRef<[u8]> for Piece<H> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<H> Drop for Piece<H> {
    fn drop(&mut self) {
        self.response.change(|pieces| pieces.saturating_sub(1));
    }
}

/// A body that is handed out piece by piece.
pub(crate) struct WatchedBody<H> {
    body: Body,
    rest: Bytes,
    response: Arc<Sending<H>>,
}

impl<H: Send + Sync + 'static> HttpBody for WatchedBody<H> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => self.rest = bytes,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let length = self.rest.len().min(PIECE);
        let piece = Piece { bytes: self.rest.split_to(length), response: Arc::clone(&self.response) };
        piece.response.change(|pieces| pieces.saturating_add(1));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, mut hint) = (self.rest.len() as u64, self.body.size_hint());
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}
