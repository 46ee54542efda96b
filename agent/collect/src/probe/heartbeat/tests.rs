//! Heartbeats under simulated time.

use std::sync::Arc;
use std::time::Duration;

use lookout_config::{Check, Family, HeartbeatCheck, Target};
use lookout_runtime::random::Random;

use super::*;
use crate::probe::{Heartbeats, Probe as _, Prober, Verdict};
use crate::test_clock::WallClock;

const HOUR: Duration = Duration::from_secs(3600);

fn target() -> Target {
    Target {
        name: "backup".to_owned(),
        interval: Duration::from_secs(60),
        timeout: Duration::from_secs(5),
        family: Family::Auto,
        resolver: None,
        labels: Vec::new(),
        off: None,
        maintenance: Vec::new(),
        group: None,
        down: None,
        allowed: None,
        check: Check::Heartbeat(HeartbeatCheck { every: 24 * HOUR, grace: HOUR }),
        expect: Arc::default(),
    }
}

/// Returns the reason of a failure, and the detail; empty when it is good.
async fn seen(prober: &Prober) -> (Option<Reason>, String) {
    match prober.probe(&target()).await.verdict {
        Verdict::Ok => (None, String::new()),
        Verdict::Fail { reason, detail } => (Some(reason), detail),
    }
}

#[tokio::test(start_paused = true)]
async fn absence_is_a_failure_and_a_call_is_its_end() {
    let heartbeats = Heartbeats::new(WallClock::start());
    let prober = Prober::new(Arc::new(Random::from_seed(1))).with_heartbeats(heartbeats.clone());
    let (reason, detail) = seen(&prober).await;
    assert_eq!((reason, detail.as_str()), (Some(Reason::Awaited), "no call yet, expected every 1d"));
    assert!(Reason::Awaited.is_local(), "nothing is known about the job: its slot is missed");
    tokio::time::advance(25 * HOUR).await;
    assert_eq!(seen(&prober).await.0, Some(Reason::Awaited), "still within the grace");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(seen(&prober).await, (Some(Reason::Heartbeat), "no call ever, expected every 1d".to_owned()));
    for _ in 0..2 {
        heartbeats.note("backup");
        assert_eq!(seen(&prober).await.0, None);
        tokio::time::advance(25 * HOUR).await;
        assert_eq!(seen(&prober).await.0, None, "late, within the grace");
        tokio::time::advance(Duration::from_secs(1)).await;
        let (reason, detail) = seen(&prober).await;
        assert_eq!(reason, Some(Reason::Heartbeat));
        assert!(
            detail.starts_with("the last call was ") && detail.ends_with("expected every 1d"),
            "{detail}"
        );
    }
    heartbeats.note("other");
    assert_eq!(seen(&prober).await.0, Some(Reason::Heartbeat), "the call of another job");
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_no_failure_but_a_call_of_before_is_evidence() {
    let clock = WallClock::start();
    let before = Heartbeats::new(Arc::clone(&clock) as Arc<dyn lookout_runtime::clock::Clock>);
    let at = before.note("backup");
    tokio::time::advance(20 * HOUR).await;
    let after = Heartbeats::new(clock);
    after.restore([("backup".to_owned(), at)]);
    let prober = Prober::new(Arc::new(Random::from_seed(1))).with_heartbeats(after);
    assert_eq!(seen(&prober).await.0, None, "the stored call is young enough");
    tokio::time::advance(6 * HOUR).await;
    assert_eq!(seen(&prober).await.0, Some(Reason::Awaited), "a call may have come while no agent listened");
    tokio::time::advance(20 * HOUR).await;
    assert_eq!(seen(&prober).await.0, Some(Reason::Heartbeat), "overdue by the time of this agent alone");
}

/// The job is dead from the first call on, whatever the wall clock says. Each way twice.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_makes_no_call_younger_or_older() {
    let day = 24 * 3_600_000;
    for jump_ms in [day, -day, 40 * day, -40 * day] {
        let clock = WallClock::start();
        let heartbeats = Heartbeats::new(Arc::clone(&clock) as Arc<dyn lookout_runtime::clock::Clock>);
        let prober = Prober::new(Arc::new(Random::from_seed(1))).with_heartbeats(heartbeats.clone());
        for _ in 0..2 {
            heartbeats.note("backup");
            assert_eq!(seen(&prober).await.0, None);
            clock.jump(jump_ms);
            tokio::time::advance(25 * HOUR).await;
            assert_eq!(seen(&prober).await.0, None, "{jump_ms}: it is not overdue");
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(seen(&prober).await.0, Some(Reason::Heartbeat), "{jump_ms}: it is overdue");
        }
        let stored = heartbeats.note("backup");
        clock.jump(-30 * day);
        let restarted = Heartbeats::new(Arc::clone(&clock) as Arc<dyn lookout_runtime::clock::Clock>);
        restarted.restore([("backup".to_owned(), stored)]);
        let prober = Prober::new(Arc::new(Random::from_seed(1))).with_heartbeats(restarted);
        assert_eq!(seen(&prober).await.0, Some(Reason::Awaited), "a call in the future is no evidence");
        tokio::time::advance(26 * HOUR).await;
        assert_eq!(seen(&prober).await.0, Some(Reason::Heartbeat));
    }
}

#[tokio::test]
async fn a_prober_beside_the_agent_knows_no_calls() {
    let prober = Prober::new(Arc::new(Random::from_seed(1)));
    assert_eq!(seen(&prober).await.0, Some(Reason::Awaited));
}
