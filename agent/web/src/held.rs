//! The treatment of an incident's alert by the receivers that hold it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lookout_deliver::{HeldAlert, HeldSilence, HeldState, InstanceState};
use lookout_model::{IncidentRecord, Timestamp, format};

use crate::ReceiverRow;

/// Time after the opening of an incident in which its alert may still be under way.
const UNDER_WAY: Duration = Duration::from_secs(60);

/// Returns a line for each treatment that is not the usual one: an alert that is silenced, inhibited or gone, and an
/// instance of which nothing is known. `told` are the destinations that were told of the incident.
pub(super) fn lines(
    receivers: &[ReceiverRow],
    incident: &IncidentRecord,
    alert: Option<&str>,
    told: &BTreeSet<String>,
    now: Timestamp,
) -> Vec<String> {
    let mut lines = Vec::new();
    for receiver in receivers.iter().filter(|one| told.contains(&one.destination)) {
        // instances that agree share a line
        let mut treatments: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for instance in &receiver.instances {
            if let Some(treatment) = treatment(instance, incident, alert, now) {
                treatments.entry(treatment).or_default().push(&instance.instance);
            }
        }
        let line = |(text, instances): (String, Vec<&str>)| {
            format!("{} ({}): {text}", receiver.destination, instances.join(", "))
        };
        lines.extend(treatments.into_iter().map(line));
    }
    lines
}

/// Returns what an instance does with the alert, unless it notifies.
fn treatment(
    instance: &InstanceState,
    incident: &IncidentRecord,
    alert: Option<&str>,
    now: Timestamp,
) -> Option<String> {
    if let Some(failure) = &instance.failure {
        return Some(format!("not known, {failure}"));
    }
    let read_at = instance.read_at?;
    let is_its = |held: &&HeldAlert| {
        held.service == incident.service
            && held.slo == incident.slo
            && alert.is_none_or(|alert| alert == held.alert)
    };
    let worst = instance.alerts.iter().filter(is_its).max_by_key(|held| held.state);
    match worst {
        None if incident.detected_at + UNDER_WAY > read_at => None,
        None => Some("it does not hold the alert".to_owned()),
        Some(held) => held_text(held, now),
    }
}

/// Returns what an instance does with an alert, unless it notifies.
pub(super) fn held_text(held: &HeldAlert, now: Timestamp) -> Option<String> {
    match held.state {
        HeldState::Active | HeldState::Unprocessed => None,
        HeldState::Inhibited => Some("inhibited by another alert".to_owned()),
        HeldState::Silenced => {
            let all: Vec<String> = held.silences.iter().map(|silence| silence_text(silence, now)).collect();
            Some(all.join("; "))
        }
    }
}

fn silence_text(silence: &HeldSilence, now: Timestamp) -> String {
    let actor = if silence.actor.is_empty() { silence.id.as_str() } else { silence.actor.as_str() };
    let until = silence.until.map_or_else(String::new, |at| format!(" until {}", format::time(at, now)));
    let reason = if silence.reason.is_empty() { String::new() } else { format!(": {}", silence.reason) };
    format!("silenced by {actor}{until}{reason}")
}

/// Returns the difference of a clock from ours.
pub(super) fn clock_text(ahead_ms: Option<i64>) -> String {
    let Some(ahead_ms) = ahead_ms else { return "not known".to_owned() };
    let difference = format::duration(ahead_ms.unsigned_abs() as f64 / 1000.0);
    match ahead_ms {
        0 => "as ours".to_owned(),
        1.. => format!("{difference} ahead"),
        _ => format!("{difference} behind"),
    }
}

#[cfg(test)]
mod tests {
    use lookout_model::sample::{T0, lifecycle};

    use super::*;

    fn held(state: HeldState) -> HeldAlert {
        let silence = HeldSilence {
            id: "s-1".to_owned(),
            actor: "ana".to_owned(),
            reason: "move".to_owned(),
            until: None,
        };
        let incident = &lifecycle(T0, &[])[0].incident;
        HeldAlert {
            alert: "Alert".to_owned(),
            severity: "critical".to_owned(),
            service: incident.service.clone(),
            slo: incident.slo.clone(),
            state,
            silences: if state == HeldState::Silenced { vec![silence] } else { Vec::new() },
        }
    }

    fn told(alerts: Vec<HeldAlert>, failure: Option<&str>, after_s: u64) -> Vec<String> {
        let incident = &lifecycle(T0, &[])[0].incident;
        let instance = |name: &str| InstanceState {
            instance: name.to_owned(),
            clock_ahead_ms: Some(0),
            read_at: Some(incident.detected_at + Duration::from_secs(after_s)),
            failure: failure.map(str::to_owned),
            alerts: alerts.clone(),
        };
        let receivers =
            [ReceiverRow { destination: "am".to_owned(), instances: vec![instance("a:1"), instance("b:2")] }];
        let told = BTreeSet::from(["am".to_owned()]);
        assert!(lines(&receivers, incident, Some("Alert"), &BTreeSet::new(), T0).is_empty());
        lines(&receivers, incident, Some("Alert"), &told, T0)
    }

    #[test]
    fn only_what_is_unusual_is_told() {
        assert_eq!(told(vec![held(HeldState::Active)], None, 120), [""; 0]);
        assert_eq!(
            told(vec![held(HeldState::Silenced)], None, 120),
            ["am (a:1, b:2): silenced by ana: move"]
        );
        assert_eq!(
            told(vec![held(HeldState::Active), held(HeldState::Inhibited)], None, 120),
            ["am (a:1, b:2): inhibited by another alert"]
        );
        assert_eq!(told(vec![], None, 120), ["am (a:1, b:2): it does not hold the alert"]);
        assert_eq!(told(vec![], None, 5), [""; 0], "it may be under way");
        assert_eq!(told(vec![], Some("no answer"), 5), ["am (a:1, b:2): not known, no answer"]);
    }

    #[test]
    fn a_clock_is_told_as_a_difference() {
        let texts = [None, Some(0), Some(600_000), Some(-600_000)].map(clock_text);
        assert_eq!(texts, ["not known", "as ours", "10 min ahead", "10 min behind"]);
    }
}
