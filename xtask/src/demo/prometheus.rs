//! A second opinion: Debian's Prometheus with the rules generated from the same specs, and Debian's Alertmanager as a
//! destination of the agent.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::process::Command;

use super::spec::{INTERVAL_S, SERVICE};
use programs::binaries::Binaries;
use programs::http::ask;
use programs::packages;
use programs::running::{Running, field};

/// A running Alertmanager.
pub(super) struct Alertmanager {
    pub(super) program: Running,
    pub(super) address: SocketAddr,
}

/// Flags of the Prometheus family: JSON logs, a port of the system's choice.
async fn address(program: &mut Running) -> Result<SocketAddr> {
    let line = program.listening().await?;
    field(&line, "address")?.parse().context("reading the address")
}

fn program(names: &[&str]) -> Result<PathBuf> {
    packages::find(names).with_context(|| {
        format!("{} is missing; run `cargo xtask test --only packages` to get it", names.join(" or "))
    })
}

impl Alertmanager {
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        let config = folder.join("alertmanager.yml");
        std::fs::write(&config, "route:\n  receiver: none\nreceivers:\n  - name: none\n")
            .with_context(|| format!("writing {}", config.display()))?;
        let path = program(&["prometheus-alertmanager", "alertmanager"])?;
        let mut program = Running::start("alertmanager", path, |command| {
            command.arg(format!("--config.file={}", config.display()));
            command.arg(format!("--storage.path={}", folder.join("alertmanager").display()));
            command.args([
                "--web.listen-address=127.0.0.1:0",
                "--cluster.listen-address=",
                "--log.format=json",
            ]);
            command.current_dir(folder);
        })?;
        Ok(Self { address: address(&mut program).await?, program })
    }

    /// Labels of the alerts it holds, one line each; `[resolved]` where it is.
    pub(super) async fn alerts(&self, client: &Client) -> Result<Vec<String>> {
        let url = format!("http://{}/api/v2/alerts", self.address);
        let text = ask(client, Method::GET, &url, None, None).await?;
        let alerts: Vec<Value> = serde_json::from_str(&text).context("reading the alerts of Alertmanager")?;
        Ok(alerts.iter().map(|alert| pairs(alert.get("labels"))).collect())
    }
}

fn pairs(labels: Option<&Value>) -> String {
    let labels = labels.and_then(Value::as_object).into_iter().flatten();
    labels
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A running Prometheus.
pub(super) struct Prometheus {
    pub(super) program: Running,
    pub(super) address: SocketAddr,
    rules: usize,
}

impl Prometheus {
    /// Generates the rules from the agent's own config and starts Prometheus with them.
    pub(super) async fn start(
        binaries: &Binaries,
        config: &Path,
        [service, agent]: [SocketAddr; 2],
    ) -> Result<Self> {
        let folder = config.parent().context("the config has no folder")?;
        let mut generate = Command::new(binaries.lookout());
        generate.args(["generate", "-c"]).arg(config).current_dir(folder);
        let output = generate.output().await.context("starting `lookout generate`")?;
        if !output.status.success() {
            bail!(
                "`lookout generate` ended with {}: {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let rules = rule_files(&folder.join("alerts"))?;
        let list: String = rules.iter().map(|path| format!("  - {}\n", path.display())).collect();
        let yaml = format!(
            "global:\n  scrape_interval: {INTERVAL_S}s\n  scrape_timeout: {INTERVAL_S}s\n  \
             evaluation_interval: {INTERVAL_S}s\nrule_files:\n{list}scrape_configs:\n  - job_name: {SERVICE}\n    \
             static_configs:\n      - targets: [\"{service}\"]\n  - job_name: lookout\n    static_configs:\n      \
             - targets: [\"{agent}\"]\n"
        );
        let own = folder.join("prometheus.yml");
        std::fs::write(&own, yaml).with_context(|| format!("writing {}", own.display()))?;
        let mut program = Running::start("prometheus", program(&["prometheus"])?, |command| {
            command.arg(format!("--config.file={}", own.display()));
            command.arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()));
            command.args(["--web.listen-address=127.0.0.1:0", "--log.format=json"]).current_dir(folder);
        })?;
        Ok(Self { address: address(&mut program).await?, program, rules: rules.len() })
    }

    pub(super) const fn rules(&self) -> usize {
        self.rules
    }

    /// Firing alerts: labels, and since when, in milliseconds since the epoch.
    pub(super) async fn firing(&self, client: &Client) -> Result<Vec<(String, i64)>> {
        let url = format!("http://{}/api/v1/alerts", self.address);
        let text = ask(client, Method::GET, &url, None, None).await?;
        let answer: Value = serde_json::from_str(&text).context("reading the alerts of Prometheus")?;
        let alerts = answer.pointer("/data/alerts").and_then(Value::as_array).cloned().unwrap_or_default();
        let firing =
            alerts.iter().filter(|alert| alert.get("state").and_then(Value::as_str) == Some("firing"));
        Ok(firing.filter_map(|alert| Some((pairs(alert.get("labels")), since(alert)?))).collect())
    }
}

fn since(alert: &Value) -> Option<i64> {
    let text = alert.get("activeAt").and_then(Value::as_str)?;
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// The generated files that hold rules (tests of rules stand beside them).
fn rule_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.ends_with(".rules.yaml") || name.ends_with(".rules.yml")
        })
        .collect();
    found.sort();
    if found.is_empty() {
        bail!("`lookout generate` wrote no *.rules.yaml into {}", folder.display());
    }
    Ok(found)
}
