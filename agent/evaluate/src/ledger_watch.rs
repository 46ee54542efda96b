//! The incident about the ledger itself: it opens with a fault and ends when everything is recorded again.

use super::own_fault::{self, About};
use lookout_config::Config;
use lookout_ledger::Health;
use lookout_model::{OwnFault, Timestamp, TransitionRecord};

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
        now: Timestamp,
    ) -> Option<TransitionRecord> {
        let is_new = health.faults > self.faults;
        self.faults = health.faults;
        match &self.open {
            None if is_new => {
                let opened = own_fault::opened(config, about(health), None, now);
                self.open = Some(opened.clone());
                Some(opened)
            }
            Some(opened) if !is_new && health.not_recording.is_none() && now > opened.at => {
                let resolved = own_fault::mended(opened, "everything is recorded", now);
                self.open = None;
                Some(resolved)
            }
            _ => None,
        }
    }
}

fn about(health: &Health) -> About {
    let title = match health.not_recording {
        Some(_) => "nothing is recorded",
        None => "its file had a fault",
    };
    About {
        slo_id: SLO_ID.to_owned(),
        name: "ledger".to_owned(),
        alert: ALERT,
        fault: OwnFault { title: title.to_owned(), text: health.last_fault.clone() },
        description: "Incidents and deliveries go on in memory; a restart forgets what is not recorded."
            .to_owned(),
    }
}
