//! The API server of Kubernetes: one kind of request, with plain HTTP.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use lookout_config::EndpointSlices;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Certificate, Client, StatusCode};
use serde::Deserialize;
use url::Url;

use super::DiscoveryError;
use super::slice::{Slice, SliceList};
use crate::wording::{bounded, chain};

/// Slices of a page, pages of a list, and bytes of a page at most.
const PAGE: usize = 100;
const MOST_PAGES: usize = 20;
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// Most bytes of a file of the service account.
const FILE_LIMIT: u64 = 256 * 1024;

/// Letters of an explanation that are kept.
const MESSAGE: usize = 200;

/// The API server.
pub(super) struct Api {
    source: EndpointSlices,
    /// The client, and the certificate authorities it was made for.
    client: Mutex<Option<(Vec<u8>, Client)>>,
}

/// Files of the service account as they are now.
struct Account {
    namespace: String,
    token: Option<HeaderValue>,
    authorities: Vec<u8>,
}

/// Explanation of an error, as the API gives it.
#[derive(Deserialize)]
struct Status {
    message: String,
}

impl Api {
    pub(super) const fn new(source: EndpointSlices) -> Self {
        Self { source, client: Mutex::new(None) }
    }

    /// Lists the slices, page by page.
    pub(super) async fn list(&self) -> Result<Vec<Slice>, DiscoveryError> {
        let missing = || {
            let message = "no API server is known: KUBERNETES_SERVICE_HOST is not set; write `server`";
            DiscoveryError::Setting(message.to_owned())
        };
        let server = self.source.server.clone().ok_or_else(missing)?;
        let source = self.source.clone();
        let reading = tokio::task::spawn_blocking(move || Account::read(&source));
        let account = reading
            .await
            .map_err(|error| DiscoveryError::Setting(format!("reading the account broke: {error}")))??;
        let client = self.client(&account.authorities)?;
        let url = slices_url(server, &account.namespace);
        let (mut slices, mut next) = (Vec::new(), None);
        for _ in 0..MOST_PAGES {
            let page = self.page(&client, &url, account.token.as_ref(), next.as_deref()).await?;
            slices.extend(page.items);
            next = page.metadata.next.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(slices);
            }
        }
        let most = PAGE * MOST_PAGES;
        Err(DiscoveryError::Malformed(format!("more than {most} slices: write a narrower selector")))
    }

    async fn page(
        &self,
        client: &Client,
        url: &Url,
        token: Option<&HeaderValue>,
        next: Option<&str>,
    ) -> Result<SliceList, DiscoveryError> {
        let mut url = url.clone();
        url.query_pairs_mut()
            .append_pair("labelSelector", &self.source.selector)
            .append_pair("limit", &PAGE.to_string())
            .extend_pairs(next.map(|token| ("continue", token)));
        let mut request = client.get(url).header(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(token) = token {
            request = request.header(http::header::AUTHORIZATION, token.clone());
        }
        let failed = |error: reqwest::Error| DiscoveryError::Connect(chain(&error.without_url()));
        let mut answer = request.send().await.map_err(failed)?;
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(failed)? {
            if body.len().saturating_add(part.len()) > BODY_LIMIT {
                let message = format!("an answer of the API server is larger than {BODY_LIMIT} bytes");
                return Err(DiscoveryError::Malformed(message));
            }
            body.extend_from_slice(&part);
        }
        let status = answer.status();
        if status != StatusCode::OK {
            let explained = serde_json::from_slice::<Status>(&body).map(|status| status.message);
            let message = explained
                .unwrap_or_else(|_| status.canonical_reason().unwrap_or("no explanation").to_owned());
            return Err(DiscoveryError::Status {
                status: status.as_u16(),
                message: bounded(&message, MESSAGE),
            });
        }
        serde_json::from_slice(&body).map_err(|error| {
            DiscoveryError::Malformed(format!("the API server sent no list of slices: {error}"))
        })
    }

    /// Returns a client that trusts these authorities: the one of before, unless they changed.
    fn client(&self, authorities: &[u8]) -> Result<Client, DiscoveryError> {
        let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = kept.as_ref().filter(|(known, _)| known == authorities) {
            return Ok(client.clone());
        }
        let unusable = |error: reqwest::Error| {
            DiscoveryError::Setting(format!(
                "{} cannot be used: {}",
                self.source.ca_file.display(),
                chain(&error)
            ))
        };
        let certificates = Certificate::from_pem_bundle(authorities).map_err(unusable)?;
        let client = Client::builder()
            .user_agent(concat!("lookout/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(1)
            .tls_certs_only(certificates)
            .build()
            .map_err(unusable)?;
        *kept = Some((authorities.to_vec(), client.clone()));
        Ok(client)
    }
}

impl Account {
    fn read(source: &EndpointSlices) -> Result<Self, DiscoveryError> {
        let namespace = match &source.namespace {
            Some(namespace) => namespace.clone(),
            None => text(&source.namespace_file)?,
        };
        let is_secured = source.server.as_ref().is_some_and(|server| server.scheme() == "https");
        // a token in clear text is everybody's
        let (token, authorities) = match is_secured {
            true => (Some(bearer(&source.token_file)?), bytes(&source.ca_file)?),
            false => (None, Vec::new()),
        };
        Ok(Self { namespace, token, authorities })
    }
}

fn bearer(file: &Path) -> Result<HeaderValue, DiscoveryError> {
    let unusable = |_| DiscoveryError::Setting(format!("{} holds no token", file.display()));
    let mut value = HeaderValue::try_from(format!("Bearer {}", text(file)?)).map_err(unusable)?;
    value.set_sensitive(true);
    Ok(value)
}

fn text(file: &Path) -> Result<String, DiscoveryError> {
    let text = String::from_utf8(bytes(file)?).map(|text| text.trim().to_owned());
    text.ok()
        .filter(|text| !text.is_empty())
        .ok_or_else(|| DiscoveryError::Setting(format!("{} is empty or no text", file.display())))
}

fn bytes(file: &Path) -> Result<Vec<u8>, DiscoveryError> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(FILE_LIMIT).read_to_end(&mut bytes));
    read.map_err(|error| DiscoveryError::Setting(format!("{} cannot be read: {error}", file.display())))?;
    Ok(bytes)
}

fn slices_url(mut server: Url, namespace: &str) -> Url {
    let path = ["apis", "discovery.k8s.io", "v1", "namespaces", namespace, "endpointslices"];
    // a URL of HTTP always has a path
    if let Ok(mut segments) = server.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    server
}
