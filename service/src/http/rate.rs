//! The rate limit of one client: a bucket of tokens, filled evenly.
//!
//! A bucket is one point in time, the one at which it will be full again. A full bucket says the same as none, so that it can
//! be forgotten, and the table stays as small as the clients that were here lately. What it says goes out in the fields
//! `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::time::Instant;

use super::Shared;
use super::client::Client;
use super::error::Problem;
use super::middleware::route_of;
use super::probe_routes;
use crate::config::Rate;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// Clients with a bucket of their own. All beyond share one bucket.
const MOST_CLIENTS: usize = 10_000;
/// The shortest interval between two sweeps of a full table.
const SWEEP: Duration = Duration::from_secs(1);

/// The buckets of all clients.
#[derive(Debug)]
pub struct Buckets {
    rate: Rate,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    /// The time at which the bucket of each client is full again.
    full_at: HashMap<Client, Instant>,
    everyone_else: Option<Instant>,
    swept: Option<Instant>,
}

/// The remaining quota of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// True if this request is within the limit.
    pub admitted: bool,
    /// Requests that may follow at once.
    pub requests: u32,
    /// Until all of them are there again.
    pub full_in: Duration,
    /// Until there is one; nothing when there is.
    pub next_in: Duration,
}

impl Buckets {
    /// Creates a limiter without a client.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let table = Table { full_at: HashMap::new(), everyone_else: None, swept: None };
        Self { rate, table: Mutex::new(table) }
    }

    /// Takes a token for one request.
    pub fn take(&self, client: Client, now: Instant) -> Left {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let known = table.full_at.get(&client).copied();
        let has_place = known.is_some() || table.make_room(now);
        let full_at = if has_place { known } else { table.everyone_else };
        let (left, full_at) = self.rate.after_one_more(full_at.unwrap_or(now).max(now), now);
        if has_place {
            table.full_at.insert(client, full_at);
        } else {
            table.everyone_else = Some(full_at);
        }
        left
    }
}

impl Table {
    fn make_room(&mut self, now: Instant) -> bool {
        if self.full_at.len() >= MOST_CLIENTS && self.swept.is_none_or(|swept| now >= swept + SWEEP) {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.swept = Some(now);
        }
        self.full_at.len() < MOST_CLIENTS
    }
}

impl Rate {
    fn window(self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    /// Returns the time that refills one token.
    fn step(self) -> Duration {
        self.window() / self.requests.max(1)
    }

    fn after_one_more(self, full_at: Instant, now: Instant) -> (Left, Instant) {
        let (step, missing) = (self.step(), full_at.saturating_duration_since(now));
        let after = missing + step;
        let admitted = after <= step * self.requests;
        let missing = if admitted { after } else { missing };
        let taken = u32::try_from(missing.as_nanos().div_ceil(step.as_nanos().max(1))).unwrap_or(u32::MAX);
        let next_in = (missing + step).saturating_sub(step * self.requests);
        let requests = self.requests.saturating_sub(taken);
        (Left { admitted, requests, full_in: missing, next_in }, now + missing)
    }
}

/// Whole seconds, never too few.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// Rejects a client that made too many requests, and reports the remaining quota. Probes are not counted.
pub async fn limit(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let Some(buckets) = &shared.buckets else { return next.run(request).await };
    if probe_routes::is_probe(route_of(&request)) {
        return next.run(request).await;
    }
    let client = Client::of(&request, &shared.config.clients, &shared.secrets.keys());
    let left = buckets.take(client.clone(), Instant::now());
    let mut response = if left.admitted {
        next.run(request).await
    } else {
        tracing::debug!(%client, "turned away: too many requests");
        let Rate { requests, seconds: window } = buckets.rate;
        let detail = format!("{requests} requests in {window} s are allowed; see the header `retry-after`");
        let wait = u32::try_from(seconds(left.next_in)).unwrap_or(u32::MAX).max(1);
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Too many requests", detail)
            .retry_after(wait)
            .into_response()
    };
    let Rate { requests, seconds: window } = buckets.rate;
    for (name, text) in [
        (POLICY, format!("\"default\";q={requests};w={window}")),
        (LIMIT, format!("\"default\";r={};t={}", left.requests, seconds(left.full_in))),
    ] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const RATE: Rate = Rate { requests: 3, seconds: 30 };

    fn client(number: u32) -> Client {
        Client::Address(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    #[test]
    fn a_burst_is_granted_and_then_one_at_a_time() {
        let (buckets, now) = (Buckets::new(RATE), Instant::now());
        let at = |second| {
            let left = buckets.take(client(1), now + Duration::from_secs(second));
            (left.admitted, left.requests, seconds(left.full_in), seconds(left.next_in))
        };
        assert_eq!(at(0), (true, 2, 10, 0));
        assert_eq!(at(0), (true, 1, 20, 0));
        assert_eq!(at(0), (true, 0, 30, 10));
        assert_eq!(at(0), (false, 0, 30, 10));
        assert_eq!(at(9), (false, 0, 21, 1));
        assert_eq!(at(10), (true, 0, 30, 10), "being turned away costs nothing");
        assert_eq!(at(1000), (true, 2, 10, 0));
        assert!(buckets.take(client(2), now).admitted, "another client has a bucket of its own");
    }

    #[test]
    fn the_table_is_bounded_and_those_beyond_share_a_bucket() {
        let (buckets, now) = (Buckets::new(RATE), Instant::now());
        let clients = u32::try_from(MOST_CLIENTS).unwrap();
        for number in 0..clients + 3 {
            assert!(buckets.take(client(number), now).admitted, "{number}");
        }
        assert!(!buckets.take(client(clients + 4), now).admitted);
        assert!(buckets.take(client(0), now).admitted, "who has a place keeps it");
        let later = now + Duration::from_secs(31);
        assert!(buckets.take(client(clients + 5), later).admitted);
        assert_eq!(buckets.table.lock().unwrap().full_at.len(), 1, "full buckets were forgotten");
    }
}
