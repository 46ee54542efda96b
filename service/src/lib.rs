//! The passenger API of the Titanic: a service worth copying, and the workload that lookout watches.
//!
//! A life in three steps: [`Config`] is read from the environment and touches nothing; [`Titanic::build`] binds both ports,
//! but serves nobody; [`Titanic::run`] answers probes, opens the database, and serves until it is told to stop.
//!
//! - `passengers` is the one noun of the API: model, store, filter, routes and the list it is loaded with.
//! - `http` is what every request passes: routers, middleware, errors, health, metrics, injected faults.
//! - `telemetry` writes logs and exports traces; `shutdown` turns signals into an orderly end.

pub mod clock;
pub mod config;
pub mod database;
mod fields;
pub mod healthcheck;
pub mod http;
pub mod passengers;
pub mod shutdown;
pub mod telemetry;

mod run;

pub use config::Config;
pub use run::{StartError, Titanic};
