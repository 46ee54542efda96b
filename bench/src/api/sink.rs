//! A collector that counts the spans it is sent and forgets them.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::Uri;
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// More than a batch of spans takes.
const MAX_BYTES: usize = 16 << 20;

/// On a thread of its own, so that it does not stand in the way of those who load the servers.
pub(super) struct Sink {
    pub(super) endpoint: String,
    spans: Arc<AtomicU64>,
    /// Dropped, it ends the thread.
    _stop: oneshot::Sender<()>,
}

impl Sink {
    pub(super) fn start() -> Result<Self> {
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("opening a port")?;
        socket.set_nonblocking(true).context("setting up the collector's port")?;
        let endpoint = format!("http://{}", socket.local_addr().context("reading the port")?);
        let spans = Arc::new(AtomicU64::new(0));
        let routes = Router::new().route("/v1/{signal}", post(take)).with_state(Arc::clone(&spans));
        let routes = routes.layer(DefaultBodyLimit::max(MAX_BYTES));
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("starting the collector")?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(socket) else { return };
                tokio::select! {
                    _ = axum::serve(listener, routes) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { endpoint, spans, _stop: stop })
    }

    /// Spans that came so far.
    pub(super) fn spans(&self) -> u64 {
        self.spans.load(Ordering::Relaxed)
    }
}

async fn take(State(spans): State<Arc<AtomicU64>>, uri: Uri, body: Bytes) {
    if uri.path() == "/v1/traces" {
        spans.fetch_add(spans_in(&body), Ordering::Relaxed);
    }
}

/// In an `ExportTraceServiceRequest`: the second field of the second field of the first, of each of which there may be many.
fn spans_in(request: &[u8]) -> u64 {
    let count = |scope| fields(scope, 2).count() as u64;
    fields(request, 1).flat_map(|resource| fields(resource, 2)).map(count).sum()
}

/// The parts of a protobuf message that have a number and a length; ends where it cannot be read.
fn fields(mut rest: &[u8], wanted: u64) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        loop {
            let key = varint(&mut rest)?;
            let length = match key & 7 {
                0 => {
                    varint(&mut rest)?;
                    continue;
                }
                1 => 8,
                2 => usize::try_from(varint(&mut rest)?).ok()?,
                5 => 4,
                _ => return None,
            };
            let (field, after) = rest.split_at_checked(length)?;
            rest = after;
            if key == wanted << 3 | 2 {
                return Some(field);
            }
        }
    })
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, inside: &[u8]) -> Vec<u8> {
        let length =
            [u8::try_from(inside.len() & 0x7f).unwrap() | 0x80, u8::try_from(inside.len() >> 7).unwrap()];
        [&[number << 3 | 2], &length[..], inside].concat()
    }

    #[test]
    fn spans_are_counted_wherever_they_lie() {
        let span = field(2, &[0; 200]);
        let scope = field(2, &[field(1, b"scope"), span.clone(), span.clone()].concat());
        let other = field(2, &[span.as_slice(), &[3 << 3, 7], &[4 << 3 | 5, 1, 2, 3, 4]].concat());
        let request =
            [field(1, &[field(1, b"resource"), scope.clone(), other].concat()), field(1, &scope)].concat();
        assert_eq!(spans_in(&request), 5);
        assert_eq!(
            spans_in(&request[..request.len() - 300]),
            3,
            "a message that is cut ends where it is cut"
        );
        assert_eq!(spans_in(b""), 0);
    }
}
