//! Messages about nothing real: tests of one destination, and drills, which go the whole way of a page.
//!
//! A drill is an incident of the ledger under a name of its own. No evaluator knows it, so budget, gate and counts stay as
//! they are.

use std::sync::Arc;
use std::time::Duration;

use lookout_engine::{Cause, Change, Severity};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::own_fault::{no_evidence, resolved};
use lookout_config::{Config, Destination, Slo};
use lookout_ledger::{Ledger, LedgerError};
use lookout_model::{IncidentRecord, Notice, Rehearsal, Timestamp, TransitionRecord, incident_id};
use lookout_runtime::clock::Clock;
use lookout_runtime::events::chain;

const PREFIX: &str = "lookout-drill-";
/// Time between two looks for drills that are over.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Returns whether an incident is a drill.
#[must_use]
pub fn is_drill(incident: &IncidentRecord) -> bool {
    incident.slo_id.starts_with(PREFIX)
}

/// Opens a drill of an SLO. It goes to the destinations that a real incident of this severity goes to.
#[must_use]
pub fn drill(
    config: &Config,
    slo: &Slo,
    severity: Severity,
    length: Duration,
    now: Timestamp,
) -> TransitionRecord {
    let incident = record(&format!("{PREFIX}{}", slo.id()), &slo.service, &slo.name, severity, now);
    let alert = slo.alert_name_for(Cause::Burn);
    let notice = Notice {
        change: Change::Opened,
        at: now,
        incident: incident.clone(),
        runbook_url: config.runbook_url(&alert),
        dashboard_url: config.dashboard_url(slo),
        explain_url: config.explain_url(slo),
        alert,
        slo_title: slo.title().to_owned(),
        rehearsal: Some(Rehearsal::Drill { ends_at: now + length }),
        ..blank(config, &incident, now)
    };
    let destinations = config.destinations_of(slo, severity, now);
    TransitionRecord { incident, change: Change::Opened, at: now, notice, destinations }
}

/// Returns a message that tests a destination.
#[must_use]
pub fn test_notice(config: &Config, destination: &Destination, now: Timestamp) -> Notice {
    let name = format!("notification {}", destination.name);
    let incident = record("lookout-test", "lookout", &name, destination.minimum, now);
    let url = config.external_url.to_string();
    Notice {
        alert: "LookoutTest".to_owned(),
        slo_title: "A test of notifications".to_owned(),
        runbook_url: url.clone(),
        dashboard_url: url.clone(),
        explain_url: url,
        rehearsal: Some(Rehearsal::Test),
        ..blank(config, &incident, now)
    }
}

/// Returns the end of a message about nothing real.
#[must_use]
pub fn ended(opened: &Notice, now: Timestamp) -> Notice {
    let mut end = opened.clone();
    (end.change, end.at, end.incident.resolved_at) = (Change::Resolved, now, Some(now));
    end
}

fn record(slo_id: &str, service: &str, slo: &str, severity: Severity, now: Timestamp) -> IncidentRecord {
    IncidentRecord {
        id: incident_id(slo_id, Cause::Burn, now),
        slo_id: slo_id.to_owned(),
        service: service.to_owned(),
        slo: slo.to_owned(),
        cause: Cause::Burn,
        severity,
        peak: severity,
        detected_at: now,
        started_at: None,
        recovered_at: None,
        reopens_until: None,
        resolved_at: None,
    }
}

fn blank(config: &Config, incident: &IncidentRecord, now: Timestamp) -> Notice {
    Notice {
        change: Change::Opened,
        at: now,
        incident: incident.clone(),
        alert: String::new(),
        slo_title: String::new(),
        description: String::new(),
        environment: config.environment.clone(),
        evidence: no_evidence(),
        runbook_url: String::new(),
        dashboard_url: String::new(),
        explain_url: String::new(),
        incidents_url: config.incidents_url(),
        silences_url: String::new(),
        last_deploy: None,
        last_failure: None,
        not_recorded: false,
        own_fault: None,
        rehearsal: None,
        news: None,
        changed_at: None,
        acknowledgement: None,
        silence: None,
    }
}

/// Resolves drills whose time is over, until it is stopped. All state is in the ledger, so a restart goes on.
pub async fn end_drills(
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    wake: Arc<Notify>,
    stop: CancellationToken,
) {
    loop {
        match end_due(&*ledger, clock.now()).await {
            Ok(0) => {}
            Ok(_) => wake.notify_waiters(),
            Err(error) => tracing::warn!(error = chain(&error), "a drill is not ended"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Resolves the drills that are over. Returns how many.
async fn end_due(ledger: &dyn Ledger, now: Timestamp) -> Result<usize, LedgerError> {
    if !ledger.open_incidents().await?.iter().any(is_drill) {
        return Ok(0);
    }
    let is_due = |transition: &TransitionRecord| match transition.notice.rehearsal {
        Some(Rehearsal::Drill { ends_at }) => transition.incident.resolved_at.is_none() && ends_at <= now,
        Some(Rehearsal::Test) | None => false,
    };
    let latest = ledger.latest_transitions(now).await?;
    let ends: Vec<TransitionRecord> =
        latest.iter().filter(|transition| is_due(transition)).map(|opened| resolved(opened, now)).collect();
    if !ends.is_empty() {
        ledger.commit(&[], &ends).await?;
    }
    Ok(ends.len())
}

#[cfg(test)]
mod tests {
    use lookout_config::{UrlOptions, config_of_urls};
    use lookout_ledger::{IncidentStore as _, MemoryLedger};
    use lookout_model::sample::T0;

    use super::*;

    #[tokio::test]
    async fn a_drill_is_marked_and_ends_by_itself_also_after_a_restart() {
        let mut config = config_of_urls(&["http://api.test/".parse().unwrap()], &UrlOptions::default());
        let kind = lookout_config::DestinationKind::Alertmanager(Default::default());
        config.destinations = vec![Destination::new("pager", kind)];
        let ledger = MemoryLedger::default();
        let opened = drill(&config, &config.slos[0], Severity::Page, Duration::from_secs(30), T0);
        assert_eq!(opened.destinations, ["pager"]);
        ledger.commit(&[], std::slice::from_ref(&opened)).await.unwrap();
        assert_eq!(end_due(&ledger, T0 + Duration::from_secs(29)).await.unwrap(), 0);
        assert_eq!(end_due(&ledger, T0 + Duration::from_secs(30)).await.unwrap(), 1);
        assert_eq!(ledger.open_incidents().await.unwrap(), []);
        let headline = |notice: &Notice| lookout_deliver::Message::of(notice).headline;
        assert!(headline(&opened.notice).starts_with("[DRILL] [PAGE] "), "{}", headline(&opened.notice));
        let end = ended(&opened.notice, T0 + Duration::from_secs(30));
        assert!(headline(&end).ends_with(": the drill is over"), "{}", headline(&end));
    }
}
