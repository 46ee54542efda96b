//! The schemas of other tools' specs, as far as they are read.

use serde_json::{Value, json};

use super::{closed, duration, exactly_one_of, list, switch, text};

/// Sloth's and Pyrra's documents.
pub(super) fn documents() -> Vec<Value> {
    vec![sloth_file(), sloth_object(), sloth_windows(), pyrra_object()]
}

/// What keys of one meaning are called.
struct Spelling {
    error_query: &'static str,
    total_query: &'static str,
    error_ratio_query: &'static str,
    page_alert: &'static str,
    ticket_alert: &'static str,
}

fn texts(description: &str) -> Value {
    json!({ "description": description, "type": "object" })
}

fn sloth_file() -> Value {
    let spelling = Spelling {
        error_query: "error_query",
        total_query: "total_query",
        error_ratio_query: "error_ratio_query",
        page_alert: "page_alert",
        ticket_alert: "ticket_alert",
    };
    closed(
        "A spec of Sloth.",
        &["version", "service", "slos"],
        [
            ("version", json!({ "const": "prometheus/v1" })),
            ("service", text("The service of all SLOs.")),
            ("labels", texts("Labels of all SLOs.")),
            ("slo_plugins", plugins()),
            ("slos", list("The SLOs.", sloth_slo(&spelling))),
        ],
    )
}

fn sloth_object() -> Value {
    let spelling = Spelling {
        error_query: "errorQuery",
        total_query: "totalQuery",
        error_ratio_query: "errorRatioQuery",
        page_alert: "pageAlert",
        ticket_alert: "ticketAlert",
    };
    let spec = closed(
        "What a file of Sloth says.",
        &["service", "slos"],
        [
            ("service", text("The service of all SLOs.")),
            ("labels", texts("Labels of all SLOs.")),
            ("sloPlugins", plugins()),
            ("slos", list("The SLOs.", sloth_slo(&spelling))),
        ],
    );
    object("sloth.slok.dev/v1", "PrometheusServiceLevel", spec)
}

/// An object of Kubernetes.
fn object(version: &str, kind: &str, spec: Value) -> Value {
    let any = || json!({});
    let metadata = closed(
        "Name and namespace; the cluster adds the rest.",
        &["name"],
        [
            ("name", text("Its name.")),
            ("namespace", text("Where it lives.")),
            ("labels", texts("Labels of the object.")),
            ("annotations", texts("Annotations of the object.")),
            ("creationTimestamp", any()),
            ("finalizers", any()),
            ("generateName", any()),
            ("generation", any()),
            ("managedFields", any()),
            ("ownerReferences", any()),
            ("resourceVersion", any()),
            ("selfLink", any()),
            ("uid", any()),
        ],
    );
    closed(
        kind,
        &["apiVersion", "kind", "metadata", "spec"],
        [
            ("apiVersion", json!({ "const": version })),
            ("kind", json!({ "const": kind })),
            ("metadata", metadata),
            ("spec", spec),
            ("status", any()),
        ],
    )
}

fn plugins() -> Value {
    let plugin = closed(
        "A plugin, which runs within Sloth.",
        &["id"],
        [
            ("id", text("Which.")),
            ("config", texts("What it is told.")),
            ("priority", json!({ "type": "number" })),
        ],
    );
    closed(
        "Plugins; lookout lists them.",
        &[],
        [
            ("overridePrevious", switch("Whether those above are left out.")),
            ("chain", list("The plugins.", plugin)),
        ],
    )
}

fn sloth_slo(spelling: &Spelling) -> Value {
    let mut sli = closed(
        "Where the events come from.",
        &[],
        [
            (
                "events",
                closed(
                    "Two queries with `[{{.window}}]`.",
                    &[spelling.error_query, spelling.total_query],
                    [
                        (spelling.error_query, text("Bad events.")),
                        (spelling.total_query, text("All events.")),
                    ],
                ),
            ),
            (
                "raw",
                closed(
                    "A quotient of two counts.",
                    &[spelling.error_ratio_query],
                    [(spelling.error_ratio_query, text("Bad events over all events."))],
                ),
            ),
            (
                "plugin",
                closed(
                    "Queries that a plugin of Sloth makes: `check` says that they are not read.",
                    &["id"],
                    [("id", text("Which.")), ("options", texts("What it is told."))],
                ),
            ),
        ],
    );
    exactly_one_of(&mut sli, &["events", "raw", "plugin"]);
    let alert = || {
        closed(
            "One of the two alerts.",
            &[],
            [
                ("disable", switch("Whether it is left out.")),
                ("labels", texts("Its labels.")),
                ("annotations", texts("Its annotations.")),
            ],
        )
    };
    let alerting = closed(
        "The alerts.",
        &[],
        [
            ("name", text("Their name.")),
            ("labels", texts("Their labels.")),
            ("annotations", texts("Their annotations.")),
            (spelling.page_alert, alert()),
            (spelling.ticket_alert, alert()),
        ],
    );
    let percent = json!({
        "description": "A percentage.", "type": "number", "minimum": 0, "exclusiveMaximum": 100,
    });
    closed(
        "An SLO.",
        &["name", "objective", "sli"],
        [
            ("name", text("Its name.")),
            ("objective", percent),
            ("description", text("For people.")),
            ("labels", texts("Its labels.")),
            ("plugins", plugins()),
            ("sli", sli),
            ("alerting", alerting),
        ],
    )
}

fn sloth_windows() -> Value {
    let tier = || {
        closed(
            "A long and a short window.",
            &["errorBudgetPercent", "shortWindow", "longWindow"],
            [
                ("errorBudgetPercent", json!({ "type": "number", "minimum": 0, "maximum": 100 })),
                ("shortWindow", duration("Such as 5m.")),
                ("longWindow", duration("Such as 1h.")),
            ],
        )
    };
    let pair =
        || closed("Two tiers of one severity.", &["quick", "slow"], [("quick", tier()), ("slow", tier())]);
    let spec = closed(
        "When SLOs of one period call.",
        &["sloPeriod", "page", "ticket"],
        [("sloPeriod", duration("Such as 30d.")), ("page", pair()), ("ticket", pair())],
    );
    closed(
        "Sloth's windows for one period.",
        &["apiVersion", "kind", "spec"],
        [
            ("apiVersion", json!({ "const": "sloth.slok.dev/v1" })),
            ("kind", json!({ "const": "AlertWindows" })),
            ("metadata", json!({ "type": "object" })),
            ("spec", spec),
        ],
    )
}

fn pyrra_object() -> Value {
    let severities = closed(
        "The severity of each alert.",
        &[],
        ["absent", "fastBurn", "mediumBurn", "slowBurn", "longTermBurn"]
            .map(|name| (name, text("A severity."))),
    );
    let alerting = closed(
        "The alerts.",
        &[],
        [
            ("burnrates", switch("Whether burn rates call.")),
            ("absent", switch("Whether missing data call.")),
            ("name", text("The name of the alert.")),
            ("absentName", text("The name of the alert for missing data.")),
            ("severities", severities),
            ("disabled", switch("Whether nothing calls.")),
        ],
    );
    let spec = closed(
        "What is promised.",
        &["target", "window", "indicator"],
        [
            (
                "target",
                json!({ "description": "A percentage, like `\"99.9\"`.", "type": ["string", "number"] }),
            ),
            ("window", duration("The period, such as 4w.")),
            ("description", text("For people.")),
            ("indicator", pyrra_indicator()),
            ("alerting", alerting),
            ("performanceOverAccuracy", switch("A setting of Pyrra's rules.")),
            ("ruleOutput", json!({ "type": "object" })),
            ("partial_response_strategy", text("A setting of Thanos.")),
        ],
    );
    object("pyrra.dev/v1alpha1", "ServiceLevelObjective", spec)
}

fn pyrra_indicator() -> Value {
    let selector = || text("A selector, like `requests_total{code=~\"5..\"}`.");
    let metric = || closed("Series.", &["metric"], [("metric", selector())]);
    let grouping = || list("Labels by which Pyrra makes an SLO each.", json!({ "type": "string" }));
    let two = |part: &'static str| {
        closed(
            "Two counters.",
            &[part, "total"],
            [(part, metric()), ("total", metric()), ("grouping", grouping())],
        )
    };
    let native = closed(
        "A native histogram.",
        &["latency", "total"],
        [("latency", duration("The bound.")), ("total", metric()), ("grouping", grouping())],
    );
    let gauge =
        closed("A gauge that is 0 or 1.", &["metric"], [("metric", selector()), ("grouping", grouping())]);
    let kinds = ["ratio", "latency", "latencyNative", "bool_gauge"];
    let mut indicator = closed(
        "Where the events come from.",
        &[],
        [
            ("ratio", two("errors")),
            ("latency", two("success")),
            ("latencyNative", native),
            ("bool_gauge", gauge),
        ],
    );
    exactly_one_of(&mut indicator, &kinds);
    indicator
}
