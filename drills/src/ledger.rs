//! A full disk below the ledger, again and again: the disk fills for eight seconds and is freed, and then comes an outage.
//! Each time the agent pages, records and resolves the outage, and the fault of its own ledger.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::delivery::agent::{service, spec};
use super::delivery::recorder::Recorder;
use super::delivery::targets::Targets;
use super::postgres::must;
use super::restore::free_address;
use super::{play, programs};
use ::programs::running::Running;

const FULL: Duration = Duration::from_secs(8);
const OUTAGE: Duration = Duration::from_secs(12);
/// Longest time for each step.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// Arguments of `cargo xtask drill ledger`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Use the programs `titanic` and `lookout` of this folder instead of building them.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
    /// Number of runs.
    #[arg(long, default_value_t = 6)]
    runs: u32,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let lookout = programs(arguments.binaries.as_deref())?.lookout();
    let runs = arguments.runs;
    play(4 * STEP_TIMEOUT * runs, async {
        let mut failed = 0;
        for number in 1..=runs {
            match rehearse(&lookout).await {
                Ok(figures) => println!("run {number}: {figures}"),
                Err(error) => {
                    failed += 1;
                    println!("run {number}: FAILED: {error:#}");
                }
            }
        }
        println!("{} of {runs} runs paged, recorded and resolved the outage", runs - failed);
        ensure!(failed == 0, "{failed} of {runs} runs failed");
        Ok(())
    })
}

/// Runs the agent once through a full disk and an outage. Returns the figures.
async fn rehearse(lookout: &Path) -> Result<String> {
    let folder = tempfile::Builder::new().prefix("lookout-drill-").tempdir().context("making a folder")?;
    let disk = SmallDisk::mount(&folder.path().join("disk")).await?;
    let (targets, slack) = (Targets::start(1).await?, Recorder::start(free_address()?).await?);
    let config = write_files(folder.path(), &disk, &targets, &slack)?;
    let mut agent = Running::start("lookout", lookout, |command| {
        command.args(["run", "--log", "json", "-c"]).arg(&config);
    })?;
    agent.listening().await?;
    // some ticks of health come first
    sleep(Duration::from_secs(3)).await;
    let filled = Instant::now();
    while filled.elapsed() < FULL {
        disk.fill()?;
        sleep(Duration::from_millis(500)).await;
    }
    heard(&slack, &["[PAGE]", "lookout ledger"]).await?;
    let freed = disk.free()?;
    heard(&slack, &["[RESOLVED]", "lookout ledger"]).await?;
    let recorded_again = freed.elapsed();
    let name = format!("{} slo-0", service(0));
    let began = Instant::now();
    targets.set_all(true);
    heard(&slack, &["[PAGE]", &name]).await?;
    let paged = began.elapsed();
    sleep(OUTAGE.saturating_sub(paged)).await;
    targets.set_all(false);
    let recovered = Instant::now();
    heard(&slack, &["[RESOLVED]", &name]).await?;
    let resolved = recovered.elapsed();
    agent.must_be_running()?;
    agent.stop().await;
    compare(lookout, &disk.ledger()).await?;
    Ok(format!(
        "recorded again {:.1} s after the disk was freed, paged after {:.1} s, resolved after {:.1} s",
        recorded_again.as_secs_f64(),
        paged.as_secs_f64(),
        resolved.as_secs_f64()
    ))
}

/// Waits for a message that has all of these words.
async fn heard(slack: &Recorder, words: &[&str]) -> Result<()> {
    let deadline = Instant::now() + STEP_TIMEOUT;
    let has_all = |text: &str| words.iter().all(|word| text.contains(word));
    while !slack.taken().iter().any(|one| one.body.get("text").and_then(Value::as_str).is_some_and(has_all)) {
        ensure!(Instant::now() < deadline, "no message with {words:?} within {STEP_TIMEOUT:?}");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Fails unless both incidents are stored with their ends, nothing waits, and the ledger is whole.
async fn compare(lookout: &Path, ledger: &Path) -> Result<()> {
    let options = SqliteConnectOptions::new().filename(ledger);
    let mut connection = options.connect().await.context("opening the ledger")?;
    let count = sqlx::query_as::<_, (i64, i64, i64)>(
        "select count(*), count(resolved_at_ms), (select count(*) from delivery where state <> 'delivered') \
         from incident",
    );
    let (stored, resolved, waiting) = count.fetch_one(&mut connection).await.context("reading the ledger")?;
    drop(connection);
    if (stored, resolved, waiting) != (2, 2, 0) {
        bail!(
            "the ledger has {stored} incidents, {resolved} of them resolved, and {waiting} deliveries wait"
        );
    }
    must(Command::new(lookout).args(["ledger", "verify"]).arg(ledger)).await.map(drop)
}

fn write_files(folder: &Path, disk: &SmallDisk, targets: &Targets, slack: &Recorder) -> Result<PathBuf> {
    let (ledger, name) = (disk.ledger(), service(0));
    let config = format!(
        "listen: {}\nledger: {}\ninterval: 1s\ntargets:\n  - {{ name: {name}, http: {{ url: \"http://{}/0\" }}, \
         interval: 1s, timeout: 500ms }}\ndestinations:\n  - name: oncall\n    slack: {{ webhook_url_file: webhook }}\n",
        free_address()?,
        ledger.display(),
        targets.address
    );
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).with_context(|| format!("writing {name}"))
    };
    write("lookout.yaml", &config)?;
    write("webhook", &slack.url("/services/T0/B0/drill"))?;
    write("api.slo.yaml", &spec(&name, 0))?;
    Ok(folder.join("lookout.yaml"))
}

/// A file system of two megabytes. Dropping it unmounts it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    async fn mount(folder: &Path) -> Result<Self> {
        std::fs::create_dir(folder).with_context(|| format!("making {}", folder.display()))?;
        let options = ["-t", "tmpfs", "-o", "size=2m", "tmpfs"];
        let mounted = must(Command::new("mount").args(options).arg(folder)).await;
        mounted.context("mounting a small disk, which needs root")?;
        Ok(Self(folder.to_owned()))
    }

    fn ledger(&self) -> PathBuf {
        self.0.join("lookout.db")
    }

    fn fill(&self) -> Result<()> {
        let file = OpenOptions::new().create(true).append(true).open(self.0.join("filler"));
        let mut file = file.context("opening the file that fills the disk")?;
        while file.write_all(&[0; 512]).is_ok() {}
        Ok(())
    }

    fn free(&self) -> Result<Instant> {
        std::fs::remove_file(self.0.join("filler")).context("freeing the disk")?;
        Ok(Instant::now())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
