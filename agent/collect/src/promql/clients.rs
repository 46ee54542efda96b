//! The client of each server of the config.

use std::collections::HashMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lookout_config::{Credentials, Prometheus};
use lookout_promql::client::{Answer, BuildError, Client, Error, Question, Server};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

/// Client of servers with the query API of Prometheus.
#[async_trait]
pub trait QueryApi: Send + Sync + 'static {
    /// Asks once, within the deadline of the server.
    ///
    /// # Errors
    /// If there is no answer, or none that may be counted.
    async fn query(&self, server: &Prometheus, question: &Question) -> Result<Answer, Error>;
}

/// The reason why a server of the config cannot be asked at all.
#[derive(Debug, thiserror::Error)]
#[error("preparing the client for the Prometheus {name}")]
pub struct ClientError {
    /// The server.
    name: String,
    /// The cause.
    #[source]
    source: BuildError,
}

/// Asks over HTTP, on connections that are kept.
#[derive(Debug, Clone)]
pub struct HttpQueryApi {
    clients: HashMap<String, Client>,
}

impl HttpQueryApi {
    /// One client per server. The process must have a TLS provider installed before.
    ///
    /// # Errors
    /// If a client cannot be built.
    pub fn new(servers: &[Prometheus]) -> Result<Self, ClientError> {
        let client = |server: &Prometheus| match Client::new(access(server)) {
            Ok(client) => Ok((server.name.clone(), client)),
            Err(source) => Err(ClientError { name: server.name.clone(), source }),
        };
        Ok(Self { clients: servers.iter().map(client).collect::<Result<_, _>>()? })
    }
}

#[async_trait]
impl QueryApi for HttpQueryApi {
    async fn query(&self, server: &Prometheus, question: &Question) -> Result<Answer, Error> {
        match self.clients.get(&server.name) {
            Some(client) => client.query(question).await,
            None => Err(Error::Connect("the server is not configured".to_owned())),
        }
    }
}

/// A server of the config as the client takes it.
fn access(server: &Prometheus) -> Server {
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, value: &str| {
        // both were checked when the config was read
        if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            value.set_sensitive(true);
            headers.append(name, value);
        }
    };
    match &server.credentials {
        Credentials::None => {}
        Credentials::Bearer(token) => add(AUTHORIZATION.as_str(), &format!("Bearer {}", token.reveal())),
        Credentials::Basic { username, password } => {
            let pair = STANDARD.encode(format!("{username}:{}", password.reveal()));
            add(AUTHORIZATION.as_str(), &format!("Basic {pair}"));
        }
    }
    for (name, value) in &server.headers {
        add(name, value.reveal());
    }
    Server {
        url: server.url.clone(),
        timeout: server.timeout,
        headers,
        ca: server.ca.clone(),
        insecure: server.insecure,
        user_agent: concat!("lookout/", env!("CARGO_PKG_VERSION")),
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use lookout_config::Secret;
    use lookout_engine::Window;

    use super::*;

    fn server(credentials: Credentials) -> Prometheus {
        Prometheus {
            name: "main".to_owned(),
            url: "http://127.0.0.1:1/base/".parse().unwrap(),
            timeout: Duration::from_secs(1),
            scrape_interval: Duration::from_secs(15),
            delay: Duration::from_secs(20),
            window: Window::minutes(1),
            credentials,
            headers: vec![("X-Scope-OrgID".to_owned(), Secret::new("passengers"))],
            ca: None,
            insecure: false,
            dialect: lookout_promql::query::Dialect::PromQl,
        }
    }

    #[test]
    fn credentials_become_headers_that_are_never_shown() {
        let secret = || Secret::new("hunter2");
        let basic = Credentials::Basic { username: "lookout".to_owned(), password: secret() };
        for (credentials, expected) in
            [(Credentials::Bearer(secret()), "Bearer hunter2"), (basic, "Basic bG9va291dDpodW50ZXIy")]
        {
            let access = access(&server(credentials));
            assert_eq!(access.headers[AUTHORIZATION], expected);
            assert_eq!(access.headers["x-scope-orgid"], "passengers");
            let shown = format!("{access:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("bG9va291dDpodW50ZXIy"), "{shown}");
        }
        assert!(!access(&server(Credentials::None)).headers.contains_key(AUTHORIZATION));
    }

    #[test]
    fn a_file_without_certificates_is_refused_with_the_name_of_its_server() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = Prometheus { ca: Some("none".to_owned()), ..server(Credentials::None) };
        let error = HttpQueryApi::new(&[server]).unwrap_err();
        assert_eq!(error.to_string(), "preparing the client for the Prometheus main");
    }
}
