//! `/incidents`: open and resolved incidents.

use askama::Template;
use axum::extract;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use lookout_ledger::LedgerError;
use lookout_model::{IncidentRecord, format};

use super::row::IncidentRow;
use super::{Shell, page};
use crate::attention::Attention;
use crate::{Problem, State};

/// Number of resolved incidents on the page. Every open one is there: a message about many links to this page.
const MAX_RESOLVED: u32 = 50;

#[derive(Template)]
#[template(path = "incidents.html")]
struct View {
    shell: Shell,
    headline: String,
    symbol: &'static str,
    incidents: Vec<IncidentRow>,
}

/// `GET /incidents`
pub(crate) async fn show(extract::State(state): extract::State<State>) -> Response {
    let now = state.clock.now();
    let incidents = match open_and_newest(&state).await {
        Ok(incidents) => incidents,
        Err(error) => return Problem::ledger(&error).into_response(),
    };
    let attention = Attention::read(&state).await;
    let row = |incident| IncidentRow::attended(incident, &state.config, &attention, now);
    let rows: Vec<IncidentRow> = incidents.iter().map(row).collect();
    let open = rows.iter().filter(|row| row.open).count();
    let (headline, symbol) = match open {
        0 => ("No open incident".to_owned(), "met"),
        n => {
            let symbol = if rows.iter().any(|row| row.symbol == "page") { "page" } else { "ticket" };
            (format!("{} open", format::several(n, "incident")), symbol)
        }
    };
    let shell = Shell::new(&state, "incidents", headline.clone());
    page(StatusCode::OK, &View { shell, headline, symbol, incidents: rows })
}

/// Returns every open incident and the newest of the resolved ones, newest first.
async fn open_and_newest(state: &State) -> Result<Vec<IncidentRecord>, LedgerError> {
    let mut incidents = state.ledger.open_incidents().await?;
    let newest = state.ledger.incidents(None, MAX_RESOLVED).await?;
    incidents.extend(newest.into_iter().filter(|incident| incident.resolved_at.is_some()));
    incidents.sort_by_key(|incident| core::cmp::Reverse(incident.detected_at));
    Ok(incidents)
}
