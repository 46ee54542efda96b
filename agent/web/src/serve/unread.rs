//! Answers that a client has not read yet, counted by the bytes that they keep in memory.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::CONTENT_ENCODING;
use hyper::body::{Frame, SizeHint};

use super::connections::{Slot, Unread};

/// Bytes that the compression of one answer keeps in memory.
const COMPRESSION: usize = 320 * 1024;

/// The connection that a request came over.
#[derive(Debug, Clone)]
pub(super) struct Connection(pub(super) Arc<Slot>);

/// A body whose parts are counted as they are produced.
struct Counted {
    body: Body,
    slot: Arc<Slot>,
    /// The memory of the compression.
    _compression: Option<Unread>,
}

/// Counts an answer before it is compressed.
pub(crate) async fn count(request: Request, next: Next) -> Response {
    let connection = request.extensions().get::<Connection>().cloned();
    let answer = next.run(request).await;
    let Some(Connection(slot)) = connection else { return answer };
    answer.map(|body| Body::new(Counted { body, slot, _compression: None }))
}

/// Counts what the compression of an answer needs.
pub(super) fn count_compression(slot: &Arc<Slot>, answer: Response) -> Response {
    if !answer.headers().contains_key(CONTENT_ENCODING) {
        return answer;
    }
    let compression = Some(slot.count_unread(COMPRESSION));
    answer.map(|body| Body::new(Counted { body, slot: Arc::clone(slot), _compression: compression }))
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        polled.map_ok(|frame| frame.map_data(|part| Unread::of(&self.slot, part)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
