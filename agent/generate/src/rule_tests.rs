//! Tests for the generated rules, in promtool's format: users can check the rules without this program.
//!
//! Times are computed from the policy, so that the tests fit demo scales as well as months.

use std::collections::BTreeMap;

use lookout_engine::{Cause, Severity, Tier};

use super::promql::{self, Counted, Sli, identity, quoted};
use super::rules::{
    alert_groups, base_window, evaluation_order, evaluation_seconds, file_name, has_rules, recorded,
};
use super::sample_series::Events;
use super::timeslices::Slice;
use super::yaml::{self, Node, map};
use super::{MARK, links};
use lookout_config::{Config, Slo};

/// Events per step, enough for every usual guard.
const EVENTS: u64 = 1000;

/// Renders the tests of all SLOs of a service, as files by name: one for each interval at which rules are evaluated.
/// promtool evaluates every group at the interval of the test file, and a budget depends on its own.
pub(super) fn files(config: &Config, service: &str) -> Vec<(String, String)> {
    let slos = config.slos.iter().filter(|slo| slo.service == service && has_rules(slo));
    let mut by_interval: BTreeMap<u32, Vec<&Slo>> = BTreeMap::new();
    for slo in slos {
        by_interval.entry(evaluation_seconds(slo)).or_default().push(slo);
    }
    if by_interval.is_empty() {
        by_interval.insert(60, Vec::new());
    }
    let name = |place: usize, seconds: u32| match place {
        0 => format!("{service}.tests.yaml"),
        _ => format!("{service}.{seconds}s.tests.yaml"),
    };
    let files = by_interval.iter().enumerate();
    files
        .map(|(place, (seconds, slos))| (name(place, *seconds), file(config, service, *seconds, slos)))
        .collect()
}

/// Renders the tests of the SLOs whose rules are evaluated at one interval.
fn file(config: &Config, service: &str, interval_s: u32, slos: &[&Slo]) -> String {
    let plans: Vec<Plan<'_>> = slos.iter().map(|slo| Plan::of(config, slo)).collect();
    let tests = plans.iter().flat_map(Plan::tests);
    let mut comments = vec![format!(
        "{MARK}. Run with `promtool test rules`. Do not edit: change the spec and generate again."
    )];
    comments.extend(plans.iter().filter(|plan| plan.events.is_none()).map(|plan| {
        format!("{} is tested without data only: no counters follow from its queries.", plan.slo.id())
    }));
    let order = evaluation_order(config, service)
        .map(|names| ("group_eval_order", Node::List(names.into_iter().map(Into::into).collect())));
    let head = [
        ("rule_files", Node::List(vec![file_name(service).into()])),
        ("evaluation_interval", format!("{interval_s}s").into()),
    ];
    let tests = ("tests", Node::List(tests.collect()));
    yaml::file(&comments, &map(head.into_iter().chain(order).chain([tests])))
}

/// Stretch of equal steps.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    steps: u64,
    good: u64,
    bad: u64,
    /// True if the source answers.
    up: bool,
}

struct Plan<'a> {
    slo: &'a Slo,
    sli: Sli,
    /// The series; `None` when no series can be made that the queries count.
    events: Option<Events>,
    /// The milliseconds between samples: at least four in the shortest window, and evaluations fall on samples.
    step_ms: u64,
    /// The samples per evaluation.
    steps_per_tick: u64,
    slice: Option<Slice>,
}

impl<'a> Plan<'a> {
    fn of(config: &Config, slo: &'a Slo) -> Self {
        let sli = Sli::of(config, slo);
        let events = Events::of(&sli);
        let tick_ms = u64::from(evaluation_seconds(slo)) * 1000;
        let slice = Slice::of(slo);
        let shortest = slice.as_ref().map_or(base_window(slo), |slice| slice.length().min(base_window(slo)));
        let quarter = (shortest.as_seconds() * 1000 / 4).max(1);
        let steps_per_tick = tick_ms.div_ceil(quarter).max(1);
        // promtool knows whole milliseconds
        let steps_per_tick = (steps_per_tick..=tick_ms).find(|n| tick_ms.is_multiple_of(*n)).unwrap_or(1);
        Self { slo, sli, events, step_ms: tick_ms / steps_per_tick, steps_per_tick, slice }
    }

    fn tests(&self) -> Vec<Node> {
        if self.events.is_none() {
            return vec![self.silent()];
        }
        let mut list = vec![self.healthy(), self.idle()];
        list.extend(self.outage());
        list.extend(self.down());
        list.extend(self.missing());
        list.extend(self.paused());
        list
    }

    /// Returns the test without series: the rules load, and no alert about burning fires.
    fn silent(&self) -> Node {
        let ticks = self.unit_ticks() * 3;
        let nothing = Stretch { steps: ticks * self.steps_per_tick, good: 0, bad: 0, up: false };
        self.test("is quiet without data", &[nothing], &[self.check(ticks, &self.firing(None), 0.0)])
    }

    /// Returns the test of good events only, without the bad series: nothing fires, and the budget is whole.
    fn healthy(&self) -> Node {
        let ticks = self.unit_ticks() * 3;
        let quiet = Stretch { steps: ticks * self.steps_per_tick, good: EVENTS, bad: 0, up: true };
        let id = recorded(self.slo);
        let mut checks = vec![
            self.check(ticks, &self.firing(None), 0.0),
            self.check(ticks, &format!("max(slo:current_burn_rate:ratio{id})"), 0.0),
        ];
        if self.slo.calendar.is_none() {
            checks.push(self.check(ticks, &format!("max(slo:period_error_budget_remaining:ratio{id})"), 1.0));
        }
        self.test("is quiet while healthy, even before the first error", &[quiet], &checks)
    }

    /// Returns the test of traffic that stops: no ratio, no NaN, and an unchanged budget.
    fn idle(&self) -> Node {
        let base = base_window(self.slo);
        let (busy, idle) = (self.unit_ticks() * 3, self.unit_ticks() * 3);
        let stretches = [
            Stretch { steps: busy * self.steps_per_tick, good: EVENTS - 1, bad: 1, up: true },
            Stretch { steps: idle * self.steps_per_tick, good: 0, bad: 0, up: true },
        ];
        let id = recorded(self.slo);
        let spent = 1.0 / EVENTS as f64;
        let spent = self.slice.as_ref().map_or(spent, |slice| slice.worth_of(spent));
        // the time before the first sample, and from the second on that of each, counts as clean
        let tick = u64::from(evaluation_seconds(self.slo)) as f64;
        let seen = |ticks: u64| (ticks as f64 * tick / self.slo.period().as_seconds() as f64).min(1.0);
        let spent = spent / self.slo.objective().budget_ratio();
        let (left, unsure) = (1.0 - spent * seen(busy + idle + 1), spent * seen(2) + 1e-9);
        let budget = format!("slo:period_error_budget_remaining:ratio{id}");
        // a sum is NaN as soon as one of its parts is, and NaN equals nothing
        let all = format!("sum({{__name__=~\"slo:.+\", sloth_id={}}})", quoted(&self.slo.id()));
        let sound = format!("{all} == bool {all}");
        let now = format!("count(slo:sli_error:ratio_rate{base}{id}) or vector(0)");
        let end = busy + idle;
        let mut checks = vec![self.check(end, &sound, 1.0)];
        if self.slo.calendar.is_none() {
            let close = format!("max(abs({budget} - ({left})) < bool {unsure})");
            checks.push(self.check(end, &close, 1.0));
        }
        // a window as long as the period still contains the traffic
        if base != self.slo.period() {
            checks.insert(0, self.check(end, &now, 0.0));
        }
        self.test("keeps its budget over an idle gap", &stretches, &checks)
    }

    /// Returns the test of an outage in which every event is bad: the alert fires at the evaluation after long ×
    /// factor ÷ burn, and is released after the end.
    fn outage(&self) -> Option<Node> {
        let severity = [Severity::Page, Severity::Ticket]
            .into_iter()
            .find(|severity| !alert_groups(self.slo, *severity).is_empty())?;
        let tiers: Vec<Tier> =
            alert_groups(self.slo, severity).into_iter().flat_map(|(_, tiers)| tiers).collect();
        let slice = self.slice_ticks();
        // the outage begins with a slice
        let before = (self.ticks_in(tiers.iter().map(|tier| tier.long.as_seconds()).max()?) + 1)
            .next_multiple_of(slice);
        let fires = tiers.iter().filter_map(|tier| self.ticks_to_fire(tier)).min()?;
        let outage = fires + 1;
        let gap = self.ticks_in(base_window(self.slo).as_seconds()) + 2;
        let clean = self.ticks_in(tiers.iter().map(|tier| tier.short.as_seconds()).max()?) + 2 + slice;
        let stretch =
            |ticks: u64, good, bad| Stretch { steps: ticks * self.steps_per_tick, good, bad, up: true };
        let stretches = [
            stretch(before, EVENTS, 0),
            stretch(outage, 0, EVENTS),
            Stretch { up: false, ..stretch(gap, 0, 0) },
            stretch(2, 0, EVENTS),
            stretch(clean, EVENTS, 0),
        ];
        let gone = before + outage + gap;
        let firing = self.firing(Some(severity));
        let count = alert_groups(self.slo, severity).len();
        let at_least_one = format!("({firing}) > bool 0");
        let checks = [
            self.check(before, &firing, 0.0),
            self.check(before + fires - 1, &firing, 0.0),
            self.check(before + fires, &at_least_one, 1.0),
            self.check(gone, &at_least_one, 1.0),
            self.check(gone + 2 + clean, &firing, 0.0),
        ];
        let title = match count {
            1 => format!(
                "fires a {severity} {} after a total outage began, goes on without data, and resolves",
                self.at(fires)
            ),
            _ => format!(
                "fires its first {severity} {} after a total outage began, goes on without data, and resolves",
                self.at(fires)
            ),
        };
        Some(self.test(&title, &stretches, &checks))
    }

    /// Returns the test of an incident about failures in a row: its alert is that of the agent.
    fn down(&self) -> Option<Node> {
        let condition = self.slo.policy.conditions.iter().find(|seen| seen.cause() == Cause::TargetDown)?;
        let ticks = self.unit_ticks();
        let steps = ticks * self.steps_per_tick;
        let failing = Stretch { steps, good: 0, bad: EVENTS, up: true };
        let series = promql::open_incident(self.slo, Cause::TargetDown);
        let open = input_series(&series, &format!("0+0x{} 1+0x{} 0+0x{steps}", steps - 1, steps - 1));
        let (alert, severity) = (self.slo.alert_name_for(Cause::TargetDown), condition.severity);
        let firing = format!(
            "count(ALERTS{{alertname={},alertstate=\"firing\",severity={}}}) or vector(0)",
            quoted(&alert),
            quoted(severity.label())
        );
        let checks = [
            self.check(ticks - 1, &firing, 0.0),
            self.check(ticks * 2 - 1, &firing, 1.0),
            self.check(ticks * 3 - 1, &firing, 0.0),
        ];
        let title = format!("fires a {severity} while the agent says that it is down");
        Some(self.test_with(&title, vec![open], &[failing; 3], &checks))
    }

    /// Returns the test of a source that stops: the alert about missing data fires, and not before its time.
    fn missing(&self) -> Option<Node> {
        self.slo.policy.data_alert?;
        let before = self.ticks_in(base_window(self.slo).as_seconds()).max(1) * 2;
        // a query over a window has a value as long as the window holds two samples
        let lasting = self.sli.total.counters().is_none() && self.sli.job.is_none();
        let lasting = if lasting { self.ticks_in(base_window(self.slo).as_seconds()) } else { 0 };
        let hold = self.ticks_in(self.slo.policy.data_alert_seconds()) + lasting;
        // whether a sample on the very start of a window is in it depends on the version of Prometheus
        let unsure = if lasting > 0 { 2 } else { 0 };
        let stretches = [
            Stretch { steps: before * self.steps_per_tick, good: EVENTS, bad: 0, up: true },
            Stretch { steps: (hold + 3) * self.steps_per_tick, good: 0, bad: 0, up: false },
        ];
        let alert = links::missing_alert(self.slo);
        let firing =
            format!("count(ALERTS{{alertname={},alertstate=\"firing\"}}) or vector(0)", quoted(&alert));
        let checks = [
            self.check(before, &firing, 0.0),
            self.check((before + hold).saturating_sub(unsure), &firing, 0.0),
            self.check(before + hold + 1, &firing, 1.0),
            self.check(before + hold + 1, &self.firing(None), 0.0),
        ];
        Some(self.test("calls when data are missing", &stretches, &checks))
    }

    /// Returns the test of a target that is paused: nobody misses its data.
    fn paused(&self) -> Option<Node> {
        let (_, series) = (self.slo.policy.data_alert?, self.sli.paused()?);
        let before = self.ticks_in(base_window(self.slo).as_seconds()).max(1) * 2;
        let long = before + self.ticks_in(self.slo.policy.data_alert_seconds());
        let stretches = [
            Stretch { steps: before * self.steps_per_tick, good: EVENTS, bad: 0, up: true },
            Stretch { steps: (long + 3) * self.steps_per_tick, good: 0, bad: 0, up: false },
        ];
        let steps = stretches.each_ref().map(|stretch| stretch.steps);
        let paused = input_series(&series, &format!("0+0x{} 1+0x{}", steps[0], steps[1]));
        let alert = quoted(&links::missing_alert(self.slo));
        let firing = format!("count(ALERTS{{alertname={alert},alertstate=\"firing\"}}) or vector(0)");
        let check = self.check(before + long + 1, &firing, 0.0);
        Some(self.test_with("is quiet while the target is paused", vec![paused], &stretches, &[check]))
    }

    /// Returns the evaluations from the first bad event until a tier fires: the first one strictly after the closed
    /// form, and then those of its hold time.
    fn ticks_to_fire(&self, tier: &Tier) -> Option<u64> {
        let tick = u64::from(evaluation_seconds(self.slo));
        let detection = tier.detection_seconds(self.slo.objective(), 1.0)? - tier.hold_seconds as f64;
        let quantum = self.slice_ticks();
        let detected = (detection / (tick * quantum) as f64).floor() as u64 + 1;
        Some(detected * quantum + tier.hold_seconds.div_ceil(tick))
    }

    /// Returns the evaluations in a slice; one where events are counted.
    fn slice_ticks(&self) -> u64 {
        self.slice.as_ref().map_or(1, |slice| self.ticks_in(slice.length().as_seconds()).max(1))
    }

    /// Returns the evaluations after which the shortest window contains nothing older.
    fn unit_ticks(&self) -> u64 {
        let base = self.ticks_in(base_window(self.slo).as_seconds()).max(1);
        (base + self.slice_ticks() - 1).next_multiple_of(self.slice_ticks())
    }

    /// Returns the evaluations that a span of seconds takes, rounded up.
    fn ticks_in(&self, seconds: u64) -> u64 {
        seconds.div_ceil(u64::from(evaluation_seconds(self.slo)))
    }

    fn at(&self, ticks: u64) -> String {
        format!("{}s", ticks * u64::from(evaluation_seconds(self.slo)))
    }

    /// Returns the query of the number of firing burn alerts of this SLO.
    fn firing(&self, severity: Option<Severity>) -> String {
        let severity = severity.map_or_else(String::new, |s| format!(",severity={}", quoted(s.label())));
        let alert = quoted(&self.slo.alert_name());
        format!("count(ALERTS{{alertname={alert},alertstate=\"firing\"{severity}}}) or vector(0)")
    }

    fn check(&self, tick: u64, expr: &str, value: f64) -> Node {
        let sample = map([("labels", "{}".into()), ("value", Node::Plain(value.to_string()))]);
        map([
            ("expr", expr.into()),
            ("eval_time", self.at(tick).into()),
            ("exp_samples", Node::List(vec![sample])),
        ])
    }

    fn test(&self, title: &str, stretches: &[Stretch], checks: &[Node]) -> Node {
        self.test_with(title, Vec::new(), stretches, checks)
    }

    fn test_with(&self, title: &str, mut input: Vec<Node>, stretches: &[Stretch], checks: &[Node]) -> Node {
        for (events, series) in
            self.events.iter().flat_map(|events| events.series().into_iter().map(move |s| (events, s)))
        {
            let good = events.good.contains(series);
            let bad = events.bad.contains(series);
            let counts = |stretch: &Stretch| {
                stretch.up.then(|| u64::from(good) * stretch.good + u64::from(bad) * stretch.bad)
            };
            // a kind of event that never happens has no series, as in a young process
            let happens = stretches.iter().any(|stretch| counts(stretch).is_some_and(|n| n > 0));
            if happens || self.has_sum() {
                input.push(input_series(&series.to_string(), &counter(stretches, counts)));
            }
        }
        input.extend(self.exported(stretches));
        if let Some(job) = &self.sli.job {
            let values: Vec<String> = stretches
                .iter()
                .map(|stretch| format!("{}+0x{}", u8::from(stretch.up), stretch.steps - 1))
                .collect();
            // the sample of time zero
            let values = format!("1 {}", values.join(" "));
            input.push(input_series(&format!("up{{job={}}}", quoted(job)), &values));
        }
        map([
            ("name", format!("{} {title}", self.slo.id()).into()),
            ("interval", format!("{}ms", self.step_ms).into()),
            ("input_series", Node::List(input)),
            ("promql_expr_test", Node::List(checks.to_vec())),
        ])
    }

    /// Returns whether a query adds several counters, each of which has to exist.
    fn has_sum(&self) -> bool {
        let is_sum = |counted: &Counted| counted.terms().is_some_and(|terms| terms.len() > 1);
        is_sum(&self.sli.part) || is_sum(&self.sli.total)
    }

    /// Returns series that the agent exports under the names of recordings: the rules must neither read them nor
    /// conflict with them.
    fn exported(&self, stretches: &[Stretch]) -> [Node; 2] {
        let labels = identity(self.slo).replace('}', ", instance=\"agent:9797\"}");
        let steps: u64 = stretches.iter().map(|stretch| stretch.steps).sum();
        let base = base_window(self.slo);
        [
            input_series(&format!("slo:sli_error:ratio_rate{base}{labels}"), &format!("1+0x{steps}")),
            input_series(&format!("slo:error_budget:ratio{labels}"), &format!("0.5+0x{steps}")),
        ]
    }
}

fn input_series(series: &str, values: &str) -> Node {
    map([("series", series.into()), ("values", values.into())])
}

/// Returns a counter in promtool's notation, from zero at time zero; a source that is down has no samples.
fn counter(stretches: &[Stretch], counts: impl Fn(&Stretch) -> Option<u64>) -> String {
    let mut value = 0;
    let mut parts = vec!["0".to_owned()];
    for stretch in stretches {
        match counts(stretch) {
            Some(by) => {
                parts.push(format!("{}+{by}x{}", value + by, stretch.steps - 1));
                value += by * stretch.steps;
            }
            None => {
                parts.push("stale".to_owned());
                if stretch.steps > 1 {
                    parts.push(format!("_x{}", stretch.steps - 1));
                }
            }
        }
    }
    parts.join(" ")
}
