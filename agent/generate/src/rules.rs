//! Recording and alerting rules of a service, under Sloth's names, so that dashboards and gates made for Sloth work.
//!
//! Two things differ from Sloth on purpose. The ratio of the period is a sum of errors over a sum of events, not a
//! mean of ratios: a busy hour counts more than an idle night. And no ratio is 0/0: without traffic a series has no
//! sample, without errors the ratio is 0.
//!
//! Ratios are of the time that was observed. What decides takes unseen time as clean, as the agent does: a tier fires when
//! the ratio times the observed share of its window is above the threshold, and the burn of the period is such a product.
//!
//! Budgets of time are in [`super::timeslices`], alerts in [`super::alerts`].

use lookout_engine::{Severity, Tier, Window};

use super::MARK;
use super::promql::{self, Sli, identity};
use super::timeslices::Slice;
use super::yaml::{self, Node, map};
use lookout_config::{Config, Slo};

/// Largest number of rules in a group: Prometheus evaluates a group in one go, and managed services refuse larger
/// groups.
const GROUP_LIMIT: usize = 20;

/// Recorded series that has a sample for each evaluation at which the source was observed.
const OBSERVED: &str = "lookout:sli_observed:bool";

/// Returns the name of a service's rule file.
pub(super) fn file_name(service: &str) -> String {
    format!("{service}.rules.yaml")
}

/// Renders all rules of a service.
pub(super) fn file(config: &Config, service: &str) -> String {
    let mut comments = vec![
        format!("{MARK} from the SLOs of {service}. Do not edit: change the spec and generate again."),
        "Names and labels are Sloth's; `promtool test rules` runs the tests beside this file.".to_owned(),
    ];
    let mine = || config.slos.iter().filter(|slo| slo.service == service);
    comments.extend(mine().filter(|slo| !has_rules(slo)).map(|slo| {
        let (name, method) = (&slo.name, slo.policy.method.as_str());
        format!("Not here: {name}. Its budget is counted by {method}, which the agent does and these rules do not.")
    }));
    comments.extend(mine().filter(|slo| slo.calendar.is_some() && has_rules(slo)).map(|slo| {
        let (name, calendar, window) = (&slo.name, slo.period_text(), slo.period());
        format!(
            "Not the same here: {name}. Its budget is that of the {calendar}, which the agent counts by; Prometheus has no \
             calendars, so that these rules look at the last {window}."
        )
    }));
    yaml::file(&comments, &map([("groups", groups(config, service))]))
}

/// Returns whether an SLO can be expressed in PromQL: the slices of a composite cannot.
pub(super) fn has_rules(slo: &Slo) -> bool {
    slo.components().is_empty()
}

/// Returns the groups of a service: one per SLO, with every record before its readers.
pub(super) fn groups(config: &Config, service: &str) -> Node {
    let slos = config.slos.iter().filter(|slo| slo.service == service && has_rules(slo));
    Node::List(slos.flat_map(|slo| groups_of(config, slo)).map(|(_, group)| group).collect())
}

/// Returns the names of a service's groups in the order of evaluation, where that matters: the second group of an SLO
/// reads records of its first.
pub(super) fn evaluation_order(config: &Config, service: &str) -> Option<Vec<String>> {
    let slos = config.slos.iter().filter(|slo| slo.service == service && has_rules(slo));
    let names: Vec<Vec<String>> =
        slos.map(|slo| groups_of(config, slo).into_iter().map(|(name, _)| name).collect()).collect();
    names.iter().any(|names| names.len() > 1).then(|| names.concat())
}

/// Returns the groups of an SLO: one, and a second for alerts that do not fit, evaluated an interval later at most.
fn groups_of(config: &Config, slo: &Slo) -> Vec<(String, Node)> {
    let rules = Rules::of(config, slo);
    let (mut list, mut alerts) = (rules.base(), rules.alerts());
    list.extend(rules.ratios());
    list.extend(rules.metadata());
    let interval = Window::seconds(u64::from(evaluation_seconds(slo))).to_string();
    let group = |name: String, rules: Vec<Node>| {
        let parts = [
            ("name", name.as_str().into()),
            ("interval", interval.as_str().into()),
            ("rules", Node::List(rules)),
        ];
        let group = map(parts);
        (name, group)
    };
    let name = format!("lookout-slo-{}", slo.id());
    if list.len() + alerts.len() <= GROUP_LIMIT {
        list.append(&mut alerts);
        return vec![group(name, list)];
    }
    // more windows or holds than usual need more groups, in order
    let mut groups = Vec::new();
    for (kind, mut rest) in [("", list), ("-alerts", alerts)] {
        let mut part = 1;
        while !rest.is_empty() {
            let next = rest.split_off(rest.len().min(GROUP_LIMIT));
            let number = if part > 1 { format!("-{part}") } else { String::new() };
            groups.push(group(format!("{name}{kind}{number}"), core::mem::replace(&mut rest, next)));
            part += 1;
        }
    }
    groups
}

/// Returns the windows of the tiers, each once, the shortest first. Without tiers it is five minutes, or the period if
/// that is shorter.
pub(super) fn windows(slo: &Slo) -> Vec<Window> {
    let mut windows: Vec<Window> = slo.tiers().iter().flat_map(|tier| [tier.short, tier.long]).collect();
    if windows.is_empty() {
        windows.push(slo.period().min(Window::minutes(5)));
    }
    windows.sort_unstable();
    windows.dedup();
    windows
}

/// Returns the shortest window; the sums of the period use rates recorded over it.
pub(super) fn base_window(slo: &Slo) -> Window {
    windows(slo).first().copied().unwrap_or_else(|| slo.period())
}

/// Returns the seconds between evaluations of the rules: a fifth of the shortest window, at most a minute. Each
/// evaluation costs Prometheus CPU, so the rules do not use the agent's grid.
pub(super) fn evaluation_seconds(slo: &Slo) -> u32 {
    let grid = slo.policy.grid.width_seconds();
    let fifth = base_window(slo).as_seconds() / 5;
    let usual = [60_u32, 30, 15, 10, 5, 2, 1].into_iter().find(|seconds| u64::from(*seconds) <= fifth);
    usual.map_or(grid, |seconds| seconds.max(grid))
}

/// Returns the observed share of a window, from 0 to 1, as a number. It is missing only where the ratio is.
pub(super) fn coverage(slo: &Slo, window: Window) -> String {
    let samples = window.as_seconds() as f64 / f64::from(evaluation_seconds(slo));
    let observed = format!("{OBSERVED}{}[{window}]", recorded(slo));
    format!("scalar(clamp_max(count_over_time({observed}) / {samples}, 1))")
}

/// Returns the labels that identify the series of these rules. The series that the agent exports under the same names
/// differ by the label `instance`, which Prometheus adds.
pub(super) fn recorded(slo: &Slo) -> String {
    identity(slo).replace('}', ", instance=\"\"}")
}

/// Returns the tiers of one severity that a failure rate can make fire, by hold time.
pub(super) fn alert_groups(slo: &Slo, severity: Severity) -> Vec<(u64, Vec<Tier>)> {
    let reachable =
        slo.tiers().iter().filter(|tier| tier.severity == severity && tier.is_reachable(slo.objective()));
    let mut groups: Vec<(u64, Vec<Tier>)> = Vec::new();
    for tier in reachable {
        match groups.iter_mut().find(|(hold, _)| *hold == tier.hold_seconds) {
            Some((_, tiers)) => tiers.push(*tier),
            None => groups.push((tier.hold_seconds, vec![*tier])),
        }
    }
    groups.sort_by_key(|(hold, _)| *hold);
    groups
}

pub(super) struct Rules<'a> {
    pub(super) config: &'a Config,
    pub(super) slo: &'a Slo,
    pub(super) sli: Sli,
    windows: Vec<Window>,
}

impl<'a> Rules<'a> {
    pub(super) fn of(config: &'a Config, slo: &'a Slo) -> Self {
        Self { config, slo, sli: Sli::of(config, slo), windows: windows(slo) }
    }

    /// Returns the base records: errors and events per second over the shortest window, or the value of slices.
    fn base(&self) -> Vec<Node> {
        let base = base_window(self.slo).to_string();
        let observed = self.record(OBSERVED, &self.sli.observed(&base), &[]);
        if let Some(slice) = Slice::of(self.slo) {
            return vec![observed, self.record(&slice.name(), &slice.worth(&self.sli), &[])];
        }
        vec![
            observed,
            self.record(&format!("lookout:sli_errors:rate{base}"), &self.sli.bad_rate(&base), &[]),
            self.record(&format!("lookout:sli_total:rate{base}"), &self.sli.total_rate(&base), &[]),
        ]
    }

    fn ratios(&self) -> Vec<Node> {
        let (base, period) = (base_window(self.slo), self.slo.period());
        let errors = format!("lookout:sli_errors:rate{base}{}", identity(self.slo));
        let total = format!("lookout:sli_total:rate{base}{}", identity(self.slo));
        let ratio = |window: Window, expr: &str| {
            let labels = [("sloth_window", window.to_string())];
            self.record(&format!("slo:sli_error:ratio_rate{window}"), expr, &labels)
        };
        let mut list = vec![];
        if let Some(slice) = Slice::of(self.slo) {
            let others = self.windows.iter().filter(|window| **window != period);
            list.extend(others.map(|window| ratio(*window, &slice.mean(self.slo, *window))));
            list.push(ratio(period, &slice.mean(self.slo, period)));
            return list;
        }
        for window in self.windows.iter().filter(|window| **window != period) {
            let expr = if *window == base {
                format!("{errors}\n/\n({total} > 0)")
            } else {
                self.sli.bad_ratio(&window.to_string())
            };
            list.push(ratio(*window, &expr));
        }
        // sums of both, so that each event has the same weight whenever it happened; `sum` tolerates a changed label
        let exact =
            format!("sum(sum_over_time({errors}[{period}]))\n/\n(sum(sum_over_time({total}[{period}])) > 0)");
        list.push(ratio(period, &exact));
        list
    }

    fn metadata(&self) -> Vec<Node> {
        let (slo, identity) = (self.slo, recorded(self.slo));
        let objective = slo.objective();
        let shortest = self.windows.iter().find(|window| **window != slo.period()).copied();
        let current = shortest.unwrap_or_else(|| slo.period());
        let burn = |window: Window| {
            format!(
                "slo:sli_error:ratio_rate{window}{identity}\n/ on (sloth_id, sloth_service, sloth_slo) group_left ()\n\
                 slo:error_budget:ratio{identity}"
            )
        };
        let info = [
            ("sloth_mode", "lookout-generate".to_owned()),
            ("sloth_objective", objective.percent().to_string()),
            ("sloth_spec", "openslo/v1".to_owned()),
            ("sloth_version", "lookout".to_owned()),
        ];
        let days = promql::days(slo.period());
        let spent = format!("{} * {}", burn(slo.period()), coverage(slo, slo.period()));
        let mut list = vec![
            self.record("slo:objective:ratio", &format!("vector({})", objective.ratio()), &[]),
            self.record("slo:error_budget:ratio", &format!("vector({})", objective.budget_ratio()), &[]),
            self.record("slo:time_period:days", &format!("vector({days})"), &[]),
            self.record("slo:current_burn_rate:ratio", &burn(current), &[]),
        ];
        // the budget of a calendar period is counted by the agent alone, and has one meaning under one name
        if slo.calendar.is_none() {
            let left = format!("1 - slo:period_burn_rate:ratio{identity}");
            list.push(self.record("slo:period_burn_rate:ratio", &spent, &[]));
            list.push(self.record("slo:period_error_budget_remaining:ratio", &left, &[]));
        }
        list.push(self.record("sloth_slo_info", "vector(1)", &info));
        list
    }

    /// Returns the labels of every rule of the SLO, those of the user first so that none replaces one of ours.
    pub(super) fn labels(&self, further: &[(&str, String)]) -> Vec<(String, String)> {
        let slo = self.slo;
        let ours =
            [("sloth_id", slo.id()), ("sloth_service", slo.service.clone()), ("sloth_slo", slo.name.clone())];
        let mut labels: Vec<(String, String)> = Vec::new();
        labels.extend(slo.labels.iter().map(|(name, value)| (name.clone(), value.clone())));
        labels.extend(ours.iter().chain(further).map(|(name, value)| ((*name).to_owned(), value.clone())));
        labels
    }

    fn record(&self, name: &str, expr: &str, labels: &[(&str, String)]) -> Node {
        map([("record", name.into()), ("expr", expr.into()), ("labels", label_node(self.labels(labels)))])
    }
}

/// Returns a mapping of labels, with the last value of each: YAML allows a key only once.
pub(super) fn label_node(labels: Vec<(String, String)>) -> Node {
    let mut unique: Vec<(String, Node)> = Vec::new();
    for (name, value) in labels {
        match unique.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value.into(),
            None => unique.push((name, value.into())),
        }
    }
    Node::Map(unique)
}
