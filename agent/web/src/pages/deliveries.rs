//! `/deliveries`: what receivers refused, and what they do with the alerts they hold.

use askama::Template;
use axum::extract;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use lookout_deliver::{HeldState, InstanceState};
use lookout_ledger::DeadLetter;
use lookout_model::{Timestamp, format};

use super::{Moment, Shell, page};
use crate::held::{clock_text, held_text};
use crate::{Problem, State};

#[derive(Template)]
#[template(path = "deliveries.html")]
struct View {
    shell: Shell,
    headline: String,
    symbol: &'static str,
    letters: Vec<Letter>,
    /// Refused messages beside those that are listed.
    unlisted: Option<String>,
    instances: Vec<Row>,
    alerts: Vec<AlertRow>,
    url: String,
}

/// Dead letter as a table row.
#[derive(Debug)]
struct Letter {
    destination: String,
    incident: String,
    slo: String,
    change: String,
    at: Moment,
    error: String,
}

impl Letter {
    fn new(letter: DeadLetter, now: Timestamp) -> Self {
        Self {
            destination: letter.destination,
            incident: letter.incident_id,
            slo: letter.slo_id,
            change: letter.change,
            at: Moment::new(letter.at, now),
            error: format::printable(&letter.error),
        }
    }
}

/// Instance of a destination as a table row.
#[derive(Debug)]
struct Row {
    destination: String,
    instance: String,
    symbol: &'static str,
    word: &'static str,
    holds: String,
    clock: String,
    read: Option<Moment>,
}

impl Row {
    fn new(destination: &str, instance: &InstanceState, now: Timestamp) -> Self {
        let (symbol, word, holds) = match (&instance.failure, instance.read_at) {
            (Some(failure), _) => ("unknown", "Not known", format::printable(failure)),
            (None, None) => ("unknown", "Not known", "it was not asked yet".to_owned()),
            (None, Some(_)) => ("met", "Answers", holds(instance)),
        };
        Self {
            destination: destination.to_owned(),
            instance: instance.instance.clone(),
            symbol,
            word,
            holds,
            clock: clock_text(instance.clock_ahead_ms),
            read: instance.read_at.map(|at| Moment::new(at, now)),
        }
    }
}

/// Returns the numbers of alerts that an instance holds.
fn holds(instance: &InstanceState) -> String {
    let count = |state: HeldState| instance.alerts.iter().filter(|held| held.state == state).count();
    let mut text = format::several(instance.alerts.len(), "alert");
    for (state, word) in [(HeldState::Silenced, "silenced"), (HeldState::Inhibited, "inhibited")] {
        match count(state) {
            0 => {}
            n => text.push_str(&format!(", {} {word}", format::count(n as u64))),
        }
    }
    text
}

/// Alert that an instance holds as a table row.
#[derive(Debug)]
struct AlertRow {
    name: String,
    alert: String,
    severity: String,
    instance: String,
    symbol: &'static str,
    treatment: String,
}

/// Most alerts, and most refused messages, that the page shows.
const MAX_ROWS: usize = 500;

fn alert_rows(state: &State, now: Timestamp) -> Vec<AlertRow> {
    let mut rows = Vec::new();
    for receiver in state.receivers.rows() {
        for instance in &receiver.instances {
            let row = |held: &lookout_deliver::HeldAlert| {
                let treatment = held_text(held, now);
                AlertRow {
                    name: format!("{} / {}", held.service, held.slo),
                    alert: held.alert.clone(),
                    severity: held.severity.clone(),
                    instance: format!("{} {}", receiver.destination, instance.instance),
                    symbol: if treatment.is_some() { "quiet" } else { "page" },
                    treatment: treatment.unwrap_or_else(|| "notifies".to_owned()),
                }
            };
            rows.extend(instance.alerts.iter().map(row));
        }
    }
    // what is held back first
    rows.sort_by(|a, b| (a.symbol == "page", &a.name).cmp(&(b.symbol == "page", &b.name)));
    rows.truncate(MAX_ROWS);
    rows
}

/// `GET /deliveries`
pub(crate) async fn show(extract::State(state): extract::State<State>) -> Response {
    let now = state.clock.now();
    let ledger = &state.ledger;
    let read = tokio::try_join!(ledger.newest_dead_letters(MAX_ROWS as u32), ledger.dead_letter_counts());
    let (letters, counts) = match read {
        Ok(read) => read,
        Err(error) => return Problem::ledger(&error).into_response(),
    };
    let refused = counts.values().sum::<u64>() as usize;
    let instances: Vec<Row> = state
        .receivers
        .rows()
        .iter()
        .flat_map(|receiver| receiver.instances.iter().map(|one| Row::new(&receiver.destination, one, now)))
        .collect();
    let unknown = instances.iter().filter(|row| row.symbol == "unknown").count();
    let (headline, symbol) = match (refused, unknown) {
        (0, 0) => ("Every message was taken".to_owned(), "met"),
        (0, n) => (format!("Of {} nothing is known", format::several(n, "receiver")), "unknown"),
        (n, _) => (format!("{} refused", format::several(n, "message")), "ticket"),
    };
    let shell = Shell::new(&state, "deliveries", headline.clone());
    let letters: Vec<Letter> = letters.into_iter().map(|letter| Letter::new(letter, now)).collect();
    let unlisted = refused.saturating_sub(letters.len());
    let unlisted = Some(format::count(unlisted as u64)).filter(|_| unlisted > 0);
    let (alerts, url) = (alert_rows(&state, now), state.config.agent_url().to_owned());
    page(StatusCode::OK, &View { shell, headline, symbol, letters, unlisted, instances, alerts, url })
}
