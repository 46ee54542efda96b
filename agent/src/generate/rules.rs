//! Recording and alerting rules of a service, under Sloth's names, so that dashboards and gates made for Sloth work.
//!
//! Two things differ from Sloth on purpose. The ratio of the period is a sum of errors over a sum of events, not a mean
//! of ratios: a busy hour counts for more than an idle night. And nothing is ever 0/0: without traffic a series has no
//! sample, without errors the ratio is 0.

use lookout_engine::{Method, Severity, Tier, Window};

use super::emit::{self, Node, map};
use super::promql::{self, Sli, quoted};
use super::{MARK, links};
use crate::spec::{Config, Slo};

/// The name of a service's rule file.
pub(super) fn file_name(service: &str) -> String {
    format!("{service}.rules.yaml")
}

/// All rules of a service: one group per SLO, in which nothing is read before it is recorded.
pub(super) fn file(config: &Config, service: &str) -> String {
    let slos = config.slos.iter().filter(|slo| slo.service == service);
    let (events, slices): (Vec<&Slo>, Vec<&Slo>) =
        slos.partition(|slo| slo.policy.method == Method::Occurrences);
    let groups = events.into_iter().map(|slo| group(config, slo));
    let mut comments = vec![
        format!("{MARK} from the SLOs of {service}. Do not edit: change the spec and generate again."),
        "Names and labels are Sloth's; `promtool test rules` runs the tests beside this file.".to_owned(),
    ];
    comments.extend(slices.into_iter().map(|slo| {
        let (name, method) = (&slo.name, slo.policy.method.as_str());
        format!("Not here: {name}. Its budget is counted by {method}, which the agent does and these rules do not.")
    }));
    emit::file(&comments, &map([("groups", Node::List(groups.collect()))]))
}

fn group(config: &Config, slo: &Slo) -> Node {
    let sli = Sli::of(config, slo);
    let rules = Rules { config, slo, sli, windows: windows(slo) };
    let mut list = rules.base();
    list.extend(rules.ratios());
    list.extend(rules.metadata());
    list.extend(rules.burn_alerts());
    list.extend(rules.missing_alert());
    let interval = Window::seconds(u64::from(evaluation_seconds(slo))).to_string();
    map([
        ("name", format!("lookout-slo-{}", slo.id()).into()),
        ("interval", interval.into()),
        ("rules", Node::List(list)),
    ])
}

/// The windows of the tiers, each once, the shortest first. Without tiers five minutes stand in, as far as the period
/// has them.
pub(super) fn windows(slo: &Slo) -> Vec<Window> {
    let mut windows: Vec<Window> = slo.tiers().iter().flat_map(|tier| [tier.short, tier.long]).collect();
    if windows.is_empty() {
        windows.push(slo.period().min(Window::minutes(5)));
    }
    windows.sort_unstable();
    windows.dedup();
    windows
}

/// The shortest window; rates recorded over it are what the period is summed from.
pub(super) fn base_window(slo: &Slo) -> Window {
    windows(slo).first().copied().unwrap_or_else(|| slo.period())
}

/// Seconds between evaluations of the rules: a fifth of the shortest window, at most a minute. Prometheus pays for each
/// with CPU that the agent does not need, so its rules are not evaluated on the agent's grid.
pub(super) fn evaluation_seconds(slo: &Slo) -> u32 {
    let grid = slo.policy.grid.width_seconds();
    let fifth = base_window(slo).as_seconds() / 5;
    let usual = [60_u32, 30, 15, 10, 5, 2, 1].into_iter().find(|seconds| u64::from(*seconds) <= fifth);
    usual.map_or(grid, |seconds| seconds.max(grid))
}

/// The labels by which the series that these rules record are told from all others: also from those that the agent
/// exports under the same names, which Prometheus gives the label `instance`.
pub(super) fn recorded(slo: &Slo) -> String {
    identity(slo).replace('}', ", instance=\"\"}")
}

/// The labels by which the series of one SLO are told from those of others.
pub(super) fn identity(slo: &Slo) -> String {
    let labels =
        [("sloth_id", slo.id()), ("sloth_service", slo.service.clone()), ("sloth_slo", slo.name.clone())];
    let labels: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    format!("{{{}}}", labels.join(", "))
}

/// Tiers of one severity that some failure rate can make fire, by the time they have to hold.
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

struct Rules<'a> {
    config: &'a Config,
    slo: &'a Slo,
    sli: Sli,
    windows: Vec<Window>,
}

impl Rules<'_> {
    /// Errors and events per second over the shortest window, which the period is summed from.
    fn base(&self) -> Vec<Node> {
        let base = base_window(self.slo).to_string();
        vec![
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
        for window in self.windows.iter().filter(|window| **window != period) {
            let expr = if *window == base {
                format!("{errors}\n/\n({total} > 0)")
            } else {
                self.sli.bad_ratio(&window.to_string())
            };
            list.push(ratio(*window, &expr));
        }
        // summed over both, so that each event weighs the same whenever it happened; `sum` lets a changed label pass
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
        vec![
            self.record("slo:objective:ratio", &format!("vector({})", objective.ratio()), &[]),
            self.record("slo:error_budget:ratio", &format!("vector({})", objective.budget_ratio()), &[]),
            self.record("slo:time_period:days", &format!("vector({days})"), &[]),
            self.record("slo:current_burn_rate:ratio", &burn(current), &[]),
            self.record("slo:period_burn_rate:ratio", &burn(slo.period()), &[]),
            self.record(
                "slo:period_error_budget_remaining:ratio",
                &format!("1 - slo:period_burn_rate:ratio{identity}"),
                &[],
            ),
            self.record("sloth_slo_info", "vector(1)", &info),
        ]
    }

    /// One alert per severity: its tiers are ORed, and a tier that no failure rate can reach is left out. Tiers that
    /// have to hold for different times cannot share a rule; the label `hold` tells their rules apart.
    fn burn_alerts(&self) -> Vec<Node> {
        let mut list = Vec::new();
        for severity in [Severity::Page, Severity::Ticket] {
            let groups = alert_groups(self.slo, severity);
            for (hold, tiers) in &groups {
                let expr: Vec<String> = tiers.iter().map(|tier| self.condition(tier)).collect();
                let mut labels = self.alert_labels(severity);
                if groups.len() > 1 {
                    labels.push(("hold".to_owned(), Window::seconds(*hold).to_string()));
                }
                let alert = self.slo.alert_name();
                list.push(alert_rule(&alert, &expr.join("\nor\n"), *hold, labels, self.burn_words(severity)));
            }
        }
        list
    }

    /// Fast in both windows, with as many events in the long one as the guard asks for.
    fn condition(&self, tier: &Tier) -> String {
        let threshold = promql::threshold(tier, self.slo.objective());
        let side = |window: Window| {
            let identity = recorded(self.slo);
            format!("max without (sloth_window) (slo:sli_error:ratio_rate{window}{identity}) > {threshold}")
        };
        let mut parts = vec![side(tier.short), side(tier.long)];
        let guard = self.slo.guard();
        let long = tier.long.to_string();
        if guard.minimum_bad > 1 {
            parts.push(format!("{} >= {}", self.sli.bad_count(&long), guard.minimum_bad));
        }
        if guard.minimum_events > 1 {
            parts.push(format!("{} >= {}", self.sli.total_count(&long), guard.minimum_events));
        }
        let mut text = String::new();
        for (index, part) in parts.iter().enumerate() {
            text.push_str(match index {
                0 => "",
                1 => "\nand\n",
                _ => "\nand on ()\n",
            });
            text.push_str(part);
        }
        format!("(\n{}\n)", promql::indented(&text))
    }

    fn missing_alert(&self) -> Option<Node> {
        let severity = self.slo.policy.data_alert?;
        let hold = self.slo.policy.data_alert_seconds();
        let expr = self.sli.missing(&base_window(self.slo).to_string());
        let alert = links::missing_alert(self.slo);
        Some(alert_rule(&alert, &expr, hold, self.alert_labels(severity), self.missing_words(&alert)))
    }

    fn alert_labels(&self, severity: Severity) -> Vec<(String, String)> {
        let slo = self.slo;
        let own = [
            ("severity", severity.label().to_owned()),
            ("service", slo.service.clone()),
            ("slo", slo.name.clone()),
            ("sloth_severity", severity.as_str().to_owned()),
        ];
        let mut labels = self.labels(&[]);
        labels.extend(own.map(|(name, value)| (name.to_owned(), value)));
        labels
    }

    fn burn_words(&self, severity: Severity) -> [(String, String); 4] {
        let slo = self.slo;
        let title = links::slo_title(slo);
        let haste = match severity {
            Severity::Page => "far too fast",
            Severity::Ticket => "too fast",
        };
        let summary = format!("The error budget of \"{title}\" burns {haste}.");
        let budget = format!("slo:period_error_budget_remaining:ratio{{sloth_id='{}'}}", slo.id());
        let description = format!(
            "{{{{ $value | humanizePercentage }}}} of the events of {} were bad; the objective of {} allows {}% over {}. \
             Budget left: {{{{ with query \"{budget}\" }}}}{{{{ . | first | value | humanizePercentage }}}}\
             {{{{ else }}}}unknown{{{{ end }}}}.",
            slo.id(),
            slo.objective(),
            promql::decimal(u128::from(slo.objective().budget_ppb()), 10_000_000),
            slo.period(),
        );
        self.annotations(&slo.alert_name(), summary, description)
    }

    fn missing_words(&self, alert: &str) -> [(String, String); 4] {
        let summary = format!(
            "The objective \"{}\" is not measured any more: the data are missing.",
            links::slo_title(self.slo)
        );
        let description = format!(
            "Nothing has been observed for {} (service {{{{ $labels.service }}}}) for at least {}: a total outage would \
             have fired by now. Its burn alerts can neither fire nor resolve until data are back.",
            self.slo.id(),
            Window::seconds(self.slo.policy.data_alert_seconds()),
        );
        self.annotations(alert, summary, description)
    }

    fn annotations(&self, alert: &str, summary: String, description: String) -> [(String, String); 4] {
        [
            ("summary".to_owned(), summary),
            ("description".to_owned(), description),
            ("runbook_url".to_owned(), links::runbook(self.config, alert)),
            ("dashboard_url".to_owned(), links::dashboard(self.config, self.slo)),
        ]
    }

    /// Labels of every rule of the SLO, those of the user first so that none of them can replace one of ours.
    fn labels(&self, further: &[(&str, String)]) -> Vec<(String, String)> {
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

fn alert_rule(
    name: &str,
    expr: &str,
    hold: u64,
    labels: Vec<(String, String)>,
    annotations: [(String, String); 4],
) -> Node {
    let mut pairs = vec![("alert", name.into()), ("expr", expr.into())];
    if hold > 0 {
        pairs.push(("for", Window::seconds(hold).to_string().into()));
    }
    pairs.push(("labels", label_node(labels)));
    pairs.push(("annotations", Node::Map(annotations.map(|(key, text)| (key, text.into())).into())));
    map(pairs)
}

/// The last value of a label wins; a mapping may name it only once.
fn label_node(labels: Vec<(String, String)>) -> Node {
    let mut unique: Vec<(String, Node)> = Vec::new();
    for (name, value) in labels {
        match unique.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value.into(),
            None => unique.push((name, value.into())),
        }
    }
    Node::Map(unique)
}
