//! The API described to machines: OpenAPI 3.1, put together from what the router was put together from.
//!
//! A route is registered with its description or not at all ([`Described::on`]), and the bounds in the schemas are the
//! constants by which values are checked. Not derived from types: bodies are read by hand so that every field at fault is
//! named, what comes in, what is patched and what goes out differ, and a derive would describe none of the three.

mod landing;
mod operation;
mod page;
pub(crate) mod schemas;

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::IntoResponse as _;
use axum::routing::{MethodFilter, on};
use serde_json::{Map, Value, json};

pub use self::operation::{Answer, Operation};

use self::landing::Landing;
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
    tags: Vec<(&'static str, &'static str)>,
    schemas: Map<String, Value>,
}

impl<S: Clone + Send + Sync + 'static> Default for Described<S> {
    fn default() -> Self {
        Self { router: Router::new(), operations: Vec::new(), tags: Vec::new(), schemas: Map::new() }
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
    pub fn tagged(mut self, tag: &'static str, about: &'static str) -> Self {
        self.operations = self.operations.into_iter().map(|operation| operation.tagged(tag)).collect();
        self.with_tag(tag, about)
    }

    fn with_tag(mut self, tag: &'static str, about: &'static str) -> Self {
        if !self.tags.iter().any(|(known, _)| *known == tag) {
            self.tags.push((tag, about));
        }
        self
    }

    /// Adds named schemas.
    #[must_use]
    pub fn schemas(mut self, schemas: Map<String, Value>) -> Self {
        self.schemas.extend(schemas);
        self
    }

    /// Returns the routes with the status of their success.
    #[must_use]
    pub fn api_routes(&self) -> Vec<ApiRoute> {
        self.operations.iter().map(Operation::route).collect()
    }

    /// Gives the handlers their state.
    pub fn with_state(self, state: S) -> Described {
        let Self { router, operations, tags, schemas } = self;
        Described { router: router.with_state(state), operations, tags, schemas }
    }
}

impl Described {
    /// Adds the routes of another part.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.operations.extend(other.operations);
        for (tag, about) in other.tags {
            self = self.with_tag(tag, about);
        }
        self.schemas(other.schemas)
    }

    /// Adds the document itself and the page that shows it, and returns the routes.
    pub fn complete(self, config: &Config, info: Info) -> Router {
        let json = Operation::new(Method::GET, "/openapi.json", "description", "This document")
            .tagged("about")
            .answers(Answer::new(200, "OpenAPI 3.1").json(json!({"type": "object"})));
        let html = Operation::new(Method::GET, "/docs", "documentation", "This document for people")
            .tagged("about")
            .answers(Answer::new(200, "A page").media("text/html", json!({"type": "string"})));
        let css = Operation::new(Method::GET, "/docs/style.css", "style", "How that page looks")
            .tagged("about")
            .answers(Answer::new(200, "A style sheet").media("text/css", json!({"type": "string"})));
        let landing =
            Operation::new(Method::GET, "/", "landing", "Where to go from here").tagged("about").answers(
                Answer::new(200, "Links and examples; HTML for a client that names it in `Accept`.")
                    .json(json!({"type": "object"}))
                    .media("text/html", json!({"type": "string"})),
            );
        let operations: Vec<_> =
            self.operations.iter().chain([&landing, &json, &html, &css]).cloned().collect();
        let document = self.document(&operations, config, info);
        let text: Arc<str> = serde_json::to_string(&document).unwrap_or_default().into();
        let page: Arc<str> = page::render(&document, &operations).into();
        let start = Arc::new(Landing::new(&document, &operations));
        let all = self
            .on(landing, async move |headers: HeaderMap| start.answer(&headers))
            .on(json, async move || fixed("application/json", &text))
            .on(html, async move || fixed("text/html; charset=utf-8", &page))
            .on(css, async || fixed("text/css; charset=utf-8", page::STYLE));
        all.router
    }

    fn document(&self, operations: &[Operation], config: &Config, info: Info) -> Value {
        let mut paths = Map::new();
        for operation in operations {
            let path = paths.entry(operation.path).or_insert_with(|| json!({}));
            if let Some(path) = path.as_object_mut() {
                path.insert(operation.method.as_str().to_ascii_lowercase(), operation.to_json());
            }
        }
        let tags: Vec<_> =
            self.tags.iter().map(|(name, about)| json!({"name": name, "description": about})).collect();
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
            "tags": tags,
            "paths": paths,
            "components": {
                "schemas": schemas,
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

/// An answer that is the same until the next start. The page may load its style sheet and nothing else.
fn fixed(media_type: &'static str, text: &str) -> axum::response::Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
            ),
        ),
    ];
    (headers, text.to_owned()).into_response()
}
