//! Grafana dashboards in the classic JSON model, which every Grafana from 10 on provisions from files.
//!
//! Thresholds come from the spec, and long windows from recorded series. Ids are hashes of the roles of panels, so
//! that a link to a panel survives every regeneration.

mod overview;
mod panel;
mod service;

use lookout_engine::Severity;
use serde::Serialize;
use serde::ser::{SerializeMap as _, SerializeSeq as _, Serializer};
use serde_json::{Value, json};

use super::promql::identity;
use super::promql::quoted;
use super::{MARK, links};
use lookout_config::{Config, Slo};
use lookout_runtime::events::names;
use panel::{Panel, Target};

/// Returns the overview: one table of all SLOs, and the agent itself.
pub(super) fn overview(config: &Config) -> String {
    print(&overview::build(config))
}

/// Returns the dashboard of a service.
pub(super) fn service(config: &Config, service: &str) -> String {
    print(&service::build(config, service))
}

/// Dashboard around its panels.
struct Frame<'a> {
    uid: String,
    title: String,
    description: String,
    /// The further conditions of the annotations, as PromQL matchers.
    alerts: String,
    jobs: String,
    variables: Vec<Value>,
    links: Vec<Value>,
    panels: Vec<Panel>,
    tags: Vec<&'a str>,
}

impl Frame<'_> {
    fn build(self) -> Value {
        let firing = format!("ALERTS{{alertstate=\"firing\"{}}}", self.alerts);
        // a mark per returned sample: query the moment of change only
        let started = format!("{firing} unless {firing} offset 1m");
        let restarted = format!("changes(process_start_time_seconds{{{}}}[1m]) > 0", self.jobs);
        let mut variables = vec![datasource(), agent_address()];
        variables.extend(self.variables);
        let mut tags = vec!["lookout"];
        tags.extend(self.tags);
        json!({
            "annotations": {"list": [
                annotation("Alerts", &started, "red", "{{alertname}} ({{severity}})"),
                annotation("Deploys and restarts", &restarted, "blue", "{{job}} {{instance}} started"),
            ]},
            "description": format!("{} {MARK}.", self.description),
            "editable": false,
            "graphTooltip": 1,
            "links": self.links,
            "panels": self.panels.iter().map(|panel| panel.build(&self.uid)).collect::<Vec<_>>(),
            "refresh": "30s",
            "schemaVersion": 39,
            "tags": tags,
            "templating": {"list": variables},
            "time": {"from": "now-6h", "to": "now"},
            "timezone": "utc",
            "title": self.title,
            "uid": self.uid,
            "version": 1,
        })
    }
}

/// Returns Grafana's identifier of a dashboard, at most forty characters.
fn uid(name: &str) -> String {
    let uid = format!("lookout-{name}");
    if uid.len() <= 40 { uid } else { format!("lookout-{:08x}", panel::hash(name)) }
}

fn service_uid(service: &str) -> String {
    uid(&links::dashboard_name(service))
}

fn datasource() -> Value {
    json!({"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"})
}

/// Returns the hidden variable with the agent's address, as the agent exports it, for links.
fn agent_address() -> Value {
    json!({
        "name": "lookout",
        "label": "Agent",
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": format!("label_values({}, external_url)", names::BUILD_INFO),
        "refresh": 2,
        "hide": 2,
        "multi": false,
        "includeAll": false,
    })
}

/// Returns a variable filled by a query.
fn variable(name: &str, label: &str, query: &str) -> Value {
    json!({
        "name": name,
        "label": label,
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": query,
        "refresh": 2,
        "sort": 1,
        "multi": true,
        "includeAll": true,
        "allValue": ".+",
        "current": {"selected": true, "text": ["All"], "value": ["$__all"]},
    })
}

fn annotation(name: &str, expr: &str, colour: &str, title: &str) -> Value {
    json!({
        "name": name,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "enable": true,
        "expr": expr,
        "iconColor": colour,
        "step": "60s",
        "titleFormat": title,
    })
}

/// Returns a link at the top of the dashboard that carries variables and time along.
fn link(title: &str, url: &str) -> Value {
    json!({"title": title, "type": "link", "url": url, "icon": "dashboard", "includeVars": true, "keepTime": true,
           "targetBlank": false, "asDropdown": false, "tags": [], "tooltip": ""})
}

/// Returns the query of one series per SLO: the one that rules record, or the agent's where none do. Prometheus may hold both.
fn single(name: &str, selector: &str) -> String {
    let by = "sloth_id, sloth_service, sloth_slo";
    let of = |instance: &str| match selector.strip_suffix('}') {
        Some(matchers) => format!("max by ({by}) ({name}{matchers}, {instance}}})"),
        None => format!("max by ({by}) ({name}{{{instance}}})"),
    };
    format!("({} or {})", of("instance=\"\""), of("instance!=\"\""))
}

/// Returns the query of an SLO's state: 3 while data are missing, 2 while a page fires, 1 while a ticket fires, 0
/// otherwise; nothing when rules do not run.
fn state_query(slo: &Slo) -> String {
    let firing = |alert: &str, more: &str| {
        format!(
            "max by (sloth_slo, sloth_service) (ALERTS{{alertname={},alertstate=\"firing\"{more}}})",
            quoted(alert)
        )
    };
    let with =
        |severity: Severity| firing(&slo.alert_name(), &format!(",severity={}", quoted(severity.label())));
    format!(
        "3 * {} or 2 * {} or {} or 0 * max by (sloth_slo, sloth_service) {}",
        firing(&links::missing_alert(slo), ""),
        with(Severity::Page),
        with(Severity::Ticket),
        single("slo:objective:ratio", &identity(slo))
    )
}

/// Returns the states as words, so that colour is never the only sign.
fn state_mappings() -> Value {
    let word = |text: &str, colour: &str| json!({"text": text, "color": colour});
    json!([{"type": "value", "options": {
        "0": word("ok", "green"),
        "1": word("ticket", "yellow"),
        "2": word("PAGE", "red"),
        "3": word("no data", "purple"),
    }}])
}

/// Returns the targets of one query per SLO.
fn per_slo(slos: &[&Slo], query: impl Fn(&Slo) -> String) -> Vec<Target> {
    slos.iter().map(|slo| Target::instant(query(slo), "{{sloth_slo}}")).collect()
}

/// Prints JSON with sorted keys, independent of the serialiser's map.
fn print(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(&Sorted(value)).unwrap_or_default();
    text.push('\n');
    text
}

struct Sorted<'a>(&'a Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(map) => {
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by_key(|(key, _)| *key);
                let mut out = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    out.serialize_entry(key, &Sorted(value))?;
                }
                out.end()
            }
            Value::Array(items) => {
                let mut out = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    out.serialize_element(&Sorted(item))?;
                }
                out.end()
            }
            scalar => scalar.serialize(serializer),
        }
    }
}
