//! `lookout.yaml`, without its targets.

use super::Shape::{
    About, AnyOf, Between, Duration, List, Map, Name, Object as Mapping, Secret, Switch, Text, Whole, Word,
};
use super::{Key, Object, key, object, required, target};

object! { agent: "Where the agent listens, what it watches and whom it tells." {
    LISTEN = key("listen", Text, "Address and port; 127.0.0.1:9797 by default.");
    EXTERNAL_URL = key("external_url", Text, "How people reach the agent; the base of links in messages.");
    ENVIRONMENT = key("environment", Text, "The label `env` of everything it tells.");
    LEDGER = key("ledger", Text, "The SQLite file that keeps everything, relative to this file, or `memory`.");
    INTERVAL = key("interval", Duration, "The evaluation grid: divides a minute or is a multiple of one; 10s by default.");
    SLOS = key("slos", List(&About("A pattern.", &Text)), "Patterns of SLO specs, relative to this file; `*.slo.yaml` by default.");
    OTLP = key("otlp", Mapping(otlp::OBJECT), "");
    TARGETS = key("targets", List(&Mapping(target::target::OBJECT)), "What is probed.");
    SCRAPES = key("scrapes", List(&Mapping(scrape::OBJECT)), "Whose metrics are read.");
    PROMETHEUS = key("prometheus", List(&Mapping(server::OBJECT)), "Servers with Prometheus' query API.");
    DESTINATIONS = key("destinations", List(&Mapping(destination::OBJECT)), "Who is told.");
    GATE = key("gate", Mapping(gate::OBJECT), "");
    AUTH = key("auth", Mapping(auth::OBJECT), "");
    GENERATE = key("generate", Mapping(outputs::OBJECT), "");
} }

object! { otlp: "Where traces of the agent itself go." {
    ENDPOINT = key("endpoint", Text, "An OTLP/HTTP collector; none while it is empty.");
} }

object! { scrape: "A neighbour whose Prometheus metrics are read." {
    NAME = required("name", Name, "What SLOs call it.");
    URL = required("url", Text, "Its metrics endpoint.");
    TIMEOUT = key("timeout", Duration, "One deadline over connect, answer and body.");
    JOB = key("job", Text, "The label `job` that Prometheus gives it; used in generated rules.");
} }

object! { server: "A server that is queried." {
    NAME = required("name", Name, "What SLOs call it.");
    URL = required("url", Text, "The base: what stands before /api/v1.");
    TIMEOUT = key("timeout", Duration, "One deadline per query.");
    SCRAPE_INTERVAL = key("scrape_interval", Duration, "How often it scrapes what the SLOs count.");
    DELAY = key("delay", Duration, "How long samples take to arrive; two slots by default.");
    WINDOW = key("window", Duration, "What `{{.window}}` stands for; four scrape intervals by default.");
    BEARER_TOKEN = key("bearer_token", Secret, "Better from the environment or a file.");
    BEARER_TOKEN_FILE = key("bearer_token_file", Text, "The file that holds it.");
    BASIC_AUTH = key("basic_auth", Mapping(basic_auth::OBJECT), "");
    HEADERS = key("headers", Map(&AnyOf(&[Text, Mapping(header::OBJECT)])), "Extra headers; a value or the file that holds it.");
    CA_FILE = key("ca_file", Text, "Certificates that are trusted beside the system's.");
    INSECURE = key("insecure", Switch, "Accept any certificate.");
    DIALECT = key("dialect", Word(&["promql", "metricsql"]), "The language of its queries: metricsql takes VictoriaMetrics' functions over a range too.");
} }

object! { basic_auth: "User and password." {
    USERNAME = required("username", Text, "The user.");
    PASSWORD = key("password", Secret, "Better from the environment or a file.");
    PASSWORD_FILE = key("password_file", Text, "The file that holds it.");
} }

object! { header: "A file that holds the value." {
    FILE = required("file", Text, "Relative to this file.");
} }

object! { destination: "Someone who is told." {
    NAME = required("name", Name, "What messages and metrics call it.");
    SLACK = key("slack", Mapping(slack::OBJECT), "");
    ALERTMANAGER = key("alertmanager", Mapping(alertmanager::OBJECT), "");
    MINIMUM = key("minimum", Word(&["page", "ticket"]), "Least severity that is sent there; `ticket` by default.");
} choices: &[&[SLACK], &[ALERTMANAGER]]; }

object! { slack: "A Slack channel." {
    WEBHOOK_URL = key("webhook_url", Secret, "An incoming webhook; better from the environment or a file.");
    WEBHOOK_URL_FILE = key("webhook_url_file", Text, "The file that holds it.");
    TOKEN = key("token", Secret, "A bot token with `chat:write`; better from the environment or a file.");
    TOKEN_FILE = key("token_file", Text, "The file that holds it.");
    CHANNEL = key("channel", Text, "The channel a bot writes to.");
    API_URL = key("api_url", Text, "Slack's Web API, when it is elsewhere.");
} choices: &[&[WEBHOOK_URL], &[WEBHOOK_URL_FILE], &[TOKEN], &[TOKEN_FILE]]; }

object! { alertmanager: "An Alertmanager." {
    URLS = required("urls", List(&About("A URL; empty is off.", &Text)), "The base URL of every instance.");
} }

object! { gate: "What the gate asks for before a deploy." {
    MINIMUM_BUDGET = key("minimum_budget", Between(0.0, 1.0), "Least share of the budget that must be left for a feature deploy.");
    VALID_FOR = key("valid_for", Duration, "How long an answer may be relied on.");
    MINIMUM_OBSERVED = key("minimum_observed", Duration, "Least time that must have been observed; the shortest short window of the tiers where that is longer.");
    MINIMUM_EVENTS = key("minimum_events", Whole(1, 1_000_000_000), "Least number of events that must have been seen in the period; 10 unless told otherwise.");
    IDLE_IS_NORMAL = key("idle_is_normal", Switch, "Whether a service without traffic may be deployed; no unless told otherwise.");
} }

object! { auth: "Who may write." {
    TOKENS = key("tokens", List(&Mapping(token::OBJECT)), "Bearer tokens.");
} }

/// What a bearer token may do.
pub(crate) const SCOPES: [&str; 4] = ["ask", "mark", "correct", "override"];

object! { token: "A bearer token." {
    NAME = required("name", Name, "Who holds it.");
    SHA256 = required("sha256", Text, "Its SHA-256 in hex, as `printf %s TOKEN | sha256sum` prints it.");
    SCOPES = required("scopes", List(&About("A scope.", &Word(&super::SCOPES))), "What it may do.");
} }

object! { outputs: "Where generated files go and how they link back." {
    ALERTS = key("alerts", Text, "Folder of rules, their tests and the Alertmanager config.");
    PROMETHEUS_RULES = key("prometheus_rules", Mapping(rules::OBJECT), "");
    DASHBOARDS = key("dashboards", Text, "Folder of Grafana dashboards.");
    RUNBOOKS = key("runbooks", Text, "Folder of runbooks: generated heads, bodies kept.");
    RUNBOOK_URL = key("runbook_url", Text, "Link to a runbook; `{alert}` is replaced.");
    DASHBOARD_URL = key("dashboard_url", Text, "Link to a dashboard; `{service}` and `{slo}` are replaced.");
    AGENT_JOB = key("agent_job", Text, "Job by which Prometheus scrapes the agent (`lookout`); empty for no rules about the agent itself.");
} }

object! { rules: "The rules once more, as PrometheusRule objects for the Prometheus operator." {
    FOLDER = required("folder", Text, "Folder of the objects.");
    NAMESPACE = key("namespace", Text, "Their namespace; without it, that of whoever applies them.");
    LABELS = key("labels", Map(&Text), "What your Prometheus selects rules by, like `release: monitoring`; beside lookout's own labels.");
} }
