//! The HTTP layer: the routes of both ports and the middleware around them.

pub mod access;
pub mod admin;
pub mod bodies;
mod compress;
mod cors;
pub mod deadline;
pub mod error;
pub mod extract;
pub mod faults;
pub mod health;
mod host;
pub mod in_flight;
pub mod metrics;
pub mod middleware;
pub mod openapi;
mod port_service;
pub mod precondition;
pub mod probe_routes;
pub mod secrets;
pub mod startup_gate;
pub mod stream_outcome;

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;

use self::bodies::Bodies;
use self::faults::Faults;
use self::health::Readiness;
use self::in_flight::InFlightLimit;
use self::metrics::Metrics;
use self::middleware::Port;
use self::openapi::{Described, Info};
pub use self::port_service::PortService;
use self::secrets::Secrets;
use crate::clock::Clock;
use crate::config::Config;
use crate::database::Database;

/// The largest request body that is read, except of an import.
pub const BODY_BYTES: usize = 64 * 1024;

/// The most responses at once that are made while they are sent. Each holds a page of records in memory.
const MOST_STREAMS: usize = 16;

/// The most imports at once. Each is held in memory.
const MOST_IMPORTS: usize = 4;

/// A path template, a method, and the status of success: what faults may hit, and the series that exist before the first
/// request.
pub type ApiRoute = (&'static str, &'static str, u16);

/// The state of all handlers. Cheap to clone.
#[derive(Clone)]
pub struct Shared(Arc<Parts>);

/// The parts of [`Shared`].
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// The database.
    pub database: Database,
    /// The routes under `/api/`.
    pub api: Vec<ApiRoute>,
    /// The metrics of requests.
    pub metrics: Metrics,
    /// The injected faults.
    pub faults: Faults,
    /// The readiness of this process.
    pub readiness: Readiness,
    /// The secrets, which may change.
    pub secrets: Secrets,
    /// The limit of requests in flight.
    pub in_flight: InFlightLimit,
    /// The limit of responses that are made while they are sent: their clients may take them as slowly as they like.
    pub streams: InFlightLimit,
    /// The limit of imports.
    pub imports: InFlightLimit,
    /// The request bodies that are being read.
    pub bodies: Bodies,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

impl Shared {
    /// Creates the state of a service with these routes under `/api/`.
    #[must_use]
    pub fn new(config: Config, database: Database, clock: Arc<dyn Clock>, api: Vec<ApiRoute>) -> Self {
        let metrics = Metrics::new(&api);
        let (faults, readiness) = (Faults::default(), Readiness::default());
        let in_flight = InFlightLimit::new(config.clients.in_flight);
        let (streams, imports) = (InFlightLimit::new(MOST_STREAMS), InFlightLimit::new(MOST_IMPORTS));
        let bodies = Bodies::new(config.clients.in_flight);
        let secrets = Secrets::new(&config, clock.now());
        Self(Arc::new(Parts {
            config,
            database,
            api,
            metrics,
            faults,
            readiness,
            secrets,
            in_flight,
            streams,
            imports,
            bodies,
            clock,
        }))
    }
}

impl Deref for Shared {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// The state of the handlers of an entity: what all share, and its store. Cheap to clone.
#[derive(Clone)]
pub struct Entity<S> {
    shared: Shared,
    /// The records of the entity.
    pub store: S,
}

impl<S> Entity<S> {
    /// Creates the state around a store in the database of the service.
    pub fn new(shared: &Shared, store: impl FnOnce(Database) -> S) -> Self {
        Self { shared: shared.clone(), store: store(shared.database.clone()) }
    }
}

impl<S> Deref for Entity<S> {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.shared
    }
}

impl<S> FromRef<Entity<S>> for Shared {
    fn from_ref(entity: &Entity<S>) -> Self {
        entity.shared.clone()
    }
}

/// Creates the service of the public port from the routes of the API.
#[must_use]
pub fn public(shared: &Shared, api: Described, info: Info) -> PortService {
    let probes = health::routes().with_state(shared.clone());
    PortService::new(shared, Port::Public, api.merge(probes).complete(&shared.config, info))
}

/// Creates the service of the admin port.
#[must_use]
pub fn admin(shared: &Shared) -> PortService {
    PortService::new(shared, Port::Admin, admin::routes(shared).with_state(shared.clone()))
}
