//! The alerts of both Alertmanagers, in two places: what they accepted, and what they told.
//!
//! An Alertmanager holds alerts in memory and tells them once in a while. So it cannot tell each transition that it accepted:
//! it may be killed first, or take the end and the next start of an alert before it looks again. Such a transition is counted,
//! and only where the record of accepted posts shows it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::alert_history::AlertHistory;
use super::told::Sent;
use super::{Finding, Recorded, finding, text};
use crate::delivery::agent::Incident;
use crate::delivery::recorder::ReceivedMessage;
use crate::delivery::wire::{Alert, Event, Posted};

/// Time by which the agent posts the end of a short incident before its start: an end that lies ahead of the clock of an
/// Alertmanager ends nothing.
const EARLY_MS: i64 = 2_000;

/// The record of one Alertmanager.
pub(crate) struct Instance {
    pub(crate) events: Vec<Event>,
    /// Its notifications.
    pub(crate) told: Vec<ReceivedMessage>,
}

/// A state of an alert that an Alertmanager told.
pub(super) struct Notification {
    pub(super) instance: usize,
    pub(super) at_ms: i64,
    pub(super) starts_ms: i64,
    pub(super) fires: bool,
    labels: String,
}

/// A transition of an incident.
pub(super) struct Change {
    pub(super) at_ms: i64,
    pub(super) fires: bool,
    /// The instant at which the agent recorded it as delivered.
    pub(super) ended_ms: i64,
}

/// An alert: its incidents, and what both Alertmanagers knew of it and told.
struct Labelled<'a> {
    incidents: Vec<&'a Incident>,
    held: Vec<AlertHistory>,
    told: Vec<Notification>,
}

/// An incident.
pub(super) struct Case<'a> {
    pub(super) incident: &'a Incident,
    pub(super) changes: Vec<Change>,
    pub(super) held: &'a [AlertHistory],
    pub(super) told: &'a [Notification],
    /// All incidents of its alert.
    all: &'a [&'a Incident],
}

/// All incidents, by their alerts.
pub(super) struct Incidents<'a> {
    recorded: &'a Recorded,
    alerts: BTreeMap<Alert, Labelled<'a>>,
}

/// Returns the findings about notifications of no incident, or of several identities.
pub(super) fn judge(incidents: &Incidents<'_>) -> [Finding; 2] {
    let told =
        || incidents.alerts.values().flat_map(|alert| alert.told.iter().map(move |told| (alert, told)));
    let unknown =
        told().filter(|(alert, told)| owner(&alert.incidents, told.starts_ms, false).is_none()).count();
    let mut identities: BTreeMap<(&Alert, i64), BTreeSet<&str>> = BTreeMap::new();
    for (alert, labelled) in &incidents.alerts {
        for told in &labelled.told {
            identities.entry((alert, told.starts_ms)).or_default().insert(&told.labels);
        }
    }
    let doubled = identities.values().filter(|labels| labels.len() > 1).count();
    [
        finding(unknown == 0, format!("Alertmanager: {unknown} notifications without an incident")),
        finding(doubled == 0, format!("Alertmanager: {doubled} incidents with two identities")),
    ]
}

impl Labelled<'_> {
    fn posts(&self) -> impl Iterator<Item = &Posted> {
        self.held.iter().flat_map(|held| &held.posts)
    }
}

impl<'a> Incidents<'a> {
    pub(super) fn of(recorded: &'a Recorded, instances: &[Instance]) -> Self {
        let mut alerts: BTreeMap<Alert, Labelled<'a>> = BTreeMap::new();
        let told = instances.iter().enumerate().flat_map(|(number, one)| told(number, &one.told));
        let mut told: Vec<(Alert, Notification)> = told.collect();
        told.sort_by_key(|(_, told)| told.at_ms);
        let posted = instances.iter().flat_map(|one| &one.events).filter_map(|event| match event {
            Event::Accepted(posted) => Some(posted.alert.clone()),
            Event::Killed { .. } | Event::Started { .. } | Event::Hung { .. } => None,
        });
        let names = posted.chain(told.iter().map(|(alert, _)| alert.clone()));
        for alert in names.filter(|(service, ..)| service.starts_with("svc-")) {
            alerts.entry(alert).or_insert_with_key(|alert| {
                let of_alert = |one: &&Incident| (&one.service, &one.slo) == (&alert.0, &alert.1);
                let mut incidents: Vec<&Incident> = recorded.incidents.iter().filter(of_alert).collect();
                incidents.sort_by_key(|one| one.detected_at_ms);
                let held = instances.iter().map(|one| AlertHistory::of(&one.events, alert)).collect();
                Labelled { incidents, held, told: Vec::new() }
            });
        }
        for (alert, told) in told {
            if let Some(labelled) = alerts.get_mut(&alert) {
                labelled.told.push(told);
            }
        }
        Self { recorded, alerts }
    }

    /// Returns every incident, with nothing accepted and told where no Alertmanager heard of its alert.
    pub(super) fn cases(&self) -> impl Iterator<Item = Case<'_>> {
        self.recorded.incidents.iter().map(|incident| {
            let same = |(alert, _): &(&Alert, _)| (&alert.0, &alert.1) == (&incident.service, &incident.slo);
            let labelled = self.alerts.iter().find(same).map(|(_, labelled)| labelled);
            let (held, told, all) = labelled.map_or((&[][..], &[][..], &[][..]), |labelled| {
                (labelled.held.as_slice(), labelled.told.as_slice(), labelled.incidents.as_slice())
            });
            Case { incident, changes: self.recorded.changes(&incident.id), held, told, all }
        })
    }

    /// Returns the accepted posts that are about no incident.
    pub(super) fn unknown(&self) -> Vec<&Posted> {
        let all = self.alerts.values().flat_map(|alert| alert.posts().map(move |post| (alert, post)));
        all.filter(|(alert, post)| owner(&alert.incidents, post.starts_ms, post.fires()).is_none())
            .map(|(_, post)| post)
            .collect()
    }
}

impl Recorded {
    /// Returns the transitions of an incident for Alertmanager, in their order.
    fn changes(&self, incident: &str) -> Vec<Change> {
        let of_it = self.posted.iter().filter(|one| one.incident == incident);
        let change = |one: &Sent| Change {
            at_ms: one.at_ms,
            fires: one.change != "resolved",
            ended_ms: one.ended_at_ms.unwrap_or(i64::MAX),
        };
        let mut changes: Vec<Change> = of_it.map(change).collect();
        changes.sort_by_key(|change| change.at_ms);
        changes.dedup_by_key(|change| change.fires);
        changes
    }
}

impl Case<'_> {
    pub(super) fn id(&self) -> &str {
        &self.incident.id
    }

    pub(super) fn is_about(&self, post: &Posted) -> bool {
        owner(self.all, post.starts_ms, post.fires()).is_some_and(|one| one.id == self.incident.id)
    }

    /// Returns how often it had reopened by an instant.
    pub(super) fn reopened_by(&self, at_ms: i64) -> usize {
        self.changes.iter().skip(1).filter(|change| change.fires && change.at_ms <= at_ms).count()
    }
}

/// Returns the incident of an alert that was posted or told with this start.
fn owner<'a>(incidents: &[&'a Incident], starts_ms: i64, fires: bool) -> Option<&'a Incident> {
    let next = incidents.iter().find(|one| one.detected_at_ms >= starts_ms)?;
    let early = next.detected_at_ms - starts_ms;
    (early == 0 || !fires && early <= EARLY_MS).then_some(*next)
}

fn told(instance: usize, taken: &[ReceivedMessage]) -> Vec<(Alert, Notification)> {
    let alerts = taken.iter().flat_map(|message| {
        let alerts = message.body.get("alerts").and_then(Value::as_array).into_iter().flatten();
        alerts.map(move |alert| (message, alert))
    });
    let read = |(message, alert): (&ReceivedMessage, &Value)| {
        let labels = alert.get("labels")?;
        let name = ["service", "slo", "severity"].map(|name| text(labels, name).to_owned());
        let starts = text(alert, "startsAt").parse::<jiff::Timestamp>();
        let told = Notification {
            instance,
            at_ms: message.at_ms,
            starts_ms: starts.map_or(-1, jiff::Timestamp::as_millisecond),
            fires: text(alert, "status") != "resolved",
            labels: labels.to_string(),
        };
        let [service, slo, severity] = name;
        Some(((service, slo, severity), told))
    };
    alerts.filter_map(read).collect()
}
