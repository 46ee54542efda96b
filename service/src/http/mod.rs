//! The HTTP layer: the routes of both ports and the middleware around them.

pub mod access;
pub mod admin;
pub mod client;
mod compress;
pub mod connections;
mod cors;
pub mod deadline;
pub mod error;
pub mod extract;
pub mod faults;
pub mod head;
pub mod health;
pub mod in_flight;
pub mod metrics;
pub mod middleware;
pub mod openapi;
mod port_service;
pub mod rate;
pub mod serve;
pub mod startup_gate;
mod write_timeout;

use std::ops::Deref;
use std::sync::Arc;

use self::faults::{Audit, Faults};
use self::health::Readiness;
use self::in_flight::InFlightLimit;
use self::metrics::Metrics;
use self::middleware::Port;
use self::openapi::{Answer, Described, Operation, Verb};
pub use self::port_service::PortService;
use self::rate::Buckets;
use crate::clock::Clock;
use crate::config::Config;
use crate::passengers::{Store, routes};
use axum::Json;
use serde_json::{Value, json};

/// The largest request body that is read, except of streams, which are bounded line by line.
pub const BODY_BYTES: usize = 64 * 1024;

/// Every route under `/api/` with the method and the status of its success: what faults may hit, and the series that
/// exist before the first request.
pub const API: [(&str, &str, u16); 9] = [
    ("/api/hello", "GET", 200),
    ("/api/v1/passengers", "GET", 200),
    ("/api/v1/passengers", "POST", 201),
    ("/api/v1/passengers/import", "POST", 200),
    ("/api/v1/passengers/stats", "GET", 200),
    ("/api/v1/passengers/{id}", "GET", 200),
    ("/api/v1/passengers/{id}", "PUT", 200),
    ("/api/v1/passengers/{id}", "PATCH", 200),
    ("/api/v1/passengers/{id}", "DELETE", 204),
];

/// The state of all handlers. Cheap to clone.
#[derive(Clone)]
pub struct Shared(Arc<Parts>);

/// The parts of [`Shared`].
pub struct Parts {
    /// As read at the start.
    pub config: Config,
    /// The passengers.
    pub store: Store,
    /// The metrics of requests.
    pub metrics: Metrics,
    /// The injected faults.
    pub faults: Faults,
    /// The actions of operators.
    pub audit: Audit,
    /// Whether new work is welcome.
    pub readiness: Readiness,
    /// The rate limiter, if one is configured.
    pub buckets: Option<Buckets>,
    /// The limit of requests in flight.
    pub in_flight: InFlightLimit,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

impl Shared {
    /// Puts the parts together.
    #[must_use]
    pub fn new(config: Config, store: Store, clock: Arc<dyn Clock>) -> Self {
        let metrics = Metrics::new(&config.version);
        let (faults, audit, readiness) = (Faults::default(), Audit::default(), Readiness::default());
        let (buckets, in_flight) =
            (config.clients.rate.map(Buckets::new), InFlightLimit::new(config.clients.in_flight));
        Self(Arc::new(Parts { config, store, metrics, faults, audit, readiness, buckets, in_flight, clock }))
    }
}

impl Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The way in for clients.
#[must_use]
pub fn public(shared: &Shared) -> PortService {
    let hello = Operation::new(Verb::Get, "/api/hello", "hello", "Be welcomed").tagged("about").answers(
        Answer::new(200, "A welcome.").json(json!({
            "type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}
        })),
    );
    let api = Described::default().on(hello, self::hello).merge(routes::routes()).merge(routes::streams());
    let (paths, routes) = api.merge(health::routes()).complete(&shared.config);
    PortService::new(shared, Port::Public, paths, routes)
}

/// The way in for operators.
#[must_use]
pub fn admin(shared: &Shared) -> PortService {
    let (paths, routes) = admin::routes(shared);
    PortService::new(shared, Port::Admin, paths, routes)
}

async fn hello() -> Json<Value> {
    Json(json!({ "message": "Welcome aboard the Titanic" }))
}
