//! The probers that are compared.

use core::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use programs::running::{Running as Program, field};
use programs::{packages, workspace};

use super::nginx::Nginx;

/// Targets on an interval.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    pub(super) secure: bool,
    pub(super) targets: u32,
    pub(super) interval_s: u32,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "HTTPS" } else { "HTTP" };
        write!(f, "{} {scheme} targets every {} s", self.targets, self.interval_s)
    }
}

/// A prober.
pub(super) enum Tool {
    Lookout(PathBuf),
    /// blackbox_exporter, and the Prometheus that drives it.
    Blackbox(PathBuf, PathBuf),
    Bare(PathBuf),
}

/// A prober that runs, and what it needs.
pub(super) struct Running {
    prober: Program,
    pub(super) driver: Option<Program>,
}

impl Running {
    pub(super) fn id(&self) -> Result<u32> {
        self.prober.id().context("the prober has ended")
    }

    pub(super) async fn stop(self) {
        if let Some(driver) = self.driver {
            driver.stop().await;
        }
        self.prober.stop().await;
    }
}

/// Builds the bare loop.
pub(super) fn build_bare() -> Result<PathBuf> {
    println!("building the bare loop (profile `release`)");
    workspace::must_succeed(workspace::cargo().args(["build", "--release", "--package", "bare-prober"]))?;
    Ok(workspace::target_directory()?.join("release/bare-prober"))
}

impl Tool {
    /// Finds them: ours first, and the peers that are installed.
    pub(super) fn find(lookout: &Path, bare: &Path) -> Vec<Self> {
        let blackbox = packages::find(&["prometheus-blackbox-exporter", "blackbox_exporter"]);
        let peers = blackbox.zip(packages::find(&["prometheus"]));
        let peers = peers.map(|(blackbox, prometheus)| Self::Blackbox(blackbox, prometheus));
        let ours = [Self::Lookout(lookout.to_owned()), Self::Bare(bare.to_owned())];
        ours.into_iter().chain(peers).collect()
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Lookout(_) => "lookout",
            Self::Blackbox(..) => "blackbox_exporter",
            Self::Bare(_) => "bare loop",
        }
    }

    pub(super) fn version(&self) -> Option<String> {
        match self {
            Self::Blackbox(blackbox, prometheus) => {
                Some(format!("{}; {}", packages::version(blackbox), packages::version(prometheus)))
            }
            _ => None,
        }
    }

    pub(super) async fn start(&self, job: &Job, nginx: &Nginx, folder: &Path) -> Result<Running> {
        match self {
            Self::Lookout(program) => lookout(program, job, nginx, folder).await,
            Self::Blackbox(blackbox, prometheus) => peers(blackbox, prometheus, job, nginx, folder).await,
            Self::Bare(program) => {
                let (scheme, port) = origin(job, nginx);
                let prober = Program::start("bare-prober", program, |command| {
                    command.args([scheme, &format!("127.0.0.1:{port}"), &job.targets.to_string()]);
                    command.arg((job.interval_s * 1000).to_string()).arg(&nginx.certificate);
                })?;
                Ok(Running { prober, driver: None })
            }
        }
    }
}

const fn origin(job: &Job, nginx: &Nginx) -> (&'static str, u16) {
    if job.secure { ("https", nginx.https) } else { ("http", nginx.http) }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

async fn lookout(program: &Path, job: &Job, nginx: &Nginx, folder: &Path) -> Result<Running> {
    let (scheme, port) = origin(job, nginx);
    let tls = if job.secure {
        format!(", tls: {{ ca_file: {}, server_name: localhost }}", nginx.certificate.display())
    } else {
        String::new()
    };
    let mut text = format!("listen: 127.0.0.1:0\nslos: []\ninterval: {}s\ntargets:\n", job.interval_s);
    for number in 0..job.targets {
        text.push_str(&format!(
            "  - {{ name: t{number}, http: {{ url: \"{scheme}://127.0.0.1:{port}/{number}\"{tls} }} }}\n"
        ));
    }
    let config = write(folder, "lookout.yaml", &text)?;
    let prober = start_lookout(program, &config, folder).await?;
    Ok(Running { prober: prober.0, driver: None })
}

/// Starts the agent. Returns it with the address that it listens on.
pub(super) async fn start_lookout(program: &Path, config: &Path, folder: &Path) -> Result<(Program, String)> {
    let mut agent = Program::start("lookout", program, |command| {
        command.args(["run", "--log", "json", "-c"]).arg(config).current_dir(folder);
    })?;
    // a large configuration takes its time on a busy machine
    let line = match agent.listening().await {
        Ok(line) => line,
        Err(_) => agent.listening().await?,
    };
    let address = field(&line, "address")?.to_owned();
    Ok((agent, address))
}

async fn peers(
    blackbox: &Path,
    prometheus: &Path,
    job: &Job,
    nginx: &Nginx,
    folder: &Path,
) -> Result<Running> {
    let (scheme, port) = origin(job, nginx);
    let tls = format!("tls_config: {{ ca_file: {}, server_name: localhost }}", nginx.certificate.display());
    let modules = format!("modules:\n  http_2xx: {{ prober: http, timeout: 5s, http: {{ {tls} }} }}\n");
    let modules = write(folder, "blackbox.yml", &modules)?;
    let mut prober = Program::start("blackbox_exporter", blackbox, |command| {
        command.arg(format!("--config.file={}", modules.display()));
        command.args(["--web.listen-address=127.0.0.1:0", "--log.format=json"]);
    })?;
    let line = prober.listening().await?;
    let address = field(&line, "address")?;
    let targets: String = (0..job.targets)
        .map(|number| format!("          - {scheme}://127.0.0.1:{port}/{number}\n"))
        .collect();
    let config = format!(
        "global: {{ scrape_interval: {0}s, scrape_timeout: {0}s }}\nscrape_configs:\n  - job_name: probes\n    \
         metrics_path: /probe\n    params: {{module: [http_2xx]}}\n    static_configs:\n      - targets:\n{targets}    \
         relabel_configs:\n      - {{source_labels: [__address__], target_label: __param_target}}\n      \
         - {{source_labels: [__param_target], target_label: instance}}\n      \
         - {{target_label: __address__, replacement: \"{address}\"}}\n",
        job.interval_s
    );
    let config = write(folder, "prometheus.yml", &config)?;
    let mut driver = Program::start("prometheus", prometheus, |command| {
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        command.args(["--web.listen-address=127.0.0.1:0", "--log.format=json"]);
    })?;
    driver.listening().await?;
    Ok(Running { prober, driver: Some(driver) })
}
