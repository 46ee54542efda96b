//! SLOs as rows of a table, for `status` and `watch`.

use crate::evaluate::{SloStatus, Snapshot};
use lookout_engine::Status;
use lookout_model::format;

/// Returns the rows: a symbol and words, never a colour alone.
pub(crate) fn rows(snapshot: &Snapshot) -> Vec<Vec<String>> {
    snapshot.slos.iter().map(row).collect()
}

fn row(slo: &SloStatus) -> Vec<String> {
    let evidence = &slo.evidence;
    let worst = slo.incidents.iter().max_by_key(|incident| incident.severity);
    let symbol = match slo.status() {
        Status::Paging => "✖",
        Status::Failing => "!",
        Status::Recovering => "↑",
        Status::Ticket => "▲",
        Status::Spent => "∅",
        Status::Healthy if evidence.seconds_to_exhaustion.is_some() => "↓",
        Status::Healthy => "✔",
        Status::Idle | Status::Young | Status::Stale | Status::NoData => "?",
    };
    let incident = worst.map_or_else(String::new, |incident| {
        let open_for = slo.at.seconds_since(incident.opened_at);
        format!(
            "{} {} for {}",
            incident.severity,
            incident.cause.as_str().replace('_', " "),
            format::duration(open_for)
        )
    });
    vec![
        symbol.to_owned(),
        format!("{}/{}", slo.service, slo.slo),
        format::objective(evidence.objective_percent),
        slo.sli_ratio.map_or_else(|| format::NONE.to_owned(), format::percent_good),
        format::percent(evidence.budget_left_ratio) + &excluded(evidence.corrected.seconds),
        evidence.seconds_to_exhaustion.map_or_else(|| format::NONE.to_owned(), format::duration),
        format::status(evidence),
        evidence.data_state.as_str().replace('_', " "),
        incident,
    ]
}

/// Returns the excluded part of the period as text.
fn excluded(seconds: u64) -> String {
    if seconds == 0 { String::new() } else { format!(" ({} excluded)", format::duration(seconds as f64)) }
}
