//! The table of open connections: how many there may be in all and of one client.
//!
//! A connection is idle while it has no request whose head has come. When the table is full, the connection that was idle for the
//! longest time is closed in favour of the new one, as nginx does; where none is idle, the one whose client has taken nothing of
//! its response for the longest time. So neither idle clients, half-sent heads nor readers that stand still keep others out.
//! While every connection has a request, a few more are taken in, on which probes alone are answered.
//!
//! HTTP/2 has many requests on one connection, and cancels them one by one. A client that mostly sends requests in order to
//! cancel them ("rapid reset", CVE-2023-44487) loses its connection.

use std::cmp::Reverse;
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
use super::limits::Limits;
use super::response::{HeldBytes, Unsent};

/// Requests that a client may cancel on one connection, even if they are most of its requests.
const MAX_CANCELLED: u32 = 100;

/// The longest body of HTTP/1 that is not watched until it is sent.
const UNWATCHED: u64 = 16 * 1024;

/// The time after which a client that takes nothing of a response stands still.
const STALLED: Duration = Duration::from_secs(1);

/// The open connections of a server.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: Limits,
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
    /// The client that the limit counts; `None` for an exempt one.
    client: Option<IpAddr>,
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
pub(crate) struct Slot {
    number: u64,
    reserved: bool,
    connections: Arc<Connections>,
    activity: Arc<Activity>,
    unsent: Arc<Unsent>,
    close: CancellationToken,
}

/// A request on a connection. Dropped without a response, the client cancelled it.
#[derive(Debug)]
pub(crate) struct Busy {
    slot: Arc<Slot>,
    version: Version,
    answered: bool,
}

impl Connections {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, began: Instant::now(), table: Mutex::default(), unsent: Arc::default() })
    }

    /// Enters a connection, which may close another one. While none can be closed, it is reserved for probes.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Slot {
        let address = address.to_canonical();
        let exempt = self.limits.exempt.iter().any(|network| network.contains(&address));
        let client = (!exempt).then(|| network_of(address));
        let mut table = self.table();
        let of_client = |entry: &Entry| !entry.reserved && entry.client == client;
        let has_room = (client.is_none() || table.make_room(self.limits.per_client, of_client))
            && table.make_room(self.limits.connections, |entry| !entry.reserved);
        let reserved = !has_room;
        if reserved {
            table.make_room_for_probes(self.limits.reserved);
        }
        table.next += 1;
        let number = table.next;
        let activity = Arc::new(Activity::new(millis(self.began)));
        let close = CancellationToken::new();
        let unsent = Unsent::new(Arc::clone(&self.unsent));
        let entry = Entry {
            client,
            reserved,
            activity: Arc::clone(&activity),
            unsent: Arc::clone(&unsent),
            close: close.clone(),
        };
        table.open.insert(number, entry);
        drop(table);
        Slot { number, reserved, connections: Arc::clone(self), activity, unsent, close }
    }

    /// Closes connections until what they have not taken is within the limit. One response alone may be larger.
    fn keep_unsent_within_limit(&self, newest: u64) {
        if self.unsent.load(Ordering::Relaxed) > self.limits.unsent {
            let mut table = self.table();
            while table.unsent() > self.limits.unsent && table.close_reader(newest) {}
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of open connections.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.table().open.len()
    }
}

impl Table {
    /// Returns whether there are fewer of these than the limit, or one of them could be closed.
    fn make_room(&mut self, limit: usize, counts: impl Fn(&Entry) -> bool) -> bool {
        let among = || self.open.iter().filter(|(_, entry)| counts(entry));
        if among().count() < limit {
            return true;
        }
        let idle = among().filter_map(|(number, entry)| Some((entry.activity.idle_since()?, *number))).min();
        let stalled = || among().filter_map(|(number, entry)| Some((entry.stalled_since()?, *number))).min();
        let longest = idle.map(|(_, number)| number).or_else(|| stalled().map(|(_, number)| number));
        longest.is_some_and(|number| self.close(number))
    }

    /// Makes room for a connection beyond the limits. The oldest of the client with the most of them is closed, because the answer
    /// to a probe takes no time and its connection ends with it.
    fn make_room_for_probes(&mut self, limit: usize) {
        let reserved = || self.open.iter().filter(|(_, entry)| entry.reserved);
        if reserved().count() < limit {
            return;
        }
        let of_client = |client| reserved().filter(|(_, entry)| entry.client == client).count();
        let oldest = reserved().max_by_key(|(number, entry)| (of_client(entry.client), Reverse(**number)));
        if let Some(number) = oldest.map(|(number, _)| *number) {
            self.close(number);
        }
    }

    /// Returns the bytes of responses that clients of open connections have not taken.
    fn unsent(&self) -> u64 {
        self.open.values().map(|entry| entry.unsent.bytes()).sum()
    }

    /// Closes the connection whose client has taken nothing of a response for the longest time: the one with the most bytes may be
    /// a client that reads a large response as fast as it can. The newest response is spared if it
    /// is the only one of its connection. Returns false if there is none.
    fn close_reader(&mut self, newest: u64) -> bool {
        let holding = self.open.iter().filter(|(_, entry)| entry.unsent.bytes() > 0);
        let readers = holding.filter(|(number, entry)| **number != newest || entry.unsent.count() > 1);
        let longest = readers.filter_map(|(number, entry)| Some((entry.unsent.taken_at()?, *number))).min();
        longest.is_some_and(|(_, number)| self.close(number))
    }

    fn close(&mut self, number: u64) -> bool {
        self.open.remove(&number).inspect(|entry| entry.close.cancel()).is_some()
    }
}

impl Entry {
    /// Returns since when the client takes nothing, if it stands still and no other request of the connection is worked for.
    fn stalled_since(&self) -> Option<Instant> {
        let requests = usize::try_from(self.activity.open.load(Ordering::Acquire)).unwrap_or(usize::MAX);
        let since = self.unsent.oldest().filter(|since| since.elapsed() > STALLED)?;
        (self.unsent.count() >= requests).then_some(since)
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
        cancelled > MAX_CANCELLED && cancelled > self.answered.load(Ordering::Relaxed)
    }
}

impl Slot {
    /// Returns whether the connection is for probes only.
    pub(crate) fn is_reserved(&self) -> bool {
        self.reserved
    }

    /// Returns when the connection must make room for another.
    pub(crate) fn close(&self) -> CancellationToken {
        self.close.clone()
    }

    /// Marks the connection as busy with a request.
    pub(crate) fn begin(self: &Arc<Self>, version: Version) -> Busy {
        self.activity.open.fetch_add(1, Ordering::Relaxed);
        if version < Version::HTTP_2 {
            self.activity.is_http1.store(true, Ordering::Relaxed);
        }
        Busy { slot: Arc::clone(self), version, answered: false }
    }

    /// Returns whether the connection has had a request of HTTP/1.
    pub(crate) fn is_http1(&self) -> bool {
        self.activity.is_http1.load(Ordering::Relaxed)
    }

    /// Returns the time since the last request ended, if none is open.
    pub(crate) fn idle(&self) -> Option<Duration> {
        let since = self.activity.idle_since()?;
        Some(Duration::from_millis(millis(self.connections.began).saturating_sub(since)))
    }

    /// Returns whether the client has taken nothing of a response for so long.
    pub(crate) fn has_stalled(&self, limit: Duration) -> bool {
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
    pub(crate) fn end_with(mut self, response: Response<Body>) -> Response<Body> {
        self.answered = true;
        let length = response.body().size_hint().exact();
        if length.is_none_or(|length| length > UNWATCHED || self.version == Version::HTTP_2 && length > 0) {
            let (unsent, connections) = (Arc::clone(&self.slot.unsent), Arc::clone(&self.slot.connections));
            let (number, bytes) = (self.slot.number, HeldBytes::of_response(&response));
            let response = response.map(|body| Body::new(unsent.watch(body, bytes, self)));
            connections.keep_unsent_within_limit(number);
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
#[path = "connections_tests.rs"]
mod tests;
