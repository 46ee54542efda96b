//! The HTTP interface of passengers.
//!
//! - `routes`, `import` and `export` handle requests, `idempotency` those that are repeated, `document` describes them.

mod document;
mod export;
mod idempotency;
mod import;
mod routes;

use super::Store;
use crate::http::access::permission;
use crate::http::openapi::Described;
use crate::http::{Entity, Shared};

permission!("Proof that the client may read passengers.", Reader, crate::passengers::READ);
permission!("Proof that the client may change one passenger.", Writer, crate::passengers::WRITE);
permission!("Proof that the client may add many passengers at once.", Importer, crate::passengers::IMPORT);

/// The state of the handlers.
type Context = Entity<Store>;

/// Returns the routes with their descriptions and schemas. Their handlers lack their state.
#[must_use]
pub fn described() -> Described<Context> {
    routes::routes().tagged("passengers").schemas(document::schemas())
}

/// Returns the routes with their state.
pub fn routes(shared: &Shared) -> Described {
    described().with_state(Entity::new(shared, Store::new))
}
