//! The API described to machines: OpenAPI 3.1, put together from what the router was put together from.
//!
//! A route is registered with its description or not at all ([`Described::on`]), and the bounds in the schemas are the
//! constants by which values are checked. Not derived from types: bodies are read by hand so that every field at fault is
//! named, what comes in, what is patched and what goes out differ, and a derive would describe none of the three. Macros of
//! utoipa would say as much about each route as is said here, in attributes.
#![expect(
    clippy::indexing_slicing,
    reason = "parts of JSON objects of our own: one that is missing is added"
)]

mod operation;
mod page;
pub(crate) mod schemas;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, on};
use serde_json::{Map, Value, json};

pub use self::operation::{Answer, Operation};

use super::ApiRoute;
use crate::config::Config;

/// The title and the description of an API.
#[derive(Debug, Clone, Copy)]
pub struct Info {
    /// Its title.
    pub title: &'static str,
    /// Its description.
    pub description: &'static str,
}

/// Routes with their descriptions.
pub struct Described<S = ()> {
    router: Router<S>,
    operations: Vec<Operation>,
    schemas: Map<String, Value>,
}

impl<S: Clone + Send + Sync + 'static> Default for Described<S> {
    fn default() -> Self {
        Self { router: Router::new(), operations: Vec::new(), schemas: Map::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> Described<S> {
    /// Adds a route with its description.
    #[must_use]
    pub fn on<H, T>(mut self, operation: Operation, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        // Every method that has a filter can be described.
        if let Ok(filter) = MethodFilter::try_from(operation.method.clone()) {
            self.router = self.router.route(operation.path, on(filter, handler));
            self.operations.push(operation);
        }
        self
    }

    /// Puts all routes so far under a heading.
    #[must_use]
    pub fn tagged(mut self, tag: &str) -> Self {
        self.operations.iter_mut().for_each(|operation| operation.tag(tag));
        self
    }

    /// Adds named schemas.
    #[must_use]
    pub fn schemas(mut self, schemas: Value) -> Self {
        self.schemas.extend(schemas::map(schemas));
        self
    }

    /// Returns the routes with the status of their success.
    #[must_use]
    pub fn api_routes(&self) -> Vec<ApiRoute> {
        self.operations.iter().map(Operation::route).collect()
    }

    /// Gives the handlers their state.
    pub fn with_state(self, state: S) -> Described {
        let Self { router, operations, schemas } = self;
        Described { router: router.with_state(state), operations, schemas }
    }
}

impl Described {
    /// Adds the routes of another part.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.operations.extend(other.operations);
        self.schemas.extend(other.schemas);
        self
    }

    /// Adds the document itself and the page that shows it, and returns the routes.
    pub fn complete(self, config: &Config, info: Info) -> Router {
        let document = self.document(config, info);
        let pages = page::routes(&document, &self.operations);
        self.router.merge(pages)
    }

    fn document(&self, config: &Config, info: Info) -> Value {
        let mut paths = json!({});
        for operation in &self.operations {
            paths[operation.path][operation.method.as_str().to_ascii_lowercase()] = operation.json.clone();
        }
        let mut schemas = schemas::shared();
        schemas.extend(self.schemas.clone());
        let server = if config.base_url.is_empty() { "/" } else { config.base_url.as_str() };
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": info.title,
                "version": config.version,
                "description": info.description,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}
            },
            "servers": [{"url": server}],
            "paths": paths,
            "components": {
                "schemas": schemas,
                "responses": schemas::problems(),
                "securitySchemes": {
                    "key": {
                        "type": "http", "scheme": "bearer",
                        "description": "An API key. On somebody's own machine, where none is configured, none is needed."
                    }
                }
            }
        })
    }
}
