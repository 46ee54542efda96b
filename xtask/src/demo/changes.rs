//! The second story: changes fail while `/health` is fine, and the journey of a client tells it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use programs::refused_writes;
use reqwest::Client;
use tokio::time::{Instant, sleep};

use super::narrator::Narrator;
use super::processes::{Cast, Incident};
use super::promise;
use super::spec::{self, HEALTH, INTERVAL_S, JOURNEY, JOURNEY_INTERVAL_S};

/// The pause between two looks at a level.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The longest that a level may take to come.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Good journeys before the fault.
const HEALTHY: u64 = 5;

/// Figures of the second story, in seconds.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) promised_s: f64,
    pub(super) opened_s: f64,
    pub(super) resolved_s: f64,
}

/// Adds the journey by a reload, refuses writes until it pages, and accepts them again.
pub(super) async fn tell(
    client: &Client,
    cast: &Cast,
    folder: &std::path::Path,
    narrator: &Narrator,
) -> Result<Changes> {
    spec::add_journey(folder, cast.service.address)?;
    cast.agent.reload().await?;
    narrator.say("9  a reload adds a client's journey: list, read, add, read back, remove");
    until("no good journeys", async || {
        Ok(cast.agent.counted(client, JOURNEY).await.is_ok_and(|(bad, total)| total - bad >= HEALTHY))
    })
    .await?;
    let (bad, _) = cast.agent.counted(client, JOURNEY).await?;
    ensure!(bad == 0, "{bad} journeys failed without a fault");
    let line = cast.agent.promise(JOURNEY).await?;
    let mut figures = Changes { promised_s: promise::total_outage_s(&line)?, ..Changes::default() };
    let (health_before, _) = cast.agent.counted(client, HEALTH).await?;

    let fault = Instant::now();
    let fault_ms = super::now_ms();
    refused_writes::refuse(&cast.service.program).await?;
    narrator.say("   the disk refuses writes: reading works, and /health answers 200");
    let opened = until_incident(client, cast, |_| true).await.context("waiting for the page")?;
    figures.opened_s = (opened.detected_at_ms - fault_ms) as f64 / 1000.0;
    let interval = f64::from(INTERVAL_S + JOURNEY_INTERVAL_S);
    narrator.say(&format!(
        "   incident {} ({}): open {:.2} s after the fault, {:.2} s are promised",
        opened.id, opened.severity, figures.opened_s, figures.promised_s
    ));
    ensure!(
        (figures.opened_s - figures.promised_s).abs() <= interval,
        "opened {:.2} s after the fault; `lookout check` promises {:.2} s, and they differ by more than {interval} s",
        figures.opened_s,
        figures.promised_s
    );
    let (health, _) = cast.agent.counted(client, HEALTH).await?;
    ensure!(health == health_before, "/health failed too: {health} bad events after {health_before}");
    ensure!(fault.elapsed() < TIMEOUT, "the fault took too long to be told");

    refused_writes::accept(&cast.service.program).await?;
    let end_ms = super::now_ms();
    let resolved = until_incident(client, cast, |incident| incident.resolved_at_ms.is_some())
        .await
        .context("the end")?;
    figures.resolved_s = (resolved.resolved_at_ms.unwrap_or(end_ms) - end_ms) as f64 / 1000.0;
    narrator.say(&format!("   the disk accepts writes: resolved {:.2} s later", figures.resolved_s));
    Ok(figures)
}

async fn until_incident(client: &Client, cast: &Cast, holds: impl Fn(&Incident) -> bool) -> Result<Incident> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let incidents = cast.agent.incidents(client).await?;
        if let Some(found) = incidents.into_iter().find(|one| one.slo == JOURNEY && holds(one)) {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "nothing within {TIMEOUT:?}");
        sleep(POLL_INTERVAL).await;
    }
}

async fn until(missing: &str, holds: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    while !holds().await? {
        ensure!(Instant::now() < deadline, "{missing} within {TIMEOUT:?}");
        sleep(POLL_INTERVAL).await;
    }
    Ok(())
}
