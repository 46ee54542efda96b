//! The gate's answers about the states that a whole agent comes to, under simulated time and with the shipped defaults.

use std::sync::atomic::Ordering::SeqCst;

use lookout_collect::scrape::FetchError;
use lookout_config::GatePolicy;
use lookout_engine::Status;
use lookout_gate::{Answer, Code, Decision, Question, decide};
use lookout_model::DeployClass;

use super::outages::{config, healthy, metrics};
use super::simulated::{Event, HOUR, Simulation};

/// A history of the service: its metrics by the second, and how long the agent watches.
struct History {
    name: &'static str,
    metrics: fn(i64) -> Result<String, FetchError>,
    seconds: i64,
    /// The state of the SLO about requests at the end.
    status: Status,
    /// True if a change that ends a failure may pass.
    lets_fix_pass: bool,
}

const FAULT: i64 = 2 * HOUR;

/// Requests since the start, of which every one is bad from a second on, until another.
fn failing(second: i64, (from, to): (i64, i64)) -> Result<String, FetchError> {
    let bad = 10 * (second.clamp(from, to) - from);
    Ok(metrics(-HOUR, 36_000 + 10 * second - bad, bad))
}

fn histories() -> Vec<History> {
    let history = |name, metrics, seconds, status, lets_fix_pass| History {
        name,
        metrics,
        seconds,
        status,
        lets_fix_pass,
    };
    vec![
        history("healthy for two hours", healthy, FAULT, Status::Healthy, true),
        history("one observation ever", healthy, 25, Status::Young, false),
        history("four minutes old", healthy, 240, Status::Young, false),
        history("young, and everything fails", |s| failing(s, (0, i64::MAX)), 35, Status::Failing, false),
        history("fails for 30 s", |s| failing(s, (FAULT, i64::MAX)), FAULT + 30, Status::Failing, false),
        history("fails for 5 min", |s| failing(s, (FAULT, i64::MAX)), FAULT + 300, Status::Paging, false),
        history(
            "failed for 5 min, 6 min ago",
            |s| failing(s, (FAULT, FAULT + 300)),
            FAULT + 660,
            Status::Recovering,
            true,
        ),
        history("has never answered", |_| Err(FetchError::Status(500)), FAULT, Status::NoData, false),
        history(
            "does not answer any more",
            |s| if s < FAULT { healthy(s) } else { Err(FetchError::Connect("refused".to_owned())) },
            FAULT + 60,
            Status::Stale,
            false,
        ),
        history("has had no traffic for 2 h", |s| healthy(s.min(FAULT)), 2 * FAULT, Status::Ticket, false),
        history("has never had traffic", |_| healthy(0), 1800, Status::Idle, false),
        history(
            "starts again and again",
            |s| if s < FAULT { healthy(s) } else { Ok(metrics(s - 3, 100, 0)) },
            FAULT + 300,
            Status::Healthy,
            false,
        ),
        history("has spent its budget", |s| failing(s, (HOUR, 2 * HOUR)), 12 * HOUR, Status::Spent, true),
    ]
}

fn ask(simulation: &Simulation, class: DeployClass) -> Answer {
    let snapshot = simulation.shown();
    let ask = Question { service: "api".to_owned(), class };
    decide(&ask, &snapshot, &GatePolicy::default(), snapshot.at)
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn nothing_passes_without_evidence_in_any_state() {
    for History { name, metrics, seconds, status, lets_fix_pass } in histories() {
        let simulation = Simulation::of(config());
        *simulation.world.exposition.lock().unwrap() = metrics;
        simulation.run(seconds, &[]).await;
        let shown = simulation.shown();
        let requests = shown.slos.iter().find(|slo| slo.slo == "requests").unwrap();
        assert_eq!(requests.status(), status, "{name}");
        for class in DeployClass::ALL {
            let answer = ask(&simulation, class);
            let may_pass = match class {
                DeployClass::Rollback | DeployClass::Security => true,
                DeployClass::Fix => lets_fix_pass,
                DeployClass::Feature | DeployClass::Config => name == "healthy for two hours",
            };
            assert_eq!(answer.decision == Decision::Allow, may_pass, "{class}: {name}: {:?}", answer.reasons);
            assert_eq!(answer.exit_code() == 0, may_pass, "{class}: {name}");
            if class.always_passes() && name != "healthy for two hours" {
                assert_eq!(
                    answer.reasons.first().map(|reason| reason.code),
                    Some(Code::PassedOver),
                    "{name}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn what_a_restart_forgot_while_nothing_was_recorded_is_unobserved_time_for_the_gate() {
    const LOST: i64 = 600;
    let simulation = Simulation::of(config());
    simulation.expose(healthy);
    simulation.run(FAULT, &[]).await;
    let observed = || {
        let shown = simulation.shown();
        let requests = shown.slos.iter().find(|slo| slo.slo == "requests").unwrap();
        i64::try_from(requests.evidence.present.as_ref().unwrap().observed_s).unwrap()
    };
    let (before, allowed) = (observed(), ask(&simulation, DeployClass::Feature));
    assert_eq!(allowed.decision, Decision::Allow, "{:?}", allowed.reasons);
    for round in 1..=2 {
        let (begin, end) = (FAULT * round, FAULT * round + LOST);
        // the ledger takes nothing for ten minutes, and the agent ends in them
        let fails: Event = |world| world.ledger_fails.store(true, SeqCst);
        simulation.run(end, &[(begin, fails)]).await;
        let answer = ask(&simulation, DeployClass::Feature);
        assert_eq!(answer.decision, Decision::Hold, "nothing is recorded: {:?}", answer.reasons);
        simulation.world.ledger_fails.store(false, SeqCst);
        simulation.run(end + 60, &[]).await;
        let answer = ask(&simulation, DeployClass::Feature);
        let codes: Vec<Code> = answer.reasons.iter().map(|reason| reason.code).collect();
        assert_eq!((answer.decision, answer.exit_code()), (Decision::Hold, 3), "{:?}", answer.reasons);
        assert_eq!(codes, [Code::TooLittleObserved; 2], "{:?}", answer.reasons);
        simulation.run(FAULT * (round + 1), &[]).await;
        let missing = before + FAULT * round - observed();
        // the slot in which the agent starts counts as lost, too
        assert!((LOST * round..=(LOST + 60) * round).contains(&missing), "{missing} s are not observed");
    }
}
