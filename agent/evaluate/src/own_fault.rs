//! Incidents about the agent itself.

use lookout_config::Config;
use lookout_engine::{Cause, Change, DataState, Severity};
use lookout_model::{
    Corrected, Evidence, IncidentRecord, Notice, OwnFault, Timestamp, TransitionRecord, incident_id,
};

/// The kind of an incident about the agent itself.
pub(super) struct About {
    /// The id of the SLO that it is filed under. No service of a config has this name.
    pub(super) slo_id: String,
    /// The name after `lookout`: `ledger`.
    pub(super) name: String,
    /// The alert of the generated rules that watches the same, and its runbook.
    pub(super) alert: &'static str,
    pub(super) fault: OwnFault,
    /// The consequence for people.
    pub(super) description: String,
}

/// Opens an incident. It goes to every destination at any hour, except one and those on standby.
pub(super) fn opened(
    config: &Config,
    about: About,
    except: Option<&str>,
    now: Timestamp,
) -> TransitionRecord {
    let incident = IncidentRecord {
        id: incident_id(&about.slo_id, Cause::DataMissing, now),
        slo_id: about.slo_id,
        service: "lookout".to_owned(),
        slo: about.name,
        cause: Cause::DataMissing,
        severity: Severity::Page,
        peak: Severity::Page,
        detected_at: now,
        started_at: None,
        recovered_at: None,
        reopens_until: None,
        resolved_at: None,
    };
    let notice = Notice {
        change: Change::Opened,
        at: now,
        incident: incident.clone(),
        alert: about.alert.to_owned(),
        slo_title: "Lookout works".to_owned(),
        description: about.description,
        environment: config.environment.clone(),
        evidence: no_evidence(),
        runbook_url: config.runbook_url(about.alert),
        dashboard_url: String::new(),
        explain_url: config.external_url.to_string(),
        incidents_url: config.incidents_url(),
        silences_url: String::new(),
        last_deploy: None,
        last_failure: None,
        not_recorded: false,
        own_fault: Some(about.fault),
        rehearsal: None,
        news: None,
        changed_at: None,
        acknowledgement: None,
        silence: None,
    };
    let heard = config.destinations.iter().filter(|destination| !destination.route.standby);
    let names = heard.map(|destination| destination.name.clone());
    let destinations = names.filter(|name| except != Some(name.as_str())).collect();
    TransitionRecord { incident, change: Change::Opened, at: now, notice, destinations }
}

/// Another fault of an open incident, for those who heard of it.
pub(super) fn escalated(opened: &TransitionRecord, fault: OwnFault, now: Timestamp) -> TransitionRecord {
    let mut worse = opened.clone();
    (worse.change, worse.at) = (Change::Escalated, now);
    (worse.notice.change, worse.notice.at) = (Change::Escalated, now);
    worse.notice.own_fault = Some(fault);
    worse
}

/// Resolves an incident at those who heard of it, under a title that says so.
pub(super) fn mended(opened: &TransitionRecord, title: &str, now: Timestamp) -> TransitionRecord {
    let mut end = resolved(opened, now);
    if let Some(fault) = &mut end.notice.own_fault {
        title.clone_into(&mut fault.title);
    }
    end
}

/// Resolves an incident at those who heard of it.
pub(super) fn resolved(opened: &TransitionRecord, now: Timestamp) -> TransitionRecord {
    let mut end = opened.clone();
    (end.change, end.at) = (Change::Resolved, now);
    end.incident.resolved_at = Some(now);
    end.notice.change = Change::Resolved;
    end.notice.at = now;
    end.notice.incident = end.incident.clone();
    end
}

/// Nothing is measured about the agent.
pub(super) fn no_evidence() -> Evidence {
    Evidence {
        objective_percent: 100.0,
        period_s: 86_400,
        calendar: None,
        versions: Vec::new(),
        data_state: DataState::Ok,
        budget_left_ratio: 1.0,
        seconds_to_exhaustion: None,
        bad: 0,
        total: 0,
        tiers: Vec::new(),
        present: None,
        corrected: Corrected::default(),
        conditions: Vec::new(),
        components: Vec::new(),
    }
}
