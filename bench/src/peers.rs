//! Programs that people run instead: blackbox_exporter and a Prometheus that gives it targets.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::neighbour::{Asker, Neighbour};
use programs::packages;
use programs::running::{Running, field};

/// The two programs, where both are installed.
pub(super) struct Peers {
    blackbox: PathBuf,
    prometheus: PathBuf,
}

/// A running pair.
pub(super) struct Pair {
    pub(super) blackbox: Running,
    pub(super) prometheus: Running,
}

impl Peers {
    pub(super) fn find() -> Option<Self> {
        let blackbox = packages::find(&["prometheus-blackbox-exporter", "blackbox_exporter"])?;
        Some(Self { blackbox, prometheus: packages::find(&["prometheus"])? })
    }

    pub(super) fn versions(&self) -> String {
        format!("{}; {}", packages::version(&self.blackbox), packages::version(&self.prometheus))
    }

    /// Starts both below `folder`, with that many checks every `interval_s` seconds.
    pub(super) async fn start(
        &self,
        folder: &Path,
        neighbour: &Neighbour,
        checks: usize,
        interval_s: u32,
    ) -> Result<Pair> {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            anyhow::Ok(path)
        };
        let modules = "modules:\n  http_2xx:\n    prober: http\n    timeout: 5s\n".to_owned();
        let modules = write("blackbox.yml", modules)?;
        let mut blackbox = Running::start("blackbox_exporter", &self.blackbox, |command| {
            command.arg(format!("--config.file={}", modules.display()));
            command.args(["--web.listen-address=127.0.0.1:0", "--log.format=json"]);
        })?;
        let line = blackbox.listening().await?;
        let address = field(&line, "address")?;
        let urls: String =
            (0..checks).map(|n| format!("          - {}\n", neighbour.url(Asker::Peer, n))).collect();
        let targets = if checks == 0 { String::new() } else { format!("      - targets:\n{urls}") };
        let config = format!(
            "global:\n  scrape_interval: {interval_s}s\nscrape_configs:\n  - job_name: probes\n    \
             metrics_path: /probe\n    params: {{module: [http_2xx]}}\n    static_configs:\n{targets}    \
             relabel_configs:\n      - {{source_labels: [__address__], target_label: __param_target}}\n      \
             - {{source_labels: [__param_target], target_label: instance}}\n      \
             - {{target_label: __address__, replacement: \"{address}\"}}\n"
        );
        let config = write("prometheus.yml", config)?;
        let mut prometheus = Running::start("prometheus", &self.prometheus, |command| {
            command.arg(format!("--config.file={}", config.display()));
            command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
            command.args(["--web.listen-address=127.0.0.1:0", "--log.format=json"]);
        })?;
        prometheus.listening().await?;
        Ok(Pair { blackbox, prometheus })
    }
}
