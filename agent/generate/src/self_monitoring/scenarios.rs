//! Tests of the rules about the agent, in promtool's format: each alert fires when it should, and none fires for a
//! healthy agent.

use super::super::MARK;
use super::super::promql::quoted;
use super::super::yaml::{self, Node, map};
use super::{Alert, INTERVAL, OWN_ALERTS, Tolerance, alerts, stem};
use lookout_config::Config;
use lookout_runtime::events::names;

/// Seconds between samples.
const STEP: u64 = 15;

/// Seconds before the fault, longer than the longest range, and seconds of a whole scenario.
const BEFORE: u64 = 3900;
const LENGTH: u64 = 8700;

/// Renders all scenarios.
pub(crate) fn file(config: &Config) -> Option<String> {
    let fixture = Fixture {
        job: config.outputs.agent_job.as_deref()?,
        alerts: alerts(config)?,
        tolerance: Tolerance::of(config),
    };
    let comments = [format!(
        "{MARK}. Run with `promtool test rules`. Do not edit: change the config and generate again."
    )];
    let document = map([
        ("rule_files", Node::List(vec![format!("{}.rules.yaml", stem(config)).into()])),
        ("evaluation_interval", format!("{INTERVAL}s").into()),
        ("tests", Node::List(fixture.scenarios())),
    ]);
    Some(yaml::file(&comments, &document))
}

struct Fixture<'a> {
    job: &'a str,
    alerts: [Alert; OWN_ALERTS.len()],
    tolerance: Tolerance,
}

/// Values of a series over a scenario.
#[derive(Debug, Clone, Copy)]
enum Values {
    /// A constant: a gauge, or a counter without events.
    Still(u64),
    /// A counter that grows by this in every step.
    Grows(u64),
    /// A gauge with one value before the fault and another after it.
    Then(u64, u64),
    /// A counter that grows by the first before the fault and by the second after it.
    Pace(u64, u64),
    /// A gauge that has another value for some seconds after the fault.
    Passing(u64, u64, u64),
    /// A counter that grows by one at several instants, some seconds apart.
    Steps(u64, u64),
    /// No series.
    Absent,
}

impl Values {
    /// Returns the values in promtool's notation, from the first sample on.
    fn values(self) -> Option<String> {
        let (before, after) = (BEFORE / STEP - 1, (LENGTH - BEFORE) / STEP);
        Some(match self {
            Self::Still(value) => format!("{value}+0x{}", LENGTH / STEP),
            Self::Grows(by) => format!("0+{by}x{}", LENGTH / STEP),
            Self::Then(first, then) => format!("{first}+0x{before} {then}+0x{after}"),
            Self::Pace(first, then) => format!("0+{first}x{before} {}+{then}x{after}", first * (before + 1)),
            Self::Passing(value, other, seconds) => {
                let long = (seconds / STEP).max(1);
                format!("{value}+0x{before} {other}+0x{} {value}+0x{}", long - 1, after - long)
            }
            Self::Steps(count, apart) => {
                let long = (apart / STEP).max(1);
                let steps: Vec<String> = (1..=count).map(|n| format!("{n}+0x{}", long - 1)).collect();
                format!("0+0x{before} {} {count}+0x{after}", steps.join(" "))
            }
            Self::Absent => return None,
        })
    }
}

/// Series by its name and further labels.
type Series = (&'static str, &'static [(&'static str, &'static str)]);

const UP: Series = ("up", &[]);
const STARTED: Series = ("process_start_time_seconds", &[]);
const EVALUATED: Series = (names::TASK_LAST_SUCCESS, &[("task", "evaluate")]);
const OUTBOX: Series = (names::TASK_LAST_SUCCESS, &[("task", "deliver oncall")]);
const REFUSED: Series = (names::LEDGER_FAILURES, &[]);
const WAITING: Series = (names::DELIVERIES_WAITING, &[("destination", "oncall")]);
const DELIVERED: Series = (names::DELIVERIES, &[("destination", "oncall"), ("outcome", "delivered")]);
const GIVEN_UP: Series = (names::DELIVERIES, &[("destination", "oncall"), ("outcome", "failed")]);
const PANICS: Series = (names::TASK_PANICS, &[("task", "evaluate")]);
const JUMPS: Series = (names::CLOCK_JUMPS, &[]);
const RELOADED: Series = (names::CONFIG_RELOADED, &[]);
const FOUND: Series = (names::DISCOVERY_SUCCEEDED, &[("target", "shop")]);

/// Series of a healthy agent, which delivers a message now and then.
const HEALTHY: [(Series, Values); 12] = [
    (UP, Values::Still(1)),
    (STARTED, Values::Still(1)),
    (EVALUATED, Values::Grows(STEP)),
    (OUTBOX, Values::Grows(STEP)),
    (REFUSED, Values::Still(0)),
    (WAITING, Values::Still(0)),
    (DELIVERED, Values::Grows(1)),
    (GIVEN_UP, Values::Still(0)),
    (PANICS, Values::Still(0)),
    (JUMPS, Values::Still(0)),
    (RELOADED, Values::Still(1)),
    (FOUND, Values::Still(1)),
];

const GONE: [(Series, Values); 11] = [
    (UP, Values::Absent),
    (STARTED, Values::Absent),
    (EVALUATED, Values::Absent),
    (OUTBOX, Values::Absent),
    (REFUSED, Values::Absent),
    (WAITING, Values::Absent),
    (DELIVERED, Values::Absent),
    (GIVEN_UP, Values::Absent),
    (PANICS, Values::Absent),
    (RELOADED, Values::Absent),
    (FOUND, Values::Absent),
];

impl Fixture<'_> {
    fn scenarios(&self) -> Vec<Node> {
        let [down, stalled, ledger, delivering, crashing, clock, config, discovery] = &self.alerts;
        // the events that a range must not contain, and those it must
        let still = self.tolerance.evaluation;
        let late = STEP + INTERVAL;
        let far = BEFORE + self.tolerance.clock + STEP;
        vec![
            self.quiet("is quiet about an agent in good health", &[]),
            self.quiet(
                "is quiet about a restart, a busy outbox, a write that failed and a clock that was set",
                &[
                    (UP, Values::Passing(1, 0, 90)),
                    (STARTED, Values::Steps(3, 600)),
                    (REFUSED, Values::Then(0, 1)),
                    (WAITING, Values::Then(0, 2)),
                    (JUMPS, Values::Steps(4, STEP)),
                ],
            ),
            self.quiet(
                "is quiet about a receiver that does not answer for four minutes",
                &[(WAITING, Values::Passing(0, 3, 240)), (DELIVERED, Values::Still(7))],
            ),
            self.fires("calls when the agent is not reached", down, &[(UP, Values::Then(1, 0))], late),
            self.fires_after("calls when Prometheus knows of no agent", down, &GONE, 0, late),
            self.fires(
                "calls when evaluations stand still",
                stalled,
                &[(EVALUATED, Values::Pace(STEP, 0))],
                still + late,
            ),
            self.fires(
                "calls when an outbox stands still",
                stalled,
                &[(OUTBOX, Values::Pace(STEP, 0))],
                900 + late,
            ),
            self.fires_after(
                "calls when a started agent never evaluates",
                stalled,
                &[(EVALUATED, Values::Absent)],
                0,
                late,
            ),
            self.fires("calls when the ledger fails", ledger, &[(REFUSED, Values::Pace(0, 1))], late),
            self.fires(
                "calls when messages wait and none is accepted",
                delivering,
                &[(WAITING, Values::Then(0, 1)), (DELIVERED, Values::Still(7))],
                late,
            ),
            self.fires(
                "calls when a message was given up",
                delivering,
                &[(GIVEN_UP, Values::Then(0, 1))],
                late,
            ),
            self.fires("tells of a panic", crashing, &[(PANICS, Values::Then(0, 1))], late),
            self.fires(
                "tells of an agent that is started again and again",
                crashing,
                &[(STARTED, Values::Steps(4, 300))],
                4 * 300 + late,
            ),
            self.fires(
                "tells of a clock that jumps again and again",
                clock,
                &[(JUMPS, Values::Steps(4, 600))],
                4 * 600 + late,
            ),
            self.quiet(
                "is quiet about a configuration that is mended within five minutes",
                &[(RELOADED, Values::Passing(1, 0, 300))],
            ),
            self.fires(
                "tells of a configuration that stays refused",
                config,
                &[(RELOADED, Values::Then(1, 0))],
                late,
            ),
            self.quiet(
                "is quiet about addresses that are found again within five minutes",
                &[(FOUND, Values::Passing(1, 0, 300))],
            ),
            self.fires(
                "tells of addresses that are not found any more",
                discovery,
                &[(FOUND, Values::Then(1, 0))],
                late,
            ),
            self.fires_after(
                "tells of a clock that is not that of Prometheus",
                clock,
                &[(EVALUATED, Values::Grows(2 * STEP))],
                // the clock runs twice as fast, and is ahead by the time that has passed
                far - BEFORE,
                late,
            ),
        ]
    }

    /// Returns the scenario in which no alert fires at any time.
    fn quiet(&self, title: &str, different: &[(Series, Values)]) -> Node {
        let all = "count(ALERTS{alertstate=\"firing\"}) or vector(0)";
        let checks = (1..=LENGTH / 300).map(|n| check(all, n * 300, 0));
        self.scenario(title, different, checks.collect())
    }

    /// Returns the scenario of a fault after [`BEFORE`]: the alert fires at most `delay` later than its `for`.
    fn fires(&self, title: &str, alert: &Alert, different: &[(Series, Values)], delay: u64) -> Node {
        self.fires_after(title, alert, different, BEFORE, delay)
    }

    /// Returns the scenario of a fault from an instant on: the alert does not fire before its `for`, and does soon
    /// after.
    fn fires_after(
        &self,
        title: &str,
        alert: &Alert,
        different: &[(Series, Values)],
        from: u64,
        delay: u64,
    ) -> Node {
        let firing =
            format!("count(ALERTS{{alertname={},alertstate=\"firing\"}}) or vector(0)", quoted(alert.name));
        let early = (from + alert.hold).saturating_sub(INTERVAL).next_multiple_of(INTERVAL);
        let due = (from + alert.hold + delay).next_multiple_of(INTERVAL);
        let checks =
            vec![check(&firing, early, 0), check(&format!("({firing}) > bool 0"), due + INTERVAL, 1)];
        self.scenario(title, different, checks)
    }

    fn scenario(&self, title: &str, different: &[(Series, Values)], checks: Vec<Node>) -> Node {
        let input = HEALTHY.iter().filter_map(|(series, values)| {
            let changed = different.iter().find(|(other, _)| other == series);
            let values = changed.map_or(*values, |(_, values)| *values);
            let mut labels = vec![format!("job={}", quoted(self.job)), "instance=\"agent:9797\"".to_owned()];
            labels.extend(series.1.iter().map(|(name, value)| format!("{name}={}", quoted(value))));
            let name = format!("{}{{{}}}", series.0, labels.join(","));
            Some(map([("series", name.into()), ("values", values.values()?.into())]))
        });
        map([
            ("name", title.into()),
            ("interval", format!("{STEP}s").into()),
            ("input_series", Node::List(input.collect())),
            ("promql_expr_test", Node::List(checks)),
        ])
    }
}

fn check(expr: &str, at: u64, value: u64) -> Node {
    let sample = map([("labels", "{}".into()), ("value", Node::Plain(value.to_string()))]);
    map([
        ("expr", expr.into()),
        ("eval_time", format!("{at}s").into()),
        ("exp_samples", Node::List(vec![sample])),
    ])
}
