//! The schemas of OpenSLO's kinds that others refer to: alerting and data sources.

use serde_json::{Value, json};

use super::{closed, document, duration, exactly_one_of, list, name, switch, text, words};

/// The kinds whose documents stand for themselves.
pub(super) fn definitions() -> Vec<Value> {
    let all = [
        ("DataSource", data_source()),
        ("AlertPolicy", policy()),
        ("AlertCondition", condition()),
        ("AlertNotificationTarget", target()),
    ];
    all.into_iter().map(|(kind, spec)| document(kind, metadata(), spec)).collect()
}

/// The alert policies of an SLO.
pub(super) fn policies() -> Value {
    list("When it calls; each becomes tiers.", reference("alertPolicyRef", policy()))
}

/// Head of what is referred to: only its name means anything here.
fn metadata() -> Value {
    closed(
        "Its name, and what else is said about it.",
        &["name"],
        [
            ("name", name("What others refer to.")),
            ("displayName", text("For people.")),
            ("labels", json!({ "type": "object" })),
            ("annotations", json!({ "type": "object" })),
        ],
    )
}

/// A name, a reference, or the thing itself.
fn reference(key: &str, spec: Value) -> Value {
    let mut inline = closed(
        "A reference, or the thing itself.",
        &[],
        [
            ("apiVersion", json!({ "const": "openslo/v1" })),
            ("kind", json!({ "type": "string" })),
            ("metadata", metadata()),
            ("spec", spec),
            (key, text("The name of one that is declared.")),
        ],
    );
    exactly_one_of(&mut inline, &[key, "spec"]);
    json!({ "anyOf": [{ "type": "string" }, inline] })
}

fn policy() -> Value {
    closed(
        "When somebody is called, and who.",
        &["conditions"],
        [
            ("description", text("For people.")),
            ("alertWhenNoData", switch("Whether missing data are told.")),
            ("alertWhenBreaching", switch("Whether the conditions call.")),
            ("alertWhenResolved", switch("Whether the end is told; lookout always does.")),
            (
                "conditions",
                json!({
                    "description": "One, or a long and a short window of one severity.",
                    "type": "array",
                    "minItems": 1,
                    "items": reference("conditionRef", condition()),
                }),
            ),
            ("notificationTargets", list("Destinations, by name.", reference("targetRef", target()))),
        ],
    )
}

fn condition() -> Value {
    let condition = closed(
        "A burn rate over a window.",
        &["kind", "threshold", "lookbackWindow"],
        [
            ("kind", json!({ "enum": ["burnrate", "burnRate"] })),
            ("op", words("`gte` or `gt`; the others are turned round.", &["lte", "gte", "lt", "gt"])),
            ("threshold", json!({ "description": "The factor, like 14.4.", "type": "number" })),
            ("lookbackWindow", duration("Such as 1h.")),
            ("alertAfter", duration("How long it has to hold.")),
        ],
    );
    closed(
        "On what an alert policy calls.",
        &["severity", "condition"],
        [
            ("description", text("For people.")),
            ("severity", json!({ "description": "`page` or `ticket`.", "type": ["string", "number"] })),
            ("condition", condition),
        ],
    )
}

fn target() -> Value {
    closed(
        "Who is told: a destination of lookout.yaml, by name.",
        &["target"],
        [("description", text("For people.")), ("target", text("What it is, like `slack`."))],
    )
}

fn data_source() -> Value {
    closed(
        "A server; the type `prometheus` is read.",
        &["type"],
        [
            ("description", text("For people.")),
            ("type", text("`prometheus`.")),
            (
                "connectionDetails",
                json!({
                    "description": "How it is reached, with the keys of `prometheus` in lookout.yaml; no secrets.",
                    "type": "object",
                    "properties": { "url": text("What stands before /api/v1.") },
                }),
            ),
        ],
    )
}
