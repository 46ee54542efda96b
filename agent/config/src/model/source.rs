//! Sources of counts that are read over HTTP: neighbours and servers with Prometheus' query API.

use std::time::Duration;

use lookout_engine::{Severity, Window};
use lookout_promql::query::Dialect;
use url::Url;

use crate::credentials::Credentials;
use crate::secret::Secret;

/// A neighbour whose Prometheus metrics are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrape {
    /// Unique name; the label `source`.
    pub name: String,
    /// The metrics endpoint.
    pub url: Url,
    /// One deadline over connect, answer and body.
    pub timeout: Duration,
    /// The value of the label `job` that Prometheus gives this endpoint; used in generated rules.
    pub job: Option<String>,
    /// The severity of the SLO about its availability; `None` for no such SLO.
    pub up: Option<Severity>,
}

/// A server with Prometheus' query API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prometheus {
    /// Unique name; the label `source`.
    pub name: String,
    /// Base URL, without `api/v1`; ends with a slash.
    pub url: Url,
    /// One deadline per query.
    pub timeout: Duration,
    /// Interval at which it scrapes the series that are counted.
    pub scrape_interval: Duration,
    /// Time that a sample takes until it can be queried. A slot is queried when it has been over for that long.
    pub delay: Duration,
    /// The range of queries with `{{.window}}`; a multiple of the slot.
    pub window: Window,
    /// Credentials of the request.
    pub credentials: Credentials,
    /// Extra request headers; values may be secret.
    pub headers: Vec<(String, Secret)>,
    /// Certificates in PEM that are trusted beside the system's.
    pub ca: Option<String>,
    /// Accept any certificate.
    pub insecure: bool,
    /// The language of its queries.
    pub dialect: Dialect,
}
