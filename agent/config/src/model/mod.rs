//! The one model every input is parsed into. A value of these types is valid: what could be wrong with it was said as
//! a diagnostic before it came to be.

mod destination;
mod gate;
mod indicator;
mod outputs;
mod route;
mod slo;
mod source;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lookout_engine::{Grid, Severity};
use lookout_model::{Scope, Timestamp};
use url::Url;

pub use destination::{AlertmanagerSettings, Destination, DestinationKind, Email, Encryption, WebhookForm};
pub use gate::{GateMinimum, GatePolicy};
pub use indicator::{Component, Indicator, Queries, Ratio};
pub use outputs::{AlertmanagerConfig, OperatorObjects, Outputs, RoutedAlerts, SecretKey};
pub(crate) use route::DAY_MINUTES;
pub use route::{ActiveTime, Escalation, NotRouted, Route};
pub use slo::{RateSource, Service, Slo, Traffic};
pub use source::{Prometheus, Scrape};

use crate::blackbox::Blackbox;
use crate::target::{Discovery, Target};

/// Everything the agent runs on.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address that the agent listens on.
    pub listen: SocketAddr,
    /// URL under which people reach the agent; the base of links in messages.
    pub external_url: Url,
    /// Further names under which the agent answers.
    pub hosts: Vec<String>,
    /// Store of counts, incidents, deliveries, deploys and decisions.
    pub ledger: LedgerLocation,
    /// The evaluation interval: slots of counts and the tick of the evaluator.
    pub grid: Grid,
    /// The value of the label `env`, when set.
    pub environment: Option<String>,
    /// Targets that are probed, shared with the loops that probe them.
    pub targets: Vec<Arc<Target>>,
    /// Targets whose addresses change while the agent runs.
    pub discoveries: Vec<Discovery>,
    /// Neighbours whose `/metrics` are read.
    pub scrapes: Vec<Scrape>,
    /// Servers with Prometheus' query API that SLOs count at.
    pub prometheus: Vec<Prometheus>,
    /// Receivers of messages about incidents.
    pub destinations: Vec<Destination>,
    /// Names and addresses of blackbox_exporter.
    pub blackbox: Blackbox,
    /// Conditions of the deployment gate.
    pub gate: GatePolicy,
    /// Tokens of clients that may write.
    pub tokens: Vec<Token>,
    /// Collector of telemetry of the agent itself, when set.
    pub otlp: Option<Otlp>,
    /// Folders of generated files, and the links in them.
    pub outputs: Outputs,
    /// The services the SLOs belong to, by name.
    pub services: BTreeMap<String, Service>,
    /// The objectives, in the order they were read; ids are unique.
    pub slos: Vec<Slo>,
}

/// Collector of telemetry of the agent itself. It always gets traces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Otlp {
    /// Base URL (`http://collector:4318`).
    pub endpoint: Url,
    /// Time between two exports of metrics, when they are sent.
    pub metrics_every: Option<Duration>,
    /// True if log lines are sent.
    pub logs: bool,
}

impl Config {
    /// Returns a warning if incidents would reach nobody.
    #[must_use]
    pub fn unheard(&self) -> Option<&'static str> {
        self.destinations.is_empty().then_some(
            "no destination is configured: incidents are shown on pages only, and nobody is paged; add one under `destinations`",
        )
    }

    /// Returns the URL of the runbook of an alert.
    #[must_use]
    pub fn runbook_url(&self, alert: &str) -> String {
        match &self.outputs.runbook_url {
            Some(template) => template.replace("{alert}", alert),
            None => self.page(&format!("runbooks/{alert}")),
        }
    }

    /// Returns the URL of the dashboard of an SLO.
    #[must_use]
    pub fn dashboard_url(&self, slo: &Slo) -> String {
        match &self.outputs.dashboard_url {
            Some(template) => template.replace("{service}", &slo.service).replace("{slo}", &slo.name),
            None => self.explain_url(slo),
        }
    }

    /// Returns the URL of the agent's page about an SLO.
    #[must_use]
    pub fn explain_url(&self, slo: &Slo) -> String {
        self.page(&format!("slos/{}/{}", slo.service, slo.name))
    }

    /// Returns the URL of the agent's page about all incidents.
    #[must_use]
    pub fn incidents_url(&self) -> String {
        self.page("incidents")
    }

    /// Returns the URL of the agent's page about silences, with how to silence an SLO.
    #[must_use]
    pub fn silences_url(&self, slo_id: &str) -> String {
        self.page(&format!("silences?slo={slo_id}"))
    }

    /// Returns the external URL without a trailing slash.
    #[must_use]
    pub fn agent_url(&self) -> &str {
        self.external_url.as_str().trim_end_matches('/')
    }

    /// Returns the names of the destinations that take an incident of the SLO with this severity at an instant.
    #[must_use]
    pub fn destinations_of(&self, slo: &Slo, severity: Severity, at: Timestamp) -> Vec<String> {
        let taken = self.destinations.iter().filter(|destination| destination.takes(slo, severity, at));
        taken.map(|destination| destination.name.clone()).collect()
    }

    /// Returns the SLO with this id.
    #[must_use]
    pub fn slo(&self, id: &str) -> Option<&Slo> {
        self.slos.iter().find(|slo| slo.id() == id)
    }

    fn page(&self, path: &str) -> String {
        format!("{}/{path}", self.agent_url())
    }
}

/// The location of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerLocation {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// In memory, for `watch` without a file: gone with the process.
    Memory,
}

/// A bearer token, stored as its SHA-256.
#[derive(Debug, Clone)]
pub struct Token {
    /// Name of its holder.
    pub name: String,
    /// SHA-256 of the token.
    pub sha256: [u8; 32],
    /// Permissions.
    pub scopes: Vec<Scope>,
}
