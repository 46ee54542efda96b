//! Self-monitoring: the rules that Prometheus has about the agent itself.
//!
//! The agent reports everything but its own end. So only these rules do not repeat the agent's own alerts, and
//! Prometheus and Alertmanager deliver them, not the agent. They are few: a page where an outage of the service would
//! reach nobody, a ticket where the agent recovers by itself but should not have to.
//!
//! No alert here always fires. Such an alert checks Prometheus and Alertmanager, and their own setups have it
//! (`Watchdog` in kube-prometheus).

mod pages;
mod scenarios;

use lookout_engine::Severity;

use super::promql::{duration, indented, quoted};
use super::rules::label_node;
use super::yaml::{self, Node, map};
use super::{MARK, kubernetes, links};
use lookout_config::{Config, OWN_ALERTS, OperatorObjects};
use lookout_runtime::events::names;

pub(super) use pages::pages;
pub(super) use scenarios::file as tests;

/// Label `service` of all these alerts.
pub(super) const SERVICE: &str = "lookout";

/// Seconds between evaluations: a `for` is at least three of them.
const INTERVAL: u64 = 60;

/// Returns the name of the files without ending; a service with this name keeps it.
pub(super) fn stem(config: &Config) -> &'static str {
    if config.slos.iter().any(|slo| slo.service == SERVICE) { "lookout-agent" } else { SERVICE }
}

/// Renders the rule file; `None` where no Prometheus scrapes the agent.
pub(super) fn file(config: &Config) -> Option<String> {
    let comments = [
        format!("{MARK} about the agent itself. Do not edit: change the config and generate again."),
        "`promtool test rules` runs the tests beside this file.".to_owned(),
    ];
    Some(yaml::file(&comments, &map([("groups", groups(config)?)])))
}

/// Renders the same as an object of the Prometheus operator. Objects of services have longer names.
pub(super) fn object(config: &Config, objects: &OperatorObjects) -> Option<String> {
    let comments = [
        format!("{MARK} about the agent itself. Do not edit: change the config and generate again."),
        format!("The group is that of {}.rules.yaml, which promtool tests.", stem(config)),
    ];
    Some(kubernetes::object(objects, SERVICE, &comments, groups(config)?))
}

fn groups(config: &Config) -> Option<Node> {
    let rules = alerts(config)?.iter().map(|alert| alert.rule(config)).collect();
    let group = map([
        ("name", "lookout-agent".into()),
        ("interval", duration(INTERVAL).into()),
        ("rules", Node::List(rules)),
    ]);
    Some(Node::List(vec![group]))
}

/// Alert about the agent.
struct Alert {
    name: &'static str,
    severity: Severity,
    expr: String,
    /// The seconds that it has to hold.
    hold: u64,
    title: &'static str,
    summary: &'static str,
    description: &'static str,
}

impl Alert {
    fn rule(&self, config: &Config) -> Node {
        let mut pairs = vec![("alert", self.name.into()), ("expr", self.expr.as_str().into())];
        if self.hold > 0 {
            pairs.push(("for", duration(self.hold).into()));
        }
        let labels = [("severity", self.severity.label()), ("service", SERVICE)];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let annotations = [
            ("title", format!("({}) {SERVICE}: {}", self.severity, self.title).into()),
            ("summary", self.summary.into()),
            ("description", self.description.into()),
            ("runbook_url", links::runbook(config, self.name).into()),
            ("dashboard_url", format!("{}/", links::agent(config)).into()),
        ];
        pairs.extend([("labels", label_node(labels.into())), ("annotations", map(annotations))]);
        map(pairs)
    }
}

/// Tolerated durations with a grid, in seconds.
#[derive(Debug, Clone, Copy)]
struct Tolerance {
    /// The time in which a working agent has evaluated several times.
    evaluation: u64,
    /// The time in which several evaluations would have tried to store.
    storing: u64,
    /// The age of the last evaluation by another clock.
    clock: u64,
}

impl Tolerance {
    fn of(config: &Config) -> Self {
        let grid = u64::from(config.grid.width_seconds());
        Self { evaluation: (5 * grid).max(300), storing: (3 * grid).max(120), clock: 120 + grid }
    }
}

/// Returns all alerts, in the order of their names in [`OWN_ALERTS`].
fn alerts(config: &Config) -> Option<[Alert; OWN_ALERTS.len()]> {
    let job = format!("job={}", quoted(config.outputs.agent_job.as_deref()?));
    let tolerance = Tolerance::of(config);
    let [down, stalled, ledger, delivering, crashing, clock, refused, discovery] = OWN_ALERTS;
    Some([
        Alert {
            name: down,
            severity: Severity::Page,
            expr: format!("up{{{job}}} == 0\nor\nabsent(up{{{job}}})"),
            // an update or a restart takes less than a minute, and reading a large ledger another
            hold: 180,
            title: "the agent is down",
            summary: "Nobody watches: Prometheus does not reach lookout.",
            description: "The metrics of the agent{{ with $labels.instance }} at {{ . }}{{ end }} could not be read for three \
                 minutes. It evaluates nothing and tells nobody, and its gate answers no pipeline. Its pages are away \
                 with it: the runbook is in the folder of runbooks as well.",
        },
        Alert {
            name: stalled,
            severity: Severity::Page,
            expr: stalled_expr(&job, tolerance),
            // a task that has just begun has not changed yet: two evaluations of the widest usual grid
            hold: (tolerance.storing).max(180),
            title: "the agent stands still",
            summary: "lookout answers, but does not do its work.",
            description: "On {{ $labels.instance }} {{ with $labels.task }}the task `{{ . }}` has not done its work for \
                 minutes{{ else }}no evaluation has been done since the start{{ end }}. What it shows is old, and an outage \
                 now would not be told.",
        },
        Alert {
            name: ledger,
            severity: Severity::Page,
            expr: format!(
                "increase({}{{{job}}}[{}]) > 0",
                names::LEDGER_FAILURES,
                duration(tolerance.storing)
            ),
            // longer than one failure is remembered: only consecutive failures last that long
            hold: tolerance.storing + 60,
            title: "the ledger takes no writes",
            summary: "lookout cannot store what it sees, and pages from memory.",
            description: "The ledger of {{ $labels.instance }} refuses every write. Counts wait in memory and would be lost \
                 with a restart; pages go on from memory, marked as not recorded.",
        },
        Alert {
            name: delivering,
            severity: Severity::Page,
            expr: delivering_expr(&job),
            // five minutes of waiting and five without success: a receiver may be restarted too
            hold: 300,
            title: "messages are not delivered",
            summary: "lookout knows of an incident and cannot tell its receivers.",
            description: "Messages for `{{ $labels.destination }}` wait and none was accepted for five minutes, or one was \
                 refused for good. Whoever is reached by it alone does not know of the incident.",
        },
        Alert {
            name: crashing,
            severity: Severity::Ticket,
            expr: format!(
                "increase({}{{{job}}}[1h]) > 0\nor\nchanges(process_start_time_seconds{{{job}}}[1h]) > 3",
                names::TASK_PANICS
            ),
            // a panic is a defect however short; three restarts an hour may be an update and its way back
            hold: 0,
            title: "the agent crashes",
            summary: "lookout panics or is started again and again.",
            description: "On {{ $labels.instance }} {{ with $labels.task }}the task `{{ . }}` panicked{{ else }}the process was \
                 started more than three times{{ end }} within an hour. It goes on by itself, with slots missed in between.",
        },
        Alert {
            name: clock,
            severity: Severity::Ticket,
            expr: clock_expr(&job, tolerance),
            // time for NTP to correct the clock after a suspend
            hold: 600,
            title: "the clock is off",
            summary: "The clock of lookout jumps, or is not that of Prometheus.",
            description: "The wall clock of {{ $labels.instance }} jumped in three or more five-minute spans of an hour, or \
                 differs from that of Prometheus by minutes. Slots are missed, and times in messages and answers of \
                 the gate are wrong.",
        },
        Alert {
            name: refused,
            severity: Severity::Ticket,
            expr: format!("{}{{{job}}} == 0", names::CONFIG_RELOADED),
            // a person who edits the file in several steps is not told of each
            hold: 600,
            title: "a changed configuration is refused",
            summary: "lookout goes on with the configuration before: the changed files have an error.",
            description: "{{ $labels.instance }} refuses its changed configuration. It watches by the one before, without the \
                 changes that somebody made, and a restart would end with the error.",
        },
        Alert {
            name: discovery,
            severity: Severity::Ticket,
            expr: format!("{}{{{job}}} == 0", names::DISCOVERY_SUCCEEDED),
            // a name server is restarted and a deployment without ready pods is over sooner; probes go on meanwhile
            hold: 600,
            title: "addresses are not found",
            summary: "lookout cannot look the addresses of a target up, and probes those of before.",
            description: "On {{ $labels.instance }} no lookup of the addresses of `{{ $labels.target }}` succeeds. The addresses \
                 of before are probed on; a new one is not watched, and one that is gone fails. An agent that never found \
                 an address probes none.",
        },
    ])
}

/// Returns the expression of a stalled task. The change of the gauge does not depend on clocks. An outbox reads its
/// ledger every minute, but takes as long as its receiver does. The last part is an agent that never evaluated.
fn stalled_expr(job: &str, tolerance: Tolerance) -> String {
    let done = names::TASK_LAST_SUCCESS;
    format!(
        "changes({done}{{{job}, task=\"evaluate\"}}[{}]) == 0\nor\n\
         changes({done}{{{job}, task=~\"deliver .+\"}}[15m]) == 0\nor\n\
         (\n{}\n)",
        duration(tolerance.evaluation),
        indented(&format!("up{{{job}}} == 1\nunless on (job, instance)\n{done}{{{job}, task=\"evaluate\"}}"))
    )
}

/// Returns the expression of failing deliveries. A waiting message alone is no fault; one that waits while nothing is
/// accepted is, and so is a dead letter.
fn delivering_expr(job: &str) -> String {
    let (waiting, deliveries) = (names::DELIVERIES_WAITING, names::DELIVERIES);
    let waits = format!(
        "{waiting}{{{job}}} > 0\nunless on (job, instance, destination)\n\
         increase({deliveries}{{{job}, outcome=\"delivered\"}}[5m]) > 0"
    );
    format!(
        "(\n{}\n)\nor\nsum without (outcome) (increase({deliveries}{{{job}, outcome=\"failed\"}}[15m])) > 0",
        indented(&waits)
    )
}

/// Returns the expression of clock jumps. Every source sees a jump at its next read, which may be on both sides of an
/// edge: one jump is in two spans at most. An agent that is suspended has an old time but no wrong clock.
fn clock_expr(job: &str, tolerance: Tolerance) -> String {
    let done = format!("{}{{{job}, task=\"evaluate\"}}", names::TASK_LAST_SUCCESS);
    let off = format!(
        "abs(timestamp({done}) - {done}) > {}\nand\nchanges({done}[{}]) > 0",
        tolerance.clock,
        duration(tolerance.evaluation)
    );
    format!(
        "count_over_time((increase({}{{{job}}}[5m]) > 0)[1h:5m]) >= 3\nor\n(\n{}\n)",
        names::CLOCK_JUMPS,
        indented(&off)
    )
}
