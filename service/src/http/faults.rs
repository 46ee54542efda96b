//! Faults on purpose, so that a drill can show whether anybody notices.
//!
//! Shares are exact, not random: of a route with 30 % errors precisely 3 of every 10 requests fail, evenly spread, so
//! that a drill gives the same figures each time. A fault ends by itself: no timer, it is simply not found any more.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Number, Value};
use tokio::time::Instant;

use super::error::Problem;
use super::{API, Shared};
use crate::fields::{FieldError, Fields, whole};

const INJECTED: HeaderName = HeaderName::from_static("x-fault-injected");
const MOST_DELAY_MS: i64 = 30_000;
const MOST_TTL_SECONDS: i64 = 3600;

/// A share of requests in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share(u32);

impl Share {
    const WHOLE: u32 = 10_000;

    fn from_json(value: &Value) -> Result<Self, String> {
        let hundredths = value.as_f64().filter(|percent| (0.0..=100.0).contains(percent)).map(|p| p * 100.0);
        let exact = hundredths.filter(|hundredths| (hundredths - hundredths.round()).abs() < 1e-6);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 10,000, and whole"
        )]
        let share = exact.map(|hundredths| Self(hundredths.round() as u32));
        share.ok_or_else(|| String::from("a percentage from 0 to 100 with at most two decimals"))
    }
}

impl Serialize for Share {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let percent = if self.0.is_multiple_of(100) {
            Some(Number::from(self.0 / 100))
        } else {
            Number::from_f64(f64::from(self.0) / 100.0)
        };
        percent.serialize(serializer)
    }
}

/// What should go wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FaultOrder {
    /// The path template it hits.
    pub route: &'static str,
    /// How many requests are answered with an error.
    pub error_percent: Share,
    /// Which error.
    pub status: u16,
    /// How many requests wait before they are handled.
    pub delay_percent: Share,
    /// How long they wait.
    pub delay_ms: u64,
    /// When it ends.
    pub ttl_seconds: u64,
}

impl FaultOrder {
    /// Reads an order, or names every field that is wrong.
    pub fn from_json(object: Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let mut fields = Fields::new(object);
        let route = fields.required("route", |value| {
            let known = API.iter().map(|(route, _, _)| *route).find(|route| value.as_str() == Some(route));
            known.ok_or_else(|| format!("a route under /api/ ({})", routes()))
        });
        let error_percent = fields.optional("error_percent", Share::from_json).unwrap_or_default();
        let status = fields.optional("status", |v| whole(v, 400, 599)).unwrap_or(503);
        let delay_percent = fields.optional("delay_percent", Share::from_json).unwrap_or_default();
        let delay_ms = fields.optional("delay_ms", |v| whole(v, 0, MOST_DELAY_MS)).unwrap_or(0);
        let ttl_seconds = fields.required("ttl_seconds", |v| whole(v, 1, MOST_TTL_SECONDS));
        if (delay_percent.0 == 0) != (delay_ms == 0) {
            fields.refuse("delay_ms", "and delay_percent must be given together");
        }
        let errors = fields.errors();
        if errors.is_empty() && error_percent.0 == 0 && delay_percent.0 == 0 {
            return Err(vec![FieldError::new(
                "error_percent",
                "or delay_percent must be above 0, or nothing would happen",
            )]);
        }
        match (route, ttl_seconds, u16::try_from(status)) {
            (Some(route), Some(ttl), Ok(status)) if errors.is_empty() => Ok(Self {
                route,
                error_percent,
                status,
                delay_percent,
                delay_ms: delay_ms.unsigned_abs(),
                ttl_seconds: ttl.unsigned_abs(),
            }),
            _ => Err(errors),
        }
    }
}

/// The routes that can be hit, as people read them.
#[must_use]
pub fn routes() -> String {
    let mut routes: Vec<_> = API.iter().map(|(route, _, _)| *route).collect();
    routes.dedup();
    routes.join(", ")
}

/// A fault as shown.
#[derive(Debug, Clone, Serialize)]
pub struct FaultView {
    /// What was ordered.
    #[serde(flatten)]
    pub order: FaultOrder,
    /// When it ends.
    pub expires_at: Timestamp,
}

struct Fault {
    view: FaultView,
    ends: Instant,
    errors: Spread,
    delays: Spread,
}

/// Spreads a share evenly: the remainder of each request is carried to the next.
#[derive(Debug, Default)]
struct Spread(u32);

impl Spread {
    fn hits(&mut self, share: Share) -> bool {
        self.0 += share.0;
        let hit = self.0 >= Share::WHOLE;
        self.0 -= if hit { Share::WHOLE } else { 0 };
        hit
    }
}

/// What shall happen to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Injection {
    /// Wait this long first.
    pub delay: Option<Duration>,
    /// Then answer with this instead of handling it.
    pub error: Option<StatusCode>,
}

/// What is broken at the moment: at most one fault for each route.
#[derive(Default)]
pub struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Breaks a route, in place of the fault it had.
    pub fn start(&self, order: FaultOrder, now: Instant, wall: Timestamp) -> FaultView {
        let ttl = Duration::from_secs(order.ttl_seconds);
        let expires_at = SignedDuration::try_from(ttl).ok().and_then(|ttl| wall.checked_add(ttl).ok());
        // Whole milliseconds: more digits would only be noise to whoever reads them.
        let expires_at = expires_at.and_then(|at| Timestamp::from_millisecond(at.as_millisecond()).ok());
        let view = FaultView { expires_at: expires_at.unwrap_or(Timestamp::MAX), order };
        let fault = Fault {
            view: view.clone(),
            ends: now + ttl,
            errors: Spread::default(),
            delays: Spread::default(),
        };
        let mut faults = self.alive(now);
        faults.retain(|other| other.view.order.route != fault.view.order.route);
        faults.push(fault);
        view
    }

    /// What is broken.
    pub fn list(&self, now: Instant) -> Vec<FaultView> {
        self.alive(now).iter().map(|fault| fault.view.clone()).collect()
    }

    /// Mends everything. Returns how many faults ended.
    pub fn clear(&self, now: Instant) -> usize {
        self.alive(now).drain(..).count()
    }

    /// What shall happen to the next request of a route.
    pub fn decide(&self, route: &str, now: Instant) -> Injection {
        let mut faults = self.alive(now);
        let Some(fault) = faults.iter_mut().find(|fault| fault.view.order.route == route) else {
            return Injection::default();
        };
        let order = &fault.view.order;
        let delay = fault.delays.hits(order.delay_percent).then(|| Duration::from_millis(order.delay_ms));
        let status = fault.errors.hits(order.error_percent).then(|| StatusCode::from_u16(order.status).ok());
        Injection { delay, error: status.flatten() }
    }

    /// The faults whose time is not over.
    fn alive(&self, now: Instant) -> MutexGuard<'_, Vec<Fault>> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.retain(|fault| now < fault.ends);
        faults
    }
}

/// The layer around the API's routes that breaks what was ordered.
pub async fn inject(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let Some(route) = request.extensions().get::<MatchedPath>().cloned() else {
        return next.run(request).await;
    };
    let Injection { delay, error } = shared.faults.decide(route.as_str(), Instant::now());
    if let Some(delay) = delay {
        shared.metrics.fault_injected(route.as_str(), "delay");
        tokio::time::sleep(delay).await;
    }
    let mut response = match error {
        Some(status) => {
            shared.metrics.fault_injected(route.as_str(), "error");
            let detail = "this answer was ordered by an operator to rehearse a failure";
            Problem::new(status, "fault_injected", "Injected fault", detail).into_response()
        }
        None => next.run(request).await,
    };
    if delay.is_some() || error.is_some() {
        response.headers_mut().insert(INJECTED, HeaderValue::from_static("true"));
    }
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ROUTE: &str = "/api/v1/passengers";

    fn order(extra: Value) -> Result<FaultOrder, Vec<String>> {
        let mut object = json!({"route": ROUTE, "ttl_seconds": 60});
        for (name, value) in extra.as_object().unwrap() {
            object[name] = value.clone();
        }
        FaultOrder::from_json(object.as_object().unwrap().clone())
            .map_err(|errors| errors.into_iter().map(|e| format!("{} {}", e.field, e.detail)).collect())
    }

    fn started(extra: Value) -> (Faults, Instant) {
        let (faults, now) = (Faults::default(), Instant::now());
        faults.start(order(extra).unwrap(), now, Timestamp::UNIX_EPOCH);
        (faults, now)
    }

    #[test]
    fn three_of_every_ten_fail_evenly_spread() {
        let (faults, now) = started(json!({"error_percent": 30}));
        let failed: Vec<bool> = (0..100).map(|_| faults.decide(ROUTE, now).error.is_some()).collect();
        assert!(failed.chunks(10).all(|ten| ten.iter().filter(|failed| **failed).count() == 3), "{failed:?}");
        assert!(!failed.windows(2).any(|pair| pair == [true, true]), "{failed:?}");
    }

    #[test]
    fn small_shares_are_exact_too() {
        let (faults, now) = started(json!({"error_percent": 1.44, "status": 500}));
        let failed = (0..10_000).filter(|_| faults.decide(ROUTE, now).error.is_some()).count();
        assert_eq!(failed, 144);
    }

    #[test]
    fn errors_and_delays_are_counted_apart_and_other_routes_are_spared() {
        let (faults, now) = started(json!({"error_percent": 50, "delay_percent": 100, "delay_ms": 20}));
        let all: Vec<_> = (0..10).map(|_| faults.decide(ROUTE, now)).collect();
        assert_eq!(all.iter().filter(|i| i.delay == Some(Duration::from_millis(20))).count(), 10);
        assert_eq!(all.iter().filter(|i| i.error == Some(StatusCode::SERVICE_UNAVAILABLE)).count(), 5);
        assert_eq!(faults.decide("/api/hello", now), Injection::default());
    }

    #[test]
    fn a_fault_ends_when_its_time_is_over() {
        let (faults, now) = started(json!({"error_percent": 100}));
        let (last, over) = (now + Duration::from_millis(59_999), now + Duration::from_secs(60));
        assert!(faults.decide(ROUTE, last).error.is_some());
        assert_eq!(faults.list(last)[0].expires_at.to_string(), "1970-01-01T00:01:00Z");
        assert_eq!(faults.decide(ROUTE, over), Injection::default());
        assert!(faults.list(over).is_empty());
    }

    #[test]
    fn a_second_fault_replaces_the_first_of_its_route() {
        let (faults, now) = started(json!({"error_percent": 100}));
        faults.start(
            order(json!({"delay_percent": 100, "delay_ms": 5})).unwrap(),
            now,
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(faults.list(now).len(), 1);
        assert_eq!(faults.decide(ROUTE, now).error, None);
        assert_eq!(faults.clear(now), 1);
    }

    #[test]
    fn a_wrong_order_names_its_fields() {
        assert_eq!(
            order(
                json!({"route": "/health", "error_percent": 0.001, "status": 200, "ttl_seconds": 0, "why": 1})
            ),
            Err(vec![
                format!("route must be a route under /api/ ({}), not \"/health\"", routes()),
                String::from(
                    "error_percent must be a percentage from 0 to 100 with at most two decimals, not 0.001"
                ),
                String::from("status must be a whole number from 400 to 599, not 200"),
                String::from("ttl_seconds must be a whole number from 1 to 3600, not 0"),
                String::from(
                    "why is not known; the fields are route, error_percent, status, delay_percent, delay_ms, ttl_seconds"
                ),
            ])
        );
        assert!(order(json!({})).unwrap_err()[0].contains("nothing would happen"));
        assert!(
            order(json!({"delay_percent": 10})).unwrap_err()[0].starts_with("delay_ms and delay_percent")
        );
    }
}
