//! The document and the page that shows it: made once, without a script and without anything from elsewhere.

use askama::Template;
use axum::Router;
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::operation::Operation;
use crate::telemetry::accept::weight;

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";
/// The page may load its style sheet and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    document: &'a Value,
    operations: &'a [Operation],
    /// The requests that need neither an id nor a body.
    examples: &'a [&'a Operation],
}

impl Page<'_> {
    fn text<'v>(&self, value: &'v Value, pointer: &str) -> &'v str {
        value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    fn items<'v>(&self, value: &'v Value) -> &'v [Value] {
        value.as_array().map_or(&[], Vec::as_slice)
    }

    fn entries<'v>(&self, value: &'v Value) -> Vec<(&'v String, &'v Value)> {
        value.as_object().into_iter().flatten().collect()
    }

    fn pretty(&self, value: &Value) -> String {
        serde_json::to_string_pretty(value).unwrap_or_default()
    }
}

/// Returns the routes of the document, of the page, and of `/`, which is the page for browsers and links for programs.
pub(super) fn routes(document: &Value, operations: &[Operation]) -> Router {
    let is_example = |operation: &&Operation| {
        operation.method == Method::GET
            && operation.path.starts_with("/api/")
            && !operation.path.contains('{')
    };
    let examples: Vec<_> = operations.iter().filter(is_example).collect();
    let page = Page { document, operations, examples: &examples }.render().unwrap_or_default();
    let examples: Vec<_> = examples
        .iter()
        .map(|operation| json!({"path": operation.path, "summary": operation.json["summary"]}))
        .collect();
    let start = json!({
        "title": document["info"]["title"], "version": document["info"]["version"], "examples": examples,
        "links": {"documentation": "/docs", "openapi": "/openapi.json", "readiness": "/readyz"},
    });
    let (html, start, document) = (page.clone(), start.to_string(), document.to_string());
    let landing = async move |headers: HeaderMap| {
        let form = if prefers_html(&headers) { fixed(HTML, &html) } else { fixed(JSON, &start) };
        ([(header::VARY, "accept")], form)
    };
    Router::new()
        .route("/", get(landing))
        .route("/docs", get(async move || fixed(HTML, &page)))
        .route("/docs/style.css", get(async || fixed("text/css; charset=utf-8", include_str!("style.css"))))
        .route("/openapi.json", get(async move || fixed(JSON, &document)))
}

/// Returns whether a client names HTML, and likes it no less than JSON.
fn prefers_html(headers: &HeaderMap) -> bool {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accept = accept.collect::<Vec<_>>().join(",");
    let html = weight(&accept, "text/html");
    html > 0 && html >= weight(&accept, JSON)
}

/// An answer that is the same until the next start.
fn fixed(media_type: &'static str, text: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "public, max-age=300"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
    ];
    (headers, text.to_owned()).into_response()
}
