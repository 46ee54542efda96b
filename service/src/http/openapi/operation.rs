//! The description of one route: its parameters, and every response it may give.

use axum::http::Method;
use serde_json::{Value, json};

use crate::config::Scope;
use crate::http::ApiRoute;
use crate::http::metrics::method_label;

/// A route as described.
#[derive(Debug, Clone)]
pub struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    success: u16,
    pub(super) json: Value,
}

/// One of the answers of a route.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    json: Value,
}

impl Answer {
    /// An answer without a body.
    #[must_use]
    pub fn new(status: u16, about: &str) -> Self {
        Self { status, json: json!({"description": about}) }
    }

    /// A body.
    #[must_use]
    pub fn media(mut self, media_type: &str, schema: Value) -> Self {
        self.json["content"][media_type]["schema"] = schema;
        self
    }

    /// A body in JSON.
    #[must_use]
    pub fn json(self, schema: Value) -> Self {
        self.media("application/json", schema)
    }

    /// A field that is always there.
    #[must_use]
    pub fn header(mut self, name: &str, about: &str) -> Self {
        self.json["headers"][name] =
            json!({"description": about, "required": true, "schema": {"type": "string"}});
        self
    }

    /// A field that may be there.
    #[must_use]
    pub fn may_have(mut self, name: &str, about: &str) -> Self {
        self = self.header(name, about);
        self.json["headers"][name]["required"] = false.into();
        self
    }

    /// Adds links to operations that take the id of this response.
    #[must_use]
    pub fn leads_to(mut self, operations: &[&str]) -> Self {
        for id in operations {
            self.json["links"][id] = json!({"operationId": id, "parameters": {"id": "$response.body#/id"}});
        }
        self
    }
}

impl Operation {
    /// Describes an operation. Every route that is no probe may be rejected by a limit.
    #[must_use]
    pub fn new(method: Method, path: &'static str, id: &str, summary: &str) -> Self {
        let json = json!({
            "operationId": id, "summary": summary, "tags": ["about"], "security": [], "parameters": []
        });
        let operation = Self { method, path, success: 200, json };
        if crate::http::probe_routes::is_probe(path) {
            operation
        } else {
            operation.refuses(&[421, 500, 503])
        }
    }

    pub(super) fn tag(&mut self, tag: &str) {
        self.json["tags"] = json!([tag]);
    }

    /// Adds a description.
    #[must_use]
    pub fn details(mut self, details: &str) -> Self {
        self.json["description"] = details.into();
        self
    }

    /// Sets the required scope.
    #[must_use]
    pub fn needs(mut self, scope: Scope) -> Self {
        self.json["security"] = json!([{"key": [scope.as_str()]}]);
        self.refuses(&[401, 403, 507])
    }

    /// Sets the scope that reading needs where anonymous reads are denied: the first alternative needs none.
    #[must_use]
    pub fn reads(mut self, scope: Scope) -> Self {
        self.json["security"] = json!([{}, {"key": [scope.as_str()]}]);
        self.refuses(&[401, 403])
    }

    /// Adds path, query or header parameters.
    #[must_use]
    pub fn parameters(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        if let Some(all) = self.json["parameters"].as_array_mut() {
            all.extend(parameters);
        }
        self
    }

    /// Sets the request body.
    #[must_use]
    pub fn body(mut self, media_type: &str, schema: Value) -> Self {
        self.json["requestBody"] = json!({"required": true, "content": {media_type: {"schema": schema}}});
        self.refuses(&[400, 408, 413, 415])
    }

    /// Adds a response.
    #[must_use]
    pub fn answers(mut self, answer: Answer) -> Self {
        if (200..300).contains(&answer.status) {
            self.success = answer.status;
        }
        self.json["responses"][answer.status.to_string()] = answer.json;
        self
    }

    /// Adds problem responses.
    #[must_use]
    pub fn refuses(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            self.json["responses"][status.to_string()] =
                json!({"$ref": format!("#/components/responses/{status}")});
        }
        self
    }

    /// Returns the path, the method and the status of success.
    pub(super) fn route(&self) -> ApiRoute {
        (self.path, method_label(&self.method), self.success)
    }
}
