//! The two programs of the story and how they are spoken to.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::process::Command;

use super::receiver::Receiver;
use super::spec::{self, FAULT_PERCENT, ROUTE, SERVICE};
use programs::binaries::Binaries;
use programs::http::ask;
use programs::running::{Running, field};
use programs::{api_key, refused_writes};

/// The service under watch.
pub(super) struct Service {
    pub(super) program: Running,
    pub(super) address: SocketAddr,
    pub(super) admin: SocketAddr,
    token: String,
}

impl Service {
    pub(super) async fn start(binaries: &Binaries, folder: &Path, token: &str, key: &str) -> Result<Self> {
        let database = format!("sqlite://{}", folder.join("titanic.db").display());
        let keys = api_key::line("journey", "passengers:write", key);
        let mut program = refused_writes::start("titanic", &binaries.titanic(), |command| {
            command.env("API_KEYS", keys).envs([
                ("PORT", "0"),
                ("ADMIN_PORT", "0"),
                ("BIND", "127.0.0.1"),
                ("LOG_LEVEL", "info"),
            ]);
            command.env("DATABASE_URL", database).env("ADMIN_TOKEN", token).env("ENVIRONMENT", "demo");
            command.current_dir(folder);
        })?;
        let line = program.listening().await?;
        let address =
            |name| field(&line, name)?.parse().with_context(|| format!("reading `{name}` of titanic"));
        Ok(Self {
            address: address("address")?,
            admin: address("admin_address")?,
            program,
            token: token.to_owned(),
        })
    }

    /// Returns the URL that the load requests.
    pub(super) fn url(&self) -> String {
        format!("http://{}{ROUTE}?limit=1", self.address)
    }

    /// Lets a share of the requests fail.
    pub(super) async fn break_it(&self, client: &Client) -> Result<()> {
        let fault =
            json!({"route": ROUTE, "error_percent": FAULT_PERCENT, "status": 503, "ttl_seconds": 120});
        let url = format!("http://{}/faults", self.admin);
        ask(client, Method::POST, &url, Some(&self.token), Some(&fault)).await.map(|_| ())
    }

    /// Ends the fault.
    pub(super) async fn mend_it(&self, client: &Client) -> Result<()> {
        let url = format!("http://{}/faults", self.admin);
        ask(client, Method::DELETE, &url, Some(&self.token), None).await.map(|_| ())
    }

    /// Requests of the route that the service itself has counted.
    pub(super) async fn counted(&self, client: &Client) -> Result<f64> {
        let text = ask(client, Method::GET, &format!("http://{}/metrics", self.admin), None, None).await?;
        let route = format!("http_route=\"{ROUTE}\"");
        Ok(sum(&text, "http_server_request_duration_seconds_count", &[&route]))
    }
}

/// The agent.
pub(super) struct Agent {
    pub(super) program: Running,
    pub(super) address: SocketAddr,
    pub(super) url: String,
    lookout: PathBuf,
    config: PathBuf,
}

/// One answer of `lookout gate check`.
pub(super) struct GateAnswer {
    pub(super) code: Option<i32>,
    pub(super) said: String,
}

impl Agent {
    pub(super) async fn start(
        binaries: &Binaries,
        config: &Path,
        slack_token: &str,
        api_key: &str,
    ) -> Result<Self> {
        let lookout = binaries.lookout();
        let mut program = Running::start("lookout", &lookout, |command| {
            command.args(["run", "--log", "json", "-c"]).arg(config);
            command.env(spec::TOKEN_VARIABLE, slack_token).env(spec::KEY_VARIABLE, api_key);
            command.current_dir(config.parent().unwrap_or(Path::new(".")));
        })?;
        let line = program.listening().await?;
        let address: SocketAddr = field(&line, "address")?.parse().context("reading the agent's address")?;
        Ok(Self { program, address, url: format!("http://{address}"), lookout, config: config.to_owned() })
    }

    /// Makes the agent read its files again.
    pub(super) async fn reload(&self) -> Result<()> {
        let id = self.program.id().context("the agent has ended")?.to_string();
        let status = Command::new("kill").args(["-s", "HUP", &id]).status().await.context("running kill")?;
        anyhow::ensure!(status.success(), "kill ended with {status}");
        Ok(())
    }

    async fn json(&self, client: &Client, path: &str) -> Result<Value> {
        let url = format!("{}{path}", self.url);
        let text = ask(client, Method::GET, &url, None, None).await?;
        serde_json::from_str(&text).with_context(|| format!("reading the answer of {url}"))
    }

    /// Every incident the agent knows.
    pub(super) async fn incidents(&self, client: &Client) -> Result<Vec<Incident>> {
        let answer = self.json(client, "/api/v1/incidents").await?;
        Ok(listed(&answer, "incidents").iter().filter_map(Incident::read).collect())
    }

    /// The evidence of an SLO: bad and all events of its period.
    pub(super) async fn counted(&self, client: &Client, slo: &str) -> Result<(u64, u64)> {
        let answer = self.json(client, "/api/v1/slos").await?;
        let found =
            listed(&answer, "slos").iter().find(|item| item.get("slo").and_then(Value::as_str) == Some(slo));
        let found = found.with_context(|| format!("the agent does not know the SLO {slo}: {answer}"))?;
        let evidence = found.get("evidence").unwrap_or(found);
        let number = |key: &str| {
            evidence.get(key).and_then(Value::as_u64).with_context(|| format!("no `{key}` in {found}"))
        };
        Ok((number("bad")?, number("total")?))
    }

    /// Successful scrapes so far.
    pub(super) async fn scrapes(&self, client: &Client) -> Result<f64> {
        self.metric(client, "lookout_scrape_total", &[&format!("source=\"{SERVICE}\""), "outcome=\"ok\""])
            .await
    }

    /// Transitions the agent says there were.
    pub(super) async fn transitions(&self, client: &Client) -> Result<f64> {
        self.metric(client, "lookout_incident_transitions_total", &[]).await
    }

    async fn metric(&self, client: &Client, name: &str, labels: &[&str]) -> Result<f64> {
        let text = ask(client, Method::GET, &format!("{}/metrics", self.url), None, None).await?;
        Ok(sum(&text, name, labels))
    }

    /// Returns the line in which `lookout check` says what the alerts of an SLO do.
    pub(super) async fn promise(&self, slo: &str) -> Result<String> {
        let config = self.config.to_str().context("the path of the config is no text")?;
        let output = self.ends(&["check", config]).await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = said.lines().find(|line| line.starts_with(&format!("{SERVICE}-{slo}:")));
        line.map(str::to_owned).with_context(|| format!("`lookout check` promises nothing of {slo}:\n{said}"))
    }

    /// Runs a verb to its end.
    async fn ends(&self, arguments: &[&str]) -> Result<std::process::Output> {
        let mut command = Command::new(&self.lookout);
        command
            .args(arguments)
            .env(spec::TOKEN_VARIABLE, "xoxb-unused")
            .env(spec::KEY_VARIABLE, "unused")
            .kill_on_drop(true);
        let output = tokio::time::timeout(Duration::from_secs(10), command.output()).await;
        let verb = arguments.first().copied().unwrap_or_default();
        output
            .with_context(|| format!("`lookout {verb}` did not end within 10 s"))?
            .context("starting lookout")
    }

    /// Asks the gate as a pipeline would: by the program and its exit code.
    pub(super) async fn gate(&self) -> Result<GateAnswer> {
        let gate = ["gate", "check", "--service", SERVICE, "--class", "feature", "--url", &self.url];
        let output = self.ends(&gate).await?;
        let said =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        Ok(GateAnswer { code: output.status.code(), said: said.join("\n").trim().to_owned() })
    }
}

/// An incident as the agent tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Incident {
    pub(super) id: String,
    pub(super) slo: String,
    pub(super) severity: String,
    pub(super) detected_at_ms: i64,
    pub(super) resolved_at_ms: Option<i64>,
}

impl Incident {
    fn read(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            id: text("id")?,
            slo: text("slo")?,
            severity: text("severity").unwrap_or_default(),
            detected_at_ms: value.get("detected_at_ms").and_then(Value::as_i64)?,
            resolved_at_ms: value.get("resolved_at_ms").and_then(Value::as_i64),
        })
    }
}

/// A list, bare or under its name.
fn listed<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer.as_array().or_else(|| answer.get(name).and_then(Value::as_array)).map_or(&[], Vec::as_slice)
}

/// The sum of all series of a metric whose label text holds all of `labels`.
fn sum(exposition: &str, name: &str, labels: &[&str]) -> f64 {
    let lines = exposition.lines().filter_map(|line| line.strip_prefix(name));
    let values = lines.filter_map(|rest| {
        let (series, value) = rest.rsplit_once(' ')?;
        let fits = (series.is_empty() || series.starts_with('{'))
            && labels.iter().all(|label| series.contains(label));
        fits.then(|| value.parse::<f64>().ok()).flatten()
    });
    values.sum()
}

/// Everything that runs.
pub(super) struct Cast {
    pub(super) service: Service,
    pub(super) agent: Agent,
    pub(super) receiver: Receiver,
}

impl Cast {
    /// Fails when one of the programs has ended.
    pub(super) fn must_be_running(&mut self) -> Result<()> {
        self.service.program.must_be_running()?;
        self.agent.program.must_be_running()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_name_and_labels() {
        let text = "# TYPE a_total counter\na_total{x=\"1\",y=\"ok\"} 2\na_total{x=\"1\",y=\"no\"} 4\na_total_other 8\na_total 16\n";
        assert_eq!(sum(text, "a_total", &[]), 22.0);
        assert_eq!(sum(text, "a_total", &["x=\"1\""]), 6.0);
        assert_eq!(sum(text, "a_total", &["x=\"1\"", "y=\"ok\""]), 2.0);
    }

    #[test]
    fn incidents_are_read_bare_or_under_their_name() {
        let incident = json!({"id": "inc-1", "slo": "s", "severity": "page", "detected_at_ms": 5, "resolved_at_ms": null});
        for answer in [json!([incident]), json!({"incidents": [incident]})] {
            let found = Incident::read(&listed(&answer, "incidents")[0]).unwrap();
            assert_eq!((found.detected_at_ms, found.resolved_at_ms), (5, None));
        }
    }
}
