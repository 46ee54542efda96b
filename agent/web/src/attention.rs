//! Acknowledgements and silences of the incidents that pages and the API show.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lookout_config::Config;
use lookout_evaluate::{is_drill, silence_of};
use lookout_model::{Acknowledgement, IncidentRecord, SilenceRecord, SilencedBy, Timestamp, format};

use crate::{ReceiverRow, State, held};

/// Age up to which the acknowledgement of a resolved incident is shown.
const RESOLVED_FOR: Duration = Duration::from_secs(86_400);

/// People's side of the present incidents.
#[derive(Debug)]
pub(super) struct Attention {
    /// By incident.
    acknowledgements: BTreeMap<String, Acknowledgement>,
    silences: Vec<SilenceRecord>,
    /// The destinations that were told, by incident.
    told: BTreeMap<String, BTreeSet<String>>,
    receivers: Vec<ReceiverRow>,
    config: Arc<Config>,
    now: Timestamp,
}

impl Attention {
    /// Reads it from the ledger. What cannot be read is not shown: the incidents matter more.
    pub(super) async fn read(state: &State) -> Self {
        let now = state.clock.now();
        let followed = state.ledger.followed(now - RESOLVED_FOR).await.unwrap_or_default();
        let names = |one: &lookout_model::Followed| {
            let names = one.told.iter().map(|told| told.destination.clone()).collect();
            (one.incident.id.clone(), names)
        };
        let told = followed.iter().map(names).collect();
        let answered = |one: lookout_model::Followed| Some((one.incident.id, one.acknowledgement?));
        Self {
            told,
            receivers: state.receivers.rows(),
            acknowledgements: followed.into_iter().filter_map(answered).collect(),
            silences: state.ledger.silences(now).await.unwrap_or_default(),
            config: Arc::clone(&state.config),
            now,
        }
    }

    /// Returns the last acknowledgement of an incident.
    pub(super) fn acknowledgement(&self, incident: &IncidentRecord) -> Option<&Acknowledgement> {
        self.acknowledgements.get(&incident.id)
    }

    /// Returns the silence that an open incident is in.
    pub(super) fn silence(&self, incident: &IncidentRecord) -> Option<SilencedBy> {
        if incident.resolved_at.is_some() || is_drill(incident) {
            return None;
        }
        let slo = self.config.slo(&incident.slo_id)?;
        silence_of(&self.silences, slo, incident.severity, self.now).map(SilenceRecord::mark)
    }

    /// Returns what receivers do with the alert of an open incident, unless they notify.
    fn held(&self, incident: &IncidentRecord) -> Vec<String> {
        let Some(told) = self.told.get(&incident.id).filter(|_| incident.resolved_at.is_none()) else {
            return Vec::new();
        };
        // a destination with a higher minimum holds nothing of an incident that eased
        let takes = |row: &&ReceiverRow| {
            let destination = self.config.destinations.iter().find(|one| one.name == row.destination);
            destination.is_none_or(|one| one.minimum <= incident.severity)
        };
        let receivers: Vec<ReceiverRow> = self.receivers.iter().filter(takes).cloned().collect();
        let alert = self.config.slo(&incident.slo_id).map(|slo| slo.alert_name_for(incident.cause));
        held::lines(&receivers, incident, alert.as_deref(), told, self.now)
    }

    /// Returns a line for each.
    pub(super) fn lines(&self, incident: &IncidentRecord) -> Vec<String> {
        let note = |text: &str| if text.is_empty() { String::new() } else { format!(": {text}") };
        let answer = self.acknowledgement(incident).map(|answer| {
            let at = format::time(answer.at, self.now);
            format!("acknowledged by {} at {at}{}", answer.actor, note(&answer.note))
        });
        let silence = self.silence(incident).map(|silence| {
            let until = format::time(silence.until, self.now);
            format!("silenced by {} until {until}{}", silence.actor, note(&silence.reason))
        });
        let held = self.held(incident);
        answer.into_iter().chain(silence).chain(held).map(|line| format::printable(&line)).collect()
    }
}
