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

use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Json, Router};
use serde_json::{Value, json};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;

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

/// The largest request body that is read.
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
    let small = Described::default().on(hello, self::hello).merge(routes::routes());
    let bounded = |router: Router<Shared>| router.layer(RequestBodyLimitLayer::new(BODY_BYTES));
    // Streams bound their bodies themselves, line by line.
    let api = small.wrap(bounded).merge(routes::streams());
    let routes = api.merge(health::routes().wrap(bounded)).complete(&shared.config);
    // Health, readiness and version are within reach of faults, but hit only by an order that says so twice.
    let routes = routes.layer(from_fn_with_state(shared.clone(), faults::inject));
    let mut routes = routes.layer(from_fn_with_state(shared.clone(), shed::shed));
    // Outside of the places: who comes too often is turned away before one is taken.
    if shared.buckets.is_some() {
        routes = routes.layer(from_fn_with_state(shared.clone(), rate::limit));
    }
    around(routes, shared, Port::Public)
}

/// The routes that operators see.
pub fn admin(shared: &Shared) -> Router {
    let routes = admin::routes(shared).layer(RequestBodyLimitLayer::new(BODY_BYTES));
    around(routes.layer(from_fn_with_state(shared.clone(), faults::inject)), shared, Port::Admin)
}

/// Wraps routes in the layers common to both ports. Read from the bottom: the last one sees a request first.
fn around(routes: Router<Shared>, shared: &Shared, port: Port) -> Router {
    let mut routes = routes
        .with_state(shared.clone())
        .layer(from_fn_with_state(middleware::TIME_LIMIT, middleware::limit_time))
        .layer(CatchPanicLayer::custom(middleware::panicked))
        .layer(from_fn(middleware::write_problems))
        .layer(compress::layer());
    if port == Port::Public && !shared.config.edge.origins.is_empty() {
        routes = routes.layer(from_fn_with_state(shared.clone(), cors::share));
    }
    routes
        .layer(SetResponseHeaderLayer::if_not_present(
            HeaderName::from_static("x-content-type-options"),
            HeaderValue::from_static("nosniff"),
        ))
        .layer(from_fn_with_state((shared.clone(), port), middleware::observe))
}

async fn hello() -> Json<Value> {
    Json(json!({ "message": "Welcome aboard the Titanic" }))
}
