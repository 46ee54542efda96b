//! Size and memory of the release binary, beside the targets and beside the peers in the same run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::time::{Instant, sleep};

use super::neighbour::{Asker, Neighbour};
use super::peers::Peers;
use programs::running::Running;
use programs::workspace;

const CHECKS: usize = 100;
const INTERVAL_S: u32 = 10;
/// Every check must have run this often before memory is read.
const RUNS: u32 = 3;
const IDLE: Duration = Duration::from_secs(5);
const LOADED: Duration = Duration::from_secs(40);
/// The delay of the checks that is tolerated.
const SLACK: Duration = Duration::from_secs(30);

const MEGABYTE: f64 = 1_000_000.0;

/// Builds what is shipped: the agent alone, with link-time optimisation.
pub(super) fn build() -> Result<PathBuf> {
    println!("building lookout (profile `release`, link-time optimisation: a few minutes)");
    workspace::must_succeed(workspace::cargo().args([
        "build",
        "--release",
        "--package",
        "lookout",
        "--bins",
    ]))?;
    Ok(workspace::target_directory()?.join("release/lookout"))
}

/// A measured figure in megabytes.
struct Figure {
    name: &'static str,
    measured: f64,
    target: f64,
    /// blackbox_exporter and Prometheus, when they are there.
    peers: Option<(f64, f64)>,
}

/// Measures and prints. Missing a target is told, not failed: the machine decides too.
pub(super) async fn run(lookout: &Path) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("lookout-bench-").tempdir().context("making a folder")?;
    let size = std::fs::metadata(lookout).with_context(|| format!("looking at {}", lookout.display()))?.len();
    let neighbour = Neighbour::start(CHECKS).await?;
    let peers = Peers::find();
    println!(
        "measuring idle after {} s, then {CHECKS} checks every {INTERVAL_S} s for {} s",
        IDLE.as_secs(),
        LOADED.as_secs()
    );
    let idle = idle(lookout, peers.as_ref(), folder.path(), &neighbour).await?;
    let loaded = loaded(lookout, peers.as_ref(), folder.path(), &neighbour).await?;
    print_table(&[
        Figure { name: "release binary", measured: size as f64 / MEGABYTE, target: 14.0, peers: None },
        Figure { name: "memory, idle", measured: idle.0, target: 13.0, peers: idle.1 },
        Figure { name: "memory, 100 HTTP checks / 10 s", measured: loaded.0, target: 15.0, peers: loaded.1 },
    ]);
    match peers {
        Some(peers) => println!("peers: {}", peers.versions()),
        None => println!("no peers to compare with: install prometheus and prometheus-blackbox-exporter"),
    }
    Ok(())
}

type Measured = (f64, Option<(f64, f64)>);

async fn idle(
    lookout: &Path,
    peers: Option<&Peers>,
    folder: &Path,
    neighbour: &Neighbour,
) -> Result<Measured> {
    let mut agent = start_agent(lookout, &folder.join("idle"), neighbour, 0).await?;
    let mut pair = match peers {
        Some(peers) => Some(peers.start(&folder.join("idle-peers"), neighbour, 0, INTERVAL_S).await?),
        None => None,
    };
    sleep(IDLE).await;
    measure(&mut agent, pair.as_mut())
}

async fn loaded(
    lookout: &Path,
    peers: Option<&Peers>,
    folder: &Path,
    neighbour: &Neighbour,
) -> Result<Measured> {
    let mut agent = start_agent(lookout, &folder.join("loaded"), neighbour, CHECKS).await?;
    let mut pair = match peers {
        Some(peers) => Some(peers.start(&folder.join("loaded-peers"), neighbour, CHECKS, INTERVAL_S).await?),
        None => None,
    };
    sleep(LOADED).await;
    let deadline = Instant::now() + SLACK;
    loop {
        let (ours, theirs) = (neighbour.least(Asker::Agent), neighbour.least(Asker::Peer));
        if ours >= RUNS && (pair.is_none() || theirs >= RUNS) {
            return measure(&mut agent, pair.as_mut());
        }
        ensure!(
            Instant::now() < deadline,
            "not every check ran {RUNS} times: the least one ran {ours} times (peers: {theirs})"
        );
        sleep(Duration::from_millis(200)).await;
    }
}

fn measure(agent: &mut Running, pair: Option<&mut super::peers::Pair>) -> Result<Measured> {
    let ours = resident(agent)?;
    let theirs = match pair {
        Some(pair) => Some((resident(&mut pair.blackbox)?, resident(&mut pair.prometheus)?)),
        None => None,
    };
    Ok((ours, theirs))
}

async fn start_agent(lookout: &Path, folder: &Path, neighbour: &Neighbour, checks: usize) -> Result<Running> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let config = folder.join("lookout.yaml");
    std::fs::write(&config, config_of(neighbour, checks))
        .with_context(|| format!("writing {}", config.display()))?;
    let mut agent = Running::start("lookout", lookout, |command| {
        command.args(["run", "--log", "json", "-c"]).arg(&config).current_dir(folder);
    })?;
    agent.listening().await?;
    Ok(agent)
}

fn config_of(neighbour: &Neighbour, checks: usize) -> String {
    let mut text = "listen: 127.0.0.1:0\nledger: lookout.db\nslos: []\n".to_owned();
    if checks > 0 {
        text.push_str("targets:\n");
    }
    for number in 0..checks {
        let url = neighbour.url(Asker::Agent, number);
        text.push_str(&format!(
            "  - name: check-{number}\n    http: {{ url: \"{url}\" }}\n    interval: {INTERVAL_S}s\n    timeout: 5s\n"
        ));
    }
    text
}

/// Resident memory of a process in megabytes.
fn resident(program: &mut Running) -> Result<f64> {
    program.must_be_running()?;
    resident_of(program.id().context("the process has no id")?)
}

pub(super) fn resident_of(id: u32) -> Result<f64> {
    let path = format!("/proc/{id}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    match kilobytes(&status) {
        Some(kilobytes) => Ok(kilobytes * 1024.0 / MEGABYTE),
        None => bail!("{path} has no VmRSS"),
    }
}

fn kilobytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn print_table(figures: &[Figure]) {
    println!(
        "\n{:<32} {:>9} {:>10}  {:<6} {:>24} {:>6}",
        "", "measured", "target", "", "blackbox + prometheus", "ratio"
    );
    for figure in figures {
        let met = if figure.measured <= figure.target { "met" } else { "MISSED" };
        let (peers, ratio) = match figure.peers {
            Some((blackbox, prometheus)) => {
                let ratio = (blackbox + prometheus) / figure.measured;
                (format!("{blackbox:.1} + {prometheus:.1} MB"), format!("{ratio:.1}x"))
            }
            None => (String::new(), String::new()),
        };
        let line = format!(
            "{:<32} {:>6.1} MB {:>7.0} MB  {met:<6} {peers:>24} {ratio:>6}",
            figure.name, figure.measured, figure.target
        );
        println!("{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_status_file() {
        assert_eq!(kilobytes("Name:\tlookout\nVmHWM:\t  2000 kB\nVmRSS:\t  1234 kB\n"), Some(1234.0));
        assert_eq!(kilobytes("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn a_running_program_has_memory() {
        assert!(resident_of(std::process::id()).unwrap() > 1.0);
        assert!(resident_of(u32::MAX).unwrap_err().to_string().contains("/proc/4294967295/status"));
    }
}
