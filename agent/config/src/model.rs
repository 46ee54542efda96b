//! The one model every input is parsed into. A value of these types is valid: what could be wrong with it was said as
//! a diagnostic before it came to be.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use lookout_engine::{
    Cause, EventRate, Grid, Guard, Objective, Policy, PromiseBound, Severity, Tier, Window,
};
use url::Url;

use super::{Blackbox, BodyTemplate, Calendar, Credentials, Route, Secret, Target};
use lookout_promql::query::{Dialect, EventQuery};
use lookout_promql::selector::Selector;

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
    /// Targets that are probed.
    pub targets: Vec<Target>,
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
    /// Whether log lines are sent.
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

/// A receiver of transitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Unique name; the label `destination`.
    pub name: String,
    /// Least severity that is sent here.
    pub minimum: Severity,
    /// The incidents and hours at which it is sent here.
    pub route: Route,
    /// Time that an incident waits for others of its service, to share a message.
    pub group_wait: Duration,
    /// The destination that gets what this one refuses for good.
    pub fallback: Option<String>,
    /// The kind of receiver.
    pub kind: DestinationKind,
}

impl Destination {
    /// Creates a destination with the defaults of its keys.
    #[must_use]
    pub fn new(name: &str, kind: DestinationKind) -> Self {
        let (minimum, group_wait) = (Severity::Ticket, Self::GROUP_WAIT);
        let route = Route::default();
        Self { name: name.to_owned(), minimum, route, group_wait, fallback: None, kind }
    }

    /// Time that an incident waits for others of its service, unless another is set.
    pub(crate) const GROUP_WAIT: Duration = Duration::from_secs(2);
}

/// The kinds of receivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DestinationKind {
    /// Alertmanager, API v2: every instance gets every alert.
    Alertmanager {
        /// Base URLs, route prefix included.
        urls: Vec<Url>,
        /// Bearer token for a proxy before the instances.
        token: Option<Secret>,
        /// Whether an alert fires all the time.
        watchdog: bool,
    },
    /// A Slack incoming webhook. Each transition is a message of its own.
    SlackWebhook {
        /// The URL is the secret.
        url: Secret,
    },
    /// Slack's Web API: the first message is edited, changes go into its thread.
    SlackApi {
        /// `https://slack.com/api/` unless told otherwise.
        api_url: Url,
        /// A bot token with `chat:write`.
        token: Secret,
        /// The channel id or name.
        channel: String,
    },
    /// PagerDuty's Events API v2: one alert per incident.
    PagerDuty {
        /// `https://events.pagerduty.com/v2/` unless told otherwise.
        events_url: Url,
        /// The integration key of the service.
        routing_key: Secret,
    },
    /// A program that takes JSON.
    Webhook {
        /// The URL may be secret.
        url: Secret,
        /// The secret that signs each message.
        signing_secret: Option<Secret>,
        /// Headers of each message.
        headers: Vec<(String, Secret)>,
        /// The form of each message.
        form: WebhookForm,
    },
    /// Mailboxes.
    Email(Email),
}

/// The form of a message of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebhookForm {
    /// The documented form.
    Lookout,
    /// The documented form in an envelope of CloudEvents 1.0.
    CloudEvents,
    /// A form of the user's own.
    Template(BodyTemplate),
}

/// A mail server and the mailboxes that get messages through it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// The mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The encryption of the connection.
    pub encryption: Encryption,
    /// Certificates in PEM that are trusted beside those of the system.
    pub ca: Option<String>,
    /// User and password.
    pub login: Option<(String, Secret)>,
    /// The address of the sender.
    pub from: String,
    /// The addresses of the readers.
    pub to: Vec<String>,
}

/// Encryption of a connection to a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// The connection turns to TLS before anything is sent.
    StartTls,
    /// The connection begins with TLS.
    Tls,
    /// No encryption.
    None,
}

/// The conditions of the deployment gate.
#[derive(Debug, Clone)]
pub struct GatePolicy {
    /// Least share of the budget that must be left for a feature deploy.
    pub minimum_budget: f64,
    /// Time for which an answer is valid.
    pub valid_for: Duration,
    /// Least time that must have been observed; the present window of the SLO where that is longer.
    pub minimum_observed: Duration,
    /// Least number of events that must have been seen in the period.
    pub minimum_events: u64,
    /// Whether a service without traffic may be deployed.
    pub idle_is_normal: bool,
}

impl Default for GatePolicy {
    fn default() -> Self {
        Self {
            minimum_budget: 0.0,
            valid_for: Duration::from_secs(60),
            minimum_observed: Duration::ZERO,
            minimum_events: 10,
            idle_is_normal: false,
        }
    }
}

impl GatePolicy {
    /// The policy with the minima of one SLO.
    #[must_use]
    pub fn for_slo(&self, minimum: &GateMinimum) -> Self {
        Self {
            minimum_observed: minimum.observed.unwrap_or(self.minimum_observed),
            minimum_events: minimum.events.unwrap_or(self.minimum_events),
            idle_is_normal: self.idle_is_normal || minimum.idle_is_normal,
            ..self.clone()
        }
    }
}

/// The evidence that the gate asks for, where an SLO differs from the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GateMinimum {
    /// Least time that must have been observed.
    pub observed: Option<Duration>,
    /// Least number of events that must have been seen.
    pub events: Option<u64>,
    /// Whether a source without events is normal.
    pub idle_is_normal: bool,
}

/// A bearer token, stored as its SHA-256.
#[derive(Debug, Clone)]
pub struct Token {
    /// Name of its holder.
    pub name: String,
    /// SHA-256 of the token.
    pub sha256: [u8; 32],
    /// Permissions: `ask`, `mark`, `correct`, `override`, `deliver`, `heartbeat`, `pause`, `probe`.
    pub scopes: Vec<String>,
}

/// Folders of generated files, and the links in them. Paths are absolute.
#[derive(Debug, Clone, Default)]
pub struct Outputs {
    /// Prometheus rules, their tests, the Alertmanager config.
    pub alerts: Option<PathBuf>,
    /// The rules once more, as objects of the Prometheus operator.
    pub prometheus_rules: Option<PrometheusRules>,
    /// The job by which Prometheus scrapes the agent; none for no rules about the agent itself.
    pub agent_job: Option<String>,
    /// Grafana dashboards.
    pub dashboards: Option<PathBuf>,
    /// Runbooks: generated heads, bodies kept.
    pub runbooks: Option<PathBuf>,
    /// Link to a runbook; `{alert}` is replaced by the alert name. Defaults to the agent's own pages.
    pub runbook_url: Option<String>,
    /// Link to a dashboard; `{service}` and `{slo}` are replaced. Defaults to the agent's own pages.
    pub dashboard_url: Option<String>,
}

/// The folder of `PrometheusRule` objects, and the labels by which an operator selects them.
#[derive(Debug, Clone, Default)]
pub struct PrometheusRules {
    /// Absolute.
    pub folder: PathBuf,
    /// The namespace they say; none for that of whoever applies them.
    pub namespace: Option<String>,
    /// Labels of the objects, beside lookout's own.
    pub labels: BTreeMap<String, String>,
}

/// A service that has objectives.
#[derive(Debug, Clone, Default)]
pub struct Service {
    /// Unique name; the label `service`.
    pub name: String,
    /// For people.
    pub display_name: Option<String>,
    /// For people.
    pub description: String,
    /// Team that owns it (annotation `lookout.dev/owner`).
    pub owner: Option<String>,
}

/// One objective.
#[derive(Debug, Clone)]
pub struct Slo {
    /// Unique within its service; the label `slo`.
    pub name: String,
    /// The service it belongs to.
    pub service: String,
    /// For people.
    pub display_name: Option<String>,
    /// For people: what a bad event means to a user.
    pub description: String,
    /// The file it was read from, for messages and generated headers; empty for `watch`.
    pub file: PathBuf,
    /// Source of good and bad events.
    pub indicator: Indicator,
    /// Policy for the engine.
    pub policy: Policy,
    /// When the periods of its budget begin; `None` when they roll.
    pub calendar: Option<Calendar>,
    /// Extra labels for generated rules.
    pub labels: BTreeMap<String, String>,
    /// Number of its events.
    pub traffic: Traffic,
    /// The time within which a total outage must page; `None` for no such demand.
    pub page_within: Option<PromiseBound>,
    /// The evidence that the gate asks for.
    pub gate: GateMinimum,
    /// The time zone of conditions on traffic.
    pub time_zone: TimeZone,
}

/// The events of an SLO, as even traffic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// The rate.
    pub rate: EventRate,
    /// The source of the rate.
    pub source: RateSource,
}

/// The source of a rate of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateSource {
    /// The interval of a probe or of a scrape.
    Probe,
    /// The annotation `lookout.dev/expected-rate`.
    Declared,
    /// A usual value, because nobody declared one.
    Assumed,
    /// A measurement, or an option of the command line.
    Real,
}

impl Slo {
    /// Returns `<service>-<slo>`, Sloth's `sloth_id`; unique.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}-{}", self.service, self.name)
    }

    /// The alert of this SLO in CamelCase, the same for page and ticket (`TitanicRequestsAvailability`): its words are
    /// those of service and SLO; the runbook has its name.
    #[must_use]
    pub fn alert_name(&self) -> String {
        let words = [self.service.as_str(), self.name.as_str()].join("-");
        words
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter_map(|word| {
                let mut letters = word.chars();
                letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
            })
            .collect()
    }

    /// Returns the alert of an incident, by its cause.
    #[must_use]
    pub fn alert_name_for(&self, cause: Cause) -> String {
        let ending = match cause {
            Cause::Burn => "",
            Cause::DataMissing => "DataMissing",
            Cause::CrashLoop => "CrashLoop",
            Cause::TrafficMissing => "TrafficMissing",
        };
        self.alert_name() + ending
    }

    /// Returns the causes that can open an incident of this SLO.
    pub fn causes(&self) -> impl Iterator<Item = Cause> {
        Cause::ALL.into_iter().filter(|cause| match cause {
            Cause::Burn => true,
            Cause::DataMissing => self.policy.data_alert.is_some() || self.has_condition_on(*cause),
            Cause::CrashLoop | Cause::TrafficMissing => self.has_condition_on(*cause),
        })
    }

    fn has_condition_on(&self, cause: Cause) -> bool {
        self.policy.conditions.iter().any(|condition| condition.cause() == cause)
    }

    /// Returns the seconds from an instant, in seconds since the epoch, to the same wall time a week before, for
    /// conditions on traffic. They differ from a week where the clocks of the zone changed in between.
    #[must_use]
    pub fn week_before_seconds(&self, at: i64) -> i64 {
        let week = 7 * 86_400;
        let before = jiff::Timestamp::from_second(at).and_then(|instant| {
            instant.to_zoned(self.time_zone.clone()).checked_sub(jiff::Span::new().days(7))
        });
        before.map_or(week, |before| at.saturating_sub(before.timestamp().as_second()))
    }

    /// Returns the name people read.
    #[must_use]
    pub fn title(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.name)
    }

    /// Returns the share of events that must be good.
    #[must_use]
    pub const fn objective(&self) -> Objective {
        self.policy.objective
    }

    /// Returns the length of its period; of a calendar period the nominal length.
    #[must_use]
    pub const fn period(&self) -> Window {
        self.policy.period.nominal()
    }

    /// Returns the period for people: `30d`, or `month in Europe/Zurich`.
    #[must_use]
    pub fn period_text(&self) -> String {
        self.calendar.as_ref().map_or_else(|| self.period().to_string(), ToString::to_string)
    }

    /// Returns its tiers.
    #[must_use]
    pub fn tiers(&self) -> &[Tier] {
        &self.policy.tiers
    }

    /// Returns the evidence that a tier needs before it fires.
    #[must_use]
    pub const fn guard(&self) -> Guard {
        self.policy.guard
    }
}

/// Source of good and bad events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Indicator {
    /// Every probe of a target is an event; a good one met all expectations.
    Probe {
        /// Name of the target.
        target: String,
        /// Days that the certificate must still be valid for a good event; `None` where the outcome decides.
        certificate_days: Option<u32>,
    },
    /// Counters of a scraped neighbour.
    Scrape {
        /// Name of the scrape.
        source: String,
        /// Which series count.
        ratio: Ratio,
    },
    /// Every scrape of a neighbour is an event; a good one could be read.
    Up {
        /// Name of the scrape.
        source: String,
    },
    /// Queries to a server with Prometheus' query API.
    Prometheus {
        /// Name of the server.
        source: String,
        /// Queries for both counts.
        queries: Queries,
    },
    /// At least two indicators with one budget.
    Composite(Vec<Component>),
}

/// One of several indicators that are judged together. What the engine is told about it stands at the same place in the
/// policy's method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Unique within its SLO; part of the id its counts are stored under.
    pub name: String,
    /// For people.
    pub display_name: Option<String>,
    /// Its own objective.
    pub objective: Objective,
    /// Source of its events; never a composite itself.
    pub indicator: Indicator,
}

impl Component {
    /// Returns the name people read.
    #[must_use]
    pub fn title(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.name)
    }
}

/// Queries to a server with the query API of Prometheus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Queries {
    /// The samples of counters as they were scraped: exact, the counting is done here.
    Counters(Ratio),
    /// Expressions over a window: the server counts, as exactly as its `rate` extrapolates.
    Windowed {
        /// The good or the bad events.
        part: EventQuery,
        /// Whether those are the bad ones.
        part_is_bad: bool,
        /// All events.
        total: EventQuery,
    },
}

/// Two sums of counters, of which the second counts everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ratio {
    /// Good events of all.
    Good {
        /// Series of good events, summed.
        good: Selector,
        /// Series of all events, summed.
        total: Selector,
    },
    /// Bad events of all.
    Bad {
        /// Series of bad events, summed.
        bad: Selector,
        /// Series of all events, summed.
        total: Selector,
    },
}
