//! SLOs as rows of a table, for `status` and `watch`.

use super::output::{percent, span};
use crate::evaluate::{SloStatus, Snapshot};

/// A symbol and words, never a colour alone.
pub(super) fn rows(snapshot: &Snapshot) -> Vec<Vec<String>> {
    snapshot.slos.iter().map(row).collect()
}

fn row(slo: &SloStatus) -> Vec<String> {
    let evidence = &slo.evidence;
    let worst = slo.incidents.iter().max_by_key(|incident| incident.severity());
    let symbol = match (worst, evidence.data_state.as_str()) {
        (Some(incident), _) if incident.severity == "page" => "✖",
        (Some(_), _) => "▲",
        (None, "ok") if evidence.seconds_to_exhaustion.is_some() => "↓",
        (None, "ok") => "✔",
        (None, _) => "?",
    };
    let incident = worst.map_or_else(String::new, |incident| {
        let open_for = (incident_age_ms(slo, incident.opened_at_ms)) as f64 / 1000.0;
        format!("{} {} for {}", incident.severity, incident.cause.replace('_', " "), span(open_for))
    });
    vec![
        symbol.to_owned(),
        format!("{}/{}", slo.service, slo.slo),
        format!("{} %", evidence.objective_percent),
        slo.sli_ratio.map_or_else(|| "–".to_owned(), percent),
        percent(evidence.budget_left_ratio) + &excluded(evidence.corrected.seconds),
        evidence.seconds_to_exhaustion.map_or_else(|| "–".to_owned(), span),
        evidence.data_state.replace('_', " "),
        incident,
    ]
}

/// How much of the period the figures leave out.
fn excluded(seconds: u64) -> String {
    if seconds == 0 { String::new() } else { format!(" ({} excluded)", span(seconds as f64)) }
}

fn incident_age_ms(slo: &SloStatus, opened_at_ms: i64) -> i64 {
    slo.at_ms.saturating_sub(opened_at_ms).max(0)
}
