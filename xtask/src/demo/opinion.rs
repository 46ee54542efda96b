//! The same fault, as Prometheus and Alertmanager see it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use reqwest::Client;
use tokio::time::{Instant, sleep};

use super::narrator::Narrator;
use super::prometheus::{Alertmanager, Prometheus};
use super::spec::{BROKEN, SERVICE};
use programs::binaries::Binaries;

/// The longest they may take to agree.
const TIMEOUT: Duration = Duration::from_secs(25);
const LOOK: Duration = Duration::from_millis(100);

/// Returns whether these are the labels of the page of the SLO that the fault breaks.
fn is_the_page(labels: &str) -> bool {
    let has = |pair: String| labels.split(' ').any(|label| label == pair);
    has(format!("slo={BROKEN}")) && has("severity=critical".to_owned())
}

/// The two programs.
pub(super) struct SecondOpinion {
    alertmanager: Alertmanager,
    prometheus: Option<Prometheus>,
}

impl SecondOpinion {
    /// Starts Alertmanager, which the agent's config must name.
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        Ok(Self { alertmanager: Alertmanager::start(folder).await?, prometheus: None })
    }

    pub(super) const fn alertmanager(&self) -> SocketAddr {
        self.alertmanager.address
    }

    /// Starts Prometheus on rules generated from the agent's config; it scrapes the service and the agent.
    pub(super) async fn ask_prometheus(
        &mut self,
        binaries: &Binaries,
        config: &Path,
        scraped: [SocketAddr; 2],
        narrator: &Narrator,
    ) -> Result<()> {
        let prometheus = Prometheus::start(binaries, config, scraped).await?;
        narrator.say(&format!(
            "Prometheus at http://{} evaluates {} generated rule files; Alertmanager is http://{}",
            prometheus.address,
            prometheus.rules(),
            self.alertmanager.address
        ));
        self.prometheus = Some(prometheus);
        Ok(())
    }

    pub(super) fn addresses(&self) -> String {
        let prometheus = self.prometheus.as_ref().map(|it| format!("prometheus http://{}\n", it.address));
        format!("{}alertmanager http://{}", prometheus.unwrap_or_default(), self.alertmanager.address)
    }

    /// Waits until Prometheus fires too and Alertmanager holds the agent's alert.
    pub(super) async fn agrees(&mut self, client: &Client, fault_ms: i64, narrator: &Narrator) -> Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let held = self.alertmanager.alerts(client).await?;
            if let Some(labels) = held.iter().find(|labels| labels.contains(&format!("service={SERVICE}"))) {
                narrator.say("   Alertmanager holds the alert of lookout:");
                narrator.quote(labels);
                break;
            }
            ensure!(Instant::now() < deadline, "Alertmanager holds no alert of {SERVICE} after {TIMEOUT:?}");
            sleep(LOOK).await;
        }
        let Some(prometheus) = &mut self.prometheus else { return Ok(()) };
        loop {
            prometheus.program.must_be_running()?;
            let firing = prometheus.firing(client).await?;
            let page = firing.iter().find(|(labels, _)| is_the_page(labels));
            if let Some((labels, since)) = page {
                let seconds = (since - fault_ms) as f64 / 1000.0;
                narrator.say(&format!("   Prometheus agrees {seconds:.2} s after the fault:"));
                narrator.quote(labels);
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the generated rules do not fire within {TIMEOUT:?}");
            sleep(LOOK).await;
        }
    }

    /// Waits until neither of them sees an alert any more.
    pub(super) async fn recovers(&mut self, client: &Client, narrator: &Narrator) -> Result<()> {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let held = self.alertmanager.alerts(client).await?;
            let firing = match &self.prometheus {
                Some(prometheus) => prometheus.firing(client).await?,
                None => Vec::new(),
            };
            // Alertmanager lists an alert only as long as it is not resolved.
            if held.is_empty() && firing.is_empty() {
                narrator.say("   resolved in Alertmanager and in Prometheus too");
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "still firing after {TIMEOUT:?}: Alertmanager {held:?}, Prometheus {firing:?}"
            );
            sleep(LOOK).await;
        }
    }

    /// Stops both. Says how they ended.
    pub(super) async fn stop(self) -> Vec<String> {
        let mut ended = vec![self.alertmanager.program.stop().await];
        if let Some(prometheus) = self.prometheus {
            ended.push(prometheus.program.stop().await);
        }
        ended
    }
}
