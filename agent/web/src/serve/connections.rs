//! The open connections of a server: their number is bounded, in all and for each address.
//!
//! A connection *waits for its client* unless a handler works for it: it is idle, its head is incomplete, or its client
//! still reads an answer. A new connection beyond a limit replaces the one that waits longest. So does an answer, if the
//! answers that clients have not read yet become too large together.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Limits;

/// The addresses of IPv6 that count as one client: the network of a household or a machine.
const IPV6_NETWORK: u128 = !0 << 64;

/// The open connections of a server.
#[derive(Debug)]
pub(super) struct Connections {
    limits: Limits,
    began: Instant,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    entries: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    client: IpAddr,
    access: Access,
    shared: Arc<Shared>,
}

/// The routes that a connection may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Everything,
    HealthOnly,
}

/// The state of one connection, seen by its task and by the table.
#[derive(Debug)]
struct Shared {
    /// Milliseconds from the start of the table until the connection began to wait for its client, or [`WORKING`].
    waits_since: AtomicU64,
    /// Bytes of answers that are in memory for this connection.
    unread: AtomicUsize,
    replaced: CancellationToken,
}

const WORKING: u64 = u64::MAX;

/// A connection of the table. It leaves the table when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    number: u64,
    access: Access,
    connections: Arc<Connections>,
    shared: Arc<Shared>,
}

/// Bytes that are in memory for a client.
#[derive(Debug)]
pub(super) struct Unread {
    bytes: usize,
    shared: Arc<Shared>,
}

/// A part of an answer.
struct CountedPart {
    part: Bytes,
    _counted: Unread,
}

/// A request for which a handler works.
#[derive(Debug)]
pub(super) struct Working<'a>(&'a Slot);

impl Connections {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, began: Instant::now(), open: Mutex::default() })
    }

    /// Enters a connection, which may replace another one.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Slot {
        let client = client_of(address);
        let mut open = self.open();
        let access = if open.make_room(client, &self.limits) {
            Access::Everything
        } else {
            open.make_room_for_health(&self.limits);
            Access::HealthOnly
        };
        let number = open.next;
        open.next = number.wrapping_add(1);
        let shared = Arc::new(Shared {
            waits_since: AtomicU64::new(self.elapsed()),
            unread: AtomicUsize::new(0),
            replaced: CancellationToken::new(),
        });
        open.entries.insert(number, Entry { client, access, shared: Arc::clone(&shared) });
        drop(open);
        Slot { number, access, connections: Arc::clone(self), shared }
    }

    /// Counts bytes that are in memory for a connection until the result is dropped. Other connections make room for them.
    fn count_unread(&self, number: u64, shared: &Arc<Shared>, bytes: usize) -> Unread {
        shared.unread.fetch_add(bytes, Ordering::Relaxed);
        let mut open = self.open();
        while open.unread() > self.limits.unread && open.replace_reader(number) {}
        Unread { bytes, shared: Arc::clone(shared) }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(WORKING - 1)
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of open connections.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.open().entries.len()
    }
}

impl Open {
    /// Makes room within the limits for everything. Returns false if handlers work for all that are in the way.
    fn make_room(&mut self, client: IpAddr, limits: &Limits) -> bool {
        let full = |entry: &Entry| entry.access == Access::Everything;
        let same = |entry: &Entry| full(entry) && entry.client == client;
        (self.count(same) < limits.per_address || self.replace(same))
            && (self.count(full) < limits.connections || self.replace(full))
    }

    /// Makes room for a connection that may ask for health only. The oldest of the client with the most connections makes
    /// room, because such an answer takes no time and the connection ends with it.
    fn make_room_for_health(&mut self, limits: &Limits) {
        let of_health = |entry: &Entry| entry.access == Access::HealthOnly;
        if self.count(of_health) < limits.health_only {
            return;
        }
        let of_client = |client| self.count(|entry| of_health(entry) && entry.client == client);
        let reserve = self.entries.iter().filter(|(_, entry)| of_health(entry));
        let oldest = reserve.max_by_key(|(number, entry)| (of_client(entry.client), Reverse(**number)));
        if let Some(number) = oldest.map(|(number, _)| *number) {
            self.remove(number);
        }
    }

    fn count(&self, of: impl Fn(&Entry) -> bool) -> usize {
        self.entries.values().filter(|entry| of(entry)).count()
    }

    /// Returns the bytes in memory for all connections.
    fn unread(&self) -> usize {
        self.entries.values().map(Entry::unread).sum()
    }

    /// Ends the connection that has read an answer for the longest time, except one. Returns false if there is none.
    fn replace_reader(&mut self, except: u64) -> bool {
        let others = self.entries.iter().filter(|(number, entry)| **number != except && entry.unread() > 0);
        let longest =
            others.map(|(number, entry)| (entry.shared.waits_since.load(Ordering::Relaxed), *number));
        let Some((_, number)) = longest.filter(|(since, _)| *since != WORKING).min() else { return false };
        self.remove(number);
        true
    }

    /// Ends the connection that waits longest among some. Returns false if none waits.
    fn replace(&mut self, among: impl Fn(&Entry) -> bool) -> bool {
        let waiting = self.entries.iter().filter(|(_, entry)| among(entry)).filter_map(|(number, entry)| {
            let since = entry.shared.waits_since.load(Ordering::Relaxed);
            (since != WORKING).then_some((since, *number))
        });
        let Some((_, number)) = waiting.min() else { return false };
        self.remove(number);
        true
    }

    fn remove(&mut self, number: u64) {
        if let Some(entry) = self.entries.remove(&number) {
            entry.shared.replaced.cancel();
        }
    }
}

impl Entry {
    fn unread(&self) -> usize {
        self.shared.unread.load(Ordering::Relaxed)
    }
}

/// Returns the address under which connections of one client are counted.
fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & IPV6_NETWORK).into()),
        address @ IpAddr::V4(_) => address,
    }
}

impl Slot {
    pub(super) fn access(&self) -> Access {
        self.access
    }

    /// Returns when another connection has taken the place of this one.
    pub(super) async fn replaced(&self) {
        self.shared.replaced.cancelled().await;
    }

    /// Counts bytes that are in memory for the client until the result is dropped.
    pub(super) fn count_unread(&self, bytes: usize) -> Unread {
        self.connections.count_unread(self.number, &self.shared, bytes)
    }

    /// Marks that a handler works until the result is dropped.
    pub(super) fn work(&self) -> Working<'_> {
        self.shared.waits_since.store(WORKING, Ordering::Relaxed);
        Working(self)
    }
}

impl Unread {
    /// Counts a part of an answer for as long as anything of it is in memory.
    pub(super) fn of(slot: &Slot, part: Bytes) -> Bytes {
        let counted = slot.count_unread(part.len());
        Bytes::from_owner(CountedPart { part, _counted: counted })
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.shared.unread.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl AsRef<[u8]> for CountedPart {
    fn as_ref(&self) -> &[u8] {
        &self.part
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.shared.waits_since.store(self.0.connections.elapsed(), Ordering::Relaxed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.open().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn connections(total: usize, per_address: usize, health_only: usize) -> Arc<Connections> {
        let time = Duration::from_secs(1);
        let (head, behind) = (time, time);
        let limits = Limits { connections: total, per_address, health_only, unread: 100, head, behind };
        Connections::new(limits)
    }

    fn is_replaced(slot: &Slot) -> bool {
        slot.shared.replaced.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_beyond_its_limit_replaces_its_own_connection_only() {
        let connections = connections(3, 2, 1);
        let other = connections.enter(B);
        let mut of_a = Vec::new();
        for _ in 0..10 {
            tokio::time::advance(Duration::from_millis(5)).await;
            of_a.push(connections.enter(A));
        }
        assert!(!is_replaced(&other));
        let left: Vec<usize> = (0..10).filter(|index| !is_replaced(&of_a[*index])).collect();
        assert_eq!(left, [8, 9], "the ones that waited longest made room");
        assert!(of_a.iter().all(|slot| slot.access() == Access::Everything));
        drop((other, of_a));
        assert_eq!(connections.count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_its_answer_waits_again_and_one_that_works_is_never_replaced() {
        let connections = connections(2, 2, 1);
        let (first, second) = (connections.enter(A), connections.enter(B));
        let working = first.work();
        tokio::time::advance(Duration::from_millis(5)).await;
        let third = connections.enter(B);
        assert!(is_replaced(&second) && !is_replaced(&first));
        tokio::time::advance(Duration::from_millis(5)).await;
        drop(working);
        let _fourth = connections.enter(A);
        assert!(is_replaced(&third) && !is_replaced(&first), "the first waits for a shorter time");
    }

    #[tokio::test]
    async fn while_handlers_work_for_all_the_reserve_serves_the_newest() {
        let connections = connections(2, 2, 3);
        let busy = [connections.enter(A), connections.enter(B)];
        let _working = [busy[0].work(), busy[1].work()];
        let other = connections.enter(B);
        let health: Vec<Slot> = (0..5).map(|_| connections.enter(A)).collect();
        assert!(health.iter().all(|slot| slot.access() == Access::HealthOnly));
        let left: Vec<usize> = (0..5).filter(|index| !is_replaced(&health[*index])).collect();
        assert_eq!(left, [3, 4]);
        assert!(!is_replaced(&other), "a client with fewer connections stays");
        assert!(busy.iter().all(|slot| !is_replaced(slot)));
        assert_eq!(connections.count(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_beyond_the_limit_ends_the_one_that_is_read_for_the_longest_time() {
        let connections = connections(9, 9, 1);
        let mut slots = Vec::new();
        for number in 0..4 {
            tokio::time::advance(Duration::from_millis(5)).await;
            slots.push(connections.enter(if number % 2 == 0 { A } else { B }));
        }
        let [idle, first, second, third] = &slots[..] else { panic!() };
        let part = |slot: &Slot| Unread::of(slot, Bytes::from(vec![7; 40]));
        let (of_first, of_second) = (part(first), part(second));
        let of_third = part(third);
        assert!(is_replaced(first) && !is_replaced(second) && !is_replaced(third) && !is_replaced(idle));
        assert_eq!(of_third, [7; 40].as_slice());
        drop((of_first, of_second, of_third));
        assert_eq!(connections.open().unread(), 0);
        let huge = Unread::of(third, Bytes::from(vec![7; 1000]));
        assert!(!is_replaced(third), "a single answer may be larger");
        drop(huge);
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_a_mapped_address_is_its_own() {
        let client = |text: &str| client_of(text.parse().unwrap());
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:2"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("::ffff:10.0.0.1"), A);
    }
}
