//! The passengers: who they are, how they are kept, found and served.

pub mod filter;
pub mod model;
pub mod routes;
mod seed;
mod store;

pub use store::{Store, StoreError};
