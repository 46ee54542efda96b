//! The overview: every objective of every service in one table, and the state of the agent itself.

use lookout_engine::Severity;
use serde_json::{Value, json};

use super::panel::{Kind, Panel, Place, Target};
use super::{Frame, link, links, single, state_mappings, state_query, uid};
use lookout_config::Config;
use lookout_runtime::events::names;

pub(super) fn build(config: &Config) -> Value {
    let mut panels = tiles();
    panels.push(table(config));
    panels.extend(agent());
    panels.extend(host());
    Frame {
        uid: uid("overview"),
        title: "All objectives".to_owned(),
        description: "Which service does not keep its promises right now?".to_owned(),
        alerts: ",sloth_id!=\"\"".to_owned(),
        jobs: "job=~\".+\"".to_owned(),
        variables: Vec::new(),
        links: vec![link("Agent", links::AGENT_IN_DASHBOARD)],
        panels,
        tags: vec!["slo"],
    }
    .build()
}

fn tiles() -> Vec<Panel> {
    let tile = |role: &str, title: &str, text: &str, unit: &'static str, x: u32| {
        Panel::new(Kind::Stat, role, title, text, unit, Place { x, y: 0, w: 6, h: 4 })
    };
    let firing = |severity: Severity| {
        let alerts =
            format!("ALERTS{{alertstate=\"firing\",sloth_id!=\"\",severity=\"{}\"}}", severity.label());
        vec![Target::instant(format!("count({alerts}) or vector(0)"), "firing")]
    };
    let none = |text: &str| json!([{"type": "value", "options": {"0": {"text": text, "color": "green"}}}]);
    vec![
        tile("pages", "Pages firing", "Alerts someone must act on now.", "short", 0)
            .targets(firing(Severity::Page))
            .mappings(none("none"))
            .steps(vec![(None, "green"), (Some(1.0), "red")]),
        tile("tickets", "Tickets firing", "Alerts someone should look at within a day.", "short", 6)
            .targets(firing(Severity::Ticket))
            .mappings(none("none"))
            .steps(vec![(None, "green"), (Some(1.0), "yellow")]),
        tile("worst", "Least budget left", "The smallest error budget of all objectives; below zero it is overspent.", "percentunit", 12)
            .targets(vec![Target::instant(format!("min({})", single("slo:period_error_budget_remaining:ratio", "")), "least")])
            .steps(vec![(None, "red"), (Some(0.0), "green")])
            .no_value("no traffic"),
        tile("fastest", "Fastest burn", "The highest burn rate of all objectives over their shortest window; 1 spends a budget in exactly one period.", "none", 18)
            .targets(vec![Target::instant(format!("max({})", single("slo:current_burn_rate:ratio", "")), "fastest")])
            .steps(vec![(None, "green"), (Some(1.0), "yellow")])
            .no_value("no traffic"),
    ]
}

/// Returns the table: one row per SLO, from four instant queries joined by its id.
fn table(config: &Config) -> Panel {
    let states: Vec<String> = config.slos.iter().map(|slo| format!("({})", state_query(slo))).collect();
    let one = |name: &str| single(name, "");
    // ids are unique, so that they distinguish service and name as well
    let state = format!(
        "{} * 0 + on (sloth_service, sloth_slo) group_left () ({})",
        one("slo:objective:ratio"),
        if states.is_empty() { "vector(0)".to_owned() } else { states.join(" or ") }
    );
    let queries = [
        ("State", state),
        ("Objective", one("slo:objective:ratio")),
        (
            "Good over the period",
            format!("1 - {} * {}", one("slo:error_budget:ratio"), one("slo:period_burn_rate:ratio")),
        ),
        ("Budget left", one("slo:period_error_budget_remaining:ratio")),
        ("Burn now", one("slo:current_burn_rate:ratio")),
    ];
    let names: Vec<&str> = queries.iter().map(|(name, _)| *name).collect();
    let targets = queries.iter().map(|(_, expr)| Target::rows(expr.clone())).collect();
    let field = |name: &str, properties: Value| json!({"matcher": {"id": "byName", "options": name}, "properties": properties});
    let tinted = |steps: Value| {
        json!([
            {"id": "custom.cellOptions", "value": {"type": "color-background"}},
            {"id": "thresholds", "value": {"mode": "absolute", "steps": steps}},
        ])
    };
    let step = |value: Option<f64>, colour: &str| json!({"value": value, "color": colour});
    let mut state = tinted(json!([
        step(None, "green"),
        step(Some(1.0), "yellow"),
        step(Some(2.0), "red"),
        step(Some(3.0), "purple")
    ]));
    if let Some(list) = state.as_array_mut() {
        list.push(json!({"id": "mappings", "value": state_mappings()}));
    }
    let mut burn = tinted(json!([step(None, "green"), step(Some(1.0), "yellow")]));
    if let Some(list) = burn.as_array_mut() {
        list.push(json!({"id": "unit", "value": "none"}));
    }
    let mut renamed = serde_json::Map::new();
    for (letter, name) in ['A', 'B', 'C', 'D', 'E'].into_iter().zip(&names) {
        renamed.insert(format!("Value #{letter}"), (*name).into());
    }
    renamed.insert("sloth_service".to_owned(), "Service".into());
    renamed.insert("sloth_slo".to_owned(), "SLO".into());
    let overview = format!("/d/{}", uid("${__data.fields.Service}"));
    Panel::new(Kind::Table, "slos", "Objectives", "Every objective with its state in words, budget left and burn. A row leads to the service's dashboard; start with the least budget.", "percentunit", Place { x: 0, y: 4, w: 24, h: 10 })
        .targets(targets)
        .link("Service", &format!("{overview}?var-slo=${{__data.fields.SLO}}"))
        .overrides(vec![
            field("State", state),
            field("Budget left", tinted(json!([step(None, "red"), step(Some(0.0), "green")]))),
            field("Burn now", burn),
        ])
        .transformations(vec![
            json!({"id": "merge", "options": {}}),
            json!({"id": "organize", "options": {
                "excludeByName": {"Time": true, "sloth_id": true},
                "indexByName": {"sloth_service": 0, "sloth_slo": 1, "Value #A": 2, "Value #B": 3, "Value #C": 4,
                                "Value #D": 5, "Value #E": 6},
                "renameByName": renamed,
            }}),
            json!({"id": "sortBy", "options": {"sort": [{"field": "Budget left", "desc": false}]}}),
        ])
        .no_value("no data")
}

/// Returns the panels about the agent itself.
fn agent() -> Vec<Panel> {
    let panel = |role: &str, title: &str, text: &str, unit: &'static str, x: u32| {
        Panel::new(Kind::TimeSeries, role, title, text, unit, Place { x, y: 15, w: 6, h: 7 })
            .bounds(Some(0.0), None)
    };
    let rate = |metric: &str, by: &str| format!("sum by ({by}) (rate({metric}[$__rate_interval]))");
    vec![
        Panel::row("The agent itself", 14),
        panel(
            "probes",
            "Probes by outcome",
            "Probes per second. Missed ones say that the agent, not the target, is in trouble.",
            "ops",
            0,
        )
        .targets(vec![Target::range(rate(names::PROBES, "outcome"), "{{outcome}}")])
        .stacked(),
        panel(
            "scrapes",
            "Scrapes by outcome",
            "Reads of neighbours' metrics per second. Failures make data stale.",
            "ops",
            6,
        )
        .targets(vec![Target::range(rate(names::SCRAPES, "source, outcome"), "{{source}} {{outcome}}")]),
        panel(
            "waiting",
            "Deliveries that wait",
            "Messages not delivered yet. More than a few for long: a receiver is down; nothing is lost.",
            "short",
            12,
        )
        .targets(vec![Target::range(
            format!("sum by (destination) ({})", names::DELIVERIES_WAITING),
            "{{destination}}",
        )])
        .steps(vec![(None, "transparent"), (Some(10.0), "orange")])
        .lines(),
        panel(
            "transitions",
            "Transitions",
            "Incidents that opened, changed or resolved, in the last hour.",
            "short",
            18,
        )
        .targets(vec![Target::range(
            format!("sum by (change) (increase({}[1h]))", names::TRANSITIONS),
            "{{change}}",
        )]),
    ]
}

/// Returns the panels about the process of the agent and the machine it runs on.
fn host() -> Vec<Panel> {
    let panel = |role: &str, title: &str, text: &str, unit: &'static str, x: u32| {
        Panel::new(Kind::TimeSeries, role, title, text, unit, Place { x, y: 23, w: 6, h: 7 })
            .bounds(Some(0.0), None)
    };
    // the figures of the machine are the agent's alone; those of the process have a name that every process has
    let ours = |metric: &str| format!("{metric} and on (instance, job) {}", names::BUILD_INFO);
    vec![
        Panel::row("The agent's process and machine", 22),
        panel(
            "memory",
            "Memory of the agent",
            "Resident memory. A step up that stays is worth a look.",
            "bytes",
            0,
        )
        .targets(vec![Target::range(ours("process_resident_memory_bytes"), "{{instance}}")]),
        panel("cpu", "CPU of the agent", "CPUs in use: 1 is one CPU all the time.", "none", 6).targets(vec![
            Target::range(ours("rate(process_cpu_seconds_total[$__rate_interval])"), "{{instance}}"),
        ]),
        panel(
            "load",
            "Load by CPU",
            "Load average of a minute by CPU. Above 1 something waits, and probes may be late.",
            "none",
            12,
        )
        .targets(vec![Target::range("host_load1 / host_cpus", "{{instance}}")])
        .steps(vec![(None, "transparent"), (Some(1.0), "orange")])
        .lines(),
        panel(
            "available",
            "Memory that is left",
            "Share of the machine's memory that could be given out.",
            "percentunit",
            18,
        )
        .targets(vec![Target::range("host_memory_available_bytes / host_memory_total_bytes", "{{instance}}")])
        .bounds(Some(0.0), Some(1.0)),
    ]
}
