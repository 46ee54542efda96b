//! The description of one route: its parameters, and every response it may give.

use axum::http::Method;
use serde_json::{Map, Value, json};

use crate::config::Scope;
use crate::http::ApiRoute;
use crate::http::metrics::method_label;

/// A route as described.
#[derive(Debug, Clone)]
pub struct Operation {
    pub(super) method: Method,
    pub(super) path: &'static str,
    id: &'static str,
    summary: &'static str,
    details: Option<&'static str>,
    tag: &'static str,
    scope: Option<Scope>,
    /// True if a service may do without the scope.
    anonymous: bool,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Vec<Answer>,
}

/// One of the answers of a route.
#[derive(Debug, Clone)]
pub struct Answer {
    status: u16,
    about: &'static str,
    headers: Map<String, Value>,
    content: Option<Value>,
    links: Map<String, Value>,
}

impl Answer {
    /// An answer without a body.
    #[must_use]
    pub fn new(status: u16, about: &'static str) -> Self {
        Self { status, about, headers: Map::new(), content: None, links: Map::new() }
    }

    /// A body.
    #[must_use]
    pub fn media(mut self, media_type: &str, schema: Value) -> Self {
        let mut content = self.content.take().unwrap_or_else(|| json!({}));
        if let Some(content) = content.as_object_mut() {
            content.insert(media_type.to_owned(), json!({"schema": schema}));
        }
        self.content = Some(content);
        self
    }

    /// A body in JSON.
    #[must_use]
    pub fn json(self, schema: Value) -> Self {
        self.media("application/json", schema)
    }

    /// A field that is always there.
    #[must_use]
    pub fn header(self, name: &str, about: &str) -> Self {
        self.field(name, about, true)
    }

    /// A field that may be there.
    #[must_use]
    pub fn may_have(self, name: &str, about: &str) -> Self {
        self.field(name, about, false)
    }

    fn field(mut self, name: &str, about: &str, required: bool) -> Self {
        let header = json!({"description": about, "required": required, "schema": {"type": "string"}});
        self.headers.insert(name.to_owned(), header);
        self
    }

    /// Adds links to operations that take the id of this response.
    #[must_use]
    pub fn leads_to(mut self, operations: &[&str]) -> Self {
        for id in operations {
            let link = json!({"operationId": id, "parameters": {"id": "$response.body#/id"}});
            self.links.insert((*id).to_owned(), link);
        }
        self
    }

    fn to_json(&self) -> Value {
        let mut answer = Map::from_iter([(String::from("description"), json!(self.about))]);
        if !self.headers.is_empty() {
            answer.insert(String::from("headers"), Value::Object(self.headers.clone()));
        }
        if let Some(content) = &self.content {
            answer.insert(String::from("content"), content.clone());
        }
        if !self.links.is_empty() {
            answer.insert(String::from("links"), Value::Object(self.links.clone()));
        }
        Value::Object(answer)
    }
}

/// Describes a problem response. Several problems may share a status, so this is no problem title.
fn about_problem(status: u16) -> &'static str {
    match status {
        400 => "A parameter, a header or the body cannot be read; the fields at fault are named.",
        401 => "An API key is needed, or the one that was sent is not known.",
        403 => "The API key does not go so far, or nobody may change anything here.",
        404 => "There is no such resource.",
        408 => "The body did not come in time.",
        409 => "Another request came first; try again in a little while.",
        412 => "The resource is in another state than `If-Match` or `If-None-Match` wants.",
        413 => "The body is too large.",
        415 => "The body is of another media type.",
        421 => "The service does not answer under this host.",
        422 => "The body can be read but not used; the fields at fault are named.",
        429 => "Too many requests of this client; `Retry-After` says when to come again.",
        500 => "Our fault. Quote the request id when you report it.",
        507 => "The database has no space left; nothing was changed.",
        _ => "Too busy, too slow, or the database is unavailable or read-only; try again in a little while.",
    }
}

impl Operation {
    /// Describes an operation. Every route that is no probe may be rejected by a limit.
    #[must_use]
    pub fn new(method: Method, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        let operation = Self {
            method,
            path,
            id,
            summary,
            details: None,
            tag: "about",
            scope: None,
            anonymous: false,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
        };
        if crate::http::probe_routes::is_probe(path) {
            operation
        } else {
            operation.refuses(&[421, 429, 500, 503])
        }
    }

    /// Sets the heading of the operation.
    #[must_use]
    pub fn tagged(mut self, tag: &'static str) -> Self {
        self.tag = tag;
        self
    }

    /// Adds a description.
    #[must_use]
    pub fn details(mut self, details: &'static str) -> Self {
        self.details = Some(details);
        self
    }

    /// Sets the required scope.
    #[must_use]
    pub fn needs(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self.refuses(&[401, 403, 507])
    }

    /// Sets the scope that reading needs where anonymous reads are denied.
    #[must_use]
    pub fn reads(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self.anonymous = true;
        self.refuses(&[401, 403])
    }

    /// Adds path, query or header parameters.
    #[must_use]
    pub fn parameters(mut self, parameters: impl IntoIterator<Item = Value>) -> Self {
        self.parameters.extend(parameters);
        self
    }

    /// Sets the request body.
    #[must_use]
    pub fn body(mut self, media_type: &str, schema: Value) -> Self {
        self.body = Some(json!({"required": true, "content": {media_type: {"schema": schema}}}));
        self.refuses(&[400, 408, 413, 415])
    }

    /// Adds a response.
    #[must_use]
    pub fn answers(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// Adds problem responses.
    #[must_use]
    pub fn refuses(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            let schema = json!({"$ref": "#/components/schemas/Problem"});
            let problem =
                Answer::new(*status, about_problem(*status)).media("application/problem+json", schema);
            self.answers.push(match *status {
                401 => problem.header("www-authenticate", "What would do (RFC 6750)."),
                429 => problem.header("retry-after", "Seconds until there is room for one more."),
                409 | 503 => problem.may_have("retry-after", "Seconds until trying again makes sense."),
                _ => problem,
            });
        }
        self
    }

    /// Returns the path, the method and the status of success.
    pub(super) fn route(&self) -> ApiRoute {
        let mut statuses = self.answers.iter().map(|answer| answer.status);
        let success = statuses.find(|status| (200..300).contains(status)).unwrap_or(200);
        (self.path, method_label(&self.method), success)
    }

    /// The method, the path, what it is about, and the statuses it may answer with.
    pub(super) fn line(&self) -> (&str, &'static str, &'static str, Vec<u16>) {
        let mut statuses: Vec<_> = self.answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        statuses.dedup();
        (self.method.as_str(), self.path, self.summary, statuses)
    }

    /// Returns the requirement of a key. An empty alternative means that a service may also do without.
    fn security(&self) -> Value {
        match self.scope {
            None => json!([]),
            Some(scope) if self.anonymous => json!([{}, {"key": [scope.as_str()]}]),
            Some(scope) => json!([{"key": [scope.as_str()]}]),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let answers: Map<_, _> =
            self.answers.iter().map(|answer| (answer.status.to_string(), answer.to_json())).collect();
        let mut operation = json!({
            "operationId": self.id, "summary": self.summary, "tags": [self.tag], "responses": answers,
            "security": self.security(),
        });
        if let Some(operation) = operation.as_object_mut() {
            if let Some(details) = self.details {
                operation.insert(String::from("description"), json!(details));
            }
            if !self.parameters.is_empty() {
                operation.insert(String::from("parameters"), json!(self.parameters));
            }
            if let Some(body) = &self.body {
                operation.insert(String::from("requestBody"), body.clone());
            }
        }
        operation
    }
}
