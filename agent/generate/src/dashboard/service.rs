//! A service's dashboard: state on the first screen; below, a row per SLO and the traffic of the service.

use lookout_engine::Severity;
use serde_json::{Value, json};

use super::super::promql::identity;
use super::super::promql::{self, Counted, Sli};
use super::super::rules::{alert_groups, base_window, windows};
use super::panel::{Kind, Panel, Place, Target};
use super::{
    Frame, link, links, per_slo, quoted, service_uid, single, state_mappings, state_query, uid, variable,
};
use lookout_config::{Config, Indicator, Slo};
use lookout_promql::selector::{MatchOp, Selector};
use lookout_runtime::events::names;

/// Height of a per-SLO row with its heading, in rows of the grid.
const SLO_HEIGHT: u32 = 9;
/// Height of the first screen, in rows of the grid.
const FIRST_SCREEN: u32 = 12;

pub(super) fn build(config: &Config, service: &str) -> Value {
    let slos: Vec<&Slo> = config.slos.iter().filter(|slo| slo.service == service).collect();
    let title = links::service_title(config, service);
    let mut panels = first_screen(config, service, &slos);
    let mut y = FIRST_SCREEN;
    for slo in &slos {
        panels.extend(objective_row(slo, y));
        y += SLO_HEIGHT;
        panels.extend(traffic_row(config, slo, y));
        y += SLO_HEIGHT - 1;
    }
    let name = quoted(service);
    let said = config.services.get(service).map_or("", |service| service.description.trim());
    let jobs = "label_values(up, job)";
    Frame {
        uid: service_uid(service),
        title: format!("{title}: objectives"),
        description: format!("Does {title} keep its promises, and if not, since when and why? {said}")
            .trim()
            .to_owned(),
        alerts: format!(",service={name}"),
        jobs: "job=~\"$job\",instance=~\"$instance\"".to_owned(),
        variables: vec![
            variable(
                "slo",
                "SLO",
                &format!("label_values(slo:objective:ratio{{sloth_service={name}}}, sloth_slo)"),
            ),
            variable("job", "Job", jobs),
            variable("instance", "Instance", "label_values(up{job=~\"$job\"}, instance)"),
        ],
        links: vec![
            link("All objectives", &format!("/d/{}", uid("overview"))),
            link("Agent", links::AGENT_IN_DASHBOARD),
        ],
        panels,
        tags: vec!["slo", service],
    }
    .build()
}

/// Returns the first screen: state, budget left, burn and firing alerts, with one tile per SLO that is chosen above.
fn first_screen(config: &Config, service: &str, slos: &[&Slo]) -> Vec<Panel> {
    let chosen = format!("{{sloth_service={},sloth_slo=~\"$slo\"}}", quoted(service));
    let stat = |role: &str, title: &str, text: &str, unit: &'static str, x: u32| {
        Panel::new(Kind::Stat, role, title, text, unit, Place { x, y: 0, w: 6, h: 6 }).link(
            "Show only this SLO",
            &format!("/d/{}?var-slo=${{__field.labels.sloth_slo}}", service_uid(service)),
        )
    };
    let page = slos.iter().flat_map(|slo| alert_groups(slo, Severity::Page)).flat_map(|(_, tiers)| tiers);
    let page = page.map(|tier| tier.factor.value()).fold(f64::INFINITY, f64::min);
    let mut burn = vec![(None, "green"), (Some(1.0), "yellow")];
    if page.is_finite() && page > 1.0 {
        burn.push((Some(page), "red"));
    }
    let minimum = config.gate.minimum_budget;
    let budget = if minimum > 0.0 {
        vec![(None, "red"), (Some(0.0), "orange"), (Some(minimum), "green")]
    } else {
        vec![(None, "red"), (Some(0.0), "green")]
    };
    vec![
        stat("state", "State", "What each objective says right now. PAGE: act; ticket: look within a day; no data: find out why.", "none", 0)
            .targets(per_slo(slos, |slo| format!("({}) and on (sloth_slo) {}", state_query(slo), single("slo:objective:ratio", &chosen))))
            .mappings(state_mappings())
            .steps(vec![(None, "green"), (Some(1.0), "yellow"), (Some(2.0), "red"), (Some(3.0), "purple")])
            .no_value("rules are not evaluated"),
        stat("budget", "Error budget left", "Share of the period's error budget that is left: 100% untouched, 0% spent, below zero overspent. Below zero the gate denies deploys.", "percentunit", 6)
            .targets(vec![Target::instant(single("slo:period_error_budget_remaining:ratio", &chosen), "{{sloth_slo}}")])
            .steps(budget)
            .no_value("no traffic"),
        stat("burn", "Burn rate now", "How many times faster than evenly the budget is being spent over the shortest window. 1 spends it exactly in one period; red is where the slowest page fires.", "none", 12)
            .targets(vec![Target::instant(single("slo:current_burn_rate:ratio", &chosen), "{{sloth_slo}}")])
            .steps(burn)
            .no_value("no traffic"),
        stat("exhaustion", "Budget lasts", "Time until the budget is gone if it goes on burning as now; no value while nothing burns.", "s", 18)
            .targets(vec![Target::instant(exhaustion(&chosen), "{{sloth_slo}}")])
            .steps(vec![(None, "red"), (Some(86_400.0), "yellow"), (Some(7.0 * 86_400.0), "green")])
            .no_value("nothing burns"),
        firing_table(config, service),
        Panel::new(Kind::TimeSeries, "burn-all", "Burn rate", "The burn rate of every chosen objective. Above 1 the budget will not last the period.", "none", Place { x: 12, y: 6, w: 12, h: 6 })
            .targets(vec![Target::range(single("slo:current_burn_rate:ratio", &chosen), "{{sloth_slo}}")])
            .steps(vec![(None, "transparent"), (Some(1.0), "orange")])
            .lines()
            .bounds(Some(0.0), None),
    ]
}

/// Returns the time to exhaustion: the budget left divided by the present burn.
fn exhaustion(chosen: &str) -> String {
    let one = |name: &str| single(name, chosen);
    format!(
        "clamp_min({}, 0) * {} * 86400 / ({} > 0)",
        one("slo:period_error_budget_remaining:ratio"),
        one("slo:time_period:days"),
        one("slo:current_burn_rate:ratio"),
    )
}

fn firing_table(config: &Config, service: &str) -> Panel {
    let expr = format!("ALERTS{{alertstate=\"firing\",service={},slo=~\"$slo\"}}", quoted(service));
    let runbook = links::runbook_in_dashboard(config);
    Panel::new(
        Kind::Table,
        "firing",
        "Firing",
        "Every alert of the service that fires now; the name leads to its runbook. Empty is good.",
        "none",
        Place { x: 0, y: 6, w: 12, h: 6 },
    )
    .targets(vec![Target::rows(expr)])
    .link("Runbook", &runbook)
    .transformations(vec![json!({"id": "organize", "options": {
        "excludeByName": {"Time": true, "Value": true, "__name__": true, "alertstate": true, "service": true,
                          "sloth_id": true, "sloth_service": true, "sloth_slo": true, "sloth_severity": true},
        "indexByName": {"alertname": 0, "severity": 1, "slo": 2},
    }})])
    .no_value("nothing fires")
}

/// Returns the row of an SLO: the SLI against its objective, the budget, and the burn in every window with the
/// thresholds of its tiers.
fn objective_row(slo: &Slo, y: u32) -> Vec<Panel> {
    let title = links::slo_title(slo);
    let id = identity(slo);
    let objective = slo.objective();
    let place = |x| Place { x, y: y + 1, w: 8, h: SLO_HEIGHT - 1 };
    let base = base_window(slo);
    let period = slo.period();
    let role = |what: &str| format!("{} {what}", slo.name);
    let burns = windows(slo).into_iter().filter(|window| *window != period).map(|window| {
        let ratio = single(&format!("slo:sli_error:ratio_rate{window}"), &id);
        let budget = single("slo:error_budget:ratio", &id);
        Target::range(format!("{ratio} / {budget}"), &window.to_string())
    });
    let mut steps: Vec<(Option<f64>, &'static str)> = vec![(None, "transparent")];
    let mut factors: Vec<(f64, &'static str)> = slo
        .tiers()
        .iter()
        .map(|tier| (tier.factor.value(), if tier.severity == Severity::Page { "red" } else { "orange" }))
        .collect();
    factors.sort_by(|a, b| a.0.total_cmp(&b.0));
    steps.extend(factors.into_iter().map(|(factor, colour)| (Some(factor), colour)));
    vec![
        Panel::row(&format!("{title}: {objective} over {}", slo.period_text()), y),
        Panel::new(Kind::TimeSeries, &role("sli"), &format!("{title}: good events"), "Share of good events over the shortest window and over the period. Below the line the objective is missed.", "percentunit", place(0))
            .targets(vec![
                Target::range(format!("1 - {}", single(&format!("slo:sli_error:ratio_rate{base}"), &id)), &format!("over {base}")),
                Target::range(format!("1 - {}", single(&format!("slo:sli_error:ratio_rate{period}"), &id)), &format!("over {period}")),
                Target::range(single("slo:objective:ratio", &id), "objective"),
            ])
            .steps(vec![(None, "red"), (Some(objective.ratio()), "transparent")])
            .lines()
            .bounds(None, Some(1.0)),
        Panel::new(Kind::TimeSeries, &role("budget"), &format!("{title}: budget left"), "Share of the error budget that is left over the rolling period. It grows back as old errors leave the period; below zero it is overspent.", "percentunit", place(8))
            .targets(vec![Target::range(single("slo:period_error_budget_remaining:ratio", &id), "left")])
            .steps(vec![(None, "red"), (Some(0.0), "transparent")])
            .lines()
            .bounds(None, Some(1.0)),
        Panel::new(Kind::TimeSeries, &role("burn"), &format!("{title}: burn by window"), "Burn rate in every window. A tier fires while both of its windows are above its line: red lines page, orange lines make a ticket.", "none", place(16))
            .targets(burns.collect())
            .steps(steps)
            .lines()
            .log(),
    ]
}

/// Returns the counters of the histogram whose events are counted, and its name.
fn histogram_of(sli: &Sli) -> Option<(&Selector, &str)> {
    let total = sli.total.counters()?;
    Some((total, total.metric.strip_suffix("_count")?))
}

/// Returns the row of traffic: the rate of events and, where it is measured, their duration.
fn traffic_row(config: &Config, slo: &Slo, y: u32) -> Vec<Panel> {
    let place = |x| Place { x, y, w: 12, h: SLO_HEIGHT - 1 };
    let sli = Sli::of(config, slo);
    let further = match (&slo.indicator, histogram_of(&sli)) {
        (Indicator::Probe { target, .. }, _) => phases(slo, target, place(12)),
        (_, Some(histogram)) => latency(slo, &sli, histogram, place(12)),
        (_, None) => bad_share(slo, place(12)),
    };
    vec![events(slo, &sli, place(0)), further]
}

/// Returns a selector that the variables of the dashboard narrow. `$job` replaces the selector's own condition on the job.
fn narrowed(selector: &Selector) -> String {
    let variables = [("job", MatchOp::Regex, "$job"), ("instance", MatchOp::Regex, "$instance")];
    let mut selector = selector.clone();
    selector.matchers.retain(|matcher| matcher.label != "job");
    promql::text(&promql::with(&selector, &variables))
}

/// Returns the panel of good and bad events per second.
fn events(slo: &Slo, sli: &Sli, place: Place) -> Panel {
    let base = base_window(slo).to_string();
    let rate = |counted: &Counted| match counted {
        Counted::Counters(selector) => format!("sum(rate({}[$__rate_interval]))", narrowed(selector)),
        // an expression has its own conditions on jobs and instances
        Counted::Expression(_) => counted.rate(&base),
    };
    let (total, part) = (rate(&sli.total), rate(&sli.part));
    let rest = format!("clamp_min({total} - ({part} or 0 * {total}), 0)");
    let part = format!("{part} or 0 * {total}");
    let (good, bad) = if sli.part_is_bad { (rest, part) } else { (part, rest) };
    let text = "Good and bad events per second. Bad ones spend the budget; none at all means idle, which is not an outage.";
    let title = format!("{}: events", links::slo_title(slo));
    Panel::new(Kind::TimeSeries, &role(slo, "events"), &title, text, "reqps", place)
        .targets(vec![Target::range(good, "good"), Target::range(bad, "bad")])
        .stacked()
        .bounds(Some(0.0), None)
}

/// Returns the panel of the phases of a probe.
fn phases(slo: &Slo, target: &str, place: Place) -> Panel {
    let series = format!(
        "{}{{target={},job=~\"$job\",instance=~\"$instance\"}}",
        names::PROBE_PHASE_SECONDS,
        quoted(target)
    );
    let text = "Where the time of the last probe went. One phase that grows alone names the culprit: name resolution, network, TLS or the service.";
    let title = format!("{}: phases of a probe", links::slo_title(slo));
    Panel::new(Kind::TimeSeries, &role(slo, "phases"), &title, text, "s", place)
        .targets(vec![Target::range(format!("max by (phase) ({series})"), "{{phase}}")])
        .stacked()
        .bounds(Some(0.0), None)
}

/// Returns the panel of quantiles of a histogram, with the threshold of the SLO as a line.
fn latency(slo: &Slo, sli: &Sli, (total, histogram): (&Selector, &str), place: Place) -> Panel {
    let mut bucket = total.clone();
    bucket.metric = format!("{histogram}_bucket");
    let buckets = format!("sum by (le) (rate({}[$__rate_interval]))", narrowed(&bucket));
    let quantile =
        |q: f64, legend: &str| Target::histogram(format!("histogram_quantile({q}, {buckets})"), legend);
    let text = "Quantiles of all events, errors included. Exemplars lead to traces.";
    let title = format!("{}: latency", links::slo_title(slo));
    let panel = Panel::new(Kind::TimeSeries, &role(slo, "latency"), &title, text, "s", place)
        .targets(vec![quantile(0.5, "p50"), quantile(0.95, "p95"), quantile(0.99, "p99")])
        .bounds(Some(0.0), None);
    let part = sli.part.counters().map_or([].as_slice(), |part| &part.matchers);
    let limit = part.iter().find(|matcher| matcher.label == "le");
    match limit.and_then(|matcher| matcher.value.parse::<f64>().ok()) {
        Some(limit) => panel.steps(vec![(None, "transparent"), (Some(limit), "red")]).lines(),
        None => panel,
    }
}

/// Returns the panel of the share of bad events, with the error budget as a line.
fn bad_share(slo: &Slo, place: Place) -> Panel {
    let ratio = single(&format!("slo:sli_error:ratio_rate{}", base_window(slo)), &identity(slo));
    let text = "Bad events of all events over the shortest window.";
    let title = format!("{}: bad share", links::slo_title(slo));
    Panel::new(Kind::TimeSeries, &role(slo, "ratio"), &title, text, "percentunit", place)
        .targets(vec![Target::range(ratio, "bad")])
        .steps(vec![(None, "transparent"), (Some(slo.objective().budget_ratio()), "red")])
        .lines()
        .bounds(Some(0.0), None)
}

fn role(slo: &Slo, what: &str) -> String {
    format!("{} {what}", slo.name)
}
