//! The real program: started with an environment of its own, read through its log, stopped with signals.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// The time limit for anything on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Program {
    child: Child,
    lines: Arc<Mutex<Vec<Value>>>,
    pub(crate) address: String,
    pub(crate) admin_address: String,
    pub(crate) http: reqwest::Client,
}

/// The program with an environment of its own, in a folder of its own.
pub(crate) fn command(folder: &TempDir, variables: &[(&str, &str)]) -> Command {
    // Without the signal that a write beyond a limit of the file size sends, it fails as on a broken disk.
    let mut command = Command::new("/usr/bin/env");
    command
        .args(["--ignore-signal=XFSZ", env!("CARGO_BIN_EXE_titanic")])
        .env_clear()
        .envs([("PORT", "0"), ("ADMIN_PORT", "0"), ("ADMIN_TOKEN", crate::app::TOKEN)])
        .envs(variables.iter().copied())
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

impl Program {
    pub(crate) async fn start(folder: &TempDir, variables: &[(&str, &str)]) -> Self {
        Self::start_until("listening", folder, variables).await
    }

    /// Starts it and waits until it says this, and where it listens.
    pub(crate) async fn start_until(message: &str, folder: &TempDir, variables: &[(&str, &str)]) -> Self {
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let mut child = command(folder, variables).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let read = lines.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = stdout.next_line().await {
                let line =
                    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in the log: {line}"));
                read.lock().unwrap().push(line);
            }
        });
        let http = reqwest::Client::builder().timeout(DEADLINE).build().unwrap();
        let (address, admin_address) = (String::new(), String::new());
        let mut program = Self { child, lines, address, admin_address, http };
        let line = program.line(message).await;
        program.address = format!("http://{}", line["address"].as_str().unwrap());
        program.admin_address = format!("http://{}", line["admin_address"].as_str().unwrap());
        program
    }

    /// Waits until the log holds a line with this message, and returns it.
    pub(crate) async fn line(&self, message: &str) -> Value {
        let found = || self.lines.lock().unwrap().iter().find(|line| line["message"] == message).cloned();
        until(&format!("the log says `{message}`"), async || found()).await
    }

    /// All lines so far, as message and route.
    pub(crate) fn story(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let lines = self.lines.lock().unwrap();
        lines.iter().map(|line| (text(&line["message"]), text(&line["route"]))).collect()
    }

    /// Returns whether a library or the service warned of lost spans.
    pub(crate) fn warned(&self) -> bool {
        self.lines.lock().unwrap().iter().any(|line| matches!(line["level"].as_str(), Some("WARN" | "ERROR")))
    }

    pub(crate) async fn status(&self, path: &str) -> Option<u16> {
        let answer = self.http.get(format!("{}{path}", self.address)).send().await;
        answer.ok().map(|answer| answer.status().as_u16())
    }

    pub(crate) async fn delay_hello(&self, milliseconds: u32) {
        let order = serde_json::json!({"route": "/api/hello", "delay_percent": 100, "delay_ms": milliseconds,
            "ttl_seconds": 60});
        let request = self.http.post(format!("{}/faults", self.admin_address)).bearer_auth(crate::app::TOKEN);
        assert_eq!(request.json(&order).send().await.unwrap().status(), 201);
    }

    /// Waits until this many requests are being handled.
    pub(crate) async fn busy(&self, requests: u32) {
        let line = format!("http_server_active_requests {requests}");
        until(&line, async || {
            let scrape = self.http.get(format!("{}/metrics", self.admin_address)).send().await.ok()?;
            scrape.text().await.ok()?.lines().any(|shown| shown == line).then_some(())
        })
        .await;
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it still runs")
    }

    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().await.unwrap().success());
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        tokio::time::timeout(DEADLINE, self.child.wait()).await.expect("it did not end").unwrap()
    }
}

/// Waits for a state, not for a moment: asks until there is an answer, within the deadline.
pub(crate) async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(since.elapsed() < DEADLINE, "waited in vain until {what}");
        sleep(Duration::from_millis(20)).await;
    }
}
