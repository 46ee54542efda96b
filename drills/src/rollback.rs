//! The rollback, rehearsed: version 1 serves under load, version 2 is faulty, the steps of `deploy.yml` find out and put
//! version 1 back; then version 3, which is good, goes all the way. Clients see fewer than one error in a hundred.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::platform::{COUNTER, FAULT_PERCENT, Image, Platform, ROUTE};
use super::workflow::{Ending, Job, StepResult, Values};
use super::{play, programs};
use programs::binaries::Binaries;
use programs::http::{ask, client};
use programs::load::Load;
use programs::running::{Running, field};
use programs::workspace::root;

/// The whole drill may take so long.
const LIMIT: Duration = Duration::from_secs(90);
/// The share of requests that may fail.
const ERRORS: f64 = 0.01;
/// Seconds of healthy traffic before the first deploy.
const WARM_UP: Duration = Duration::from_secs(15);
/// The first share of a new version, in percent.
const CANARY_PERCENT: &str = "10";
/// Seconds for which each of the two watches looks.
const BAKE: &str = "12";
/// The longest the gate may stay closed after the rollback.
const RECOVERY: Duration = Duration::from_secs(30);

/// The step at which a faulty version must be found out, by its name in the workflow.
const WATCH: &str = "Is it good enough for all of the traffic?";
/// The step that puts back what ran.
const RESTORE: &str = "Put back what ran";

/// Arguments of `cargo xtask drill rollback`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Use the programs `titanic` and `lookout` of this folder instead of building them.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let binaries = programs(arguments.binaries.as_deref())?;
    play(LIMIT, rehearse(&binaries))
}

/// Everything that runs.
struct Stage {
    began: Instant,
    client: Client,
    platform: Platform,
    agent: Running,
    agent_url: String,
    lookout: PathBuf,
    load: Load,
    job: Job,
    values: Values,
    folder: PathBuf,
}

async fn rehearse(binaries: &Binaries) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("lookout-drill-").tempdir().context("making a folder")?;
    let [one, two, three] = [("1", false), ("2", true), ("3", false)].map(|(version, faulty)| Image {
        reference: format!("ghcr.io/lookout-dev/titanic@sha256:{}", version.repeat(64)),
        version,
        faulty,
    });
    let images = vec![one.clone(), two.clone(), three.clone()];
    let stage = set_up(binaries, folder.path(), images).await?;
    sleep(WARM_UP).await;
    stage.say("version 1 has all of the traffic");

    let faulty = stage.deploy(&two).await?;
    let found = faulty.iter().find(|step| step.ending == Ending::Failed);
    let found = found.context("nobody noticed that version 2 is faulty")?;
    ensure!(
        found.name == WATCH,
        "version 2 was stopped by `{}`, not by the gate: {}",
        found.name,
        found.said
    );
    let restored = faulty.iter().find(|step| step.name == RESTORE).context("deploy.yml restores nothing")?;
    ensure!(restored.ending == Ending::Passed, "version 1 was not put back: {}", restored.said);
    ensure!(
        stage.platform.settled().as_ref() == Some(&one.reference),
        "version 1 does not have all of the traffic"
    );
    let canary = faulty.iter().find(|step| step.name == "Give it a share of the traffic");
    let canary = canary.context("deploy.yml has no first share")?.at;
    let failed = stage.load.record().failed();
    ensure!(failed > 0, "no request failed, so the fault was none");

    let open = stage.gate_opens().await?;
    let good = stage.deploy(&three).await?;
    if let Some(step) = good.iter().find(|step| step.ending == Ending::Failed) {
        bail!("version 3 is good, but `{}` said: {}", step.name, step.said);
    }
    ensure!(
        stage.platform.settled().as_ref() == Some(&three.reference),
        "version 3 does not have all of the traffic"
    );
    let marked = stage.marked().await?;
    ensure!(marked == 2, "2 deploys, but lookout knows of {marked}");

    let Stage { began, platform, agent, load, .. } = stage;
    let record = load.stop().await?;
    agent.stop().await;
    platform.stop().await;
    let sent = record.total() + record.lost;
    let share = (record.failed() + record.lost) as f64 / sent.max(1) as f64;
    let seconds = |from: Instant, to: Instant| format!("{:.2} s", to.duration_since(from).as_secs_f64());
    println!("\n{:<46} {:>12} {:>12}", "", "measured", "allowed");
    for (name, measured, allowed) in [
        ("faulty share to the gate's no", seconds(canary, found.at), String::new()),
        ("the gate's no to version 1 alone", seconds(found.at, restored.at), String::new()),
        ("version 1 alone to an open gate", seconds(restored.at, open), format!("{} s", RECOVERY.as_secs())),
        ("requests of clients", sent.to_string(), String::new()),
        ("  failed", record.failed().to_string(), String::new()),
        ("  without an answer", record.lost.to_string(), String::new()),
        ("  share that failed", format!("{:.2} %", share * 100.0), format!("< {:.0} %", ERRORS * 100.0)),
        ("the whole drill", seconds(began, Instant::now()), format!("{} s", LIMIT.as_secs())),
    ] {
        println!("{}", format!("{name:<46} {measured:>12} {allowed:>12}").trim_end());
    }
    ensure!(share < ERRORS, "{:.2} % of the requests failed", share * 100.0);
    Ok(())
}

async fn set_up(binaries: &Binaries, folder: &Path, images: Vec<Image>) -> Result<Stage> {
    let began = Instant::now();
    let client = client()?;
    let platform = Platform::start(binaries.titanic(), folder.to_path_buf(), images, client.clone()).await?;
    let token = format!("drill-{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let config = write_agent(folder, platform.control, &sha256(&token).await?)?;
    let mut agent = Running::start("lookout", binaries.lookout(), |command| {
        command.args(["run", "--log", "json", "-c"]).arg(&config).current_dir(folder);
    })?;
    let line = agent.listening().await?;
    let agent_url = format!("http://{}", field(&line, "address")?);
    let load = Load::start(&client, &passenger(&client, platform.edge).await?);
    let lookout = binaries.lookout();
    let programs = lookout.parent().unwrap_or(Path::new(".")).display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let extra = vec![
        ("PATH".to_owned(), format!("{programs}:{path}")),
        ("PLATFORM_URL".to_owned(), format!("http://{}", platform.control)),
        // what the machine reaches others by is no way to itself
        ("NO_PROXY".to_owned(), "127.0.0.1".to_owned()),
        ("no_proxy".to_owned(), "127.0.0.1".to_owned()),
    ];
    let values = [
        ("inputs.environment", "drill".to_owned()),
        ("inputs.class", "feature".to_owned()),
        ("vars.PLATFORM", "local".to_owned()),
        ("vars.SERVICE_URL", format!("http://{}", platform.edge)),
        ("vars.LOOKOUT_URL", agent_url.clone()),
        ("vars.CANARY_PERCENT", CANARY_PERCENT.to_owned()),
        ("vars.GATE_WAIT", "10".to_owned()),
        ("vars.GATE_BAKE", BAKE.to_owned()),
        ("vars.GATE_POLL", "1".to_owned()),
        ("secrets.LOOKOUT_TOKEN", token),
        ("github.actor", "the drill".to_owned()),
        ("github.run_attempt", "1".to_owned()),
    ];
    let values = values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let job = Job::read(&root(), "deploy.yml", "deploy", extra)?;
    let folder = folder.to_path_buf();
    Ok(Stage { began, client, platform, agent, agent_url, lookout, load, job, values, folder })
}

/// The address of a passenger: every version has the same ones, since they come from the seed.
async fn passenger(client: &Client, edge: SocketAddr) -> Result<String> {
    let list = format!("http://{edge}/api/v1/passengers");
    let answer = ask(client, Method::GET, &format!("{list}?limit=1"), None, None).await?;
    let answer: Value = serde_json::from_str(&answer).context("reading the passengers")?;
    let id = first_id(&answer).with_context(|| format!("nobody has an id in {answer}"))?;
    Ok(format!("{list}/{id}"))
}

fn first_id(value: &Value) -> Option<&str> {
    match value {
        Value::Object(fields) => {
            fields.get("id").and_then(Value::as_str).or_else(|| fields.values().find_map(first_id))
        }
        Value::Array(items) => items.iter().find_map(first_id),
        _ => None,
    }
}

impl Stage {
    fn say(&self, text: &str) {
        println!("{:>6.1} s  {text}", self.began.elapsed().as_secs_f64());
    }

    /// Runs the workflow's steps and tells what became of them.
    async fn deploy(&self, image: &Image) -> Result<Vec<StepResult>> {
        let nature =
            if image.faulty { format!(", {FAULT_PERCENT} % of {ROUTE} fail") } else { String::new() };
        self.say(&format!("deploy.yml deploys version {}{nature}", image.version));
        let mut values = self.values.clone();
        values.insert("inputs.image".to_owned(), image.reference.clone());
        values.insert("github.run_id".to_owned(), format!("drill-{}", image.version));
        let done = self.job.run(&values, &self.folder.join(format!("run-{}", image.version))).await?;
        for step in done.iter().filter(|step| matches!(step.ending, Ending::Passed | Ending::Failed)) {
            let at = step.at.duration_since(self.began).as_secs_f64();
            println!("{at:>6.1} s    {:<7} {}", format!("{:?}", step.ending).to_lowercase(), step.name);
            if step.ending == Ending::Failed || step.name.ends_with('?') {
                step.said
                    .lines()
                    .filter(|line| !line.is_empty())
                    .for_each(|line| println!("            | {line}"));
            }
        }
        Ok(done)
    }

    /// Waits until the gate lets features pass again.
    async fn gate_opens(&self) -> Result<Instant> {
        let deadline = Instant::now() + RECOVERY;
        loop {
            let mut check = Command::new(&self.lookout);
            check.args(["gate", "check", "--service", "titanic", "--url", &self.agent_url]);
            let answer = check.env("LOOKOUT_TOKEN", self.token()).output().await;
            let answer = answer.context("starting lookout")?;
            if answer.status.success() {
                self.say("the gate is open again");
                return Ok(Instant::now());
            }
            let said = String::from_utf8_lossy(&answer.stdout).into_owned();
            ensure!(
                Instant::now() < deadline,
                "the gate is still closed {RECOVERY:?} after the rollback: {said}"
            );
            sleep(Duration::from_millis(250)).await;
        }
    }

    fn token(&self) -> &str {
        self.values.get("secrets.LOOKOUT_TOKEN").map(String::as_str).unwrap_or_default()
    }

    /// Returns the number of deploys that lookout knows.
    async fn marked(&self) -> Result<usize> {
        let url = format!("{}/api/v1/deploys?service=titanic", self.agent_url);
        let answer = ask(&self.client, Method::GET, &url, Some(self.token()), None).await?;
        let answer: Value = serde_json::from_str(&answer).context("reading the deploys")?;
        Ok(answer.get("deploys").and_then(Value::as_array).map_or(0, Vec::len))
    }
}

/// As the configuration of the agent wants tokens.
pub(super) async fn sha256(text: &str) -> Result<String> {
    let mut program = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting sha256sum")?;
    let mut input = program.stdin.take().context("sha256sum does not read")?;
    input.write_all(text.as_bytes()).await.context("writing to sha256sum")?;
    drop(input);
    let output = program.wait_with_output().await.context("reading from sha256sum")?;
    let digest = String::from_utf8_lossy(&output.stdout).split_whitespace().next().map(str::to_owned);
    digest.filter(|digest| digest.len() == 64).context("sha256sum wrote no digest")
}

/// The agent watches what clients get at the switch: 97 % within four seconds, where production says 99.9 % within an
/// hour. A tenth of the traffic that fails by half burns 5 % of the requests and is known after 2.4 seconds.
fn write_agent(folder: &Path, switch: SocketAddr, token: &str) -> Result<PathBuf> {
    let slos = folder.join("slo");
    std::fs::create_dir_all(&slos).with_context(|| format!("making {}", slos.display()))?;
    let config = folder.join("lookout.yaml");
    let agent = format!(
        "listen: 127.0.0.1:0
ledger: lookout.db
interval: 1s
slos: [\"slo/*.slo.yaml\"]
scrapes:
  - name: switch
    url: http://{switch}/metrics
    timeout: 900ms
    up: \"off\"
auth:
  tokens:
    - name: pipeline
      sha256: {token}
      scopes: [ask, mark]
"
    );
    let source = |selector: &str| {
        format!(
            "          metricSource:
            type: scrape
            spec:
              source: switch
              selector: '{selector}'
"
        )
    };
    let slo = format!(
        "apiVersion: openslo/v1
kind: SLO
metadata:
  name: clients-availability
  annotations:
    lookout.dev/tiers: \"page 4s/2s x1\"
spec:
  service: titanic
  description: Clients get answers
  budgetingMethod: Occurrences
  timeWindow:
    - duration: 1m
      isRolling: true
  objectives:
    - target: 0.97
  indicator:
    metadata:
      name: clients-availability
    spec:
      ratioMetric:
        counter: true
        bad:
{}        total:
{}",
        source(&format!("{COUNTER}{{code=~\"5..\"}}")),
        source(COUNTER),
    );
    for (file, text) in [(&config, agent), (&slos.join("clients-availability.slo.yaml"), slo)] {
        std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(config)
}
