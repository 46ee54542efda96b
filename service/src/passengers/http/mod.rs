//! The HTTP interface of passengers.
//!
//! - `routes`, `import` and `export` handle requests, `idempotency` those that are repeated, `document` describes them.

mod document;
mod export;
mod idempotency;
mod import;
mod lines;
mod routes;

use std::ops::Deref;

use axum::extract::FromRef;

use super::Store;
use crate::http::access::permission;
use crate::http::openapi::Described;
use crate::http::{Parts, Shared};

permission!("Proof that the client may read passengers.", Reader, crate::passengers::READ);
permission!("Proof that the client may change one passenger.", Writer, crate::passengers::WRITE);
permission!("Proof that the client may add many passengers at once.", Importer, crate::passengers::IMPORT);

/// The state of the handlers. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    shared: Shared,
    /// The passengers.
    pub store: Store,
}

impl Deref for Context {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.shared
    }
}

impl FromRef<Context> for Shared {
    fn from_ref(context: &Context) -> Self {
        context.shared.clone()
    }
}

/// Returns the routes with their descriptions and schemas. Their handlers lack their state.
#[must_use]
pub fn described() -> Described<Context> {
    routes::routes().tagged("passengers", "Who was aboard.").schemas(document::schemas())
}

/// Returns the routes with their state.
pub fn routes(shared: &Shared) -> Described {
    described().with_state(Context { shared: shared.clone(), store: Store::new(shared.database.clone()) })
}
