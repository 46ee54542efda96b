//! Backtest: one recording through the policy of a spec, through others, and through a naive threshold.

use std::time::Duration;

use lookout_engine::{Cause, Counts, Objective, Policy, Tier};
use lookout_model::Timestamp;

use super::labels::{self, Alarm, Score};
use super::replay::{Incident, Outcome, fitted, replay};
use super::{Bounds, NaiveRule, Outage, Page, Recording};
use lookout_config::Calendar;

/// Number of points of a budget line: one per column of a picture.
const POINTS: usize = 800;

/// Input of a backtest besides the recording.
#[derive(Debug, Clone)]
pub struct Question {
    /// The SLO's id.
    pub slo: String,
    /// The policy.
    pub policy: Policy,
    /// The calendar of its budget; `None` for rolling periods.
    pub calendar: Option<Calendar>,
    /// The labelled outages.
    pub outages: Vec<Outage>,
    /// The time after the end of an outage in which an alarm may still begin and belong to it.
    pub grace: Duration,
    /// The naive threshold to compare with.
    pub naive: NaiveRule,
    /// Other objectives, with the tiers of the policy.
    pub objectives: Vec<Objective>,
    /// Other tiers, with the objective of the policy.
    pub tiers: Vec<Vec<Tier>>,
}

/// Result of a backtest.
#[derive(Debug, Clone)]
pub struct Backtest {
    /// The SLO's id.
    pub slo: String,
    /// The policy, on the grid of the recording.
    pub policy: Policy,
    /// The period of the budget as text.
    pub period: String,
    /// Seconds between evaluations that the spec asks for.
    pub wanted_width_s: u32,
    /// First and last instant of the recording.
    pub span: (Timestamp, Timestamp),
    /// Slots that were observed, of all slots.
    pub observed: (usize, u64),
    /// All events.
    pub total: Counts,
    /// Labelled outages in this time, and the alarm that found each.
    pub outages: Vec<(Outage, Option<usize>)>,
    /// Outages that lie outside the recording.
    pub outages_left_out: usize,
    /// ALL The replay of the policy.
    pub outcome: Outcome,
    /// The outage of each incident.
    pub outage_of: Vec<Option<usize>>,
    /// The score of incidents about the budget.
    pub score: Score,
    /// The result of the naive threshold.
    pub naive: Naive,
    /// Other policies.
    pub what_if: Vec<WhatIf>,
}

/// Result of a naive threshold.
#[derive(Debug, Clone)]
pub struct Naive {
    /// The rule.
    pub rule: NaiveRule,
    /// Every page, with its outage.
    pub pages: Vec<(Page, Option<usize>)>,
    /// The score of the pages.
    pub score: Score,
}

/// Another policy and its result.
#[derive(Debug, Clone)]
pub struct WhatIf {
    /// The difference to the policy.
    pub name: String,
    /// The tiers that can never fire, for which it has no result.
    pub unreachable: Vec<Tier>,
    /// The score of its incidents.
    pub score: Score,
    /// Incidents that became a page.
    pub pages: usize,
    /// Share of the budget left at the end.
    pub left_ratio: f64,
    /// The least share that was left.
    pub lowest_ratio: f64,
}

/// Runs a backtest on a recording.
#[must_use]
pub fn backtest(question: &Question, recording: &Recording) -> Backtest {
    let (from, until) = recording.span();
    let calendar = question.calendar.as_ref();
    let (outages, outages_left_out) = labels::inside(&question.outages, Bounds { from, until });
    let comparison = Comparison { outages: &outages, grace: question.grace, until };
    // the two are independent, and a year takes a while
    let (outcome, naive) = std::thread::scope(|scope| {
        let naive = scope.spawn(|| comparison.naive(question.naive, recording));
        let outcome = replay(&question.policy, calendar, recording, POINTS);
        (outcome, naive.join().unwrap_or_else(|_| comparison.naive(question.naive, recording)))
    });
    // an incident about missing data counts too when it found an outage first
    let all = comparison.alarms(&outcome.incidents, |_| true);
    let found = labels::matched(&all, &outages, question.grace);
    let score = comparison.score(&outcome.incidents);
    let what_if = variants(question)
        .map(|(name, policy)| {
            let outcome = replay(&policy, calendar, recording, 1);
            WhatIf {
                name,
                unreachable: unreachable(&policy),
                score: comparison.score(&outcome.incidents),
                pages: pages(&outcome.incidents),
                left_ratio: outcome.budget.left_ratio,
                lowest_ratio: outcome.lowest.left_ratio,
            }
        })
        .collect();
    let slots = until.millis_since(from) / (i64::from(recording.grid().width_seconds()) * 1000);
    Backtest {
        slo: question.slo.clone(),
        policy: fitted(&question.policy, recording),
        period: calendar.map_or_else(|| question.policy.period.nominal().to_string(), ToString::to_string),
        wanted_width_s: question.policy.grid.width_seconds(),
        span: (from, until),
        observed: (recording.slots().len(), u64::try_from(slots).unwrap_or(0)),
        total: recording.total(),
        naive,
        outages: outages.iter().cloned().zip(found.alarm_of).collect(),
        outages_left_out,
        outcome,
        outage_of: found.outage_of,
        score,
        what_if,
    }
}

fn variants(question: &Question) -> impl Iterator<Item = (String, Policy)> {
    let policy = &question.policy;
    let objectives = question.objectives.iter().map(|objective| {
        (format!("objective {objective}"), Policy { objective: *objective, ..policy.clone() })
    });
    let tiers = question.tiers.iter().map(|tiers| {
        let names: Vec<String> = tiers.iter().map(ToString::to_string).collect();
        (names.join("; "), Policy { tiers: tiers.clone(), ..policy.clone() })
    });
    objectives.chain(tiers)
}

fn unreachable(policy: &Policy) -> Vec<Tier> {
    policy.tiers.iter().filter(|tier| !tier.is_reachable(policy.objective)).copied().collect()
}

/// Returns the number of incidents that were a page at some time.
pub(super) fn pages(incidents: &[Incident]) -> usize {
    incidents.iter().filter(|incident| incident.paged_at.is_some()).count()
}

/// Compares alarms with the labelled outages.
struct Comparison<'a> {
    outages: &'a [Outage],
    grace: Duration,
    until: Timestamp,
}

impl Comparison<'_> {
    fn alarms(&self, incidents: &[Incident], which: impl Fn(&Incident) -> bool) -> Vec<Alarm> {
        let alarm = |incident: &Incident| Alarm {
            from: incident.detected_at,
            to: incident.resolved_at.unwrap_or(self.until),
        };
        incidents.iter().filter(|incident| which(incident)).map(alarm).collect()
    }

    fn score(&self, incidents: &[Incident]) -> Score {
        let alarms = self.alarms(incidents, |incident| incident.cause == Cause::Burn);
        self.compare(&alarms).0
    }

    fn compare(&self, alarms: &[Alarm]) -> (Score, Vec<Option<usize>>) {
        let matched = labels::matched(alarms, self.outages, self.grace);
        (Score::of(alarms, self.outages, &matched), matched.outage_of)
    }

    fn naive(&self, rule: NaiveRule, recording: &Recording) -> Naive {
        let pages = rule.pages(recording);
        let alarms: Vec<Alarm> = pages.iter().map(|page| Alarm { from: page.from, to: page.to }).collect();
        let (score, outage_of) = self.compare(&alarms);
        Naive { rule, pages: pages.into_iter().zip(outage_of).collect(), score }
    }
}
