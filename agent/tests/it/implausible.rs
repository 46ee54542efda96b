//! Counts that cannot be true: not counted, and a finding wherever someone looks.

use lookout_collect::scrape::FetchError;
use lookout_config::GatePolicy;
use lookout_evaluate::SloStatus;
use lookout_gate::{Code, Decision, Question, decide};
use lookout_ledger::{CorrectionStore as _, Ledger as _};
use lookout_model::{
    CorrectionKind, CorrectionRecord, CorrectionScope, CountRow, DeployClass, ImplausibleCounts, Timestamp,
};

use super::outages::{config, healthy, metrics};
use super::simulated::{HOUR, START, Simulation};

fn requests(simulation: &Simulation) -> SloStatus {
    simulation.shown().slos.iter().find(|slo| slo.slo == "requests").cloned().unwrap()
}

/// The decision about a feature, and the text of the reason about counts that cannot be true.
fn gate(simulation: &Simulation) -> (Decision, Option<String>) {
    let snapshot = simulation.shown();
    let ask = Question { service: "api".to_owned(), class: DeployClass::Feature };
    let answer = decide(&ask, &snapshot, &GatePolicy::default(), snapshot.at);
    let reason = answer.reasons.into_iter().find(|reason| reason.code == Code::ImplausibleCounts);
    (answer.decision, reason.map(|reason| reason.text))
}

/// One scrape of an otherwise healthy service shows a counter that no process has.
fn absurd_once(second: i64) -> Result<String, FetchError> {
    if (HOUR..HOUR + 10).contains(&second) {
        return Ok(metrics(-HOUR, 36_000 + 10 * second, 0).replace("code=\"500\"} 0", "code=\"500\"} 1e308"));
    }
    healthy(second)
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_value_that_cannot_be_true_is_a_finding_for_a_day_and_in_no_figure() {
    let simulation = Simulation::of(config());
    simulation.expose(absurd_once);
    simulation.run(2 * HOUR, &[]).await;
    let slo = requests(&simulation);
    assert_eq!(slo.evidence.bad, 0);
    let found = slo.implausible.unwrap();
    assert_eq!((found.value.as_str(), found.reason.as_str()), ("1e308", "absurd_sample"));
    assert_eq!((found.source.as_str(), found.stored), ("scrape api", false));
    let second = found.at.millis_since(simulation.start) / 1000 - HOUR;
    assert!((-10..=10).contains(&second), "{second} s");
    assert!(found.text().ends_with("nothing needs to be done"), "{}", found.text());
    assert_eq!(gate(&simulation), (Decision::Allow, Some(format!("{}: {}", slo.title, found.text()))));
    simulation.run(25 * HOUR + 60, &[]).await;
    assert_eq!((requests(&simulation).implausible, gate(&simulation)), (None, (Decision::Allow, None)));
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn what_an_older_version_believed_holds_changes_until_it_is_excluded() {
    let simulation = Simulation::of(config());
    simulation.expose(healthy);
    let start_s = START.parse::<Timestamp>().unwrap().as_seconds() - 600;
    let row =
        |start_s, bad| CountRow { slo_id: "api-requests".to_owned(), start_s, width_s: 10, good: 1, bad };
    let rows = [row(start_s, 1 << 53), row(start_s + 10, 0)];
    simulation.ledger.commit(&rows, &[]).await.unwrap();
    simulation.run(HOUR, &[]).await;
    let slo = requests(&simulation);
    assert_eq!(slo.evidence.bad, 0, "it spends no budget");
    let found: ImplausibleCounts = slo.implausible.unwrap();
    assert!(found.stored && found.value.contains("9,007,199,254,740,992 bad"), "{found:?}");
    let (from, to) = (found.at, found.until);
    assert_eq!((from.as_seconds(), to.as_seconds()), (start_s, start_s + 10));
    let advice =
        "`lookout ledger repair --slo api-requests --from 2026-11-19T23:50:00Z --to 2026-11-19T23:50:10Z`";
    assert!(found.text().contains(advice), "{}", found.text());
    let (decision, reason) = gate(&simulation);
    assert!(decision == Decision::Hold && reason.is_some_and(|reason| reason.contains(advice)));
    // what `lookout ledger repair` stores
    let repair = CorrectionRecord {
        id: "cor-1".to_owned(),
        scope: CorrectionScope::Slo("api-requests".to_owned()),
        kind: CorrectionKind::Excluded,
        from,
        to: Some(to),
        recurrence: None,
        reason: "a counter ran wild".to_owned(),
        actor: "ops".to_owned(),
        created_at: to,
        revoked: None,
    };
    assert!(simulation.ledger.record_correction(&repair).await.unwrap());
    simulation.run(HOUR + 60, &[]).await;
    assert_eq!((requests(&simulation).implausible, gate(&simulation)), (None, (Decision::Allow, None)));
}
