//! The JSON Schemas (draft 2020-12) of `lookout.yaml` and of SLO specs, for editors.
//!
//! They say what has which shape; what a value means (whether a target exists, whether a tier can fire) only `check`
//! knows. A test puts an unknown key into every mapping and compares what the readers know there with what is here.

use serde_json::{Map, Value, json};

/// The dialect all schemas are written in.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// As `duration.rs` reads it.
const DURATION: &str =
    "^(0|(?:[0-9]+y)?(?:[0-9]+w)?(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?(?:[0-9]+ms)?)$";

/// As `reader.rs` reads it.
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$";

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
            ("destinations", list("Who is told.", destination())),
            ("gate", gate()),
            ("auth", auth()),
            ("generate", outputs()),
        ],
    );
    head(&mut schema, "lookout.yaml");
    print(&schema)
}

/// The schema of one document of an SLO spec.
#[must_use]
pub fn slo_schema() -> String {
    let mut schema = json!({ "oneOf": [
        document("SLO", slo_metadata(), slo_spec()),
        document("SLI", metadata(json!(false)), sli_spec()),
        document("Service", metadata(annotations(&["lookout.dev/owner"])), closed(
            "The service.", &[], [("description", text("For people."))],
        )),
        // read by `import`, and by other tools
        other("DataSource"),
        other("AlertPolicy"),
        other("AlertCondition"),
        other("AlertNotificationTarget"),
    ] });
    head(&mut schema, "SLO spec of lookout (OpenSLO v1)");
    print(&schema)
}

fn head(schema: &mut Value, title: &str) {
    if let Value::Object(schema) = schema {
        schema.insert("$schema".to_owned(), DIALECT.into());
        schema.insert("title".to_owned(), title.into());
    }
}

fn print(schema: &Value) -> String {
    format!("{schema:#}\n")
}

/// A mapping with these keys and no others.
fn closed<const N: usize>(description: &str, required: &[&str], keys: [(&str, Value); N]) -> Value {
    let properties: Map<String, Value> =
        keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let mut schema = json!({
        "description": description,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if let Value::Object(schema) = &mut schema
        && !required.is_empty()
    {
        schema.insert("required".to_owned(), required.into());
    }
    schema
}

fn text(description: &str) -> Value {
    json!({ "description": description, "type": "string" })
}

fn name(description: &str) -> Value {
    json!({ "description": description, "type": "string", "pattern": NAME })
}

fn duration(description: &str) -> Value {
    json!({ "description": description, "type": "string", "pattern": DURATION, "minLength": 1 })
}

fn switch(description: &str) -> Value {
    json!({ "description": description, "type": "boolean" })
}

fn words(description: &str, words: &[&str]) -> Value {
    json!({ "description": description, "type": "string", "enum": words })
}

fn list(description: &str, items: Value) -> Value {
    json!({ "description": description, "type": "array", "items": items })
}

/// One of these keys, and not another of them.
fn exactly_one_of(schema: &mut Value, keys: &[&str]) {
    let choices: Vec<Value> = keys.iter().map(|key| json!({ "required": [key] })).collect();
    if let Value::Object(schema) = schema {
        schema.insert("oneOf".to_owned(), choices.into());
    }
}

fn target() -> Value {
    let secret_file =
        closed("A file that holds the value.", &["file"], [("file", text("Relative to this file."))]);
    let status = json!({ "anyOf": [
        { "type": "integer", "minimum": 100, "maximum": 599 },
        { "type": "string", "pattern": "^ *[1-5][0-9]{2} *(- *[1-5][0-9]{2} *)?$" },
    ] });
    let size = json!({
        "description": "Bytes of an answer that are read at most.",
        "anyOf": [
            { "type": "integer", "minimum": 1, "maximum": 67_108_864 },
            { "type": "string", "pattern": "^[0-9]+ *(KiB|MiB|kB|MB|B)$" },
        ],
    });
    let expect = closed(
        "What makes an answer good; all of it must hold.",
        &[],
        [
            (
                "status",
                json!({ "description": "Statuses, or ranges of them; 200-299 by default.", "type": "array", "minItems": 1, "items": status }),
            ),
            ("latency", duration("The whole request must be faster than this.")),
            (
                "json",
                json!({ "description": "Values of the JSON body by path (RFC 9535).", "type": "object" }),
            ),
        ],
    );
    let http = closed(
        "What is requested.",
        &["url"],
        [
            ("url", text("Variables (`${NAME}`, `${NAME:-default}`) are filled in.")),
            ("method", text("GET by default.")),
            (
                "headers",
                json!({
                    "description": "Extra headers; a value or the file that holds it.",
                    "type": "object",
                    "additionalProperties": { "anyOf": [{ "type": "string" }, secret_file] },
                }),
            ),
            ("body", text("What is sent.")),
            ("insecure", switch("Accept any certificate. Expiry is still reported.")),
            ("body_limit", size),
            ("expect", expect),
        ],
    );
    closed(
        "One thing that is probed over HTTP.",
        &["name", "http"],
        [
            ("name", name("What SLOs call it.")),
            ("http", http),
            ("interval", duration("Time between probes; the grid's by default.")),
            ("timeout", duration("One deadline over all phases, shorter than the interval.")),
        ],
    )
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
            ("scopes", list("What it may do.", words("A scope.", &["ask", "mark", "override"]))),
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
            ("dashboards", text("Folder of Grafana dashboards.")),
            ("runbooks", text("Folder of runbooks: generated heads, bodies kept.")),
            ("runbook_url", text("Link to a runbook; `{alert}` is replaced.")),
            ("dashboard_url", text("Link to a dashboard; `{service}` and `{slo}` are replaced.")),
        ],
    )
}

fn document(kind: &str, metadata: Value, spec: Value) -> Value {
    closed(
        kind,
        &["apiVersion", "kind", "metadata", "spec"],
        [
            ("apiVersion", json!({ "const": "openslo/v1" })),
            ("kind", json!({ "const": kind })),
            ("metadata", metadata),
            ("spec", spec),
        ],
    )
}

/// A kind whose `spec` is none of lookout's business.
fn other(kind: &str) -> Value {
    document(kind, json!({ "type": "object" }), json!({ "type": "object" }))
}

fn slo_metadata() -> Value {
    metadata(annotations(&[
        "lookout.dev/data-alert",
        "lookout.dev/minimum-bad",
        "lookout.dev/minimum-events",
        "lookout.dev/stale-after",
        "lookout.dev/tiers",
    ]))
}

/// Annotations of lookout's own, and those of others, which have another prefix.
fn annotations(own: &[&str]) -> Value {
    json!({
        "description": "lookout's own begin with `lookout.dev/`; all others are left alone.",
        "type": "object",
        "propertyNames": { "anyOf": [{ "enum": own }, { "not": { "pattern": "^lookout\\.dev/" } }] },
        "properties": annotation_values(own),
    })
}

fn annotation_values(own: &[&str]) -> Map<String, Value> {
    let count = || json!({ "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string", "pattern": "^ *[0-9]+ *$" }] });
    let value = |name: &str| match name {
        "lookout.dev/data-alert" => {
            words("How missing data are told; `ticket` by default.", &["page", "ticket", "off"])
        }
        "lookout.dev/minimum-bad" | "lookout.dev/minimum-events" => count(),
        "lookout.dev/stale-after" => duration("Without an observation for so long, data are missing."),
        "lookout.dev/tiers" => text("When it calls: `page 1h/5m x14.4; ticket 1d/2h x3 for 10m`."),
        _ => text("For people."),
    };
    own.iter().map(|name| ((*name).to_owned(), value(name))).collect()
}

fn metadata(annotations: Value) -> Value {
    let annotations = match annotations {
        Value::Bool(_) => json!({
            "type": "object",
            "propertyNames": { "not": { "pattern": "^lookout\\.dev/" } },
        }),
        annotations => annotations,
    };
    closed(
        "Its name, and what else is said about it.",
        &["name"],
        [
            ("name", name("Unique; part of ids and labels.")),
            ("displayName", text("For people.")),
            (
                "labels",
                json!({
                    "description": "Extra labels of generated rules.",
                    "type": "object",
                    "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" },
                    "additionalProperties": { "type": "string" },
                }),
            ),
            ("annotations", annotations),
        ],
    )
}

fn slo_spec() -> Value {
    let window = closed(
        "The period of the budget.",
        &["duration", "isRolling"],
        [
            ("duration", duration("Such as 30d.")),
            ("isRolling", json!({ "const": true })),
            // judged by `check`, which says what is supported
            ("calendar", json!({ "type": "object" })),
        ],
    );
    let mut objective = closed(
        "The share of events that must be good.",
        &[],
        [
            ("displayName", text("For people.")),
            (
                "target",
                json!({ "description": "As a share.", "type": "number", "minimum": 0, "exclusiveMaximum": 1 }),
            ),
            (
                "targetPercent",
                json!({ "description": "As a percentage.", "type": "number", "minimum": 0, "exclusiveMaximum": 100 }),
            ),
            ("op", json!({ "type": "string" })),
            ("value", json!({ "type": "number" })),
            ("timeSliceTarget", json!({ "type": "number" })),
            ("timeSliceWindow", json!({ "type": "string" })),
            ("indicator", json!({ "type": "object" })),
            ("indicatorRef", json!({ "type": "string" })),
            ("compositeWeight", json!({ "type": "number" })),
        ],
    );
    exactly_one_of(&mut objective, &["target", "targetPercent"]);
    let indicator =
        closed("The SLI itself.", &["spec"], [("metadata", metadata(json!(false))), ("spec", sli_spec())]);
    let required = ["service", "timeWindow", "budgetingMethod", "objectives"];
    let mut spec = closed(
        "What is promised.",
        &required,
        [
            ("description", text("What a bad event means to a user.")),
            ("service", name("The service it belongs to.")),
            ("indicator", indicator),
            ("indicatorRef", text("The name of an SLI.")),
            ("timeWindow", json!({ "type": "array", "minItems": 1, "maxItems": 1, "items": window })),
            (
                "budgetingMethod",
                words("How the budget is counted.", &["Occurrences", "Timeslices", "RatioTimeslices"]),
            ),
            ("objectives", json!({ "type": "array", "minItems": 1, "items": objective })),
            ("alertPolicies", json!({ "type": "array" })),
        ],
    );
    exactly_one_of(&mut spec, &["indicator", "indicatorRef"]);
    spec
}

fn sli_spec() -> Value {
    let mut ratio = closed(
        "Two numbers of events.",
        &["total"],
        [
            ("counter", switch("Counters only grow.")),
            ("good", side()),
            ("bad", side()),
            ("total", side()),
            ("raw", json!({ "type": "object" })),
            ("rawType", json!({ "type": "string" })),
        ],
    );
    exactly_one_of(&mut ratio, &["good", "bad"]);
    closed(
        "Where good and bad events come from.",
        &["ratioMetric"],
        [
            ("description", text("For people.")),
            ("ratioMetric", ratio),
            ("thresholdMetric", json!({ "type": "object" })),
        ],
    )
}

/// One side of a ratio.
fn side() -> Value {
    let source = |kind: &str, spec: Value| {
        closed(
            "A source of events.",
            &["type", "spec"],
            [
                ("type", json!({ "const": kind })),
                ("spec", spec),
                ("metricSourceRef", json!({ "type": "string" })),
            ],
        )
    };
    let probe = closed(
        "Probes of a target.",
        &["target"],
        [
            ("target", text("One of `targets` in lookout.yaml.")),
            ("outcome", json!({ "description": "Only those that met all expectations.", "const": "ok" })),
        ],
    );
    let scrape = closed(
        "Counters of a scraped neighbour.",
        &["source", "selector"],
        [
            ("source", text("One of `scrapes` in lookout.yaml.")),
            ("selector", text("Which series count, like `requests_total{code=~\"5..\"}`.")),
        ],
    );
    closed(
        "One side of the ratio.",
        &["metricSource"],
        [("metricSource", json!({ "oneOf": [source("probe", probe), source("scrape", scrape)] }))],
    )
}

#[cfg(test)]
mod tests;
