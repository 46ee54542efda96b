//! The HTTP interface of passengers.
//!
//! - `routes` and `import` handle requests, `idempotency` those that are repeated, `document` describes them.

mod document;
mod export;
mod idempotency;
mod import;
mod routes;

use std::ops::Deref;

use axum::extract::FromRef;

use super::Store;
use crate::http::access::permission;
use crate::http::openapi::Described;
use crate::http::{ApiRoute, Parts, Shared};

permission!("Proof that the client may read passengers.", Reader, Read);
permission!("Proof that the client may change one passenger.", Writer, Write);
permission!("Proof that the client may add many passengers at once.", Importer, Import);

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

/// The routes with the status of their success.
pub const ROUTES: [ApiRoute; 9] = [
    ("/api/v1/passengers", "GET", 200),
    ("/api/v1/passengers", "POST", 201),
    ("/api/v1/passengers/export", "GET", 200),
    ("/api/v1/passengers/import", "POST", 200),
    ("/api/v1/passengers/stats", "GET", 200),
    ("/api/v1/passengers/{id}", "GET", 200),
    ("/api/v1/passengers/{id}", "PUT", 200),
    ("/api/v1/passengers/{id}", "PATCH", 200),
    ("/api/v1/passengers/{id}", "DELETE", 204),
];

/// Returns the routes with their descriptions and schemas.
pub fn routes(shared: &Shared, store: &Store) -> Described {
    let context = Context { shared: shared.clone(), store: store.clone() };
    routes::routes().tagged("passengers", "Who was aboard.").schemas(document::schemas()).with_state(context)
}
