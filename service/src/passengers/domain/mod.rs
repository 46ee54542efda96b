//! The domain of passengers.
//!
//! - `model` and `values` are what a passenger is; `words` are names as search and order see them.
//! - `filter`, `sort` and `stats` are the questions; `seed` is the built-in list.

pub mod filter;
pub mod model;
pub(super) mod seed;
pub mod sort;
pub mod stats;
pub(super) mod values;
pub(super) mod words;
