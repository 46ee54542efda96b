//! The passenger API of the Titanic: a service worth copying, and the workload that lookout watches.
//!
//! A life in three steps: [`Config`] is read from the environment and touches nothing; [`Titanic::build`] binds both ports,
//! but serves nobody; [`Titanic::run`] answers probes, opens the database, and serves until it is told to stop.
//!
//! - `api` lists the entities; `passengers` and `voyages` have a domain, a store and an HTTP interface each.
//! - `http` is what every request passes: routers, middleware, errors, health, metrics, injected faults. It knows no entity.
//! - `backup` copies the records of every entity to a file and back. It knows no entity either.
//! - `database` is one interface to SQLite and PostgreSQL; `config` is read from the environment.
//! - `telemetry` writes logs and exports traces; `shutdown` turns signals into an orderly end.

pub mod api;
pub mod backup;
pub mod clock;
pub mod config;
pub mod database;
mod fields;
pub mod healthcheck;
pub mod http;
mod numbers;
pub mod passengers;
pub mod shutdown;
pub mod telemetry;
mod visible;
pub mod voyages;

mod run;

pub use config::Config;
pub use run::{StartError, Titanic};
