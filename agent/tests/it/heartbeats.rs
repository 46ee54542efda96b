//! A job that calls, as its user runs it: the agent as a process, an SLO over the calls, and a restart.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::{Lookout, eventually};

/// `printf secret | sha256sum`
const SHA256: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

fn write_config(folder: &Path) -> PathBuf {
    let config = folder.join("lookout.yaml");
    let text = format!(
        "listen: 127.0.0.1:0\nledger: lookout.db\ninterval: 1s\n\
         auth: {{ tokens: [{{ name: backup, sha256: {SHA256}, scopes: [heartbeat] }}] }}\n\
         targets:\n  - {{ name: backup, interval: 1s, heartbeat: {{ every: 6s, grace: 1s }} }}\n"
    );
    std::fs::write(&config, text).unwrap();
    let slo = r#"
apiVersion: openslo/v1
kind: SLO
metadata:
  name: backup
  annotations: { lookout.dev/tiers: page 4s/2s x2, lookout.dev/minimum-bad: "2" }
spec:
  service: jobs
  description: The backup runs.
  budgetingMethod: Occurrences
  timeWindow: [{ duration: 5m, isRolling: true }]
  objectives: [{ target: 0.9 }]
  indicator:
    metadata: { name: calls }
    spec:
      ratioMetric:
        counter: true
        good: { metricSource: { type: probe, spec: { target: backup, outcome: ok } } }
        total: { metricSource: { type: probe, spec: { target: backup } } }
"#;
    std::fs::write(folder.join("jobs.slo.yaml"), slo).unwrap();
    config
}

/// Calls as the job does. Returns the status.
async fn call(agent: &Lookout, name: &str, token: &str) -> u16 {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/api/v1/heartbeats/{name}", agent.url);
    client.post(url).bearer_auth(token).send().await.unwrap().status().as_u16()
}

/// Good and bad events so far.
fn counts(slos: &Value) -> (u64, u64) {
    let evidence = &slos["slos"][0]["evidence"];
    let (bad, total) = (evidence["bad"].as_u64().unwrap_or(0), evidence["total"].as_u64().unwrap_or(0));
    (total - bad, bad)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_stops_calling_pages_and_a_restart_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let config = write_config(folder.path());
    let agent = Lookout::run(&config);
    assert_eq!(call(&agent, "backup", "wrong").await, 401);
    assert_eq!(call(&agent, "other", "secret").await, 404);
    assert_eq!(call(&agent, "backup", "secret").await, 200);
    let slos = agent.slos("good slots", |slos| counts(slos).0 >= 2).await;
    assert_eq!(counts(&slos).1, 0, "young is not failing: {slos}");
    agent.slos("calls that are missing", |slos| counts(slos).1 >= 2).await;
    eventually("an incident", || async { (agent.incidents().await.len() == 1).then_some(()) }).await;
    assert!(agent.text("/").await.contains("expected every 6s"), "the page tells the reason");
    assert!(
        agent.text("/metrics").await.contains("reason=\"heartbeat\",target=\"backup\"}")
            || agent.text("/metrics").await.contains("target=\"backup\",reason=\"heartbeat\"}")
    );
    assert_eq!(call(&agent, "backup", "secret").await, 200);
    let before = counts(&agent.slos("good slots again", |slos| counts(slos).0 >= 4).await);
    agent.kill();

    let agent = Lookout::run(&config);
    let after = agent.slos("a slot after the restart", |slos| counts(slos).0 > 0).await;
    assert!(counts(&after).1 <= before.1 + 1, "the stored call is evidence: {before:?} {after}");
}
