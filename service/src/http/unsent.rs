//! The parts of responses that a client of HTTP/2 has not taken yet.
//!
//! HTTP/2 lets a client hold back each response of a connection that is otherwise alive, so that no write to the socket
//! ever waits. Each piece of a body counts from the moment it is handed out until it is written and dropped.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

/// The bytes of a piece: those of one frame, unless a client asks for larger ones.
const PIECE: usize = 16 * 1024;

/// The responses of one connection that are being sent.
#[derive(Debug)]
pub(super) struct Unsent {
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
    pub(super) fn new(total: Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Self { responses: Mutex::default(), bytes: AtomicU64::new(0), total })
    }

    /// Returns the bytes of responses that this connection has not taken.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Watches the sending of a body. What is held is dropped when the last piece is taken.
    pub(super) fn watch<H>(self: Arc<Self>, body: Body, held: H) -> WatchedBody<H> {
        let mut responses = self.responses();
        responses.next += 1;
        let number = responses.next;
        responses.open.insert(number, Progress { pieces: 0, changed: Instant::now() });
        drop(responses);
        let bytes = body.size_hint().lower();
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.total.fetch_add(bytes, Ordering::Relaxed);
        let response = Arc::new(Response { number, bytes, unsent: self, _held: held });
        WatchedBody { body, rest: Bytes::new(), response }
    }

    /// Returns since when the slowest response waits for the client.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let responses = self.responses();
        let waiting = responses.open.values().filter(|progress| progress.pieces > 0);
        waiting.map(|progress| progress.changed).min()
    }

    fn responses(&self) -> MutexGuard<'_, Responses> {
        self.responses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A response, until its body and all pieces of it are dropped.
#[derive(Debug)]
struct Response<H> {
    number: u64,
    bytes: u64,
    unsent: Arc<Unsent>,
    _held: H,
}

impl<H> Response<H> {
    fn change(&self, pieces: impl Fn(u32) -> u32) {
        if let Some(progress) = self.unsent.responses().open.get_mut(&self.number) {
            *progress = Progress { pieces: pieces(progress.pieces), changed: Instant::now() };
        }
    }
}

impl<H> Drop for Response<H> {
    fn drop(&mut self) {
        self.unsent.responses().open.remove(&self.number);
        self.unsent.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.unsent.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A piece of a body. Dropped, it is written or given up.
struct Piece<H> {
    bytes: Bytes,
    response: Arc<Response<H>>,
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
pub(super) struct WatchedBody<H> {
    body: Body,
    rest: Bytes,
    response: Arc<Response<H>>,
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
