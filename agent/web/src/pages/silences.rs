//! `/silences`: what is told to nobody, until when, and how to silence an SLO.

use std::time::Duration;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{self, Query};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use lookout_config::Slo;
use lookout_model::{SilenceRecord, Timestamp, format};
use serde::Deserialize;

use super::{Moment, Shell, page};
use crate::{Problem, State};

/// Time for which silences that are over are shown.
const SHOWN_FOR: Duration = Duration::from_secs(7 * 86_400);

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Parameters {
    slo: Option<String>,
}

#[derive(Template)]
#[template(path = "silences.html")]
struct View {
    shell: Shell,
    headline: String,
    symbol: &'static str,
    silences: Vec<Row>,
    /// The SLO of the command.
    slo: String,
    url: String,
}

/// Silence as a table row.
#[derive(Debug)]
struct Row {
    id: String,
    symbol: &'static str,
    word: &'static str,
    matcher: String,
    severity: &'static str,
    reason: String,
    actor: String,
    since: Moment,
    until: Moment,
    expired_by: Option<String>,
}

impl Row {
    fn new(silence: &SilenceRecord, now: Timestamp) -> Self {
        let (symbol, word) = if silence.is_active(now) { ("quiet", "Silent") } else { ("met", "Over") };
        Self {
            id: silence.id.clone(),
            symbol,
            word,
            matcher: format::printable(&silence.matcher.to_string()),
            severity: silence.severity.map_or("both", |severity| severity.as_str()),
            reason: format::printable(&silence.reason),
            actor: silence.actor.clone(),
            since: Moment::new(silence.created_at, now),
            until: Moment::new(silence.ends_at, now),
            expired_by: silence.expired_by.clone(),
        }
    }
}

/// `GET /silences?slo=`
pub(crate) async fn show(
    extract::State(state): extract::State<State>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Response {
    let now = state.clock.now();
    let mut silences = match state.ledger.silences(now - SHOWN_FOR).await {
        Ok(silences) => silences,
        Err(error) => return Problem::ledger(&error).into_response(),
    };
    silences.reverse();
    let active = silences.iter().filter(|silence| silence.is_active(now)).count();
    let headline = match active {
        0 => "Nothing is silenced".to_owned(),
        n => format!("{} in force", format::several(n, "silence")),
    };
    // only an SLO that there is comes into the command, so that nothing else can be smuggled into a shell
    let asked = parameters.ok().and_then(|Query(parameters)| parameters.slo);
    let slo = asked.filter(|id| state.config.slo(id).is_some());
    let slo = slo.or_else(|| state.config.slos.first().map(Slo::id)).unwrap_or_else(|| "SLO".to_owned());
    let mut shell = Shell::new(&state, "silences", headline.clone());
    shell.refresh = false;
    let symbol = if active == 0 { "met" } else { "quiet" };
    let rows = silences.iter().map(|silence| Row::new(silence, now)).collect();
    let url = state.config.agent_url().to_owned();
    page(StatusCode::OK, &View { shell, headline, symbol, silences: rows, slo, url })
}
