//! The worst day: 2,000 targets that refuse, each with an SLO.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::time::{Instant, sleep};

use super::nginx::free_port;
use super::tools::start_lookout;
use crate::footprint;

const TARGETS: usize = 2_000;
const INTERVAL_S: u64 = 10;

/// SLOs of one file: a file has a limit of nodes.
const SLOS_PER_FILE: usize = 100;

/// Requests for `/metrics`, of which the median counts.
const SCRAPES: usize = 9;
const BETWEEN_SCRAPES: Duration = Duration::from_secs(1);

/// Figures of the worst day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Failing {
    pub(super) memory_mb: f64,
    pub(super) scrape_ms: f64,
    pub(super) scrape_bytes: usize,
}

pub(super) async fn measure(lookout: &Path, folder: &Path, seconds: Duration) -> Result<Failing> {
    println!("measuring lookout: {TARGETS} failing targets, each with an SLO");
    let folder = folder.join("failing");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let port = free_port()?;
    let mut config =
        format!("listen: 127.0.0.1:0\ninterval: {INTERVAL_S}s\nslos: [\"*.slo.yaml\"]\ntargets:\n");
    let mut specs = vec![String::new(); TARGETS.div_ceil(SLOS_PER_FILE)];
    for number in 0..TARGETS {
        config.push_str(&format!(
            "  - {{ name: t{number}, http: {{ url: \"http://127.0.0.1:{port}/{number}\" }} }}\n"
        ));
        let Some(file) = specs.get_mut(number / SLOS_PER_FILE) else { continue };
        file.push_str(&format!(
            "---\napiVersion: openslo/v1\nkind: SLO\nmetadata: {{ name: s{number} }}\nspec:\n  service: shop\n  \
             indicator: {{ metadata: {{ name: i{number} }}, spec: {{ ratioMetric: {{ counter: true, \
             good: {{ metricSource: {{ type: probe, spec: {{ target: t{number}, outcome: ok }} }} }}, \
             total: {{ metricSource: {{ type: probe, spec: {{ target: t{number} }} }} }} }} }} }}\n  \
             budgetingMethod: Occurrences\n  objectives: [{{ targetPercent: 99.9 }}]\n  \
             timeWindow: [{{ duration: 30d, isRolling: true }}]\n"
        ));
    }
    for (number, text) in specs.iter().enumerate() {
        std::fs::write(folder.join(format!("{number}.slo.yaml")), text).context("writing the SLOs")?;
    }
    let file = folder.join("lookout.yaml");
    std::fs::write(&file, config).context("writing the configuration")?;
    let (agent, address) = start_lookout(lookout, &file, &folder).await?;
    // every incident is open after a few slots
    sleep(seconds.max(Duration::from_secs(6 * INTERVAL_S))).await;
    let client = reqwest::Client::builder().no_proxy().build().context("building a client")?;
    let mut took = Vec::new();
    let mut bytes = 0;
    for _ in 0..SCRAPES {
        // as scrapers do: one that comes at once waits for the pause after the text before
        sleep(BETWEEN_SCRAPES).await;
        let began = Instant::now();
        let answer =
            client.get(format!("http://{address}/metrics")).send().await.context("asking for metrics")?;
        let text = answer.text().await.context("reading metrics")?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
        bytes = text.len();
        let failed = text.lines().filter(|line| line.starts_with("lookout_probe_failures_total{")).count();
        ensure!(failed == TARGETS, "{failed} of {TARGETS} targets failed");
    }
    took.sort_by(f64::total_cmp);
    let memory_mb = footprint::resident_of(agent.id().context("the agent has ended")?)?;
    agent.stop().await;
    Ok(Failing {
        memory_mb,
        scrape_ms: took.get(SCRAPES / 2).copied().unwrap_or_default(),
        scrape_bytes: bytes,
    })
}
