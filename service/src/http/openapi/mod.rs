//! The API described to machines: OpenAPI 3.1, put together from what the router was put together from.
//!
//! A route is registered with its description or not at all ([`Described::on`]), and the bounds in the schemas are the
//! constants by which values are checked. Not derived from types: bodies are read by hand so that every field at fault is
//! named, what comes in, what is patched and what goes out differ, and a derive would describe none of the three.

mod operation;
mod page;
mod schemas;

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse as _;
use axum::routing::on;
use serde_json::{Map, Value, json};

pub use self::operation::{Answer, Operation, Verb};

use super::Shared;
use crate::config::Config;

/// Routes and what is said about them.
pub struct Described {
    router: Router<Shared>,
    operations: Vec<Operation>,
}

impl Default for Described {
    fn default() -> Self {
        Self { router: Router::new(), operations: Vec::new() }
    }
}

impl Described {
    /// Adds a route with its description.
    #[must_use]
    pub fn on<H, T>(mut self, operation: Operation, handler: H) -> Self
    where
        H: Handler<T, Shared>,
        T: 'static,
    {
        self.router = self.router.route(operation.path, on(operation.verb.filter(), handler));
        self.operations.push(operation);
        self
    }

    /// Adds the routes of another part.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.operations.extend(other.operations);
        self
    }

    /// Adds the document itself and the page that shows it, and gives out all paths and the routes.
    pub fn complete(self, config: &Config) -> (Vec<&'static str>, Router<Shared>) {
        let json = Operation::new(Verb::Get, "/openapi.json", "description", "This document")
            .tagged("about")
            .answers(Answer::new(200, "OpenAPI 3.1").json(json!({"type": "object"})));
        let html = Operation::new(Verb::Get, "/docs", "documentation", "This document for people")
            .tagged("about")
            .answers(Answer::new(200, "A page").media("text/html", json!({"type": "string"})));
        let css = Operation::new(Verb::Get, "/docs/style.css", "style", "How that page looks")
            .tagged("about")
            .answers(Answer::new(200, "A style sheet").media("text/css", json!({"type": "string"})));
        let operations: Vec<_> = self.operations.iter().chain([&json, &html, &css]).cloned().collect();
        let document = document(&operations, config);
        let text: Arc<str> = serde_json::to_string(&document).unwrap_or_default().into();
        let page: Arc<str> = page::render(&document, &operations).into();
        let paths = operations.iter().map(|operation| operation.path).collect();
        let all = self
            .on(json, async move || fixed("application/json", &text))
            .on(html, async move || fixed("text/html; charset=utf-8", &page))
            .on(css, async || fixed("text/css; charset=utf-8", page::STYLE));
        (paths, all.router)
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

fn document(operations: &[Operation], config: &Config) -> Value {
    let mut paths = Map::new();
    for operation in operations {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.verb.as_str().to_ascii_lowercase(), operation.to_json());
        }
    }
    let server = if config.base_url.is_empty() { "/" } else { config.base_url.as_str() };
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Passengers of the Titanic",
            "version": config.version,
            "description": "Who was aboard and who was saved. Every error is `application/problem+json` (RFC 9457) and names \
                the field at fault. Only what never becomes a request has an answer without a body, after which the connection is \
                closed: 400 for what is not HTTP, 431 for a head of more than 100 fields or 32 KiB.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        },
        "servers": [{"url": server}],
        "tags": [
            {"name": "passengers", "description": "Who was aboard."},
            {"name": "about", "description": "How the service is, and what it offers."}
        ],
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "key": {
                    "type": "http", "scheme": "bearer",
                    "description": "An API key. On somebody's own machine, where none is configured, none is needed."
                }
            }
        }
    })
}
