//! The passengers: who they are, how they are kept, found, changed and served.
//!
//! - `model` and `values` are what a passenger is; `words` how names are searched and ordered.
//! - `filter`, `sort` and `stats` are the questions; `precondition` is what a client knew when it asked for a change.
//! - `store` keeps them in either database, `seed` is who is aboard at first, `backup` takes everyone out and back in.
//! - `routes` and `import` are what clients see of it; `once` is what they may send again, `document` what they read of it.

pub mod backup;
pub(crate) mod document;
pub mod filter;
mod idempotency;
mod import;
pub mod model;
mod precondition;
pub mod routes;
mod seed;
pub mod sort;
pub mod stats;
mod store;
mod values;
mod words;

pub use store::{Claim, Repeatable, Store, StoreError};
