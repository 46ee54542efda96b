//! The system's resolver, search domains and hosts file included.
//!
//! A lookup runs on a thread that no deadline ends: it goes on until the C library gives its name servers up. While they
//! are silent, such lookups would take every thread that the ledger and deliveries need as well. So their number is bounded.

use core::fmt;
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lookout_config::HostPort;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::super::Reason;
use super::super::attempt::Failure;
use crate::resources::is_exhausted;
use crate::wording::chain;

/// Lookups at once: a quarter of the threads that may block.
const MOST_LOOKUPS: usize = 128;

/// Age up to which a lookup is shared. An older one may hang, while a new one would be answered.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// Addresses of a host, without a port.
type Answer = Result<Arc<[SocketAddr]>, Failure>;

/// Asks the resolver and blocks until it answers.
type Ask = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// A lookup that runs.
struct Running {
    since: Instant,
    answer: watch::Receiver<Option<Answer>>,
}

/// Lookups that run, by host.
type Lookups = Arc<Mutex<HashMap<String, Running>>>;

/// The system's resolver, with a bounded number of lookups.
pub(in super::super) struct SystemResolver {
    ask: Arc<Ask>,
    permits: Arc<Semaphore>,
    running: Lookups,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self::asking(|host| Ok((host, 0).to_socket_addrs()?.collect()))
    }
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemResolver").field("permits", &self.permits).finish_non_exhaustive()
    }
}

impl SystemResolver {
    fn asking(ask: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self {
            ask: Arc::new(ask),
            permits: Arc::new(Semaphore::new(MOST_LOOKUPS)),
            running: Lookups::default(),
        }
    }

    /// Resolves a peer. The caller's deadline ends the wait, but not the lookup.
    pub(super) async fn resolve(&self, peer: &HostPort) -> Result<Vec<SocketAddr>, Failure> {
        let mut answer = self.lookup(&peer.host).await;
        let broke = || Failure::new(Reason::Dns, format!("the lookup of {} broke", peer.host));
        let answer = answer.wait_for(Option::is_some).await.map_err(|_| broke())?;
        let found = answer.as_ref().ok_or_else(broke)?.clone()?;
        Ok(found.iter().map(|address| SocketAddr::new(address.ip(), peer.port)).collect())
    }

    /// Joins a young lookup of the host, or begins one. While all threads are in use, an older one is joined, too.
    async fn lookup(&self, host: &str) -> watch::Receiver<Option<Answer>> {
        if let Some(young) = self.running(host, SHARED_FOR) {
            return young;
        }
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return self.begin(host, Some(permit));
        }
        if let Some(old) = self.running(host, Duration::MAX) {
            return old;
        }
        // the semaphore is never closed
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        self.running(host, SHARED_FOR).unwrap_or_else(|| self.begin(host, permit))
    }

    fn running(&self, host: &str, up_to: Duration) -> Option<watch::Receiver<Option<Answer>>> {
        let running = locked(&self.running);
        let found = running.get(host).filter(|one| one.since.elapsed() < up_to)?;
        // the sender of a lookup that panicked is gone
        found.answer.has_changed().is_ok().then(|| found.answer.clone())
    }

    fn begin(&self, host: &str, permit: Option<OwnedSemaphorePermit>) -> watch::Receiver<Option<Answer>> {
        let (tell, answer) = watch::channel(None);
        let running = Running { since: Instant::now(), answer: answer.clone() };
        locked(&self.running).insert(host.to_owned(), running);
        let (ask, lookups, host, own) =
            (Arc::clone(&self.ask), Arc::clone(&self.running), host.to_owned(), answer.clone());
        tokio::task::spawn_blocking(move || {
            let found = ask(&host).map(Arc::from).map_err(|error| failure(&host, &error));
            let mut lookups = locked(&lookups);
            if lookups.get(&host).is_some_and(|one| one.answer.same_channel(&own)) {
                lookups.remove(&host);
            }
            drop((lookups, permit));
            // nobody waits any more where all probes were cut
            let _ = tell.send(Some(found));
        });
        answer
    }
}

fn locked(running: &Mutex<HashMap<String, Running>>) -> MutexGuard<'_, HashMap<String, Running>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

fn failure(host: &str, error: &io::Error) -> Failure {
    let reason = if is_exhausted(error) { Reason::Resources } else { Reason::Dns };
    Failure::new(reason, format!("{host} did not resolve: {}", chain(error)))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    /// Name servers that can fall silent.
    #[derive(Default)]
    struct Servers {
        silent: Mutex<bool>,
        changed: Condvar,
        running: AtomicUsize,
        asked: AtomicUsize,
    }

    impl Servers {
        fn set_silent(&self, silent: bool) {
            *self.silent.lock().unwrap() = silent;
            self.changed.notify_all();
        }

        fn answer(&self) -> io::Result<Vec<SocketAddr>> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.running.fetch_add(1, Ordering::SeqCst);
            drop(self.changed.wait_while(self.silent.lock().unwrap(), |silent| *silent).unwrap());
            self.running.fetch_sub(1, Ordering::SeqCst);
            Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))])
        }
    }

    fn scene() -> (Arc<Servers>, SystemResolver) {
        let servers = Arc::new(Servers::default());
        let asked = Arc::clone(&servers);
        (servers, SystemResolver::asking(move |_| asked.answer()))
    }

    fn peer(host: usize) -> HostPort {
        HostPort { host: format!("h{host}.test"), port: 80 }
    }

    /// Waits for 1,000 hosts, shortly; returns how many are found.
    async fn ask_all(resolver: &SystemResolver) -> usize {
        let ask = |host| async move {
            let asked = tokio::time::timeout(Duration::from_millis(300), async {
                resolver.resolve(&peer(host)).await.unwrap()
            });
            asked.await.is_ok()
        };
        join_all((0..1000).map(ask)).await.into_iter().filter(|found| *found).count()
    }

    /// Twice, and healed in between.
    #[tokio::test]
    async fn silent_name_servers_leave_threads_for_others() {
        let (servers, resolver) = scene();
        for _ in 0..2 {
            servers.set_silent(true);
            for _ in 0..3 {
                assert_eq!(ask_all(&resolver).await, 0);
                assert_eq!(servers.running.load(Ordering::SeqCst), MOST_LOOKUPS);
            }
            let other = tokio::task::spawn_blocking(|| 7);
            let other = tokio::time::timeout(Duration::from_secs(5), other).await;
            assert_eq!(other.expect("other work gets a thread").unwrap(), 7);
            servers.set_silent(false);
            let found = tokio::time::timeout(Duration::from_secs(5), resolver.resolve(&peer(5))).await;
            let found = found.expect("the next lookup is answered").unwrap();
            assert_eq!(found, [SocketAddr::from((Ipv4Addr::LOCALHOST, 80))]);
            while servers.running.load(Ordering::SeqCst) > 0 {
                tokio::task::yield_now().await;
            }
            assert!(locked(&resolver.running).len() <= MOST_LOOKUPS);
        }
    }

    #[tokio::test]
    async fn a_host_that_many_ask_for_at_once_is_looked_up_once_and_later_again() {
        let (servers, resolver) = scene();
        servers.set_silent(true);
        let once = peer(1);
        let (found, ()) = tokio::join!(join_all((0..50).map(|_| resolver.resolve(&once))), async {
            servers.set_silent(false);
        });
        assert!(found.iter().all(Result::is_ok), "{found:?}");
        assert_eq!(servers.asked.load(Ordering::SeqCst), 1);
        assert!(resolver.resolve(&once).await.is_ok());
        assert_eq!(servers.asked.load(Ordering::SeqCst), 2, "no answer is kept");
    }
}
