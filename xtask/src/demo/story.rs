//! The story, step by step. The first step that fails ends it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::Client;
use tokio::time::{Instant, sleep};

use super::changes;
use super::narrator::Narrator;
use super::now_ms;
use super::opinion::SecondOpinion;
use super::processes::{Agent, Cast, Incident, Service};
use super::promise;
use super::receiver::{CHANNEL, Kind, Receiver};
use super::spec::{self, BROKEN, COUNTING, FAULT_PERCENT, INTERVAL_S, Neighbours, ROUTE, TIERS};
use super::verdict::{Figures, summary};
use programs::binaries::Binaries;
use programs::http::{ask, client};
use programs::load::{Load, RATE};

/// The pause between two looks at a level.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The longest the recovery may take.
const TIMEOUT: Duration = Duration::from_secs(25);

/// Options of the demo.
pub(super) struct Options {
    pub(super) keep: bool,
    pub(super) with_prometheus: bool,
}

/// State that all steps share.
struct Stage<'a> {
    narrator: &'a Narrator,
    client: Client,
    cast: Cast,
    load: Load,
    opinion: Option<SecondOpinion>,
}

/// Runs the whole demo.
pub(super) async fn tell(binaries: &Binaries, options: &Options, narrator: &Narrator) -> Result<()> {
    let folder =
        tempfile::Builder::new().prefix("lookout-demo-").tempdir().context("making a folder for the demo")?;
    let mut stage = set_up(binaries, options, narrator, folder.path()).await?;
    let mut figures = Figures::default();
    let told = stage.play(&mut figures).await;
    if let Err(error) = told {
        let logs = format!(
            "titanic{}\nlookout{}",
            stage.cast.service.program.last_lines(),
            stage.cast.agent.program.last_lines()
        );
        narrator.plain("\nthe logs, for the failure below:");
        narrator.quote(&logs);
        return Err(error);
    }
    let Stage { cast, load, opinion, client, .. } = stage;
    if options.keep {
        narrator.plain(&summary(&figures, narrator.elapsed()));
        narrator.plain(&format!("overview   {}/", cast.agent.url));
        narrator.plain(&format!("service    {}", cast.service.url()));
        narrator.plain(&format!("metrics    {}/metrics", cast.agent.url));
        if let Some(opinion) = &opinion {
            narrator.plain(&opinion.addresses());
        }
        narrator.plain("everything keeps running under load; ctrl-c ends it");
        return std::future::pending().await;
    }
    conserve(&client, &cast, load, &mut figures, narrator).await?;
    figures.changes = changes::tell(&client, &cast, folder.path(), narrator)
        .await
        .with_context(|| format!("step 9, changes fail{}", cast.agent.program.last_lines()))?;
    let mut ended = vec![cast.agent.program.stop().await, cast.service.program.stop().await];
    if let Some(opinion) = opinion {
        ended.extend(opinion.stop().await);
    }
    narrator.say("everything stopped");
    narrator.quote(&ended.join("\n"));
    narrator.plain(&summary(&figures, narrator.elapsed()));
    Ok(())
}

async fn set_up<'a>(
    binaries: &Binaries,
    options: &Options,
    narrator: &'a Narrator,
    folder: &std::path::Path,
) -> Result<Stage<'a>> {
    let client = client()?;
    let [admin_token, slack_token, api_key] = ["demo", "xoxb-demo", "key"].map(random_token);
    let receiver = Receiver::start(&slack_token, narrator).await?;
    let service = Service::start(binaries, folder, &admin_token, &api_key).await?;
    narrator.say(&format!("titanic, the API under watch, answers at http://{}", service.address));
    // The first request makes the series exist, so that the agent's first scrape has something to count from.
    ask(&client, reqwest::Method::GET, &service.url(), None, None).await?;
    let mut opinion = if options.with_prometheus { Some(SecondOpinion::start(folder).await?) } else { None };
    let neighbours = Neighbours {
        service: service.address,
        admin: service.admin,
        slack: receiver.address,
        alertmanager: opinion.as_ref().map(SecondOpinion::alertmanager),
    };
    let config = spec::write(folder, &neighbours)?;
    let agent = Agent::start(binaries, &config, &slack_token, &api_key).await?;
    narrator.say(&format!("lookout watches it; its overview is {}/", agent.url));
    if let Some(opinion) = &mut opinion {
        opinion.ask_prometheus(binaries, &config, [service.admin, agent.address], narrator).await?;
    }
    let deadline = Instant::now() + TIMEOUT;
    while agent.scrapes(&client).await? < 1.0 {
        ensure!(
            Instant::now() < deadline,
            "the agent scraped nothing within {TIMEOUT:?}{}",
            agent.program.last_lines()
        );
        sleep(POLL_INTERVAL).await;
    }
    let load = Load::start(&client, &service.url());
    Ok(Stage { narrator, client, cast: Cast { service, agent, receiver }, load, opinion })
}

fn random_token(prefix: &str) -> String {
    format!("{prefix}-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..))
}

impl Stage<'_> {
    async fn play(&mut self, figures: &mut Figures) -> Result<()> {
        self.healthy().await.context("step 1, healthy")?;
        figures.promised_s = self.promise().await.context("the promise")?;
        let fault = self.fault_begins().await.context("step 2, the fault begins")?;
        let incident = self.opens(fault, figures).await.context("step 3, the incident opens")?;
        self.gate_is_closed().await.context("step 4, the gate is closed")?;
        if let Some(opinion) = &mut self.opinion {
            opinion.agrees(&self.client, fault.at_ms, self.narrator).await.context("a second opinion")?;
        }
        let end = self.fault_ends().await.context("step 5, the fault ends")?;
        self.resolves(&incident, end, figures).await.context("step 6, the incident resolves")?;
        self.gate_opens(end, figures).await.context("step 7, the gate opens")?;
        if let Some(opinion) = &mut self.opinion {
            opinion.recovers(&self.client, self.narrator).await.context("a second opinion")?;
        }
        self.one_post_per_transition(figures).await.context("step 8, one post per transition")
    }

    async fn healthy(&mut self) -> Result<()> {
        let warm_up = spec::warm_up_s();
        self.narrator.say(&format!(
            "1  healthy: {RATE} requests/s of {ROUTE} for {warm_up} s, until every window is full"
        ));
        let full = Instant::now() + Duration::from_secs(u64::from(warm_up));
        while Instant::now() < full {
            let record = self.load.record();
            let left = full.duration_since(Instant::now()).as_secs();
            self.narrator.progress(&format!(
                "{} requests, {} failed, {left} s left",
                record.total(),
                record.failed()
            ));
            self.cast.must_be_running()?;
            sleep(Duration::from_millis(250)).await;
        }
        let record = self.load.record();
        ensure!(
            record.failed() == 0,
            "{} of {} requests failed without a fault",
            record.failed(),
            record.total()
        );
        let incidents = self.cast.agent.incidents(&self.client).await?;
        ensure!(incidents.is_empty(), "the agent sees incidents where there are none: {incidents:?}");
        let answer = self.cast.agent.gate().await?;
        self.narrator.say(&format!("   lookout gate check: exit {}", shown(answer.code)));
        self.narrator.quote(&answer.said);
        ensure!(answer.code == Some(0), "the gate must allow while all is well");
        Ok(())
    }

    /// Reads when `lookout check` promises that the fault pages, in seconds.
    async fn promise(&self) -> Result<f64> {
        let line = self.cast.agent.promise(BROKEN).await?;
        self.narrator.say("   lookout check promises");
        self.narrator.quote(&line);
        promise::total_outage_s(&line)
    }

    async fn fault_begins(&mut self) -> Result<Moment> {
        let moment = Moment::now();
        self.cast.service.break_it(&self.client).await?;
        let (burn, earliest) = (spec::burn(), spec::detection_s());
        self.narrator.say(&format!(
            "2  fault: {FAULT_PERCENT} % of the requests fail, the budget burns {burn:.1} times too fast; \
             the earliest possible page is in {earliest:.2} s"
        ));
        Ok(moment)
    }

    /// Waits until the agent has opened the incident and Slack has the message.
    async fn opens(&mut self, fault: Moment, figures: &mut Figures) -> Result<Incident> {
        let deadline = fault.instant + Duration::from_secs_f64(spec::detection_s()) + TIMEOUT;
        let incident = loop {
            ensure!(
                Instant::now() < deadline,
                "no incident after {:.1} s",
                fault.instant.elapsed().as_secs_f64()
            );
            self.cast.must_be_running()?;
            let incidents = self.cast.agent.incidents(&self.client).await?;
            if let Some(incident) = incidents.into_iter().find(|incident| incident.slo == BROKEN) {
                break incident;
            }
            let record = self.load.record();
            let since = fault.instant.elapsed().as_secs_f64();
            self.narrator
                .progress(&format!("{since:.1} s since the fault, {} requests failed", record.failed()));
            sleep(POLL_INTERVAL).await;
        };
        let message_at = loop {
            let first = self
                .cast
                .receiver
                .seen()
                .calls
                .iter()
                .find(|call| call.kind == Kind::Message)
                .map(|c| c.at_ms);
            if let Some(at) = first {
                break at;
            }
            ensure!(
                Instant::now() < deadline,
                "incident {} is open, but no message came to Slack",
                incident.id
            );
            sleep(POLL_INTERVAL).await;
        };
        figures.opened_s = fault.seconds_until(incident.detected_at_ms);
        figures.message_s = fault.seconds_until(message_at);
        figures.crossed_s = self.crossed(fault);
        self.narrator.say(&format!(
            "3  incident {} ({}): open {:.2} s and in Slack {:.2} s after the fault; theoretical minimum {:.2} s",
            incident.id,
            incident.severity,
            figures.opened_s,
            figures.message_s,
            spec::detection_s()
        ));
        ensure!(
            figures.keeps_promise(),
            "opened {:.2} s after the fault; `lookout check` promises {:.2} s, and they differ by more than one \
             evaluation interval ({INTERVAL_S} s)",
            figures.opened_s,
            figures.promised_s
        );
        let limit = figures.limit_s();
        ensure!(
            figures.opened_s <= limit,
            "opened {:.2} s after the fault, more than one evaluation interval ({INTERVAL_S} s) after the earliest \
             possible moment ({:.2} s)",
            figures.opened_s,
            limit - f64::from(INTERVAL_S)
        );
        Ok(incident)
    }

    /// The seconds from the fault until the errors that were really drawn first exceeded what a tier allows.
    fn crossed(&self, fault: Moment) -> Option<f64> {
        let record = self.load.record();
        let of_tier = |tier: &spec::Tier| {
            let long = Duration::from_secs(u64::from(tier.long_s));
            record.crossed(fault.instant, long, tier.threshold())
        };
        let first = TIERS.iter().filter_map(of_tier).min()?;
        Some(first.duration_since(fault.instant).as_secs_f64())
    }

    async fn gate_is_closed(&mut self) -> Result<()> {
        let answer = self.cast.agent.gate().await?;
        self.narrator.say(&format!("4  lookout gate check: exit {}", shown(answer.code)));
        self.narrator.quote(&answer.said);
        ensure!(answer.code == Some(1), "the gate must answer deny (exit 1) during the incident");
        Ok(())
    }

    async fn fault_ends(&mut self) -> Result<Moment> {
        self.cast.service.mend_it(&self.client).await?;
        self.narrator
            .say(&format!("5  the fault ends; the earliest possible resolve is in {:.2} s", spec::reset_s()));
        Ok(Moment::now())
    }

    /// Waits until the incident is resolved, the thread says so and the first message has been edited.
    async fn resolves(&mut self, incident: &Incident, end: Moment, figures: &mut Figures) -> Result<()> {
        let deadline = end.instant + TIMEOUT;
        let resolved_at = loop {
            ensure!(Instant::now() < deadline, "incident {} is still open after {TIMEOUT:?}", incident.id);
            self.cast.must_be_running()?;
            let incidents = self.cast.agent.incidents(&self.client).await?;
            let same = incidents.iter().find(|other| other.id == incident.id);
            let same = same.with_context(|| format!("incident {} has vanished", incident.id))?;
            if let Some(at) = same.resolved_at_ms {
                break at;
            }
            self.narrator
                .progress(&format!("{:.1} s since the fault ended", end.instant.elapsed().as_secs_f64()));
            sleep(POLL_INTERVAL).await;
        };
        figures.resolved_s = end.seconds_until(resolved_at);
        loop {
            if self.slack_knows_of_the_end() {
                break;
            }
            ensure!(
                Instant::now() < deadline,
                "the incident is resolved, but its thread in {CHANNEL} does not say so"
            );
            sleep(POLL_INTERVAL).await;
        }
        self.narrator.say(&format!(
            "6  resolved {:.2} s after the fault ended (theoretical minimum {:.2} s); thread answered, message edited",
            figures.resolved_s,
            spec::reset_s()
        ));
        Ok(())
    }

    /// A reply in the thread of the first message and an edit of it, both telling of the resolve.
    fn slack_knows_of_the_end(&self) -> bool {
        let seen = self.cast.receiver.seen();
        let Some(first) = seen.calls.iter().find(|call| call.kind == Kind::Message) else { return false };
        let resolved = |text: &str| text.to_lowercase().contains("resolved");
        let replied = seen.calls.iter().any(|call| {
            matches!(&call.kind, Kind::Reply { thread } if *thread == first.ts) && resolved(&call.text)
        });
        let edited = seen.calls.iter().any(|call| {
            matches!(&call.kind, Kind::Edit { message } if *message == first.ts) && resolved(&call.text)
        });
        replied && edited
    }

    async fn gate_opens(&mut self, end: Moment, figures: &mut Figures) -> Result<()> {
        let deadline = end.instant + TIMEOUT;
        let answer = loop {
            let answer = self.cast.agent.gate().await?;
            if answer.code == Some(0) {
                break answer;
            }
            if Instant::now() >= deadline {
                self.narrator.quote(&answer.said);
                bail!("the gate is still closed {TIMEOUT:?} after the fault, exit {}", shown(answer.code));
            }
            sleep(POLL_INTERVAL * 4).await;
        };
        figures.allowed_s = end.instant.elapsed().as_secs_f64();
        self.narrator.say("7  lookout gate check: exit 0");
        self.narrator.quote(&answer.said);
        Ok(())
    }

    /// Every transition was told exactly once, and nothing was told that Slack would have refused.
    async fn one_post_per_transition(&mut self, figures: &mut Figures) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let transitions = self.cast.agent.transitions(&self.client).await? as usize;
            let (posts, refused) = {
                let seen = self.cast.receiver.seen();
                (seen.posts(), seen.refused.clone())
            };
            ensure!(refused.is_empty(), "calls that Slack refused: {}", refused.join(", "));
            ensure!(
                posts <= transitions,
                "{posts} posts for {transitions} transitions: someone was told twice"
            );
            if posts == transitions && posts >= 2 {
                (figures.posts, figures.transitions) = (posts, transitions);
                self.narrator.say(&format!("8  {transitions} transitions, {posts} Slack posts"));
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{posts} Slack posts for {transitions} transitions");
            sleep(POLL_INTERVAL).await;
        }
    }
}

/// Nothing vanishes between the client, the service and the agent.
async fn conserve(
    client: &Client,
    cast: &Cast,
    load: Load,
    figures: &mut Figures,
    narrator: &Narrator,
) -> Result<()> {
    let record = load.stop().await?;
    ensure!(record.lost == 0, "{} requests were never answered", record.lost);
    figures.sent = record.total();
    figures.failed = record.failed();
    // One request was sent before the agent was there, to make the series exist.
    figures.served = cast.service.counted(client).await? as u64;
    ensure!(
        figures.served == figures.sent + 1,
        "{} requests sent, but the service counted {}",
        figures.sent + 1,
        figures.served
    );
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        (_, figures.seen) = cast.agent.counted(client, COUNTING).await?;
        if figures.seen == figures.sent {
            break;
        }
        ensure!(
            Instant::now() < deadline,
            "{} requests sent, but the agent saw {}",
            figures.sent,
            figures.seen
        );
        sleep(POLL_INTERVAL).await;
    }
    narrator.say(&format!("   {} requests sent, served and seen by the agent", figures.sent));
    Ok(())
}

/// A moment on both clocks.
#[derive(Debug, Clone, Copy)]
struct Moment {
    instant: Instant,
    at_ms: i64,
}

impl Moment {
    fn now() -> Self {
        Self { instant: Instant::now(), at_ms: now_ms() }
    }

    fn seconds_until(self, at_ms: i64) -> f64 {
        (at_ms - self.at_ms) as f64 / 1000.0
    }
}

fn shown(code: Option<i32>) -> String {
    code.map_or_else(|| "by a signal".to_owned(), |code| code.to_string())
}
