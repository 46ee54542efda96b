//! Delivery, rehearsed on its worst day: incidents of many services while every destination fails in turn and the agent is
//! killed again and again. Then everything heals, and the ledger is held against what each receiver took.
//!
//! Slack, PagerDuty and the webhook are servers on this machine that fail as they are told to; the two Alertmanagers
//! are real. The agent is the real program.

pub(crate) mod agent;
mod alertmanagers;
pub(crate) mod recorder;
pub(crate) mod targets;
mod verdict;
mod weather;
pub(crate) mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use fastrand::Rng;
use reqwest::Client;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use self::agent::{Agent, Api, Destinations, service, write_files};
use self::alertmanagers::Alertmanager;
use self::recorder::Recorder;
use self::targets::Targets;
use self::verdict::{Finding, Recorded, slack};
use self::weather::{PERMANENT, Weather};
use self::wire::Wire;
use super::restore::free_address;
use super::rollback::sha256;
use super::{play, programs};
use crate::delivery::agent::Delivery;
use ::programs::http::client;

const SERVICES: usize = 10;
/// SLOs of each service; all of them fail together.
const SLOS: usize = 10;
/// Paths at which the notifications of each Alertmanager arrive.
const HOOKS: [&str; 2] = ["/1", "/2"];
/// Number of incidents before everything heals.
const INCIDENTS: usize = 200;
/// One of so many faults of an Alertmanager may come while the other one has a fault.
const BOTH: u8 = 6;
/// Time in which an Alertmanager learns from the agent and from the other one what it forgot, after a fault.
const LEARNS: Duration = Duration::from_secs(3);
/// Longest life of the agent between two kills.
const LIFE_MS: u64 = 2_600;
/// Longest time for each step after the faults.
const STEP_TIMEOUT: Duration = Duration::from_secs(90);

/// Arguments of `cargo xtask drill delivery`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Use the programs `titanic` and `lookout` of this folder instead of building them.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
    /// Number of times that the agent is killed.
    #[arg(long, default_value_t = 25)]
    kills: u32,
    /// Seed of the faults; a random number when left out, and printed either way.
    #[arg(long)]
    seed: Option<u64>,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let binaries = programs(arguments.binaries.as_deref())?;
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    println!("seed {seed}, {} kills", arguments.kills);
    let limit = Duration::from_secs(500) + Duration::from_secs(6) * arguments.kills;
    play(limit, rehearse(binaries.lookout(), arguments.kills, Rng::with_seed(seed)))
}

/// Everything that runs.
struct Stage {
    began: Instant,
    client: Client,
    targets: Targets,
    destinations: Destinations,
    /// The receiver of the notifications of both Alertmanagers.
    notified: Recorder,
    /// The ways to both Alertmanagers.
    wires: [Arc<Wire>; 2],
    agent: Agent,
}

async fn rehearse(lookout: PathBuf, kills: u32, mut random: Rng) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("lookout-drill-").tempdir().context("making a folder")?;
    let (mut stage, pair) = Stage::set_up(lookout, folder.path()).await?;
    stage.agent.start().await?;
    stage.say("agent, two Alertmanagers and three receivers run");
    let faults = Faults::begin(&stage, pair, &mut random);
    let at_once = stage.kill_again_and_again(kills, &mut random).await?;
    stage.say("the last kill; now everything is refused");
    let pair = faults.end().await?;
    stage.refuse_everything().await?;
    let retried = stage.heal().await?;
    stage.say(&format!("healed; {retried} dead letters tried again and delivered"));
    let mut findings = stage.compare_active(&pair, &expected(), "at the peak").await?;
    let missing = stage.api().missing_on_page().await?.len();
    findings
        .push(Finding { holds: missing == 0, what: format!("page: {missing} open incidents are not on it") });
    stage.targets.set_all(false);
    stage
        .until("every incident is resolved", async |stage| {
            Ok(stage.api().open().await?.is_empty() && stage.api().waiting().await? == 0.0)
        })
        .await?;
    findings.extend(stage.compare_active(&pair, &BTreeSet::new(), "at the end").await?);
    stage.say("every incident is resolved");
    findings.extend(stage.judge(kills, at_once).await?);
    let Stage { agent, began, .. } = stage;
    agent.stop().await;
    println!();
    for finding in &findings {
        println!("{}  {}", if finding.holds { "holds " } else { "BROKEN" }, finding.what);
    }
    println!("\nthe whole drill: {:.0} s", began.elapsed().as_secs_f64());
    let broken = findings.iter().filter(|finding| !finding.holds).count();
    ensure!(broken == 0, "{broken} of {} promises are broken", findings.len());
    Ok(())
}

/// Returns the names of all SLOs.
fn expected() -> BTreeSet<String> {
    (0..SERVICES).flat_map(|one| (0..SLOS).map(move |slo| format!("{} slo-{slo}", service(one)))).collect()
}

/// Everything that goes wrong beside the kills.
struct Faults {
    weather: Vec<JoinHandle<()>>,
    services: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    pair: Vec<JoinHandle<Result<Alertmanager>>>,
}

impl Faults {
    fn begin(stage: &Stage, pair: [Alertmanager; 2], random: &mut Rng) -> Self {
        let weather = stage
            .destinations
            .all()
            .map(|(_, recorder)| tokio::spawn(weather::change(recorder.weather.clone(), random.fork())));
        let services = (0..SERVICES).map(|one| {
            tokio::spawn(fail_and_recover(stage.targets.clone(), one, stage.api(), random.fork()))
        });
        let (stop, stopped) = watch::channel(false);
        let turn = Arc::new(Mutex::new(()));
        let suffer = |mut one: Alertmanager, mut random: Rng| {
            let (client, stopped, turn) = (stage.client.clone(), stopped.clone(), Arc::clone(&turn));
            tokio::spawn(async move {
                while !*stopped.borrow() {
                    sleep(Duration::from_millis(random.u64(1_000..4_000))).await;
                    // what both forget at once, neither can tell
                    let turn = turn.lock();
                    let _alone = if random.u8(..BOTH) > 0 { Some(turn.await) } else { None };
                    one.suffer(&client, &mut random).await?;
                    sleep(LEARNS).await;
                }
                Ok(one)
            })
        };
        let services = services.collect();
        let pair = pair.into_iter().map(|one| suffer(one, random.fork())).collect();
        Self { weather: weather.into(), services, stop, pair }
    }

    /// Ends the faults. The weather stays as it is.
    async fn end(self) -> Result<Vec<Alertmanager>> {
        self.weather.iter().chain(&self.services).for_each(JoinHandle::abort);
        self.stop.send_replace(true);
        let mut pair = Vec::new();
        for task in self.pair {
            pair.push(task.await.context("waiting for an Alertmanager")??);
        }
        Ok(pair)
    }
}

/// Lets a service fail until its incidents are open, and recover until they are resolved.
async fn fail_and_recover(targets: Targets, number: usize, api: Api, mut random: Rng) {
    let name = format!("{} ", service(number));
    let open = async || {
        let all = api.open().await.ok()?;
        Some(all.iter().filter(|one| one.starts_with(&name)).count())
    };
    loop {
        sleep(Duration::from_millis(random.u64(0..8_000))).await;
        for (fails, wanted) in [(true, SLOS), (false, 0)] {
            targets.set(number, fails);
            while open().await != Some(wanted) {
                sleep(Duration::from_millis(500)).await;
            }
            sleep(Duration::from_millis(random.u64(0..4_000))).await;
        }
    }
}

impl Stage {
    async fn set_up(lookout: PathBuf, folder: &Path) -> Result<(Self, [Alertmanager; 2])> {
        let began = Instant::now();
        let client = client()?;
        let targets = Targets::start(SERVICES).await?;
        let destinations = Destinations {
            slack: Recorder::start(free_address()?).await?,
            pagerduty: Recorder::start(free_address()?).await?,
            webhook: Recorder::start(free_address()?).await?,
        };
        let notified = Recorder::start(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let (cluster, peer) = (free_address()?, free_address()?);
        let hook = |path| notified.url(path);
        let mut first =
            Alertmanager::new(&folder.join("am-1"), &hook(HOOKS[0]), free_address()?, (cluster, peer))
                .await?;
        let mut second =
            Alertmanager::new(&folder.join("am-2"), &hook(HOOKS[1]), free_address()?, (peer, cluster))
                .await?;
        first.start(&client).await?;
        second.start(&client).await?;
        let token = format!("drill-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let listen = free_address()?;
        write_files(
            folder,
            listen,
            &targets,
            (SERVICES, SLOS),
            &destinations,
            [first.wire.address, second.wire.address],
            (&token, &sha256(&token).await?),
        )?;
        let agent = Agent::new(lookout, folder, listen, client.clone());
        let wires = [&first, &second].map(|one| Arc::clone(&one.wire));
        Ok((Self { began, client, targets, destinations, notified, wires, agent }, [first, second]))
    }

    fn api(&self) -> Api {
        self.agent.api()
    }

    fn say(&self, text: &str) {
        println!("{:>6.1} s  {text}", self.began.elapsed().as_secs_f64());
    }

    /// Kills the agent at random instants and starts it again. Returns the most messages that Slack had taken and not
    /// answered at a kill.
    async fn kill_again_and_again(&mut self, kills: u32, random: &mut Rng) -> Result<usize> {
        let mut at_once = 0;
        for kill in 1..=kills {
            sleep(Duration::from_millis(random.u64(200..LIFE_MS))).await;
            self.agent.kill().await?;
            at_once = at_once.max(self.destinations.slack.take_under_way());
            self.agent.start().await?;
            if kill % 10 == 0 {
                let incidents = self.api().incidents().await?.len();
                self.say(&format!("killed {kill} times, {incidents} incidents"));
            }
        }
        self.until("enough incidents", async |stage| Ok(stage.api().incidents().await?.len() >= INCIDENTS))
            .await?;
        Ok(at_once)
    }

    /// Lets every service fail while every receiver refuses, until each has made a dead letter.
    async fn refuse_everything(&mut self) -> Result<()> {
        let refuse = |weather: Weather| {
            self.destinations.all().iter().for_each(|(_, one)| {
                one.weather.send_replace(weather);
            });
        };
        // what is open now would have nothing to tell
        self.targets.set_all(false);
        refuse(Weather::Fine);
        self.until("nothing is open", async |stage| Ok(stage.api().open().await?.is_empty())).await?;
        self.targets.set_all(true);
        let began = Instant::now();
        loop {
            for weather in PERMANENT {
                refuse(*weather);
                sleep(Duration::from_secs(1)).await;
            }
            let dead: BTreeSet<String> = self.api().dead_letters().await?.into_iter().collect();
            let all_dead = self.destinations.all().iter().all(|(name, _)| dead.contains(*name));
            if all_dead && self.api().open().await? == expected() {
                return Ok(());
            }
            ensure!(began.elapsed() < STEP_TIMEOUT, "dead letters of {dead:?} only");
        }
    }

    /// Lets every receiver take everything, and has dead letters tried again.
    async fn heal(&mut self) -> Result<u64> {
        for (_, recorder) in self.destinations.all() {
            recorder.weather.send_replace(Weather::Fine);
        }
        let retried = self.agent.retry().await?;
        ensure!(retried > 0, "there was nothing to try again");
        self.until("nothing waits and nothing is dead", async |stage| {
            let dead = stage.api().dead_letters().await?;
            Ok(dead.is_empty() && stage.api().waiting().await? == 0.0)
        })
        .await?;
        Ok(retried)
    }

    /// Waits until a level is reached. Requests may fail meanwhile.
    async fn until(&self, what: &str, reached: impl AsyncFn(&Self) -> Result<bool>) -> Result<()> {
        let began = Instant::now();
        loop {
            let last = reached(self).await;
            if matches!(last, Ok(true)) {
                return Ok(());
            }
            if began.elapsed() > STEP_TIMEOUT {
                match last {
                    Err(error) => return Err(error.context(format!("not within {STEP_TIMEOUT:?}: {what}"))),
                    Ok(_) => bail!("not within {STEP_TIMEOUT:?}: {what}"),
                }
            }
            sleep(Duration::from_millis(250)).await;
        }
    }

    /// Compares the active alerts of both Alertmanagers with the SLOs that fail. The next refresh may still be under
    /// way.
    async fn compare_active(
        &self,
        pair: &[Alertmanager],
        wanted: &BTreeSet<String>,
        when: &str,
    ) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (number, one) in pair.iter().enumerate() {
            let began = Instant::now();
            let active = loop {
                let active = one.active(&self.client).await?;
                if active.len() == wanted.len() || began.elapsed() > STEP_TIMEOUT {
                    break active;
                }
                sleep(Duration::from_millis(250)).await;
            };
            let named = |name: &&String| {
                let (service, slo) = name.split_once(' ').unwrap_or_default();
                let service = format!("\"service\":\"{service}\"");
                let slo = format!("\"slo\":\"{slo}\"");
                active.iter().any(|labels| labels.contains(&service) && labels.contains(&slo))
            };
            let right = wanted.iter().filter(named).count();
            findings.push(Finding {
                holds: right == wanted.len() && active.len() == right,
                what: format!(
                    "Alertmanager {} {when}: {} alerts active, {} wanted, after {:.1} s",
                    number + 1,
                    active.len(),
                    wanted.len(),
                    began.elapsed().as_secs_f64()
                ),
            });
        }
        Ok(findings)
    }

    async fn judge(&self, kills: u32, at_once: usize) -> Result<Vec<Finding>> {
        let api = self.api();
        let incidents: Vec<_> =
            api.incidents().await?.into_iter().filter(|one| one.service.starts_with("svc-")).collect();
        let mut deliveries: BTreeMap<String, Vec<Delivery>> = BTreeMap::new();
        for incident in &incidents {
            deliveries.insert(incident.id.clone(), api.deliveries(&incident.id).await?);
        }
        let (sent, posted) = (self.agent.sent_to("slack").await?, self.agent.sent_to("alertmanager").await?);
        let recorded = Recorded { incidents, deliveries, sent, posted };
        let Destinations { slack: chat, pagerduty, webhook } = &self.destinations;
        let taken: Vec<_> = webhook.taken().into_iter().filter(is_about_a_service).collect();
        let seen: BTreeSet<String> =
            recorded.incidents.iter().map(|one| format!("{} {}", one.service, one.slo)).collect();
        let (count, undelivered) = (recorded.incidents.len(), recorded.undelivered());
        let incomplete = recorded.incomplete(&["slack", "pagerduty", "webhook", "alertmanager"]);
        let mut findings = vec![
            Finding {
                holds: count >= INCIDENTS && seen == expected(),
                what: format!("{count} incidents of {} SLOs while {kills} times killed", seen.len()),
            },
            Finding {
                holds: undelivered == 0,
                what: format!("ledger: {undelivered} deliveries not delivered"),
            },
            Finding {
                holds: incomplete == 0,
                what: format!("ledger: {incomplete} incidents without opening or end for a destination"),
            },
        ];
        let bounds =
            slack::Bounds { kills: u64::from(kills), cut: chat.cut(), refused: chat.refused(), at_once };
        findings.extend(verdict::webhook(&recorded, &taken));
        findings.extend(verdict::pagerduty(&recorded, &pagerduty.taken(), pagerduty.refused()));
        findings.extend(slack::judge(&recorded, &chat.taken(), &bounds));
        let notified = self.notified.taken();
        let pair = self.wires.iter().zip(HOOKS).map(|(wire, hook)| verdict::alertmanager::Instance {
            events: wire.events(),
            told: notified.iter().filter(|one| one.path == hook).cloned().collect(),
        });
        findings.extend(verdict::alertmanagers(&recorded, &pair.collect::<Vec<_>>()));
        Ok(findings)
    }
}

/// Returns whether a message is about a service, and not about the agent itself.
fn is_about_a_service(message: &recorder::ReceivedMessage) -> bool {
    message.body.to_string().contains("\"service\":\"svc-")
}
