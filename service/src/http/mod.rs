//! What every request passes: the routers of both ports and the layers around them.

pub mod access;
pub mod admin;
pub mod client;
mod compress;
mod cors;
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

use axum::middleware::from_fn_with_state;
use axum::{Json, Router};
use serde_json::{Value, json};
use tower::ServiceBuilder;

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

/// The routes that clients see.
pub fn public(shared: &Shared) -> Router {
    let hello = Operation::new(Verb::Get, "/api/hello", "hello", "Be welcomed").tagged("about").answers(
        Answer::new(200, "A welcome.").json(json!({
            "type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}
        })),
    );
    let api = Described::default().on(hello, self::hello).merge(routes::routes()).merge(routes::streams());
    let routes = api.merge(health::routes()).complete(&shared.config);
    around(routes, shared, Port::Public)
}

/// The routes that operators see.
pub fn admin(shared: &Shared) -> Router {
    around(admin::routes(shared), shared, Port::Admin)
}

/// Wraps routes in what is common to both ports. The first layer is the first to see a request.
fn around(routes: Router<Shared>, shared: &Shared, port: Port) -> Router {
    let state = (shared.clone(), port);
    let layers = ServiceBuilder::new()
        .layer(from_fn_with_state(state.clone(), middleware::observe))
        .layer(compress::layer())
        .layer(from_fn_with_state(state, middleware::guard));
    routes.with_state(shared.clone()).layer(layers)
}

async fn hello() -> Json<Value> {
    Json(json!({ "message": "Welcome aboard the Titanic" }))
}
