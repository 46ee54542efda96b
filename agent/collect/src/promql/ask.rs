//! Asks over HTTP: no redirects, no proxy, one deadline, a bounded body, and never a secret in an error.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Method, StatusCode};
use url::form_urlencoded::Serializer;

use super::answer::{Answer, complaint};
use crate::wording::chain;
use lookout_config::{Credentials, Prometheus};

/// Bytes of an answer that are read at most.
pub(super) const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// PromQL.
    pub query: String,
    /// For when.
    pub when: When,
}

/// For when something is asked, in seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At one instant.
    At(i64),
    /// At every step from the first to the last.
    Every {
        /// The first instant.
        first: i64,
        /// The last one at most.
        last: i64,
        /// Seconds between instants.
        step: i64,
    },
}

/// Someone who can ask a server with Prometheus' query API.
#[async_trait]
pub trait Ask: Send + Sync + 'static {
    /// Asks once, within the deadline of the server.
    ///
    /// # Errors
    /// Why there is no answer, or none that may be counted.
    async fn ask(&self, server: &Prometheus, question: &Question) -> Result<Answer, AskError>;
}

/// Why there is no answer that may be counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Nobody answers there.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The deadline passed.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    /// Another status than 200.
    #[error("status {status}, expected 200 (redirects are not followed){}", after(.message))]
    Status {
        /// The status.
        status: u16,
        /// What the server said, or nothing.
        message: String,
    },
    /// The answer broke off.
    #[error("the answer broke off: {0}")]
    Read(String),
    /// The body is larger than is read.
    #[error("the answer is larger than {BODY_LIMIT} bytes")]
    BodyLimit,
    /// The body is no answer of a query API.
    #[error("this is no answer of a query API: {0}")]
    Malformed(String),
    /// The server understood and refused.
    #[error("the server refuses the query ({kind}): {message}")]
    Refused {
        /// Prometheus' word for it, like `bad_data`.
        kind: String,
        /// What the server said.
        message: String,
    },
    /// A part of the data is missing.
    #[error("a part of the data is missing: {0}")]
    Partial(String),
}

fn after(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl AskError {
    /// The value of the label `reason`.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Timeout(_) => "timeout",
            Self::Status { .. } => "status",
            Self::Read(_) => "read",
            Self::BodyLimit => "body_limit",
            Self::Malformed(_) => "malformed",
            Self::Refused { .. } => "refused",
            Self::Partial(_) => "partial",
        }
    }

    /// Whether the query is the trouble, and others may do better.
    pub(super) const fn is_of_the_query(&self) -> bool {
        matches!(self, Self::BodyLimit | Self::Refused { .. })
    }

    /// Whether asking for a shorter span may help.
    pub(super) fn is_of_the_size(&self) -> bool {
        match self {
            Self::BodyLimit | Self::Timeout(_) | Self::Read(_) => true,
            Self::Refused { kind, .. } => kind != "bad_data",
            _ => false,
        }
    }
}

/// Why a server of the config cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The HTTP client cannot be built.
    #[error("preparing the client for the Prometheus {name}")]
    Build {
        /// The server.
        name: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The file of certificates holds none.
    #[error("the ca_file of the Prometheus {name} holds no certificate in PEM")]
    NoCertificate {
        /// The server.
        name: String,
    },
}

/// Asks over HTTP, on connections that are kept.
#[derive(Debug, Clone)]
pub struct HttpAsk {
    clients: HashMap<String, reqwest::Client>,
}

impl HttpAsk {
    /// One client per server. The process must have a TLS provider installed before.
    ///
    /// # Errors
    /// When a client cannot be built.
    pub fn new(servers: &[Prometheus]) -> Result<Self, ClientError> {
        let clients = servers.iter().map(|server| Ok((server.name.clone(), client(server)?)));
        Ok(Self { clients: clients.collect::<Result<_, ClientError>>()? })
    }

    async fn read(&self, server: &Prometheus, question: &Question) -> Result<Answer, AskError> {
        match self.send(server, question, Method::POST).await {
            // some proxies in front of a Prometheus let only reads pass
            Err(AskError::Status { status: 405 | 501, .. }) => self.send(server, question, Method::GET).await,
            answered => answered,
        }
    }

    async fn send(
        &self,
        server: &Prometheus,
        question: &Question,
        method: Method,
    ) -> Result<Answer, AskError> {
        let client = self.clients.get(&server.name);
        let client = client.ok_or_else(|| AskError::Connect("the server is not configured".to_owned()))?;
        let (path, form) = encoded(question);
        let mut url =
            server.url.join(path).map_err(|_| AskError::Connect("its URL has no base".to_owned()))?;
        let request = if method == Method::GET {
            url.set_query(Some(&form));
            client.get(url)
        } else {
            let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
            client.post(url).header(CONTENT_TYPE, form_type).body(form)
        };
        let request = request.header(ACCEPT, HeaderValue::from_static("application/json"));
        let request = match &server.credentials {
            Credentials::None => request,
            Credentials::Bearer(token) => request.bearer_auth(token.reveal()),
            Credentials::Basic { username, password } => {
                request.basic_auth(username, Some(password.reveal()))
            }
        };
        let sent = request.send().await;
        let mut answer = sent.map_err(|error| {
            let connecting = error.is_connect();
            let told = chain(&error.without_url());
            if connecting { AskError::Connect(told) } else { AskError::Read(told) }
        })?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(part) =
            answer.chunk().await.map_err(|error| AskError::Read(chain(&error.without_url())))?
        {
            if body.len().saturating_add(part.len()) > BODY_LIMIT {
                return Err(AskError::BodyLimit);
            }
            body.extend_from_slice(&part);
        }
        if status == StatusCode::OK {
            return Answer::read(&body);
        }
        let (kind, message) = complaint(&body).unwrap_or_default();
        // 400 and 422 are Prometheus' words for a query it cannot answer
        if matches!(status.as_u16(), 400 | 422) && !kind.is_empty() {
            return Err(AskError::Refused { kind, message });
        }
        Err(AskError::Status { status: status.as_u16(), message })
    }
}

fn client(server: &Prometheus) -> Result<reqwest::Client, ClientError> {
    let failed = |source| ClientError::Build { name: server.name.clone(), source };
    let mut headers = HeaderMap::new();
    for (name, value) in &server.headers {
        // both were checked when the config was read
        if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(value.reveal()))
        {
            value.set_sensitive(true);
            headers.append(name, value);
        }
    }
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("lookout/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(1)
        .tls_danger_accept_invalid_certs(server.insecure);
    if let Some(pem) = &server.ca {
        let certificates = Certificate::from_pem_bundle(pem.as_bytes()).map_err(failed)?;
        if certificates.is_empty() {
            return Err(ClientError::NoCertificate { name: server.name.clone() });
        }
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(failed)
}

/// Path and form of a question.
fn encoded(question: &Question) -> (&'static str, String) {
    let mut form = Serializer::new(String::new());
    form.append_pair("query", &question.query);
    // Thanos would rather answer in part than not at all
    form.append_pair("partial_response", "false");
    let path = match question.when {
        When::At(at) => {
            form.append_pair("time", &at.to_string());
            "api/v1/query"
        }
        When::Every { first, last, step } => {
            form.append_pair("start", &first.to_string());
            form.append_pair("end", &last.to_string());
            form.append_pair("step", &step.to_string());
            "api/v1/query_range"
        }
    };
    (path, form.finish())
}

#[async_trait]
impl Ask for HttpAsk {
    async fn ask(&self, server: &Prometheus, question: &Question) -> Result<Answer, AskError> {
        let answered = tokio::time::timeout(server.timeout, self.read(server, question)).await;
        answered.unwrap_or(Err(AskError::Timeout(server.timeout)))
    }
}

#[cfg(test)]
mod tests;
