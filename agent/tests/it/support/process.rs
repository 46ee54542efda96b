//! The agent as its user runs it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;

use serde_json::Value;

use super::{DEADLINE, eventually};

const BINARY: &str = env!("CARGO_BIN_EXE_lookout");

/// A running agent; killed when dropped.
pub(crate) struct Lookout {
    child: Child,
    pub(crate) url: String,
}

impl Lookout {
    /// Starts `lookout run` and waits until it listens.
    pub(crate) fn run(config: &Path) -> Self {
        let mut child = Command::new(BINARY)
            .args(["run", "--log", "json", "-c"])
            .arg(config)
            // one heap for all threads, as the allocator of the image (musl) has it: glibc keeps one for each
            .env("MALLOC_ARENA_MAX", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (said, listening) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let record: Value = serde_json::from_str(&line).unwrap_or_default();
                if record["message"] == "listening" {
                    let _ = said.send(record["address"].as_str().unwrap().to_owned());
                }
                eprintln!("{line}");
            }
        });
        let address = listening.recv_timeout(DEADLINE).expect("the agent did not start");
        Self { child, url: format!("http://{address}") }
    }

    /// Returns the id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills the agent as `kill -9` does, without any flush.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the agent to end, and waits until it has.
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        assert!(self.child.wait().unwrap().success());
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path).await).unwrap()
    }

    /// Returns the answer to a request as text.
    pub(crate) async fn text(&self, path: &str) -> String {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}{path}", self.url);
        let answer = client.get(&url).send().await.unwrap();
        assert!(answer.status().is_success(), "{url}: {}", answer.status());
        answer.text().await.unwrap()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the agent's own view of its SLOs to satisfy a predicate.
    pub(crate) async fn slos(&self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || async {
            let slos = self.get("/api/v1/slos").await;
            holds(&slos).then_some(slos)
        })
        .await
    }

    pub(crate) async fn incidents(&self) -> Vec<Value> {
        let incidents = self.get("/api/v1/incidents").await;
        incidents["incidents"].as_array().unwrap().clone()
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a verb to its end.
pub(crate) fn run_to_end(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).stdin(Stdio::null()).env_remove("NO_COLOR").output().unwrap()
}
