//! The table of client connections: how many there may be in all and from one address.
//!
//! A connection is idle until the head of its next request has come. When the table is full, the connection that was idle
//! for the longest time is closed in favour of the new one, as nginx does. So neither idle clients nor half-sent heads keep
//! others out. While every connection has a request, new ones wait in the backlog.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Response;
use hyper::body::{Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::network_of;
use crate::config::Network;

/// The limits of the table.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Connections in all.
    pub total: usize,
    /// Connections of one address.
    pub per_address: usize,
    /// Networks without a limit per address: proxies that stand for many clients.
    pub exempt: Vec<Network>,
}

/// The open connections of a port.
#[derive(Debug)]
pub(super) struct Connections {
    limits: ConnectionLimits,
    began: Instant,
    table: Mutex<Table>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    open: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// The address that the limit counts; `None` for an exempt one.
    address: Option<IpAddr>,
    idle: Arc<IdleSince>,
    close: CancellationToken,
}

/// Milliseconds from the start of the table to the end of the last request, or [`BUSY`].
#[derive(Debug)]
struct IdleSince(AtomicU64);

const BUSY: u64 = u64::MAX;

/// The entry of one connection, removed when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    number: u64,
    connections: Arc<Connections>,
    idle: Arc<IdleSince>,
    close: CancellationToken,
}

/// A request on a connection. Dropped, the connection is idle again.
#[derive(Debug)]
pub(super) struct Busy {
    idle: Arc<IdleSince>,
    connections: Arc<Connections>,
}

/// The reason for which a connection gets no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// All connections of this address have a request.
    Address,
    /// All connections have a request.
    Full,
}

impl Connections {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Self> {
        let (table, freed) = (Mutex::default(), Notify::new());
        Arc::new(Self { limits, began: Instant::now(), table, freed })
    }

    /// Enters a connection, and closes the longest idle one where there is no room.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Slot, Refused> {
        let address = address.to_canonical();
        let exempt = self.limits.exempt.iter().any(|network| network.contains(address));
        let counted = (!exempt).then(|| network_of(address));
        let mut table = self.table();
        if counted.is_some() {
            let of_address = |entry: &Entry| entry.address == counted;
            if table.open.values().filter(|entry| of_address(entry)).count() >= self.limits.per_address {
                table.close_longest_idle(of_address).ok_or(Refused::Address)?;
            }
        }
        if table.open.len() >= self.limits.total {
            table.close_longest_idle(|_| true).ok_or(Refused::Full)?;
        }
        table.next += 1;
        let number = table.next;
        let idle = Arc::new(IdleSince(AtomicU64::new(millis(self.began))));
        let close = CancellationToken::new();
        table.open.insert(number, Entry { address: counted, idle: Arc::clone(&idle), close: close.clone() });
        drop(table);
        Ok(Slot { number, connections: Arc::clone(self), idle, close })
    }

    /// Enters a connection as soon as there is room in the table.
    pub(super) async fn enter_when_free(self: &Arc<Self>, address: IpAddr) -> Result<Slot, Refused> {
        loop {
            let freed = self.freed.notified();
            match self.enter(address) {
                Err(Refused::Full) => freed.await,
                other => return other,
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn close_longest_idle(&mut self, may_close: impl Fn(&Entry) -> bool) -> Option<()> {
        let idle = self.open.iter().filter(|(_, entry)| may_close(entry));
        let idle = idle.map(|(number, entry)| (entry.idle.0.load(Ordering::Relaxed), *number));
        let (_, number) = idle.filter(|(since, _)| *since != BUSY).min()?;
        self.open.remove(&number)?.close.cancel();
        Some(())
    }
}

fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(BUSY - 1)
}

impl Slot {
    /// Returns when the connection must make room for another.
    pub(super) fn close(&self) -> CancellationToken {
        self.close.clone()
    }

    /// Marks the connection as busy with a request.
    pub(super) fn begin(&self) -> Busy {
        self.idle.0.store(BUSY, Ordering::Relaxed);
        Busy { idle: Arc::clone(&self.idle), connections: Arc::clone(&self.connections) }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.table().open.remove(&self.number);
        self.connections.freed.notify_waiters();
    }
}

impl Busy {
    /// Ends with the response. One of unknown length is still being made while it is sent: it ends with its body.
    pub(super) fn end_with(self, response: Response<Body>) -> Response<Body> {
        if response.body().size_hint().exact().is_some() {
            return response;
        }
        response.map(|body| Body::new(BusyBody { body, _busy: self }))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.idle.0.store(millis(self.connections.began), Ordering::Relaxed);
        self.connections.freed.notify_waiters();
    }
}

/// A body that keeps its connection busy.
struct BusyBody {
    body: Body,
    _busy: Busy,
}

impl HttpBody for BusyBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(total: usize, per_address: usize) -> Arc<Connections> {
        Connections::new(ConnectionLimits { total, per_address, exempt: Vec::new() })
    }

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn the_longest_idle_connection_makes_room_and_a_busy_one_does_not() {
        let connections = of(2, 2);
        let (one, other) = (connections.enter(A).unwrap(), connections.enter(A).unwrap());
        let busy = one.begin();
        let third = connections.enter(B).unwrap();
        assert!(other.close().is_cancelled() && !one.close().is_cancelled());
        drop(other);
        let also_busy = third.begin();
        assert_eq!(connections.enter(B).err(), Some(Refused::Full));
        drop(busy);
        assert!(connections.enter(B).is_ok());
        assert!(one.close().is_cancelled());
        drop(also_busy);
    }

    #[test]
    fn one_address_takes_no_more_than_its_share() {
        let connections = of(10, 2);
        let (one, other) = (connections.enter(A).unwrap(), connections.enter(A).unwrap());
        let (_busy, _also) = (one.begin(), other.begin());
        assert_eq!(connections.enter(A).err(), Some(Refused::Address));
        assert!(connections.enter(B).is_ok());
        drop(one);
        assert!(connections.enter(A).is_ok());
    }
}
