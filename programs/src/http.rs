//! Requests to programs on this machine.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::{Client, Method};
use serde_json::Value;

/// A client for loopback: no proxy, every answer within a few seconds.
pub fn client() -> Result<Client> {
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(3)).build();
    client.context("setting up the HTTP client")
}

/// Sends a request and fails with its name unless the answer is a success.
pub async fn ask(
    client: &Client,
    method: Method,
    url: &str,
    token: Option<&str>,
    body: Option<&Value>,
) -> Result<String> {
    let mut request = client.request(method.clone(), url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await.with_context(|| format!("{method} {url}"))?;
    let status = answer.status();
    let text = answer.text().await.with_context(|| format!("reading the answer to {method} {url}"))?;
    if !status.is_success() {
        bail!("{method} {url} was answered with {status}: {}", text.trim());
    }
    Ok(text)
}
