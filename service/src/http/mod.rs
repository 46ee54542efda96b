//! What every request passes: the routes of both ports and what stands in front of them.

pub mod access;
pub mod admin;
pub mod client;
mod compress;
mod cors;
mod door;
pub mod error;
pub mod extract;
pub mod faults;
pub mod head;
pub mod health;
pub mod lobby;
pub mod metrics;
pub mod middleware;
pub mod openapi;
pub mod rate;
mod reader;
pub mod serve;
pub mod shed;

use std::ops::Deref;
use std::sync::Arc;

pub use self::door::Door;
use self::faults::{Audit, Faults};
use self::health::Readiness;
use self::metrics::Metrics;
use self::middleware::Port;
use self::openapi::{Answer, Described, Operation, Verb};
use self::rate::Buckets;
use self::shed::Places;
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

/// What handlers need. Cheap to clone.
#[derive(Clone)]
pub struct Shared(Arc<Parts>);

/// The parts of [`Shared`].
pub struct Parts {
    /// As read at the start.
    pub config: Config,
    /// The passengers.
    pub store: Store,
    /// What is counted and measured.
    pub metrics: Metrics,
    /// What is broken on purpose.
    pub faults: Faults,
    /// Who broke or changed what.
    pub audit: Audit,
    /// Whether new work is welcome.
    pub readiness: Readiness,
    /// How many requests each client has left, where that is limited.
    pub buckets: Option<Buckets>,
    /// How many requests may still come in.
    pub places: Places,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

impl Shared {
    /// Puts the parts together.
    #[must_use]
    pub fn new(config: Config, store: Store, clock: Arc<dyn Clock>) -> Self {
        let metrics = Metrics::new(&config.version);
        let (faults, audit, readiness) = (Faults::default(), Audit::default(), Readiness::default());
        let (buckets, places) = (config.edge.rate.map(Buckets::new), Places::new(config.edge.in_flight));
        Self(Arc::new(Parts { config, store, metrics, faults, audit, readiness, buckets, places, clock }))
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
pub fn public(shared: &Shared) -> Door {
    let hello = Operation::new(Verb::Get, "/api/hello", "hello", "Be welcomed").tagged("about").answers(
        Answer::new(200, "A welcome.").json(json!({
            "type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}
        })),
    );
    let api = Described::default().on(hello, self::hello).merge(routes::routes()).merge(routes::streams());
    let (paths, routes) = api.merge(health::routes()).complete(&shared.config);
    Door::new(shared, Port::Public, paths, routes)
}

/// The way in for operators.
#[must_use]
pub fn admin(shared: &Shared) -> Door {
    let (paths, routes) = admin::routes(shared);
    Door::new(shared, Port::Admin, paths, routes)
}

async fn hello() -> Json<Value> {
    Json(json!({ "message": "Welcome aboard the Titanic" }))
}
