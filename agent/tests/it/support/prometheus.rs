//! A real Prometheus.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::eventually;

/// A running Prometheus with its data in the folder of a test; killed when dropped.
pub(crate) struct Prometheus {
    child: Child,
    pub(crate) address: SocketAddr,
    client: reqwest::Client,
}

impl Prometheus {
    /// Starts it and waits until it answers.
    pub(crate) async fn start(folder: &Path, config: &str) -> Self {
        Self::start_with(folder, config, &[]).await
    }

    /// Starts it with further flags.
    pub(crate) async fn start_with(folder: &Path, config: &str, flags: &[&str]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        std::fs::write(folder.join("prometheus.yml"), config).unwrap();
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus is needed: apt-get install --no-install-recommends prometheus");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let server = Self { child, address, client };
        eventually("a Prometheus that answers", || server.query("query?query=vector(1)")).await;
        server
    }

    /// Asks its API.
    pub(crate) async fn query(&self, path: &str) -> Option<Value> {
        let url = format!("http://{}/api/v1/{path}", self.address);
        let answer: Value = self.client.get(url).send().await.ok()?.json().await.ok()?;
        (answer["status"] == "success").then_some(answer)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
