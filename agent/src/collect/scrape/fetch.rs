//! Reads the metrics endpoint of a neighbour: no redirects, no proxy, one deadline, a bounded body.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, HeaderValue};

use crate::collect::wording::chain;
use crate::spec::Scrape;

/// Bytes of an exposition that are read at most.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// Someone who can read a metrics endpoint.
#[async_trait]
pub trait Fetch: Send + Sync + 'static {
    /// Reads it once, within the deadline of the scrape.
    ///
    /// # Errors
    /// Why there is no exposition.
    async fn fetch(&self, scrape: &Scrape) -> Result<String, FetchError>;
}

/// Why there is no exposition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Nobody answers there.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The deadline passed.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    /// Another status than 200.
    #[error("status {0}, expected 200 (redirects are not followed)")]
    Status(u16),
    /// The answer broke off.
    #[error("the answer broke off: {0}")]
    Read(String),
    /// The body is larger than is read.
    #[error("the body is larger than {BODY_LIMIT} bytes")]
    BodyLimit,
    /// The body is not UTF-8.
    #[error("the body is no text")]
    NoText,
}

impl FetchError {
    /// The value of the label `reason`.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Timeout(_) => "timeout",
            Self::Status(_) => "status",
            Self::Read(_) => "read",
            Self::BodyLimit => "body_limit",
            Self::NoText => "malformed",
        }
    }
}

/// Reads over HTTP, on connections that are kept.
#[derive(Debug, Clone)]
pub struct HttpFetch {
    client: reqwest::Client,
}

impl HttpFetch {
    /// A reader. The process must have a TLS provider installed before.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("lookout/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(1)
            .build()?;
        Ok(Self { client })
    }

    async fn read(&self, scrape: &Scrape) -> Result<String, FetchError> {
        let request = self.client.get(scrape.url.clone());
        let sent = request.header(ACCEPT, HeaderValue::from_static("text/plain;version=0.0.4")).send().await;
        let mut answer = sent.map_err(|error| {
            let connecting = error.is_connect();
            let told = chain(&error.without_url());
            if connecting { FetchError::Connect(told) } else { FetchError::Read(told) }
        })?;
        if answer.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status(answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(part) =
            answer.chunk().await.map_err(|error| FetchError::Read(chain(&error.without_url())))?
        {
            if body.len().saturating_add(part.len()) > BODY_LIMIT {
                return Err(FetchError::BodyLimit);
            }
            body.extend_from_slice(&part);
        }
        String::from_utf8(body).map_err(|_| FetchError::NoText)
    }
}

#[async_trait]
impl Fetch for HttpFetch {
    async fn fetch(&self, scrape: &Scrape) -> Result<String, FetchError> {
        let read = tokio::time::timeout(scrape.timeout, self.read(scrape)).await;
        read.unwrap_or(Err(FetchError::Timeout(scrape.timeout)))
    }
}
