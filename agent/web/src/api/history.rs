//! `GET /api/v1/targets/{name}/history`: probes of a target over time.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query};
use axum::{Json, extract};
use lookout_model::Timestamp;
use lookout_model::probe_history::ProbeCounts;
use serde::{Deserialize, Serialize};

use super::query;
use super::targets::known;
use crate::history::{Last, PERCENTILES, read};
use crate::{Problem, State};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryQuery {
    last: Option<String>,
}

/// History of a target.
#[derive(Debug, Serialize)]
pub(super) struct HistoryResponse {
    target: String,
    step_s: u64,
    sum: Figures,
    /// Oldest first.
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    at_ms: Timestamp,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Debug, Serialize)]
struct Figures {
    probes: u64,
    failed: u64,
    /// Slots without a probe.
    missed: u64,
    /// Durations in milliseconds that a share of the probes did not exceed; null without probes.
    p50_ms: Option<f64>,
    p90_ms: Option<f64>,
    p99_ms: Option<f64>,
}

impl Figures {
    fn of(counts: &ProbeCounts) -> Self {
        // a tenth of a millisecond is finer than a bucket
        let rounded = |share| Some((counts.percentile(share)?.as_secs_f64() * 1e4).round() / 10.0);
        let [p50_ms, p90_ms, p99_ms] = PERCENTILES.map(|(_, share)| rounded(share));
        Self {
            probes: counts.probes(),
            failed: counts.failed(),
            missed: counts.missed(),
            p50_ms,
            p90_ms,
            p99_ms,
        }
    }
}

pub(super) async fn show(
    extract::State(state): extract::State<State>,
    Path(name): Path<String>,
    wanted: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Json<HistoryResponse>, Problem> {
    let target = known(&state, &name)?;
    let last = Last::parse(query(wanted)?.last.as_deref());
    let last = last.map_err(|detail| Problem::bad_request("bad_times", detail))?;
    let history = read(&*state.ledger, &target.name, last, state.clock.now()).await;
    let history = history.map_err(|error| Problem::ledger(&error))?;
    let rows = history.rows.iter().map(|(at, counts)| Row { at_ms: *at, figures: Figures::of(counts) });
    Ok(Json(HistoryResponse {
        target: target.name.clone(),
        step_s: history.step.as_secs(),
        sum: Figures::of(&history.sum),
        rows: rows.collect(),
    }))
}
