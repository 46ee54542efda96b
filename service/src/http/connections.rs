//! The table of client connections: how many there may be in all and from one address.
//!
//! A connection is idle while it has no request whose head has come. When the table is full, the connection that was idle
//! for the longest time is closed in favour of the new one, as nginx does. So neither idle clients nor half-sent heads keep
//! others out. While every connection has a request, a few more are taken in, on which probes alone are answered.
//!
//! HTTP/2 has many requests on one connection, and cancels them one by one. A client that mostly sends requests in order to
//! cancel them ("rapid reset", CVE-2023-44487) loses its connection.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::http::{Response, Version};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::network_of;
use super::unsent::Unsent;
use crate::config::Network;

/// Requests that a client may cancel on one connection, even if they are most of its requests.
const MOST_CANCELLED: u32 = 100;

/// The most bytes of responses of HTTP/2 that clients have not taken. Beyond that the connection that holds the most of
/// them is closed.
const MOST_UNSENT: u64 = 16 << 20;

/// Connections beyond the limits, for probes.
const RESERVED: usize = 16;

/// The longest body of HTTP/1 that is not watched until it is sent.
const SHORT: u64 = 16 * 1024;

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
    unsent: Arc<AtomicU64>,
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
    /// True for one beyond the limits.
    reserved: bool,
    activity: Arc<Activity>,
    unsent: Arc<Unsent>,
    close: CancellationToken,
}

/// The requests of one connection.
#[derive(Debug)]
struct Activity {
    open: AtomicU32,
    /// Milliseconds from the start of the table to the end of the last request.
    ended: AtomicU64,
    answered: AtomicU32,
    cancelled: AtomicU32,
    is_http1: AtomicBool,
}

/// The entry of one connection, removed when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    number: u64,
    reserved: bool,
    connections: Arc<Connections>,
    activity: Arc<Activity>,
    unsent: Arc<Unsent>,
    close: CancellationToken,
}

/// A request on a connection. Dropped without a response, the client cancelled it.
#[derive(Debug)]
pub(super) struct Busy {
    slot: Arc<Slot>,
    version: Version,
    answered: bool,
}

impl Connections {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, began: Instant::now(), table: Mutex::default(), unsent: Arc::default() })
    }

    /// Enters a connection, and closes the longest idle one where there is no room. Where all have a request, the new one
    /// is reserved for probes. Returns nothing when those are too many as well.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Slot> {
        let address = address.to_canonical();
        let exempt = self.limits.exempt.iter().any(|network| network.contains(address));
        let counted = (!exempt).then(|| network_of(address));
        let mut table = self.table();
        let of_address = |entry: &Entry| !entry.reserved && entry.address == counted;
        let has_room = (counted.is_none() || table.make_room(self.limits.per_address, of_address))
            && table.make_room(self.limits.total, |entry| !entry.reserved);
        let reserved = !has_room;
        if reserved && !table.make_room(RESERVED, |entry| entry.reserved) {
            return None;
        }
        table.next += 1;
        let number = table.next;
        let activity = Arc::new(Activity::new(millis(self.began)));
        let close = CancellationToken::new();
        let unsent = Unsent::new(Arc::clone(&self.unsent));
        let entry = Entry {
            address: counted,
            reserved,
            activity: Arc::clone(&activity),
            unsent: Arc::clone(&unsent),
            close: close.clone(),
        };
        table.open.insert(number, entry);
        drop(table);
        Some(Slot { number, reserved, connections: Arc::clone(self), activity, unsent, close })
    }

    fn keep_unsent_within(&self, most: u64) {
        if self.unsent.load(Ordering::Relaxed) > most {
            let table = self.table();
            // One that was closed already may hold them all.
            let holding = table.open.values().filter(|entry| entry.unsent.bytes() > 0);
            if let Some(worst) = holding.max_by_key(|entry| entry.unsent.bytes()) {
                worst.close.cancel();
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Returns whether there are fewer of these than the limit, or one of them could be closed.
    fn make_room(&mut self, limit: usize, counts: impl Fn(&Entry) -> bool) -> bool {
        let count = self.open.values().filter(|entry| counts(entry)).count();
        count < limit || self.close_longest_idle(counts).is_some()
    }

    fn close_longest_idle(&mut self, may_close: impl Fn(&Entry) -> bool) -> Option<()> {
        let idle = self.open.iter().filter(|(_, entry)| may_close(entry));
        let idle = idle.filter_map(|(number, entry)| Some((entry.activity.idle_since()?, *number)));
        let (_, number) = idle.min()?;
        self.open.remove(&number)?.close.cancel();
        Some(())
    }
}

fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

impl Activity {
    fn new(now: u64) -> Self {
        let number = AtomicU32::default;
        let (open, answered, cancelled) = (number(), number(), number());
        Self { open, ended: AtomicU64::new(now), answered, cancelled, is_http1: AtomicBool::new(false) }
    }

    fn idle_since(&self) -> Option<u64> {
        (self.open.load(Ordering::Acquire) == 0).then(|| self.ended.load(Ordering::Relaxed))
    }

    /// Counts the end of a request. Returns whether the client cancels most of its requests.
    fn end(&self, answered: bool, now: u64) -> bool {
        let counter = if answered { &self.answered } else { &self.cancelled };
        counter.fetch_add(1, Ordering::Relaxed);
        self.ended.store(now, Ordering::Relaxed);
        self.open.fetch_sub(1, Ordering::Release);
        let cancelled = self.cancelled.load(Ordering::Relaxed);
        cancelled > MOST_CANCELLED && cancelled > self.answered.load(Ordering::Relaxed)
    }
}

impl Slot {
    /// Returns whether the connection is for probes only.
    pub(super) fn is_reserved(&self) -> bool {
        self.reserved
    }

    /// Returns when the connection must make room for another.
    pub(super) fn close(&self) -> CancellationToken {
        self.close.clone()
    }

    /// Marks the connection as busy with a request.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> Busy {
        self.activity.open.fetch_add(1, Ordering::Relaxed);
        if version < Version::HTTP_2 {
            self.activity.is_http1.store(true, Ordering::Relaxed);
        }
        Busy { slot: Arc::clone(self), version, answered: false }
    }

    /// Returns whether the connection has had a request of HTTP/1.
    pub(super) fn is_http1(&self) -> bool {
        self.activity.is_http1.load(Ordering::Relaxed)
    }

    /// Returns the time since the last request ended, if none is open.
    pub(super) fn idle(&self) -> Option<Duration> {
        let since = self.activity.idle_since()?;
        Some(Duration::from_millis(millis(self.connections.began).saturating_sub(since)))
    }

    /// Returns whether the client has taken nothing of a response for so long.
    pub(super) fn has_stalled(&self, limit: Duration) -> bool {
        self.unsent.oldest().is_some_and(|since| since.elapsed() > limit)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.table().open.remove(&self.number);
    }
}

impl Busy {
    /// Ends with the response. One of unknown length is still being made while it is sent: it ends with its body. So do
    /// a long one and any of HTTP/2, whose client may take it as late as it likes.
    pub(super) fn end_with(mut self, response: Response<Body>) -> Response<Body> {
        self.answered = true;
        let length = response.body().size_hint().exact();
        if length.is_none_or(|length| length > SHORT || self.version == Version::HTTP_2 && length > 0) {
            let (unsent, connections) = (Arc::clone(&self.slot.unsent), Arc::clone(&self.slot.connections));
            let response = response.map(|body| Body::new(unsent.watch(body, self)));
            connections.keep_unsent_within(MOST_UNSENT);
            return response;
        }
        response
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let Slot { activity, connections, close, .. } = &*self.slot;
        if activity.end(self.answered, millis(connections.began)) {
            close.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(total: usize, per_address: usize) -> Arc<Connections> {
        Connections::new(ConnectionLimits { total, per_address, exempt: Vec::new() })
    }

    fn enter(connections: &Arc<Connections>, address: IpAddr) -> Arc<Slot> {
        Arc::new(connections.enter(address).unwrap())
    }

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn the_longest_idle_connection_makes_room_and_a_busy_one_does_not() {
        let connections = of(2, 2);
        let (one, other) = (enter(&connections, A), enter(&connections, A));
        let busy = one.begin(Version::HTTP_11);
        let third = enter(&connections, B);
        assert!(other.close().is_cancelled() && !one.close().is_cancelled());
        drop(other);
        let also_busy = third.begin(Version::HTTP_11);
        let probes: Vec<_> = (0..RESERVED).map(|_| enter(&connections, B)).collect();
        assert!(probes.iter().all(|probe| probe.is_reserved()));
        let more = enter(&connections, B);
        assert!(more.is_reserved() && probes[0].close().is_cancelled(), "an idle one makes room");
        let all_busy: Vec<_> =
            probes[1..].iter().chain([&more]).map(|slot| slot.begin(Version::HTTP_11)).collect();
        assert!(connections.enter(B).is_none());
        drop(busy);
        assert!(!enter(&connections, B).is_reserved() && one.close().is_cancelled());
        drop((also_busy, all_busy));
    }

    #[tokio::test]
    async fn beyond_the_bytes_that_may_be_unsent_the_connection_with_the_most_is_closed() {
        let connections = of(2, 2);
        let (one, other) = (enter(&connections, A), enter(&connections, B));
        let answer = |slot: &Arc<Slot>, bytes: u64| {
            let body = Body::from(vec![0; usize::try_from(bytes).unwrap()]);
            slot.begin(Version::HTTP_2).end_with(Response::new(body))
        };
        let few = answer(&one, MOST_UNSENT / 4);
        for _ in 0..2 {
            let taken = answer(&other, MOST_UNSENT / 2);
            assert!(!one.close().is_cancelled() && !other.close().is_cancelled());
            drop(taken);
        }
        let many = [answer(&other, MOST_UNSENT / 2), answer(&other, MOST_UNSENT / 2)];
        assert!(!one.close().is_cancelled() && other.close().is_cancelled());
        drop((few, many));
        assert_eq!(connections.unsent.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_connection_that_holds_nothing_is_not_closed_for_another() {
        let connections = of(1, 1);
        let made_room = enter(&connections, A);
        let other = enter(&connections, B);
        assert!(made_room.close().is_cancelled());
        let body = Body::from(vec![0; usize::try_from(MOST_UNSENT).unwrap() + 1]);
        let _held = made_room.begin(Version::HTTP_2).end_with(Response::new(body));
        assert!(!other.close().is_cancelled());
    }

    #[test]
    fn one_address_takes_no_more_than_its_share() {
        let connections = of(10, 2);
        let (one, other) = (enter(&connections, A), enter(&connections, A));
        let (busy, _also) = (one.begin(Version::HTTP_11), other.begin(Version::HTTP_11));
        assert!(
            enter(&connections, A).is_reserved(),
            "for a probe, which may come from behind the same proxy"
        );
        assert!(!enter(&connections, B).is_reserved());
        drop((busy, one));
        assert!(!enter(&connections, A).is_reserved());
    }

    #[test]
    fn a_connection_is_idle_when_all_its_requests_have_ended() {
        let slot = enter(&of(1, 1), A);
        let (first, second) = (slot.begin(Version::HTTP_2), slot.begin(Version::HTTP_2));
        drop(first);
        assert_eq!((slot.idle(), slot.is_http1()), (None, false));
        drop(second);
        assert!(slot.idle().is_some());
    }

    #[test]
    fn a_client_that_cancels_most_of_its_requests_loses_its_connection() {
        let slot = enter(&of(1, 1), A);
        let answer = || drop(slot.begin(Version::HTTP_2).end_with(Response::new(Body::empty())));
        (0..150).for_each(|_| answer());
        for _ in 0..150 {
            drop(slot.begin(Version::HTTP_2));
        }
        assert!(!slot.close().is_cancelled(), "half of them were answered");
        drop(slot.begin(Version::HTTP_2));
        assert!(slot.close().is_cancelled());
    }
}
