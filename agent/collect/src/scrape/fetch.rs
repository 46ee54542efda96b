//! Reads the metrics endpoint of a neighbour: no redirects, no proxy, one deadline, a bounded body.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{ACCEPT, HeaderValue};

use crate::wording::chain;
use lookout_config::Scrape;

/// Bytes of an exposition that are read at most.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// Reads metrics endpoints.
#[async_trait]
pub trait Fetch: Send + Sync + 'static {
    /// Reads it once, within the deadline of the scrape.
    ///
    /// # Errors
    /// Returns an error if there is no exposition.
    async fn fetch(&self, scrape: &Scrape) -> Result<String, FetchError>;
}

/// An error that leaves no exposition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The name did not resolve.
    #[error("cannot resolve: {0}")]
    Dns(String),
    /// No connection.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// This machine has no file descriptor left: nothing is known about the neighbour.
    #[error("no connection could be tried: {0}")]
    Resources(String),
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
            Self::Dns(_) => "dns",
            Self::Connect(_) => "connect",
            Self::Resources(_) => "resources",
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
    /// A reader; without `needs_tls` it knows no certificate authority. The process must have a TLS provider installed before.
    ///
    /// # Errors
    /// If the HTTP client cannot be built.
    pub fn new(needs_tls: bool) -> Result<Self, reqwest::Error> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("lookout/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(1);
        if !needs_tls {
            // the machine's authorities cost memory, and a container may have none
            builder = builder.tls_certs_only([]);
        }
        Ok(Self { client: builder.build()? })
    }

    async fn read(&self, scrape: &Scrape) -> Result<String, FetchError> {
        let request = self.client.get(scrape.url.clone());
        let sent = request.header(ACCEPT, HeaderValue::from_static("text/plain;version=0.0.4")).send().await;
        let mut answer = sent.map_err(|error| {
            let (connecting, local) = (error.is_connect(), lacks_files(&error));
            let detail = chain(&error.without_url());
            match connecting {
                _ if local => FetchError::Resources(detail),
                true if detail.contains("dns error") => FetchError::Dns(detail),
                true => FetchError::Connect(detail),
                false => FetchError::Read(detail),
            }
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

/// Returns whether this process or machine has too many open files.
fn lacks_files(error: &reqwest::Error) -> bool {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>()).any(crate::resources::is_exhausted)
}

#[async_trait]
impl Fetch for HttpFetch {
    async fn fetch(&self, scrape: &Scrape) -> Result<String, FetchError> {
        let read = tokio::time::timeout(scrape.timeout, self.read(scrape)).await;
        read.unwrap_or(Err(FetchError::Timeout(scrape.timeout)))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::Router;
    use axum::body::Body;
    use axum::http::{HeaderMap, StatusCode, header};
    use axum::routing::get;
    use tokio::net::TcpListener;

    use super::*;

    async fn neighbour() -> SocketAddr {
        let router = Router::new()
            .route(
                "/metrics",
                get(|headers: HeaderMap| async move {
                    format!("# {}\nrequests_total 1\n", headers[ACCEPT].to_str().unwrap())
                }),
            )
            .route("/moved", get(|| async { (StatusCode::FOUND, [(header::LOCATION, "/metrics")]) }))
            .route("/slow", get(std::future::pending::<String>))
            .route("/huge", get(|| async { Body::from(vec![b'x'; BODY_LIMIT + 1]) }))
            .route("/binary", get(|| async { Body::from(vec![0xff, 0xfe]) }))
            .route(
                "/broken",
                get(|| async { ([(header::CONTENT_LENGTH, "100")], Body::from_stream(half())) }),
            );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn half() -> impl futures_util::Stream<Item = Result<&'static str, std::io::Error>> {
        futures_util::stream::iter([Ok("requests_total 1\n"), Err(std::io::Error::other("gone"))])
    }

    async fn fetch(address: SocketAddr, path: &str) -> Result<String, FetchError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let scrape = Scrape {
            name: "api".to_owned(),
            url: format!("http://{address}{path}").parse().unwrap(),
            timeout: if path == "/slow" { Duration::from_millis(100) } else { Duration::from_secs(20) },
            job: None,
            up: None,
        };
        HttpFetch::new(false).unwrap().fetch(&scrape).await
    }

    #[tokio::test]
    async fn an_exposition_is_read_and_asked_for_as_text() {
        let address = neighbour().await;
        let text = fetch(address, "/metrics").await.unwrap();
        assert_eq!(text, "# text/plain;version=0.0.4\nrequests_total 1\n");
    }

    #[tokio::test]
    async fn every_other_answer_is_an_error_with_its_reason() {
        let address = neighbour().await;
        assert_eq!(fetch(address, "/moved").await, Err(FetchError::Status(302)));
        assert_eq!(fetch(address, "/missing").await, Err(FetchError::Status(404)));
        assert_eq!(fetch(address, "/slow").await, Err(FetchError::Timeout(Duration::from_millis(100))));
        assert_eq!(fetch(address, "/huge").await, Err(FetchError::BodyLimit));
        assert_eq!(fetch(address, "/binary").await, Err(FetchError::NoText));
        assert_eq!(fetch(address, "/broken").await.unwrap_err().reason(), "read");
        let scrape = Scrape {
            name: "api".to_owned(),
            url: "http://no-such-host.invalid/metrics".parse().unwrap(),
            timeout: Duration::from_secs(20),
            job: None,
            up: None,
        };
        assert_eq!(HttpFetch::new(false).unwrap().fetch(&scrape).await.unwrap_err().reason(), "dns");
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let refused = fetch(closed, "/").await.unwrap_err();
        assert_eq!(refused.reason(), "connect");
        assert!(refused.to_string().contains("refused"), "{refused}");
    }
}
