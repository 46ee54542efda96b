//! The voyages of the ship and their ports of call. The second entity, made by copying the folder of the first.
//!
//! - `domain` is what a voyage and a call are, `store` keeps them in either database, `http` serves them.

pub mod domain;
pub mod http;
mod store;

pub use store::Store;
