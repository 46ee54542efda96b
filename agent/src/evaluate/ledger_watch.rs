//! The incident about the ledger itself: it opens with a fault and ends when everything is recorded again.

use lookout_config::Config;
use lookout_engine::{Cause, Change, DataState, Severity};
use lookout_ledger::Health;
use lookout_model::{Corrected, Evidence, IncidentRecord, Notice, OwnFault, TransitionRecord, incident_id};

/// The id of the SLO that the incident is filed under. No service of a config has this name and this SLO.
pub(super) const SLO_ID: &str = "lookout-ledger";
/// The alert of the generated rules that watches the same, and its runbook.
const ALERT: &str = "LookoutLedgerFailing";

/// The state of the incident about the ledger.
#[derive(Debug, Default)]
pub(super) struct LedgerWatch {
    /// The transition that opened the incident, while it is open.
    open: Option<TransitionRecord>,
    /// Faults that were told of.
    faults: u64,
}

impl LedgerWatch {
    /// Goes on with an incident that was open before a restart.
    pub(super) fn resume(&mut self, opened: TransitionRecord) {
        self.open = Some(opened);
    }

    /// Returns the transition that follows from the state of the file, if there is one.
    pub(super) fn transition(
        &mut self,
        config: &Config,
        health: &Health,
        now_ms: i64,
    ) -> Option<TransitionRecord> {
        let is_new = health.faults > self.faults;
        self.faults = health.faults;
        match &self.open {
            None if is_new => {
                let opened = opened(config, health, now_ms);
                self.open = Some(opened.clone());
                Some(opened)
            }
            Some(opened) if !is_new && health.not_recording.is_none() && now_ms > opened.at_ms => {
                let resolved = resolved(opened, now_ms);
                self.open = None;
                Some(resolved)
            }
            _ => None,
        }
    }
}

fn opened(config: &Config, health: &Health, now_ms: i64) -> TransitionRecord {
    let incident = IncidentRecord {
        id: incident_id(SLO_ID, Cause::DataMissing, now_ms),
        slo_id: SLO_ID.to_owned(),
        service: "lookout".to_owned(),
        slo: "ledger".to_owned(),
        cause: Cause::DataMissing,
        severity: Severity::Page,
        peak: Severity::Page,
        opened_at_ms: now_ms,
        resolved_at_ms: None,
    };
    let title = match health.not_recording {
        Some(_) => "nothing is recorded",
        None => "its file had a fault",
    };
    let fault = OwnFault { title: title.to_owned(), text: health.last_fault.clone() };
    let notice = Notice {
        change: Change::Opened,
        at_ms: now_ms,
        incident: incident.clone(),
        alert: ALERT.to_owned(),
        slo_title: "The ledger records everything".to_owned(),
        description: "Incidents and deliveries go on in memory; a restart forgets what is not recorded."
            .to_owned(),
        environment: config.environment.clone(),
        evidence: no_evidence(),
        runbook_url: config.runbook_url(ALERT),
        dashboard_url: String::new(),
        explain_url: config.external_url.to_string(),
        last_deploy: None,
        last_failure: None,
        not_recorded: false,
        own_fault: Some(fault),
    };
    let destinations = config.destinations.iter().map(|destination| destination.name.clone()).collect();
    TransitionRecord { incident, change: Change::Opened, at_ms: now_ms, notice, destinations }
}

fn resolved(opened: &TransitionRecord, now_ms: i64) -> TransitionRecord {
    let mut end = opened.clone();
    (end.change, end.at_ms) = (Change::Resolved, now_ms);
    end.incident.resolved_at_ms = Some(now_ms);
    end.notice.change = Change::Resolved;
    end.notice.at_ms = now_ms;
    end.notice.incident = end.incident.clone();
    end
}

/// Nothing is measured about the ledger.
fn no_evidence() -> Evidence {
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
        corrected: Corrected::default(),
        conditions: Vec::new(),
        components: Vec::new(),
    }
}
