//! SLOs as rows of a table, for `status` and `watch`.

use lookout_engine::Status;
use lookout_evaluate::{SloStatus, Snapshot};
use lookout_model::{ConditionKind, Evidence, format};

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
    let incident = worst.map_or_else(
        || row_of_failures(evidence),
        |incident| {
            let open_for = slo.at.seconds_since(incident.detected_at);
            format!(
                "{} {} for {}",
                incident.severity,
                incident.cause.as_str().replace('_', " "),
                format::duration(open_for)
            )
        },
    );
    vec![
        symbol.to_owned(),
        format!("{}/{}", slo.service, slo.slo),
        format::objective(evidence.objective_percent),
        slo.sli_ratio.map_or_else(|| format::NONE.to_owned(), format::percent_good),
        format::percent(Some(evidence.budget_left_ratio).filter(|_| evidence.has_budget()))
            + &excluded(evidence.corrected.seconds),
        evidence.seconds_to_exhaustion.map_or_else(|| format::NONE.to_owned(), format::duration),
        format::status(evidence),
        evidence.data_state.as_str().replace('_', " "),
        incident,
    ]
}

/// Returns the failures in a row that do not open an incident yet, beside those that do.
fn row_of_failures(evidence: &Evidence) -> String {
    let down = evidence.conditions.iter().find(|condition| condition.kind == ConditionKind::Down);
    let failures =
        down.and_then(|down| Some((down.measured.filter(|failures| *failures >= 1.0)?, down.threshold)));
    failures.map_or_else(String::new, |(failures, threshold)| {
        format!("{failures} of {threshold} failures in a row")
    })
}

/// Returns the excluded part of the period as text.
fn excluded(seconds: u64) -> String {
    if seconds == 0 { String::new() } else { format!(" ({} excluded)", format::duration(seconds as f64)) }
}

#[cfg(test)]
mod tests {
    use lookout_evaluate::{SloStatus, Snapshot};
    use lookout_model::{Timestamp, sample};

    use super::rows;

    #[test]
    fn failures_in_a_row_are_counted_before_they_are_an_incident() {
        let told = |measured: f64| {
            let mut snapshot = snapshot();
            snapshot.slos[0].evidence.conditions = vec![lookout_model::ConditionEvidence {
                severity: lookout_engine::Severity::Page,
                kind: lookout_model::ConditionKind::Down,
                condition: "page down 3 until 2".to_owned(),
                window_s: None,
                measured: Some(measured),
                threshold: 3.0,
                release: 2.0,
                exceeded: false,
                firing: false,
                held: None,
            }];
            rows(&snapshot)[0].last().unwrap().clone()
        };
        assert_eq!((told(0.0).as_str(), told(2.0).as_str()), ("", "2 of 3 failures in a row"));
    }

    #[test]
    fn a_row_spells_a_duration_as_pages_and_messages_do() {
        let found = rows(&snapshot());
        assert!(found[0].iter().any(|cell| cell == "1 h 30 min"), "{found:?}");
    }

    fn snapshot() -> Snapshot {
        let at = Timestamp::from_seconds(1_767_237_160);
        let mut evidence = sample::evidence(None);
        evidence.seconds_to_exhaustion = Some(5400.0);
        let slo = SloStatus {
            at,
            id: "passengers/requests".to_owned(),
            service: "passengers".to_owned(),
            slo: "requests".to_owned(),
            title: "Requests succeed".to_owned(),
            description: String::new(),
            source: "scrape".to_owned(),
            alert: "PassengersRequests".to_owned(),
            evidence,
            sli_ratio: Some(0.999),
            data_age_s: Some(1.0),
            resolved: Vec::new(),
            implausible: None,
            refused_by: Vec::new(),
            paused: None,
            gate: lookout_config::GateMinimum::default(),
            incidents: Vec::new(),
        };
        Snapshot { at, interval_s: 10, ledger_is_down: false, slos: vec![slo] }
    }
}
