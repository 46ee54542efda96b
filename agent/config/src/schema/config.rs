//! The schema of `lookout.yaml`.

use serde_json::{Value, json};

use super::target::target;
use super::{closed, duration, exactly_one_of, head, list, name, print, switch, text, words};

/// The schema of `lookout.yaml`.
#[must_use]
pub fn config_schema() -> String {
    let mut schema = closed(
        "Where the agent listens, what it watches and whom it tells.",
        &[],
        [
            ("listen", text("Address and port; 127.0.0.1:9797 by default.")),
            ("external_url", text("How people reach the agent; the base of links in messages.")),
            ("environment", text("The label `env` of everything it tells.")),
            ("ledger", text("The SQLite file that keeps everything, relative to this file, or `memory`.")),
            (
                "interval",
                duration("The evaluation grid: divides a minute or is a multiple of one; 10s by default."),
            ),
            (
                "slos",
                list(
                    "Patterns of SLO specs, relative to this file; `*.slo.yaml` by default.",
                    text("A pattern."),
                ),
            ),
            (
                "otlp",
                closed(
                    "Where traces of the agent itself go.",
                    &[],
                    [("endpoint", text("An OTLP/HTTP collector; none while it is empty."))],
                ),
            ),
            ("targets", list("What is probed.", target())),
            ("scrapes", list("Whose metrics are read.", scrape())),
            ("prometheus", list("Servers with Prometheus' query API.", prometheus())),
            ("destinations", list("Who is told.", destination())),
            ("gate", gate()),
            ("auth", auth()),
            ("generate", outputs()),
        ],
    );
    head(&mut schema, "lookout.yaml");
    print(&schema)
}

fn scrape() -> Value {
    closed(
        "A neighbour whose Prometheus metrics are read.",
        &["name", "url"],
        [
            ("name", name("What SLOs call it.")),
            ("url", text("Its metrics endpoint.")),
            ("timeout", duration("One deadline over connect, answer and body.")),
            ("job", text("The label `job` that Prometheus gives it; used in generated rules.")),
        ],
    )
}

fn prometheus() -> Value {
    closed(
        "A server that is queried.",
        &["name", "url"],
        [
            ("name", name("What SLOs call it.")),
            ("url", text("The base: what stands before /api/v1.")),
            ("timeout", duration("One deadline per query.")),
            ("scrape_interval", duration("How often it scrapes what the SLOs count.")),
            ("delay", duration("How long samples take to arrive; two slots by default.")),
            ("window", duration("What `{{.window}}` stands for; four scrape intervals by default.")),
            ("bearer_token", text("Better from the environment or a file.")),
            ("bearer_token_file", text("The file that holds it.")),
            ("basic_auth", basic_auth()),
            ("headers", headers()),
            ("ca_file", text("Certificates that are trusted beside the system's.")),
            ("insecure", switch("Accept any certificate.")),
            (
                "dialect",
                json!({
                    "description": "The language of its queries: metricsql takes VictoriaMetrics' functions over a range too.",
                    "enum": ["promql", "metricsql"],
                }),
            ),
        ],
    )
}

/// `basic_auth` of a server.
pub(super) fn basic_auth() -> Value {
    closed(
        "User and password.",
        &["username"],
        [
            ("username", text("The user.")),
            ("password", text("Better from the environment or a file.")),
            ("password_file", text("The file that holds it.")),
        ],
    )
}

/// `headers` of a request.
pub(super) fn headers() -> Value {
    let file = closed("A file that holds the value.", &["file"], [("file", text("Relative to this file."))]);
    json!({
        "description": "Extra headers; a value or the file that holds it.",
        "type": "object",
        "additionalProperties": { "anyOf": [{ "type": "string" }, file] },
    })
}

fn destination() -> Value {
    let mut slack = closed(
        "A Slack channel.",
        &[],
        [
            ("webhook_url", text("An incoming webhook; better from the environment or a file.")),
            ("webhook_url_file", text("The file that holds it.")),
            ("token", text("A bot token with `chat:write`; better from the environment or a file.")),
            ("token_file", text("The file that holds it.")),
            ("channel", text("The channel a bot writes to.")),
            ("api_url", text("Slack's Web API, when it is elsewhere.")),
        ],
    );
    exactly_one_of(&mut slack, &["webhook_url", "webhook_url_file", "token", "token_file"]);
    let alertmanager = closed(
        "An Alertmanager.",
        &["urls"],
        [("urls", list("The base URL of every instance.", text("A URL; empty is off.")))],
    );
    let mut schema = closed(
        "Someone who is told.",
        &["name"],
        [
            ("name", name("What messages and metrics call it.")),
            ("slack", slack),
            ("alertmanager", alertmanager),
            (
                "minimum",
                words("Least severity that is sent there; `ticket` by default.", &["page", "ticket"]),
            ),
        ],
    );
    exactly_one_of(&mut schema, &["slack", "alertmanager"]);
    schema
}

fn gate() -> Value {
    closed(
        "What the gate asks for before a deploy.",
        &[],
        [
            (
                "minimum_budget",
                json!({
                    "description": "Least share of the budget that must be left for a feature deploy.",
                    "type": "number", "minimum": 0, "maximum": 1,
                }),
            ),
            ("valid_for", duration("How long an answer may be relied on.")),
            (
                "minimum_observed",
                duration(
                    "Least time that must have been observed; the shortest short window of the tiers where that is longer.",
                ),
            ),
            (
                "minimum_events",
                json!({
                    "description": "Least number of events that must have been seen in the period; 10 unless told otherwise.",
                    "type": "integer", "minimum": 1, "maximum": 1_000_000_000,
                }),
            ),
            (
                "idle_is_normal",
                json!({ "description": "Whether a service without traffic may be deployed; no unless told otherwise.", "type": "boolean" }),
            ),
        ],
    )
}

fn auth() -> Value {
    let token = closed(
        "A bearer token.",
        &["name", "sha256", "scopes"],
        [
            ("name", name("Who holds it.")),
            ("sha256", text("Its SHA-256 in hex, as `printf %s TOKEN | sha256sum` prints it.")),
            ("scopes", list("What it may do.", words("A scope.", &["ask", "mark", "correct", "override"]))),
        ],
    );
    closed("Who may write.", &[], [("tokens", list("Bearer tokens.", token))])
}

fn outputs() -> Value {
    closed(
        "Where generated files go and how they link back.",
        &[],
        [
            ("alerts", text("Folder of rules, their tests and the Alertmanager config.")),
            ("prometheus_rules", prometheus_rules()),
            ("dashboards", text("Folder of Grafana dashboards.")),
            ("runbooks", text("Folder of runbooks: generated heads, bodies kept.")),
            ("runbook_url", text("Link to a runbook; `{alert}` is replaced.")),
            (
                "agent_job",
                text(
                    "Job by which Prometheus scrapes the agent (`lookout`); empty for no rules about the agent itself.",
                ),
            ),
            ("dashboard_url", text("Link to a dashboard; `{service}` and `{slo}` are replaced.")),
        ],
    )
}

fn prometheus_rules() -> Value {
    let labels =
        "What your Prometheus selects rules by, like `release: monitoring`; beside lookout's own labels.";
    closed(
        "The rules once more, as PrometheusRule objects for the Prometheus operator.",
        &["folder"],
        [
            ("folder", text("Folder of the objects.")),
            ("namespace", text("Their namespace; without it, that of whoever applies them.")),
            (
                "labels",
                json!({ "description": labels, "type": "object", "additionalProperties": { "type": "string" } }),
            ),
        ],
    )
}
