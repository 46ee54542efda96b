//! The schema of SLO specs.

use serde_json::{Map, Value, json};

use super::{
    DURATION, alerting, closed, document, duration, exactly_one_of, foreign, head, name, print, switch, text,
    words,
};

/// The schema of one document of an SLO spec.
#[must_use]
pub fn slo_schema() -> String {
    let mut all = vec![
        document("SLO", slo_metadata(), slo_spec()),
        document("SLI", metadata(json!(false)), sli_spec()),
        document(
            "Service",
            metadata(annotations(&["lookout.dev/owner"])),
            closed("The service.", &[], [("description", text("For people."))]),
        ),
    ];
    all.extend(alerting::definitions());
    all.extend(foreign::documents());
    let mut schema = json!({ "oneOf": all });
    head(&mut schema, "SLO specs that lookout reads: OpenSLO v1, Sloth and Pyrra");
    print(&schema)
}

fn slo_metadata() -> Value {
    metadata(annotations(&[
        "lookout.dev/composite",
        "lookout.dev/conditions",
        "lookout.dev/confidence",
        "lookout.dev/data-alert",
        "lookout.dev/expected-rate",
        "lookout.dev/minimum-bad",
        "lookout.dev/minimum-events",
        "lookout.dev/minimum-slots",
        "lookout.dev/objective",
        "lookout.dev/page-within",
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
        "lookout.dev/composite" => words(
            "How the components of a composite are joined; `weights` by default.",
            &["worst-of", "weights"],
        ),
        "lookout.dev/objective" => json!({
            "description": "The objective of a composite, in percent; without it, those of its components are the yardstick.",
            "anyOf": [
                { "type": "number", "minimum": 0, "exclusiveMaximum": 100 },
                { "type": "string", "pattern": "^ *[0-9]+(\\.[0-9]+)? *%? *$" },
            ],
        }),
        "lookout.dev/data-alert" => {
            words("How missing data are told; `ticket` by default.", &["page", "ticket", "off"])
        }
        "lookout.dev/minimum-bad" | "lookout.dev/minimum-events" | "lookout.dev/minimum-slots" => count(),
        "lookout.dev/conditions" => text(
            "When else it calls: `ticket budget-left 10%; page budget-drop 5% in 1h; ticket no-data 10m`.",
        ),
        "lookout.dev/confidence" => text("How sure a tier has to be before it calls: `98%`."),
        "lookout.dev/expected-rate" => {
            text("How many events there are, like `600/m`; 10/s is assumed for counters.")
        }
        "lookout.dev/page-within" => json!({
            "description": "A total outage must page within this time, or with its third event; `5m` by default.",
            "anyOf": [{ "const": "off" }, { "type": "string", "pattern": DURATION }],
        }),
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
                    "additionalProperties": {
                        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
                    },
                }),
            ),
            ("annotations", annotations),
        ],
    )
}

fn time_window() -> Value {
    let calendar = closed(
        "When periods begin that do not roll.",
        &["timeZone"],
        [
            ("startTime", text("A local time at which one begins, such as 2024-01-01 00:00:00.")),
            ("timeZone", text("An IANA time zone, such as Europe/Zurich.")),
        ],
    );
    let length = json!({
        "description": "Such as 30d; with a calendar a number of days, weeks, months, quarters or years, such as 1M.",
        "type": "string",
        "minLength": 1,
    });
    let mut window = closed(
        "The period of the budget.",
        &["duration", "isRolling"],
        [
            ("duration", length),
            ("isRolling", switch("Whether it always ends now; otherwise it is one of the calendar.")),
            ("calendar", calendar),
        ],
    );
    let rolls = json!({
        "properties": {
            "isRolling": { "const": true },
            // months are days by the time they are judged
            "duration": { "anyOf": [{ "pattern": DURATION }, { "pattern": "^[0-9]+[MQY]$" }] },
        },
        "not": { "required": ["calendar"] },
    });
    let does_not = json!({
        "properties": { "isRolling": { "const": false }, "duration": { "pattern": "^[0-9]+[dwMQY]$" } },
        "required": ["calendar"],
    });
    if let Value::Object(schema) = &mut window {
        schema.insert("oneOf".to_owned(), json!([rolls, does_not]));
    }
    window
}

fn slo_spec() -> Value {
    let window = time_window();
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
            ("op", words("With the `value` of a threshold metric.", &["lte", "gte", "lt", "gt"])),
            ("value", json!({ "type": "number" })),
            ("timeSliceTarget", json!({ "type": "number" })),
            ("timeSliceWindow", json!({ "type": "string" })),
            ("indicator", indicator()),
            ("indicatorRef", text("The name of an SLI.")),
            (
                "compositeWeight",
                json!({
                    "description": "How much a component counts beside the others; 1 by default.",
                    "type": "number", "minimum": 0.000_001, "maximum": 1000,
                }),
            ),
        ],
    );
    exactly_one_of(&mut objective, &["target", "targetPercent"]);
    let required = ["service", "timeWindow", "budgetingMethod", "objectives"];
    let mut spec = closed(
        "What is promised.",
        &required,
        [
            ("description", text("What a bad event means to a user.")),
            ("service", name("The service it belongs to.")),
            ("indicator", indicator()),
            ("indicatorRef", text("The name of an SLI.")),
            ("timeWindow", json!({ "type": "array", "minItems": 1, "maxItems": 1, "items": window })),
            (
                "budgetingMethod",
                words("How the budget is counted.", &["Occurrences", "Timeslices", "RatioTimeslices"]),
            ),
            ("objectives", json!({ "type": "array", "minItems": 1, "items": objective })),
            ("alertPolicies", alerting::policies()),
        ],
    );
    exactly_one_of(&mut spec, &["indicator", "indicatorRef"]);
    // or, of a composite, one in every objective
    let one = json!({ "anyOf": [{ "required": ["indicator"] }, { "required": ["indicatorRef"] }] });
    let composite = json!({ "not": one, "properties": { "objectives": { "items": one } } });
    if let Some(Value::Array(choices)) = spec.get_mut("oneOf") {
        choices.push(composite);
    }
    spec
}

fn indicator() -> Value {
    closed("The SLI itself.", &["spec"], [("metadata", metadata(json!(false))), ("spec", sli_spec())])
}

fn sli_spec() -> Value {
    let mut ratio = closed(
        "Two numbers of events, or a quotient of them.",
        &[],
        [
            ("counter", switch("Counters only grow.")),
            ("good", side()),
            ("bad", side()),
            ("total", side()),
            ("raw", side()),
            ("rawType", words("What the quotient counts.", &["success", "failure"])),
        ],
    );
    if let Value::Object(ratio) = &mut ratio {
        let choice = |part: &str, other: &str| json!({ "required": [part, other] });
        let choices = [choice("good", "total"), choice("bad", "total"), choice("raw", "rawType")];
        ratio.insert("oneOf".to_owned(), choices.to_vec().into());
    }
    let mut spec = closed(
        "Where good and bad events come from.",
        &[],
        [("description", text("For people.")), ("ratioMetric", ratio), ("thresholdMetric", side())],
    );
    exactly_one_of(&mut spec, &["ratioMetric", "thresholdMetric"]);
    spec
}

/// One side of a ratio.
fn side() -> Value {
    let source = |kinds: &[&str], spec: Value| {
        closed(
            "A source of events.",
            &["type", "spec"],
            [
                ("type", json!({ "enum": kinds })),
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
    let mut scrape = closed(
        "Counters or a histogram of a scraped neighbour.",
        &["source"],
        [
            ("source", text("One of `scrapes` in lookout.yaml.")),
            ("selector", text("Which series count, like `requests_total{code=~\"5..\"}`.")),
            ("histogram", text("A histogram without suffix, like `request_duration_seconds{route=\"/\"}`.")),
            ("threshold", duration("Only its events up to this bound.")),
        ],
    );
    exactly_one_of(&mut scrape, &["selector", "histogram"]);
    let prometheus = closed(
        "Queries against a Prometheus server.",
        &["source", "query"],
        [
            ("source", text("One of `prometheus` in lookout.yaml.")),
            ("query", text("A selector of counters, or an expression with `[{{.window}}]`.")),
        ],
    );
    closed(
        "One side of the ratio.",
        &["metricSource"],
        [(
            "metricSource",
            json!({ "oneOf": [
                source(&["probe"], probe),
                source(&["scrape"], scrape),
                source(&["prometheus", "Prometheus"], prometheus),
                openslo_source(),
            ] }),
        )],
    )
}

/// A query as OpenSLO has it, of a data source or of the only server.
fn openslo_source() -> Value {
    let query = || text("A selector of counters, or an expression over a range.");
    let spec = json!({
        "description": "The query.",
        "type": "object",
        "properties": { "query": query(), "promql": query(), "expr": query() },
        "anyOf": [{ "required": ["query"] }, { "required": ["promql"] }, { "required": ["expr"] }],
        "not": { "required": ["source"] },
    });
    closed(
        "A source of events.",
        &["spec"],
        [
            ("type", json!({ "enum": ["prometheus", "Prometheus"] })),
            ("spec", spec),
            ("metricSourceRef", text("The name of a DataSource, or of one of `prometheus` in lookout.yaml.")),
        ],
    )
}
