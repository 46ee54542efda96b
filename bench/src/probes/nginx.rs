//! The peer of every prober: nginx with one HTTP and one HTTPS port, whose log is the clock of all figures.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use programs::packages;

/// The key and the certificate of `localhost` that the tests use.
const KEY: &str = include_str!("../../../agent/collect/src/probe/testdata/localhost.key.pem");
const CERTIFICATE: &str = include_str!("../../../agent/collect/src/probe/testdata/localhost.cert.pem");

/// Bytes of an answer.
const BODY: usize = 512;

/// A running nginx.
pub(super) struct Nginx {
    child: Child,
    log: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) http: u16,
    pub(super) https: u16,
}

/// Arrivals of one run.
pub(super) struct Arrivals {
    /// Seconds of the arrivals of each path.
    by_path: BTreeMap<String, Vec<f64>>,
}

impl Nginx {
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        let program =
            packages::find(&["nginx"]).context("nginx is not installed: `apt-get install nginx-light`")?;
        let (http, https) = (free_port()?, free_port()?);
        let certificate = folder.join("cert.pem");
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
        };
        write("key.pem", KEY)?;
        write("cert.pem", CERTIFICATE)?;
        let at = folder.display();
        write(
            "nginx.conf",
            &format!(
                "daemon off; master_process off; pid {at}/pid; error_log {at}/error.log; worker_rlimit_nofile 65536;\n\
                 events {{ worker_connections 20000; }}\n\
                 http {{ log_format short '$msec $uri'; access_log {at}/access.log short buffer=64k flush=1s;\n\
                 client_body_temp_path {at}/b; proxy_temp_path {at}/p; fastcgi_temp_path {at}/f; uwsgi_temp_path {at}/u;\n\
                 scgi_temp_path {at}/s; keepalive_timeout 30s; ssl_session_cache shared:S:1m;\n\
                 server {{ listen 127.0.0.1:{http} backlog=8192; listen 127.0.0.1:{https} ssl backlog=8192;\n\
                 ssl_certificate {at}/cert.pem; ssl_certificate_key {at}/key.pem;\n\
                 location / {{ return 200 '{}'; }} }} }}\n",
                "x".repeat(BODY)
            ),
        )?;
        let child = Command::new(program)
            .args(["-p", &at.to_string(), "-c"])
            .arg(folder.join("nginx.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting nginx")?;
        let nginx = Self { child, log: folder.join("access.log"), certificate, http, https };
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", nginx.https)).is_ok() {
                return Ok(nginx);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("nginx does not listen; its log is {at}/error.log")
    }

    /// Bytes of the log so far.
    pub(super) fn mark(&self) -> u64 {
        std::fs::metadata(&self.log).map_or(0, |found| found.len())
    }

    /// Reads the arrivals since a mark that lie between two instants, in seconds since the epoch.
    pub(super) fn arrivals(&self, mark: u64, from: f64, until: f64) -> Result<Arrivals> {
        let log = std::fs::read(&self.log).context("reading the log of nginx")?;
        let text =
            String::from_utf8_lossy(log.get(usize::try_from(mark)?..).unwrap_or_default()).into_owned();
        let mut by_path: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for line in text.lines() {
            let Some((at, path)) = line.split_once(' ') else { continue };
            let Some(at) = at.parse::<f64>().ok().filter(|at| (from..until).contains(at)) else { continue };
            by_path.entry(path.to_owned()).or_default().push(at);
        }
        Ok(Arrivals { by_path })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Arrivals {
    pub(super) fn count(&self) -> usize {
        self.by_path.values().map(Vec::len).sum()
    }

    /// Returns a percentile of how far arrivals lie from the grid of their target, in milliseconds. The grid is the median
    /// of its arrivals, so that neither the cost of a connection nor the phase counts.
    pub(super) fn deviation_ms(&self, interval_s: f64, percentile: usize) -> Option<f64> {
        let mut all: Vec<f64> =
            self.by_path.values().flat_map(|arrivals| deviations(arrivals, interval_s)).collect();
        all.sort_by(f64::total_cmp);
        all.get((all.len() * percentile / 100).min(all.len().checked_sub(1)?)).copied()
    }
}

fn deviations(arrivals: &[f64], interval_s: f64) -> Vec<f64> {
    let Some(first) = arrivals.first() else { return Vec::new() };
    let off: Vec<f64> = arrivals
        .iter()
        .map(|at| {
            let since = at - first;
            since - (since / interval_s).round() * interval_s
        })
        .collect();
    let mut sorted = off.clone();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    off.into_iter().map(|off| (off - middle).abs() * 1e3).collect()
}

/// Seconds since the epoch, as nginx writes them.
#[expect(clippy::disallowed_methods, reason = "the log of nginx has the wall time of this machine")]
pub(super) fn now_s() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}

pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").context("opening a port")?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_arrival_deviates_and_a_phase_does_not() {
        let mut found = deviations(&[0.3, 1.3, 2.3, 3.31, 4.3], 1.0);
        found.sort_by(f64::total_cmp);
        assert!(found[3] < 0.01 && (found[4] - 10.0).abs() < 0.01, "{found:?}");
        let arrivals = Arrivals { by_path: BTreeMap::from([("/1".to_owned(), vec![0.0, 1.0, 2.5])]) };
        assert_eq!((arrivals.count(), arrivals.deviation_ms(1.0, 99).map(f64::round)), (3, Some(500.0)));
        assert_eq!(Arrivals { by_path: BTreeMap::new() }.deviation_ms(1.0, 99), None);
    }
}
