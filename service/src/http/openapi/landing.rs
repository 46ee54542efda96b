//! The landing page: where to go from `/`, for people and for programs.

use std::fmt::Write as _;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::operation::Operation;
use super::page::escaped;
use crate::telemetry::accept::weight;

/// The page in both forms.
pub(super) struct Landing {
    html: String,
    json: String,
}

impl Landing {
    /// Makes the page from the document. Its examples are the requests that need neither an id nor a body.
    pub(super) fn new(document: &Value, operations: &[Operation]) -> Self {
        let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let (title, version, about) = (text("/info/title"), text("/info/version"), text("/info/description"));
        let lines = operations.iter().map(Operation::line);
        let examples: Vec<_> = lines
            .filter(|(verb, path, ..)| *verb == "GET" && path.starts_with("/api/") && !path.contains('{'))
            .map(|(_, path, summary, _)| (path, summary))
            .collect();
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>{0}</title>\n\
             <link rel=\"stylesheet\" href=\"/docs/style.css\">\n<h1>{0} <small>{1}</small></h1>\n<p>{2}</p>\n\
             <p><a href=\"/docs\">Documentation</a>, <a href=\"/openapi.json\">OpenAPI</a>, \
             <a href=\"/readyz\">readiness</a></p>\n<h2>Examples</h2>\n<ul>\n",
            escaped(title),
            escaped(version),
            escaped(about),
        );
        for (path, summary) in &examples {
            let (path, summary) = (escaped(path), escaped(summary));
            let _infallible =
                writeln!(html, "<li><a href=\"{path}\"><code>GET {path}</code></a> {summary}</li>");
        }
        html.push_str("</ul>\n");
        let examples: Vec<_> =
            examples.iter().map(|(path, summary)| json!({"path": path, "summary": summary})).collect();
        let json = json!({
            "title": title, "version": version,
            "links": {"documentation": "/docs", "openapi": "/openapi.json", "readiness": "/readyz"},
            "examples": examples,
        });
        Self { html, json: json.to_string() }
    }

    /// Answers with the form that the client prefers: HTML only to a client that names it.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response {
        let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let accept = accept.collect::<Vec<_>>().join(",");
        let (html, json) = (weight(&accept, "text/html"), weight(&accept, "application/json"));
        let mut response = if html > 0 && html >= json {
            super::fixed("text/html; charset=utf-8", &self.html)
        } else {
            super::fixed("application/json", &self.json)
        };
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
        response.into_response()
    }
}
