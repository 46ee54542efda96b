//! The names under which the agent answers.
//!
//! A page from elsewhere can point a name of its own at the agent's address; the browser of a colleague would then hand the
//! answers to that page (DNS rebinding). Such a page needs a name from the public DNS. Addresses, names of one label,
//! names below `internal` and names of a Kubernetes service are none, so they need no configuration.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{self, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::HOST;
use http::uri::Authority;
use lookout_config::Config;

use super::error::Problem;
use super::health;

/// Ends of names that the public DNS does not hold.
const PRIVATE: [&str; 4] = [".internal", ".localhost", ".svc", ".svc.cluster.local"];

/// The names under which the agent answers.
#[derive(Debug, Clone)]
pub(super) struct Hosts(Arc<BTreeSet<String>>);

impl Hosts {
    pub(super) fn new(config: &Config) -> Self {
        let configured = config.hosts.iter().map(String::as_str).chain(config.external_url.host_str());
        Self(Arc::new(configured.map(normal).collect()))
    }

    fn admit(&self, request: &Request) -> bool {
        // every browser sends the field
        let Some(field) = request.headers().get(HOST) else {
            return request.uri().host().is_none_or(|host| self.contains(host));
        };
        let named = field.to_str().ok().and_then(|text| text.parse::<Authority>().ok());
        let target = request.uri().host();
        named.is_some_and(|named| self.contains(named.host()))
            && target.is_none_or(|host| self.contains(host))
    }

    fn contains(&self, host: &str) -> bool {
        let host = normal(host);
        let address = host.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().is_ok()
            || !host.contains('.')
            || PRIVATE.iter().any(|end| host.ends_with(end))
            || self.0.contains(&host)
    }
}

/// Returns a name without the root's dot, in small letters.
fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Refuses requests to names that are not the agent's. Health has nothing to hide, and its probes name what they like.
pub(super) async fn check(
    extract::State(hosts): extract::State<Hosts>,
    request: Request,
    next: Next,
) -> Response {
    if health::PATHS.contains(&request.uri().path()) || hosts.admit(&request) {
        return next.run(request).await;
    }
    let detail =
        "the agent does not answer under this name; add it to `hosts`, or make it the `external_url`";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", detail).into_response()
}
