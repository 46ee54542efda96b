//! The notice of a transition, complete in itself.

use lookout_engine::{
    Assessment, BurnFactor, Change, ConditionAssessment, TierAssessment, Transition, VersionShare, Window,
};

use super::component;
use lookout_config::{Config, Slo};
use lookout_model::{
    CalendarEvidence, ConditionEvidence, Corrected, DeployRecord, Evidence, GridTime, IncidentRecord, Notice,
    PresentEvidence, TierEvidence, Timestamp, TransitionRecord, VersionEvidence,
};

/// Facts beside the measurement.
pub(super) struct Context {
    pub(super) last_deploy: Option<DeployRecord>,
    pub(super) last_failure: Option<String>,
    pub(super) corrected: Corrected,
}

/// Returns the record of a transition, without its destinations.
pub(super) fn record(
    config: &Config,
    slo: &Slo,
    incident: IncidentRecord,
    transition: &Transition,
    report: &Assessment,
    context: Context,
) -> TransitionRecord {
    let at = config.grid.end_of(transition.at);
    let alert = slo.alert_name_for(transition.cause);
    let notice = Notice {
        change: transition.change,
        at,
        incident: incident.clone(),
        runbook_url: config.runbook_url(&alert),
        dashboard_url: config.dashboard_url(slo),
        explain_url: config.explain_url(slo),
        incidents_url: config.incidents_url(),
        silences_url: config.silences_url(&slo.id()),
        alert,
        slo_title: slo.title().to_owned(),
        description: slo.description.clone(),
        environment: config.environment.clone(),
        evidence: evidence(slo, report, context.corrected),
        last_deploy: context.last_deploy,
        last_failure: context.last_failure,
        not_recorded: false,
        own_fault: None,
        rehearsal: None,
        news: None,
        changed_at: None,
        acknowledgement: None,
        silence: None,
    };
    TransitionRecord { incident, change: transition.change, at, notice, destinations: Vec::new() }
}

/// The end of an incident whose objective is gone, told to those who heard of it last.
pub(super) fn abandoned(last: &TransitionRecord, now: Timestamp) -> TransitionRecord {
    let mut end = last.clone();
    end.change = Change::Resolved;
    end.at = now;
    end.incident.resolved_at = Some(now);
    end.notice.change = Change::Resolved;
    end.notice.at = now;
    end.notice.incident = end.incident.clone();
    end.notice.description =
        format!("No longer watched: the SLO was removed or renamed. Before: {}", last.notice.description);
    end
}

pub(super) fn evidence(slo: &Slo, report: &Assessment, corrected: Corrected) -> Evidence {
    Evidence {
        objective_percent: slo.objective().percent(),
        period_s: report.period.window.as_seconds(),
        calendar: calendar(slo, report),
        versions: versions(report),
        data_state: report.state,
        budget_left_ratio: report.budget.left_ratio,
        seconds_to_exhaustion: report.seconds_to_exhaustion.filter(|_| slo.objective().ratio() > 0.0),
        bad: report.budget.bad,
        total: report.budget.total,
        tiers: report.tiers.iter().map(|tier| tier_evidence(slo, tier)).collect(),
        present: Some(present(slo, report)),
        corrected,
        conditions: report.conditions.iter().map(condition_evidence).collect(),
        components: component::evidence(slo, report),
    }
}

fn present(slo: &Slo, report: &Assessment) -> PresentEvidence {
    let (present, grid) = (&report.present, slo.policy.grid);
    PresentEvidence {
        status: report.status,
        window_s: present.measured.window.as_seconds(),
        observed_window_s: present.measured.observed_seconds,
        bad: present.events.bad,
        total: present.events.total(),
        burn: present.burn_rate,
        failing: present.failing,
        since: present.since.map(|slot| grid.start_of(slot)),
        last_bad_at: present.last_bad.map(|slot| grid.end_of(slot)),
        last_good_at: present.last_good.map(|slot| grid.end_of(slot)),
        observed_s: report.observed_seconds,
        lets_go_after_s: report.lets_go_after_seconds(),
    }
}

fn condition_evidence(report: &ConditionAssessment) -> ConditionEvidence {
    let condition = report.condition;
    let (threshold, release) = condition.thresholds();
    ConditionEvidence {
        severity: condition.severity,
        kind: condition.criterion.into(),
        condition: condition.to_string(),
        window_s: condition.window().map(Window::as_seconds),
        measured: report.measured,
        threshold,
        release,
        exceeded: report.exceeded,
        firing: report.firing,
        held: report.held.map(|held| held.to_string()),
    }
}

fn calendar(slo: &Slo, report: &Assessment) -> Option<CalendarEvidence> {
    let (calendar, span, grid) = (slo.calendar.as_ref()?, report.span?, slo.policy.grid);
    let (from, to) = (grid.start_of(span.from), grid.start_of(span.to));
    let period = calendar.describe(to.as_seconds());
    Some(CalendarEvidence { period, of: calendar.possessive(), from, to })
}

fn versions(report: &Assessment) -> Vec<VersionEvidence> {
    let version = |share: &VersionShare| VersionEvidence {
        from: Timestamp::from_seconds(share.from_seconds),
        objective_percent: share.objective.percent(),
        bad: share.counts.bad,
        total: share.counts.total(),
    };
    report.versions.iter().map(version).collect()
}

fn tier_evidence(slo: &Slo, report: &TierAssessment) -> TierEvidence {
    TierEvidence {
        severity: report.tier.severity,
        long_s: report.tier.long.as_seconds(),
        short_s: report.tier.short.as_seconds(),
        factor: report.tier.factor.value(),
        long_burn: report.long.burn_rate(slo.objective()),
        short_burn: report.short.burn_rate(slo.objective()),
        long_coverage: report.long.coverage(),
        short_coverage: report.short.coverage(),
        long_bad: report.events.bad,
        long_total: report.events.total(),
        firing: report.firing,
        pending: report.is_pending(),
        held_by_guard: report.held.is_some(),
        held: report.held.map(|held| held.to_string()),
        release_factor: report.tier.until.map(BurnFactor::value),
    }
}
