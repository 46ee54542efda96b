//! A sample incident for tests: the availability of the passenger API burns, escalates, eases and is resolved.

use core::time::Duration;

use crate::Timestamp;
use lookout_engine::{Cause, Change, DataState, Severity, Status};

use super::{
    ComponentEvidence, Corrected, CorrectionKind, CorrectionRecord, CorrectionScope, DeployClass,
    DeployRecord, Evidence, IncidentRecord, Notice, PresentEvidence, TierEvidence, TransitionRecord,
    incident_id,
};

/// 2026-03-01 10:00:00 UTC.
pub const T0: Timestamp = Timestamp::from_millis(1_772_359_200_000);

/// Returns the incident that opened at `detected_at`, as it stands.
pub fn incident(detected_at: Timestamp, severity: Severity, peak: Severity) -> IncidentRecord {
    IncidentRecord {
        id: incident_id("titanic-requests-availability", Cause::Burn, detected_at),
        slo_id: "titanic-requests-availability".to_owned(),
        service: "titanic".to_owned(),
        slo: "requests-availability".to_owned(),
        cause: Cause::Burn,
        severity,
        peak,
        detected_at,
        started_at: Some(detected_at - Duration::from_secs(60)),
        recovered_at: None,
        reopens_until: None,
        resolved_at: None,
    }
}

fn tier(severity: Severity, windows_s: (u64, u64), factor: f64, burns: (f64, f64), bad: u64) -> TierEvidence {
    TierEvidence {
        severity,
        long_s: windows_s.0,
        short_s: windows_s.1,
        factor,
        long_burn: Some(burns.0),
        short_burn: Some(burns.1),
        long_coverage: 1.0,
        short_coverage: 1.0,
        long_bad: bad,
        long_total: windows_s.0 * 10,
        firing: burns.0 > factor && burns.1 > factor,
        pending: false,
        held_by_guard: false,
        held: None,
        release_factor: None,
    }
}

/// Returns the present evidence of an SLO in the given state, after an hour without a failure.
pub fn present(status: Status) -> PresentEvidence {
    PresentEvidence {
        status,
        window_s: 300,
        observed_window_s: 300,
        bad: 0,
        total: 3000,
        burn: Some(0.0),
        failing: status == Status::Failing,
        since: None,
        last_bad_at: None,
        last_good_at: Some(T0),
        observed_s: 3600,
        lets_go_after_s: None,
    }
}

/// Returns a component of a composite: its title, its data state and its share of the burn.
pub fn component(title: &str, state: DataState, share: Option<f64>) -> ComponentEvidence {
    ComponentEvidence {
        name: title.to_owned(),
        title: title.to_owned(),
        weight: None,
        objective_percent: 99.9,
        data_state: state,
        data_age_s: None,
        lately_bad: 3,
        lately_total: 1000,
        bad: 12,
        total: 400_000,
        lately_burn_share: share,
        burn_share: share,
    }
}

/// Returns the measurements of an incident of this severity; `None` is an incident that is over.
pub fn evidence(severity: Option<Severity>) -> Evidence {
    let (page, ticket) = match severity {
        Some(Severity::Page) => ((15.25, 30.0), (7.5, 12.0)),
        Some(Severity::Ticket) => ((9.0, 4.0), (6.5, 4.25)),
        None => ((9.0, 0.0), (6.25, 0.5)),
    };
    Evidence {
        components: Vec::new(),
        objective_percent: 99.9,
        period_s: 30 * 86_400,
        calendar: None,
        versions: Vec::new(),
        data_state: DataState::Ok,
        budget_left_ratio: 0.38,
        seconds_to_exhaustion: severity.map(|_| 0.38 * 30.0 * 86_400.0 / 14.4),
        bad: 16_070,
        total: 25_920_000,
        tiers: vec![
            tier(Severity::Page, (3600, 300), 14.4, page, 549),
            tier(Severity::Ticket, (86_400, 7200), 3.0, ticket, 6480),
        ],
        present: None,
        corrected: Corrected::default(),
        conditions: Vec::new(),
    }
}

/// Returns a correction: two hours of maintenance of everything, planned a day before.
pub fn correction(id: &str) -> CorrectionRecord {
    CorrectionRecord {
        id: id.to_owned(),
        scope: CorrectionScope::All,
        kind: CorrectionKind::Maintenance,
        from: T0,
        to: Some(T0 + Duration::from_secs(7200)),
        recurrence: None,
        reason: "The database moves to new disks".to_owned(),
        actor: "ops".to_owned(),
        created_at: T0 - Duration::from_secs(86_400),
        revoked: None,
    }
}

/// Returns the last deploy before the incident.
pub fn deploy() -> DeployRecord {
    DeployRecord {
        id: "dep-1".to_owned(),
        idempotency_key: "build-4711".to_owned(),
        service: "titanic".to_owned(),
        environment: "production".to_owned(),
        version: "1.4.2".to_owned(),
        commit: "0123456789abcdef0123456789abcdef01234567".to_owned(),
        actor: "ci".to_owned(),
        class: DeployClass::Feature,
        started_at: T0 - Duration::from_secs(12 * 60),
    }
}

/// Returns a notice about an incident, with the evidence of its severity.
pub fn notice(change: Change, at: Timestamp, incident: &IncidentRecord) -> Notice {
    let severity = Some(incident.severity).filter(|_| change != Change::Resolved);
    Notice {
        change,
        at,
        incident: incident.clone(),
        alert: "TitanicRequestsAvailability".to_owned(),
        slo_title: "Requests are answered".to_owned(),
        description: "A bad event is a passenger whose request was answered with 5xx.".to_owned(),
        environment: Some("production".to_owned()),
        evidence: evidence(severity),
        runbook_url: "http://lookout.example/runbooks/TitanicRequestsAvailability".to_owned(),
        dashboard_url: "http://grafana.example/d/titanic?var-slo=requests-availability&from=now-6h"
            .to_owned(),
        explain_url: "http://lookout.example/slos/titanic/requests-availability".to_owned(),
        incidents_url: "http://lookout.example/incidents".to_owned(),
        silences_url: "http://lookout.example/silences?slo=titanic-requests-availability".to_owned(),
        last_deploy: Some(deploy()),
        last_failure: Some("status 503, expected 200-299".to_owned()),
        not_recorded: false,
        own_fault: None,
        rehearsal: None,
        news: None,
        changed_at: None,
        acknowledgement: None,
        silence: None,
    }
}

/// Returns the same notice, as it reads when its data are missing.
pub fn without_data(mut notice: Notice) -> Notice {
    notice.incident.cause = Cause::DataMissing;
    notice.incident.id =
        incident_id(&notice.incident.slo_id, Cause::DataMissing, notice.incident.detected_at);
    notice.alert.push_str("DataMissing");
    notice.runbook_url.push_str("DataMissing");
    notice.evidence.data_state = DataState::Stale;
    notice
}

/// Returns a transition with its notice and deliveries to these destinations.
pub fn transition(
    change: Change,
    at: Timestamp,
    incident: IncidentRecord,
    destinations: &[&str],
) -> TransitionRecord {
    let notice = notice(change, at, &incident);
    let destinations = destinations.iter().map(|&name| name.to_owned()).collect();
    TransitionRecord { incident, change, at, notice, destinations }
}

/// Returns the whole life of an incident that opens at `t0`: ticket, page, ticket, over.
pub fn lifecycle(t0: Timestamp, destinations: &[&str]) -> [TransitionRecord; 4] {
    use Severity::{Page, Ticket};
    let minute = |n: u64| t0 + Duration::from_secs(n * 60);
    let over = IncidentRecord {
        recovered_at: Some(minute(11)),
        resolved_at: Some(minute(12)),
        ..incident(t0, Ticket, Page)
    };
    [
        transition(Change::Opened, t0, incident(t0, Ticket, Ticket), destinations),
        transition(Change::Escalated, minute(2), incident(t0, Page, Page), destinations),
        transition(Change::Eased, minute(8), incident(t0, Ticket, Page), destinations),
        transition(Change::Resolved, minute(12), over, destinations),
    ]
}
