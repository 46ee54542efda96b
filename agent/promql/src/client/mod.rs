//! The one client of servers with Prometheus' query API.
//!
//! It follows no redirects and uses no proxy. One deadline bounds a query, a limit bounds its answer, and no error shows a
//! secret. A partial answer is an error for everyone: half of a sum looks like a good ratio.

mod answer;
mod error;
#[cfg(test)]
mod tests;

use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Certificate, Method, StatusCode};
use url::Url;
use url::form_urlencoded::Serializer;

pub use answer::{Answer, Series};
pub use error::{BuildError, Error, ErrorType};

/// Most bytes of an answer.
pub const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// The address of a server, and the way it is asked.
#[derive(Debug, Clone)]
pub struct Server {
    /// The base URL: all that stands before `/api/v1`.
    pub url: Url,
    /// The deadline of one query.
    pub timeout: Duration,
    /// Headers of every request, with credentials marked as sensitive.
    pub headers: HeaderMap,
    /// Certificates in PEM that are trusted beside the system's.
    pub ca: Option<String>,
    /// True if any certificate is accepted.
    pub insecure: bool,
    /// The name of this program, as servers log it.
    pub user_agent: &'static str,
}

/// A query, and the time it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// PromQL.
    pub query: String,
    /// The time.
    pub when: When,
}

/// The time a query is asked for, in seconds since the epoch.
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

/// A client of one server, on connections that are kept.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    timeout: Duration,
}

impl Client {
    /// Builds a client. The process must have a TLS provider installed before.
    ///
    /// # Errors
    /// Fails when the certificates or the HTTP client cannot be used.
    pub fn new(server: Server) -> Result<Self, BuildError> {
        let mut base = server.url;
        if server.headers.contains_key(AUTHORIZATION) {
            // a name in the URL would take the place of the header; neither call can fail for http and https
            let _ = base.set_password(None);
            let _ = base.set_username("");
        }
        if !base.path().ends_with('/') {
            // without the slash a join would replace the last part of the path
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(server.user_agent)
            .default_headers(server.headers)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(1)
            .tls_danger_accept_invalid_certs(server.insecure);
        if let Some(pem) = &server.ca {
            let certificates = Certificate::from_pem_bundle(pem.as_bytes())?;
            if certificates.is_empty() {
                return Err(BuildError::NoCertificate);
            }
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self { http: builder.build()?, base, timeout: server.timeout })
    }

    /// Asks once, within the deadline.
    ///
    /// # Errors
    /// Fails when there is no answer, or none that may be counted.
    pub async fn query(&self, question: &Question) -> Result<Answer, Error> {
        let answered = tokio::time::timeout(self.timeout, self.read(question)).await;
        answered.unwrap_or(Err(Error::Timeout(self.timeout)))
    }

    async fn read(&self, question: &Question) -> Result<Answer, Error> {
        match self.send(question, Method::POST).await {
            // some proxies in front of a Prometheus let only reads pass
            Err(Error::Status { status: 405 | 501, .. }) => self.send(question, Method::GET).await,
            answered => answered,
        }
    }

    async fn send(&self, question: &Question, method: Method) -> Result<Answer, Error> {
        let (path, form) = encoded(question);
        let mut url = self.base.join(path).map_err(|_| Error::Connect("its URL has no base".to_owned()))?;
        let request = if method == Method::GET {
            url.set_query(Some(&form));
            self.http.get(url)
        } else {
            let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
            url.set_query(None);
            self.http.post(url).header(CONTENT_TYPE, form_type).body(form)
        };
        let sent = request.header(ACCEPT, HeaderValue::from_static("application/json")).send().await;
        let mut response = sent.map_err(Error::of_request)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(Error::of_body)? {
            if body.len().saturating_add(part.len()) > BODY_LIMIT {
                return Err(Error::BodyLimit);
            }
            body.extend_from_slice(&part);
        }
        match status {
            StatusCode::OK => Answer::read(&body),
            status => Err(answer::refusal(status.as_u16(), &body)),
        }
    }
}

/// Path and form of a question.
fn encoded(question: &Question) -> (&'static str, String) {
    let mut form = Serializer::new(String::new());
    form.append_pair("query", &question.query);
    // Thanos answers in part unless told otherwise
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
