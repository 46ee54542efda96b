//! The passengers. To add another entity, copy this folder and name it in `api`.
//!
//! - `domain` is what a passenger is: values, filters, orders, the built-in list. It knows neither database nor HTTP.
//! - `store` keeps passengers in either database, `http` serves them.

pub mod domain;
pub mod http;
mod store;

use crate::config::Scope;

pub use store::{Page, Repeatable, Repetition, Store, StoreError, prepare};

/// Reading passengers, where anonymous reads are denied.
const READ: Scope = Scope::reading("passengers:read");
/// Adding, changing and removing one passenger.
const WRITE: Scope = Scope::changing("passengers:write");
/// Adding many at once.
const IMPORT: Scope = Scope::changing("passengers:import");

/// The scopes of keys for passengers.
pub const SCOPES: [Scope; 3] = [READ, WRITE, IMPORT];
