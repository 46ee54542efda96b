//! Neighbours of an agent under test: a service, a Slack, and the agent as a process.

mod process;
mod program;
mod prometheus;
mod slack;
mod target;

use std::time::Duration;

pub(crate) use process::{Lookout, run_to_end};
pub(crate) use program::Program;
pub(crate) use prometheus::Prometheus;
pub(crate) use slack::Slack;
pub(crate) use target::Target;

/// Time that a test waits for a level.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// An SLO of the probes of the target `api`, which pages within seconds.
pub(crate) const PROBED_SLO: &str = r#"
apiVersion: openslo/v1
kind: SLO
metadata:
  name: availability
  annotations:
    lookout.dev/tiers: page 6s/3s x2
    lookout.dev/minimum-bad: "2"
spec:
  service: api
  description: The API answers.
  budgetingMethod: Occurrences
  timeWindow: [{ duration: 5m, isRolling: true }]
  objectives: [{ target: 0.9 }]
  indicator:
    metadata: { name: probes }
    spec:
      ratioMetric:
        counter: true
        good: { metricSource: { type: probe, spec: { target: api, outcome: ok } } }
        total: { metricSource: { type: probe, spec: { target: api } } }
"#;

/// Waits until `look` finds something; fails with `what` after the deadline.
pub(crate) async fn eventually<T, Fut>(what: &str, mut look: impl FnMut() -> Fut) -> T
where
    Fut: Future<Output = Option<T>>,
{
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    match tokio::time::timeout(DEADLINE, looking).await {
        Ok(found) => found,
        Err(_) => panic!("not seen within {DEADLINE:?}: {what}"),
    }
}
