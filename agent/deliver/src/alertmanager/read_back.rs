//! Reads of what an instance does with the alerts it was sent: it may silence or inhibit them, or have forgotten them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::http;
use crate::instance::{HeldAlert, HeldSilence, HeldState};
use crate::message::{TEXT, clean};
use lookout_model::Timestamp;

/// Number of bytes of an answer that are read: some thousand alerts.
pub(super) const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// Query for alerts in every state that have the labels of the alerts of an agent.
pub(super) const ALERTS: [(&str, &str); 6] = [
    ("active", "true"),
    ("silenced", "true"),
    ("inhibited", "true"),
    ("unprocessed", "true"),
    ("filter", "service=~\".+\""),
    ("filter", "slo=~\".+\""),
];

/// Alert of `GET /api/v2/alerts`.
#[derive(Debug, Deserialize)]
struct Alert {
    labels: Labels,
    status: Status,
}

#[derive(Debug, Deserialize)]
struct Labels {
    #[serde(default)]
    alertname: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    service: String,
    #[serde(default)]
    slo: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    state: String,
    #[serde(default)]
    silenced_by: Vec<String>,
    #[serde(default)]
    inhibited_by: Vec<String>,
}

/// Silence of `GET /api/v2/silences`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Silence {
    id: String,
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    ends_at: String,
}

/// Returns the alerts of an answer.
///
/// # Errors
/// Fails when the answer is no list of alerts, or too long.
pub(super) fn alerts(answer: &http::Answer) -> Result<Vec<HeldAlert>, String> {
    let alerts: Vec<Alert> = decode(answer)?;
    let mut held: Vec<HeldAlert> = alerts.into_iter().map(held).collect();
    held.sort_by(|a, b| (&a.service, &a.slo, &a.severity).cmp(&(&b.service, &b.slo, &b.severity)));
    Ok(held)
}

/// Adds to alerts who silences them, for what reason, and until when.
///
/// # Errors
/// Fails when the answer is no list of silences, or too long.
pub(super) fn name_silences(held: &mut [HeldAlert], answer: &http::Answer) -> Result<(), String> {
    let wanted: BTreeSet<String> = ids(held).map(str::to_owned).collect();
    let silences: Vec<Silence> = decode(answer)?;
    let named: BTreeMap<String, HeldSilence> = silences
        .into_iter()
        .filter(|one| wanted.contains(&one.id))
        .map(|one| (one.id.clone(), one.into()))
        .collect();
    for silence in held.iter_mut().flat_map(|alert| &mut alert.silences) {
        if let Some(known) = named.get(&silence.id) {
            silence.clone_from(known);
        }
    }
    Ok(())
}

/// Returns the ids of the silences that the alerts are in.
pub(super) fn ids(held: &[HeldAlert]) -> impl Iterator<Item = &str> {
    held.iter().flat_map(|alert| &alert.silences).map(|silence| silence.id.as_str())
}

fn decode<T: for<'de> Deserialize<'de>>(answer: &http::Answer) -> Result<T, String> {
    if answer.body.len() >= BODY_LIMIT {
        return Err(format!("its answer has more than {} MiB", BODY_LIMIT >> 20));
    }
    serde_json::from_str(&answer.body).map_err(|error| format!("its answer is not understood: {error}"))
}

fn held(alert: Alert) -> HeldAlert {
    let Alert { labels, status } = alert;
    let state = match status.state.as_str() {
        "unprocessed" => HeldState::Unprocessed,
        _ if !status.silenced_by.is_empty() => HeldState::Silenced,
        _ if !status.inhibited_by.is_empty() => HeldState::Inhibited,
        _ => HeldState::Active,
    };
    let unnamed = |id: &String| HeldSilence {
        id: clean(id, TEXT),
        actor: String::new(),
        reason: String::new(),
        until: None,
    };
    HeldAlert {
        alert: clean(&labels.alertname, TEXT),
        severity: clean(&labels.severity, TEXT),
        service: clean(&labels.service, TEXT),
        slo: clean(&labels.slo, TEXT),
        state,
        silences: status.silenced_by.iter().map(unnamed).collect(),
    }
}

impl From<Silence> for HeldSilence {
    fn from(silence: Silence) -> Self {
        Self {
            id: clean(&silence.id, TEXT),
            actor: clean(&silence.created_by, TEXT),
            reason: clean(&silence.comment, TEXT),
            until: silence.ends_at.parse::<Timestamp>().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> http::Answer {
        http::Answer { status: 200, body: body.to_owned(), retry_after: None, date: None }
    }

    #[test]
    fn an_answer_that_is_no_list_of_alerts_is_a_failure_and_text_from_outside_is_bounded() {
        for body in ["", "{}", "[1]", "[{\"labels\":{}}]", "<html>"] {
            let error = alerts(&answer(body)).unwrap_err();
            assert!(error.starts_with("its answer is not understood: "), "{error}");
        }
        let long = format!("[{}]", " ".repeat(BODY_LIMIT));
        assert_eq!(alerts(&answer(&long)).unwrap_err(), "its answer has more than 4 MiB");
        let name = "a\u{1b}[31m\n".repeat(1000);
        let body = serde_json::json!([
            { "labels": { "alertname": name, "service": "b" }, "status": { "state": "active" } },
            { "labels": { "service": "a" }, "status": { "state": "suppressed", "inhibitedBy": ["f"] } },
        ]);
        let held = alerts(&answer(&body.to_string())).unwrap();
        assert_eq!((held[0].service.as_str(), held[0].state), ("a", HeldState::Inhibited));
        assert!(held[1].alert.chars().count() <= TEXT && !held[1].alert.contains(char::is_control));
    }

    #[test]
    fn silences_of_other_alerts_are_not_kept() {
        let body = serde_json::json!([
            { "labels": {}, "status": { "state": "suppressed", "silencedBy": ["s-1", "s-2"] } },
        ]);
        let mut held = alerts(&answer(&body.to_string())).unwrap();
        let silences = serde_json::json!([
            { "id": "s-0", "createdBy": "eve", "comment": "no", "endsAt": "2026-03-01T00:00:00Z" },
            { "id": "s-1", "createdBy": "ana", "comment": "move", "endsAt": "2026-03-01T00:00:00Z" },
        ]);
        name_silences(&mut held, &answer(&silences.to_string())).unwrap();
        let told: Vec<_> = held[0].silences.iter().map(|one| (one.id.as_str(), one.actor.as_str())).collect();
        assert_eq!(told, [("s-1", "ana"), ("s-2", "")]);
        assert_eq!(held[0].silences[0].until, "2026-03-01T00:00:00Z".parse().ok());
    }
}
