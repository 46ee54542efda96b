//! A pair of real Alertmanagers that gossip, and what happens to them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use programs::http::ask;
use programs::on_path;
use programs::running::Running;

use super::recorder::now_ms;
use super::wire::{Event, Wire};

/// Time between two looks at the alerts of a group.
pub(super) const GROUP_INTERVAL: Duration = Duration::from_secs(1);
/// Time that the second of a pair leaves the first to notify.
pub(super) const PEER_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest time until an instance answers.
const START: Duration = Duration::from_secs(20);

/// One instance, at addresses that it keeps.
pub(super) struct Alertmanager {
    program: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    /// The way on which the agent reaches it.
    pub(super) wire: Arc<Wire>,
    cluster: SocketAddr,
    peer: SocketAddr,
    running: Option<Running>,
}

impl Alertmanager {
    /// Prepares an instance that tells its notifications to a webhook.
    pub(super) async fn new(
        folder: &Path,
        webhook: &str,
        address: SocketAddr,
        (cluster, peer): (SocketAddr, SocketAddr),
    ) -> Result<Self> {
        let how = "install the Debian package prometheus-alertmanager";
        let program = on_path(&["prometheus-alertmanager", "alertmanager"], how)?;
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let config = format!(
            "route:\n  receiver: recorder\n  group_by: [service, slo, severity]\n  group_wait: 0s\n  \
             group_interval: {}s\n  repeat_interval: 4h\nreceivers:\n  - name: recorder\n    \
             webhook_configs: [{{ url: \"{webhook}\", send_resolved: true }}]\n",
            GROUP_INTERVAL.as_secs()
        );
        std::fs::write(folder.join("alertmanager.yml"), config).context("configuring Alertmanager")?;
        let wire = Arc::new(Wire::start(address).await?);
        Ok(Self { program, folder: folder.to_owned(), address, wire, cluster, peer, running: None })
    }

    pub(super) async fn start(&mut self, client: &Client) -> Result<()> {
        let running = Running::start("alertmanager", &self.program, |command| {
            command.arg(format!("--config.file={}", self.folder.join("alertmanager.yml").display()));
            command.arg(format!("--storage.path={}", self.folder.display()));
            command.arg(format!("--web.listen-address={}", self.address));
            command.arg(format!("--cluster.listen-address={}", self.cluster));
            command.arg(format!("--cluster.peer={}", self.peer));
            command.arg(format!("--cluster.peer-timeout={}s", PEER_TIMEOUT.as_secs()));
            command.arg("--cluster.settle-timeout=1s");
        })?;
        self.running = Some(running);
        let ready = format!("http://{}/-/ready", self.address);
        let deadline = Instant::now() + START;
        while ask(client, Method::GET, &ready, None, None).await.is_err() {
            let running = self.running.as_mut().context("an Alertmanager was just started")?;
            running.must_be_running()?;
            ensure!(Instant::now() < deadline, "Alertmanager does not answer{}", running.last_lines());
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    async fn kill(&mut self) -> Result<()> {
        match self.running.take() {
            Some(running) => running.kill().await,
            None => Ok(()),
        }
    }

    /// Stops it where it stands, or lets it go on.
    async fn signal(&self, name: &str) -> Result<()> {
        let id = self.running.as_ref().and_then(Running::id).context("no Alertmanager runs")?;
        let mut kill = Command::new("kill");
        let status = kill.args(["-s", name, &id.to_string()]).status().await.context("starting kill")?;
        ensure!(status.success(), "signal {name} was not sent");
        Ok(())
    }

    /// Kills and restarts it, or lets it hang for a while.
    pub(super) async fn suffer(&mut self, client: &Client, random: &mut Rng) -> Result<()> {
        let pause = Duration::from_millis(random.u64(500..4_000));
        if random.bool() {
            self.kill().await?;
            self.wire.note(Event::Killed { at_ms: now_ms() });
            sleep(pause).await;
            self.start(client).await?;
            self.wire.note(Event::Started { at_ms: now_ms() });
            return Ok(());
        }
        let from_ms = now_ms();
        self.signal("STOP").await?;
        sleep(pause).await;
        self.wire.note(Event::Hung { from_ms, until_ms: now_ms() });
        self.signal("CONT").await
    }

    /// Returns the label sets of the active alerts.
    pub(super) async fn active(&self, client: &Client) -> Result<BTreeSet<String>> {
        let url = format!("http://{}/api/v2/alerts", self.address);
        let text = ask(client, Method::GET, &url, None, None).await?;
        let alerts: Vec<Value> = serde_json::from_str(&text).context("reading the alerts")?;
        Ok(alerts.iter().filter_map(|alert| Some(alert.get("labels")?.to_string())).collect())
    }
}
