//! The voyages of the ship and their ports of call. The second entity, made by copying the folder of the first.
//!
//! - `domain` is what a voyage and a call are, `store` keeps them in either database, `http` serves them.

pub mod domain;
pub mod http;
mod store;

use crate::config::Scope;

pub use store::Store;

/// Reading voyages, where anonymous reads are denied.
const READ: Scope = Scope::reading("voyages:read");
/// Adding and removing voyages.
const WRITE: Scope = Scope::changing("voyages:write");

/// The scopes of keys for voyages.
pub const SCOPES: [Scope; 2] = [READ, WRITE];
