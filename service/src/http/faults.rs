//! Faults on purpose, so that a drill can show whether anybody notices.
//!
//! Shares are exact, not random: of a route with 30 % errors precisely 3 of every 10 requests fail, evenly spread, so
//! that a drill gives the same figures each time. A fault ends by itself: no timer, it is simply not found any more.
//!
//! - `order` is what may be asked for, `inject` does it to requests.

mod inject;
mod order;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, Method, StatusCode};
use jiff::{SignedDuration, Timestamp, Unit};
use serde::Serialize;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::database::Database;

pub use self::inject::inject;
pub use self::order::{FaultOrder, Percent};

/// The most faults at once. Each request asks all of them.
const MOST: usize = 64;
/// All requests, in hundredths of a percent.
const WHOLE: u32 = 10_000;

/// A fault as shown.
#[derive(Debug, Clone, Serialize)]
pub struct FaultView {
    /// The id, to end it by.
    pub id: Uuid,
    /// The order.
    #[serde(flatten)]
    pub order: FaultOrder,
    /// The time of the order.
    pub ordered_at: Timestamp,
    /// The time of its end.
    pub expires_at: Timestamp,
}

struct Fault {
    view: FaultView,
    ends: Instant,
    spreads: Spreads,
    chance: fastrand::Rng,
    /// Keeps the connections from everybody as long as it is not dropped.
    _exhaustion: Option<AbortOnDropHandle<()>>,
}

/// A spread for each kind that hits a share of requests.
#[derive(Debug, Default)]
struct Spreads {
    errors: Spread,
    delays: Spread,
    drops: Spread,
    slow: Spread,
}

/// Spreads a share evenly: the remainder of each request is carried to the next.
#[derive(Debug, Default)]
struct Spread(u32);

impl Spread {
    fn hits(&mut self, share: Percent) -> bool {
        self.0 += share.hundredths();
        let hit = self.0 >= WHOLE;
        self.0 -= if hit { WHOLE } else { 0 };
        hit
    }
}

/// The effects of all faults on one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Injection {
    /// Wait this long first.
    pub delay: Option<Duration>,
    /// Then answer with this instead of handling it.
    pub error: Option<StatusCode>,
    /// Drop the connection instead.
    pub drop: bool,
    /// Take this long to send the answer.
    pub slow_body: Option<Duration>,
}

impl Fault {
    fn decide(&mut self, so_far: Injection) -> Injection {
        let (order, spreads) = (&self.view.order, &mut self.spreads);
        let delay = spreads.delays.hits(order.delay_percent).then(|| {
            let jitter = if order.jitter_ms == 0 { 0 } else { self.chance.u64(0..=order.jitter_ms) };
            Duration::from_millis(order.delay_ms + jitter)
        });
        let status =
            spreads.errors.hits(order.error_percent).then(|| StatusCode::from_u16(order.status).ok());
        let slow =
            spreads.slow.hits(order.slow_body_percent).then(|| Duration::from_millis(order.slow_body_ms));
        Injection {
            delay: so_far.delay.max(delay),
            error: so_far.error.or(status.flatten()),
            drop: spreads.drops.hits(order.drop_percent) || so_far.drop,
            slow_body: so_far.slow_body.max(slow),
        }
    }
}

/// The active faults: at most one for each target.
#[derive(Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Breaks something, in place of the fault its target had. Nothing, when there are too many.
    pub fn start(
        &self,
        order: FaultOrder,
        database: Option<&Database>,
        now: Instant,
        wall: Timestamp,
    ) -> Option<FaultView> {
        let ends = now + Duration::from_secs(order.ttl_seconds.into());
        let mut faults = self.alive(now);
        faults.retain(|other| other.view.order.target() != order.target());
        if faults.len() >= MOST {
            return None;
        }
        let exhaustion = database.filter(|_| order.exhaust_pool).cloned().map(|database| {
            AbortOnDropHandle::new(tokio::spawn(async move {
                let _kept = database.exhaust().await;
                sleep_until(ends).await;
            }))
        });
        let chance = fastrand::Rng::with_seed(order.seed.into());
        // More digits than those of milliseconds would only be noise to whoever reads them.
        let ordered_at = wall.round(Unit::Millisecond).unwrap_or(wall);
        let expires_at = ordered_at.checked_add(SignedDuration::from_secs(order.ttl_seconds.into()));
        let expires_at = expires_at.unwrap_or(Timestamp::MAX);
        let view = FaultView { id: Uuid::now_v7(), order, ordered_at, expires_at };
        let spreads = Spreads::default();
        faults.push(Fault { view: view.clone(), ends, spreads, chance, _exhaustion: exhaustion });
        Some(view)
    }

    /// Returns the active faults.
    pub fn list(&self, now: Instant) -> Vec<FaultView> {
        self.alive(now).iter().map(|fault| fault.view.clone()).collect()
    }

    /// Mends one thing. Nothing, when it is not broken.
    pub fn end(&self, id: Uuid, now: Instant) -> Option<FaultView> {
        let mut faults = self.alive(now);
        let place = faults.iter().position(|fault| fault.view.id == id)?;
        Some(faults.remove(place).view)
    }

    /// Mends everything. Returns how many faults ended.
    pub fn clear(&self, now: Instant) -> usize {
        self.alive(now).drain(..).count()
    }

    /// Returns whether readiness is withdrawn on order.
    pub fn unready(&self, now: Instant) -> bool {
        self.alive(now).iter().any(|fault| fault.view.order.unready)
    }

    /// Counts the active faults of each kind.
    pub fn count(&self, now: Instant) -> [(&'static str, u32); 6] {
        let mut counts = FaultOrder::default().kinds().map(|(kind, _)| (kind, 0));
        for fault in &*self.alive(now) {
            for ((_, count), (_, is_ordered)) in counts.iter_mut().zip(fault.view.order.kinds()) {
                *count += u32::from(is_ordered);
            }
        }
        counts
    }

    /// Decides the effects on the next request.
    pub fn decide(&self, route: &str, method: &Method, headers: &HeaderMap, now: Instant) -> Injection {
        let mut faults = self.alive(now);
        let meant = faults.iter_mut().filter(|fault| fault.view.order.hits(route, method, headers));
        meant.fold(Injection::default(), |so_far, fault| fault.decide(so_far))
    }

    /// The faults whose time is not over.
    fn alive(&self, now: Instant) -> MutexGuard<'_, Vec<Fault>> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.retain(|fault| now < fault.ends);
        faults
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ROUTE: &str = "/api/v1/things";

    fn order(extra: Value) -> FaultOrder {
        let mut object = json!({"route": ROUTE, "ttl_seconds": 60});
        for (name, value) in extra.as_object().unwrap() {
            object[name] = value.clone();
        }
        FaultOrder::from_json(object.as_object().unwrap().clone(), &[(ROUTE, "GET", 200)]).unwrap()
    }

    fn started(extra: Value) -> (Faults, Instant) {
        let (faults, now) = (Faults::default(), Instant::now());
        faults.start(order(extra), None, now, Timestamp::UNIX_EPOCH).unwrap();
        (faults, now)
    }

    fn decide(faults: &Faults, route: &str, now: Instant) -> Injection {
        faults.decide(route, &Method::GET, &HeaderMap::new(), now)
    }

    #[test]
    fn three_of_every_ten_fail_evenly_spread() {
        let (faults, now) = started(json!({"error_percent": 30}));
        let failed: Vec<bool> = (0..100).map(|_| decide(&faults, ROUTE, now).error.is_some()).collect();
        assert!(failed.chunks(10).all(|ten| ten.iter().filter(|failed| **failed).count() == 3), "{failed:?}");
        assert!(!failed.windows(2).any(|pair| pair == [true, true]), "{failed:?}");
    }

    #[test]
    fn small_shares_are_exact_too() {
        let (faults, now) = started(json!({"error_percent": 1.44, "status": 500}));
        let failed = (0..10_000).filter(|_| decide(&faults, ROUTE, now).error.is_some()).count();
        assert_eq!(failed, 144);
    }

    #[test]
    fn each_kind_is_counted_apart_and_other_routes_are_spared() {
        let (faults, now) = started(json!({"error_percent": 50, "delay_percent": 100, "delay_ms": 20,
            "drop_percent": 20, "slow_body_percent": 10, "slow_body_ms": 300}));
        let all: Vec<_> = (0..10).map(|_| decide(&faults, ROUTE, now)).collect();
        assert_eq!(all.iter().filter(|i| i.delay == Some(Duration::from_millis(20))).count(), 10);
        assert_eq!(all.iter().filter(|i| i.error == Some(StatusCode::SERVICE_UNAVAILABLE)).count(), 5);
        assert_eq!(all.iter().filter(|i| i.drop).count(), 2);
        assert_eq!(all.iter().filter(|i| i.slow_body == Some(Duration::from_millis(300))).count(), 1);
        assert_eq!(decide(&faults, "/api/hello", now), Injection::default());
        let counted = faults.count(now);
        assert_eq!(counted.iter().filter(|(_, faults)| *faults == 1).count(), 4, "{counted:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_delays() {
        let delays = |seed: u32| {
            let (faults, now) =
                started(json!({"delay_percent": 100, "delay_ms": 10, "jitter_ms": 90, "seed": seed}));
            (0..20).map(|_| decide(&faults, ROUTE, now).delay.unwrap().as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(delays(7), delays(7));
        assert_ne!(delays(7), delays(8));
        let all = delays(7);
        assert!(all.iter().all(|delay| (10..=100).contains(delay)), "{all:?}");
        assert!(all.iter().any(|delay| *delay != all[0]), "{all:?}");
    }

    #[test]
    fn a_fault_ends_when_its_time_is_over() {
        let (faults, now) = started(json!({"error_percent": 100}));
        let (last, over) = (now + Duration::from_millis(59_999), now + Duration::from_secs(60));
        assert!(decide(&faults, ROUTE, last).error.is_some());
        assert_eq!(faults.list(last)[0].expires_at.to_string(), "1970-01-01T00:01:00Z");
        assert_eq!(decide(&faults, ROUTE, over), Injection::default());
        assert!(faults.list(over).is_empty());
    }

    #[test]
    fn a_second_fault_replaces_the_first_of_its_target_and_no_other() {
        let (faults, now) = started(json!({"error_percent": 100}));
        let start = |extra| faults.start(order(extra), None, now, Timestamp::UNIX_EPOCH);
        let second = start(json!({"delay_percent": 100, "delay_ms": 5})).unwrap();
        assert_eq!(faults.list(now).len(), 1);
        assert_eq!(decide(&faults, ROUTE, now).error, None);
        start(json!({"error_percent": 100, "method": "POST"})).unwrap();
        assert_eq!(faults.list(now).len(), 2);
        assert_eq!(faults.end(second.id, now).map(|ended| ended.id), Some(second.id));
        assert!(faults.end(second.id, now).is_none());
        for number in 1..MOST {
            assert!(start(json!({"error_percent": 1, "header": format!("x-{number}")})).is_some());
        }
        assert!(start(json!({"error_percent": 1, "header": "x-one-more"})).is_none());
        assert_eq!(faults.clear(now), MOST);
    }
}
