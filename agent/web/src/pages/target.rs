//! `/targets/{name}`: the last probe of a target and its history.

use askama::Template;
use axum::extract;
use axum::extract::{Path, Query};
use axum::response::Response;
use http::StatusCode;
use lookout_engine::{Counts, Status};
use lookout_model::probe_history::ProbeCounts;
use lookout_model::{Timestamp, format};
use serde::Deserialize;

use super::row::symbol;
use super::{Moment, Shell, not_found, page};
use crate::chart;
use crate::history::{History, Last, PERCENTILES, read};
use crate::path::segment;
use crate::{AddressRow, ProbeRow, State};

/// Lengths of a history that the page leads to.
const LENGTHS: [&str; 4] = ["2h", "24h", "7d", "90d"];

#[derive(Template)]
#[template(path = "target.html")]
struct View {
    shell: Shell,
    json: String,
    headline: String,
    symbol: &'static str,
    detail: String,
    url: String,
    last: Option<Moment>,
    addresses: Vec<Address>,
    history: Option<Drawn>,
    lengths: Vec<Link>,
}

/// A history as it is drawn.
struct Drawn {
    title: String,
    probes: String,
    failed: String,
    missed: String,
    percentiles: Vec<(&'static str, String)>,
    failures: String,
    durations: String,
    step: String,
    /// Rows with probes that failed or slots without probes, newest first.
    rows: Vec<Row>,
}

struct Row {
    at: Moment,
    probes: String,
    failed: String,
    missed: String,
    percentiles: Vec<(&'static str, String)>,
}

/// Result of one address of several.
struct Address {
    address: String,
    symbol: &'static str,
    word: &'static str,
    detail: String,
    took: String,
}

struct Link {
    url: String,
    text: &'static str,
}

/// Rows that are listed: those of a bad day.
const MAX_HOURS: usize = 24;

#[derive(Debug, Deserialize)]
pub(crate) struct TargetQuery {
    last: Option<String>,
}

/// `GET /targets/{name}`
pub(crate) async fn show(
    extract::State(state): extract::State<State>,
    Path(name): Path<String>,
    Query(wanted): Query<TargetQuery>,
) -> Response {
    if !state.config.targets.iter().any(|target| target.name == name) {
        let shown: String = name.chars().take(200).collect();
        return not_found(&state, format!("There is no target {shown}."));
    }
    let now = state.clock.now();
    // a length that cannot be read is the usual one
    let last = Last::parse(wanted.last.as_deref()).or_else(|_| Last::parse(None));
    let history = match last {
        Ok(last) => {
            read(&*state.ledger, &name, last, now).await.ok().map(|history| draw(&history, last, now))
        }
        Err(_) => None,
    };
    let seen = state.probes.rows().into_iter().find(|row| row.target == name);
    let (symbol, headline) = headline(&name, seen.as_ref());
    let link = |text| Link { url: format!("/targets/{}?last={text}", segment(&name)), text };
    let view = View {
        shell: Shell::new(&state, "", headline.clone()),
        headline,
        symbol,
        detail: seen.as_ref().map(|row| row.detail.clone()).unwrap_or_default(),
        url: seen.as_ref().map(|row| row.url_without_secrets.clone()).unwrap_or_default(),
        addresses: seen.iter().flat_map(|row| &row.addresses).map(address).collect(),
        last: seen.map(|row| Moment::new(row.at, now)),
        history,
        lengths: LENGTHS.map(link).into(),
        json: format!("/api/v1/targets/{}/history", segment(&name)),
    };
    page(StatusCode::OK, &view)
}

fn headline(name: &str, seen: Option<&ProbeRow>) -> (&'static str, String) {
    match seen {
        None => ("quiet", format!("{name}: not probed yet")),
        Some(row) if row.ok => ("met", format!("{name}: the last probe was good")),
        Some(_) => ("page", format!("{name}: the last probe failed")),
    }
}

fn address(row: &AddressRow) -> Address {
    let status = if row.failure.is_none() { Status::Healthy } else { Status::Paging };
    Address {
        address: row.address.to_string(),
        symbol: symbol(status),
        word: if row.failure.is_none() { "Good" } else { "Failed" },
        detail: row.failure.as_deref().map_or_else(|| "as expected".to_owned(), format::printable),
        took: format::elapsed(row.total),
    }
}

fn draw(history: &History, last: Last, now: Timestamp) -> Drawn {
    let is_notable = |counts: &ProbeCounts| counts.failed() > 0 || counts.missed() > 0;
    let notable = history.rows.iter().rev().filter(|(_, counts)| is_notable(counts));
    let row = |(at, counts): &(Timestamp, ProbeCounts)| Row {
        at: Moment::new(*at, now),
        probes: format::count(counts.probes()),
        failed: format::count(counts.failed()),
        missed: format::count(counts.missed()),
        percentiles: percentiles(counts),
    };
    let counts: Vec<Counts> = history.rows.iter().map(|(_, counts)| events(counts)).collect();
    let without: Vec<bool> = history.rows.iter().map(|(_, counts)| counts.missed() > 0).collect();
    let durations = history.rows.iter().map(|(_, counts)| {
        PERCENTILES.map(|(_, share)| counts.percentile(share).map(|duration| duration.as_secs_f64()))
    });
    Drawn {
        title: format::elapsed(last.0),
        probes: format::count(history.sum.probes()),
        failed: format::count(history.sum.failed()),
        missed: format::count(history.sum.missed()),
        percentiles: percentiles(&history.sum),
        failures: chart::history(&counts, &without),
        durations: chart::durations(&durations.collect::<Vec<_>>()),
        step: format::elapsed(history.step),
        rows: notable.take(MAX_HOURS).map(row).collect(),
    }
}

fn events(counts: &ProbeCounts) -> Counts {
    Counts { good: counts.probes().saturating_sub(counts.failed()), bad: counts.failed() }
}

fn percentiles(counts: &ProbeCounts) -> Vec<(&'static str, String)> {
    let text = |share| counts.percentile(share).map_or_else(|| "–".to_owned(), format::elapsed);
    PERCENTILES.map(|(name, share)| (name, text(share))).into()
}
