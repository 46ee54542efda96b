//! Answers of name servers, kept for as long as the server allows.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Answers that are kept. Beyond them names are asked for each time.
const MOST_ANSWERS: usize = 2048;

/// The longest time for which an answer is kept, whatever its TTL: a name that does not resolve any more is found by then.
const LONGEST_TTL: Duration = Duration::from_secs(300);

/// A question: server, name in lower case, and whether IPv6 is asked for.
type Question = (SocketAddr, String, bool);

/// Addresses and the instant until which they hold.
struct Known {
    addresses: Vec<IpAddr>,
    until: Instant,
}

/// Answers with addresses. Failures and names without an address are never kept: they are asked for again.
#[derive(Default)]
pub(in super::super) struct KnownAnswers(Mutex<HashMap<Question, Known>>);

impl KnownAnswers {
    /// Returns the addresses of a name, as long as they hold.
    pub(super) fn get(&self, server: SocketAddr, host: &str, is_v6: bool) -> Option<Vec<IpAddr>> {
        let question = (server, host.to_ascii_lowercase(), is_v6);
        let known = self.known();
        let known = known.get(&question).filter(|known| Instant::now() < known.until)?;
        Some(known.addresses.clone())
    }

    /// Keeps the addresses of a name for their TTL.
    pub(super) fn keep(
        &self,
        (server, host, is_v6): (SocketAddr, &str, bool),
        addresses: &[IpAddr],
        ttl: Duration,
    ) {
        let now = Instant::now();
        let ttl = ttl.min(LONGEST_TTL);
        if ttl.is_zero() || addresses.is_empty() {
            return;
        }
        let mut all = self.known();
        let question = (server, host.to_ascii_lowercase(), is_v6);
        if all.len() >= MOST_ANSWERS && !all.contains_key(&question) {
            all.retain(|_, known| now < known.until);
        }
        if all.len() < MOST_ANSWERS || all.contains_key(&question) {
            all.insert(question, Known { addresses: addresses.to_vec(), until: now + ttl });
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Question, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> SocketAddr {
        "192.0.2.53:53".parse().unwrap()
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_holds_for_its_ttl_and_never_for_more_than_five_minutes() {
        let (known, address) = (KnownAnswers::default(), IpAddr::from([192, 0, 2, 1]));
        for (ttl, holds) in [(0, 0), (60, 60), (86_400, 300)] {
            known.keep((server(), "Shop.Test", false), &[address], seconds(ttl));
            let now = known.get(server(), "shop.test", false);
            assert_eq!(now, (holds > 0).then(|| vec![address]), "TTL {ttl}");
            tokio::time::advance(seconds(holds).saturating_sub(Duration::from_millis(1))).await;
            assert_eq!(known.get(server(), "shop.test", false).is_some(), holds > 0, "TTL {ttl}");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(known.get(server(), "shop.test", false), None, "TTL {ttl}");
        }
        known.keep((server(), "shop.test", false), &[], seconds(60));
        assert_eq!(known.get(server(), "shop.test", false), None, "nothing is no answer");
        known.keep((server(), "shop.test", false), &[address], seconds(60));
        assert_eq!(known.get(server(), "shop.test", true), None, "another family is another question");
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_answers_is_bounded_and_room_comes_with_their_end() {
        let (known, address) = (KnownAnswers::default(), IpAddr::from([192, 0, 2, 1]));
        let name = |number: usize| format!("{number}.test");
        (0..MOST_ANSWERS + 100)
            .for_each(|number| known.keep((server(), &name(number), false), &[address], seconds(60)));
        assert_eq!(known.known().len(), MOST_ANSWERS);
        assert_eq!(known.get(server(), &name(MOST_ANSWERS), false), None, "it is asked for each time");
        tokio::time::advance(seconds(60)).await;
        known.keep((server(), "new.test", false), &[address], seconds(60));
        assert_eq!(known.known().len(), 1);
        assert_eq!(known.get(server(), "new.test", false), Some(vec![address]));
    }
}
