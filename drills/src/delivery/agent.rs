//! The agent under test: its files, its process, and its own view of incidents and deliveries.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::Value;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::process::Command;

use super::recorder::Recorder;
use super::targets::Targets;
use super::verdict::told::Sent;
use crate::postgres::must;
use programs::http::ask;
use programs::running::Running;

/// Name of the ledger's file.
const LEDGER: &str = "lookout.db";
/// Number of incidents of a page of the API.
const PAGE: u32 = 1000;
/// Most incidents that are read; a list that goes on is not trusted.
const MOST_INCIDENTS: usize = 100_000;

/// A transition: incident, change and instant.
pub(super) type Transition = (String, String, i64);

/// Destinations of the agent.
pub(super) struct Destinations {
    pub(super) slack: Recorder,
    pub(super) pagerduty: Recorder,
    pub(super) webhook: Recorder,
}

impl Destinations {
    pub(super) fn all(&self) -> [(&'static str, &Recorder); 3] {
        [("slack", &self.slack), ("pagerduty", &self.pagerduty), ("webhook", &self.webhook)]
    }
}

/// An incident of the API.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Incident {
    pub(super) id: String,
    pub(super) service: String,
    pub(super) slo: String,
    pub(super) cause: String,
    pub(super) detected_at_ms: i64,
    pub(super) resolved_at_ms: Option<i64>,
}

/// A delivery of the API.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Delivery {
    pub(super) destination: String,
    pub(super) change: String,
    pub(super) at_ms: i64,
    pub(super) state: String,
}

/// The agent, running or killed.
pub(super) struct Agent {
    lookout: PathBuf,
    config: PathBuf,
    address: SocketAddr,
    token: PathBuf,
    client: Client,
    running: Option<Running>,
}

impl Agent {
    pub(super) fn new(lookout: PathBuf, folder: &Path, address: SocketAddr, client: Client) -> Self {
        let (config, token) = (folder.join("lookout.yaml"), folder.join("token"));
        Self { lookout, config, address, token, client, running: None }
    }

    pub(super) async fn start(&mut self) -> Result<()> {
        let mut running = Running::start("lookout", &self.lookout, |command| {
            command.args(["run", "--log", "json", "-c"]).arg(&self.config);
        })?;
        running.listening().await?;
        self.running = Some(running);
        Ok(())
    }

    /// As `kill -9` does.
    pub(super) async fn kill(&mut self) -> Result<()> {
        let mut running = self.running.take().context("no agent runs")?;
        running.must_be_running()?;
        running.kill().await
    }

    pub(super) async fn stop(mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    /// Returns what the ledger knows of the deliveries to a destination: the message of each, and when its attempt ended.
    pub(super) async fn sent_to(&self, destination: &str) -> Result<Vec<Sent>> {
        let options =
            SqliteConnectOptions::new().filename(self.config.with_file_name(LEDGER)).read_only(true);
        let mut ledger = options.connect().await.context("opening the ledger")?;
        let rows = sqlx::query_as::<_, Sent>(
            "select incident.id as incident, service, slo, change, at_ms, thread, ended_at_ms from delivery \
             join transition on transition.id = transition_id join incident on incident.id = delivery.incident_id \
             where destination = $1 and service like 'svc-%' order by delivery.id",
        );
        rows.bind(destination).fetch_all(&mut ledger).await.context("reading the deliveries of the ledger")
    }

    /// Returns a handle for requests, which fail while the agent is away.
    pub(super) fn api(&self) -> Api {
        Api { client: self.client.clone(), url: format!("http://{}", self.address) }
    }

    /// Runs `lookout deliver retry`. Returns how many dead letters are tried again.
    pub(super) async fn retry(&self) -> Result<u64> {
        let mut command = Command::new(&self.lookout);
        command.args(["deliver", "retry", "--json", "--url", &format!("http://{}", self.address)]);
        let said = must(command.arg("--token-file").arg(&self.token)).await?;
        let said: Value = serde_json::from_str(&said).context("reading `lookout deliver retry`")?;
        said.get("retried").and_then(Value::as_u64).context("no number of deliveries")
    }
}

/// Requests to the agent.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    url: String,
}

impl Api {
    async fn get(&self, path: &str) -> Result<Value> {
        let text = ask(&self.client, Method::GET, &format!("{}{path}", self.url), None, None).await?;
        serde_json::from_str(&text).with_context(|| format!("reading {path}"))
    }

    /// Returns all incidents, newest first. They are read page by page until one is empty.
    pub(super) async fn incidents(&self) -> Result<Vec<Incident>> {
        let mut all: Vec<Incident> = Vec::new();
        loop {
            let before = all.last().map(|one| format!("&before={}", one.id)).unwrap_or_default();
            let answer = self.get(&format!("/api/v1/incidents?limit={PAGE}{before}")).await?;
            let listed = answer.get("incidents").cloned().context("no incidents")?;
            let page: Vec<Incident> = serde_json::from_value(listed).context("reading the incidents")?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
            ensure!(all.len() <= MOST_INCIDENTS, "the API lists incidents without an end");
        }
    }

    /// Returns the ids of open incidents that the page of incidents leaves out.
    pub(super) async fn missing_on_page(&self) -> Result<Vec<String>> {
        let page = ask(&self.client, Method::GET, &format!("{}/incidents", self.url), None, None).await?;
        let open = self.incidents().await?.into_iter().filter(|one| one.resolved_at_ms.is_none());
        Ok(open.map(|one| one.id).filter(|id| !page.contains(id.as_str())).collect())
    }

    /// Returns the names `service slo` of the open incidents.
    pub(super) async fn open(&self) -> Result<BTreeSet<String>> {
        let open = |one: &Incident| {
            (one.resolved_at_ms.is_none() && one.cause == "burn")
                .then(|| format!("{} {}", one.service, one.slo))
        };
        Ok(self.incidents().await?.iter().filter_map(open).collect())
    }

    pub(super) async fn deliveries(&self, incident: &str) -> Result<Vec<Delivery>> {
        let answer = self.get(&format!("/api/v1/deliveries?incident={incident}")).await?;
        let listed = answer.get("deliveries").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
        serde_json::from_value(listed).context("reading the deliveries")
    }

    /// Returns the destinations of the dead letters, one for each.
    pub(super) async fn dead_letters(&self) -> Result<Vec<String>> {
        let answer = self.get("/api/v1/deliveries").await?;
        let letters = answer.get("dead_letters").and_then(Value::as_array).context("no dead letters")?;
        let name = |letter: &Value| letter.get("destination")?.as_str().map(str::to_owned);
        Ok(letters.iter().filter_map(name).collect())
    }

    /// Returns how many deliveries wait.
    pub(super) async fn waiting(&self) -> Result<f64> {
        let text = ask(&self.client, Method::GET, &format!("{}/metrics", self.url), None, None).await?;
        let lines = text.lines().filter_map(|line| line.strip_prefix("lookout_delivery_waiting{"));
        let values: Vec<f64> = lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
        ensure!(!values.is_empty(), "the agent tells no number of waiting deliveries");
        Ok(values.iter().sum())
    }
}

/// Returns the name of a service.
pub(crate) fn service(number: usize) -> String {
    format!("svc-{number}")
}

/// Writes config, specs and token.
pub(super) fn write_files(
    folder: &Path,
    listen: SocketAddr,
    targets: &Targets,
    (services, slos): (usize, usize),
    destinations: &Destinations,
    alertmanagers: [SocketAddr; 2],
    (token, digest): (&str, &str),
) -> Result<()> {
    let mut config = format!(
        "listen: {listen}\nledger: {LEDGER}\ninterval: 1s\nauth:\n  tokens:\n    - name: drill\n      sha256: \
         {digest}\n      scopes: [deliver]\ntargets:\n"
    );
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).with_context(|| format!("writing {name}"))
    };
    for number in 0..services {
        let name = service(number);
        config += &format!(
            "  - {{ name: {name}, http: {{ url: \"http://{}/{number}\" }}, interval: 1s, timeout: 500ms }}\n",
            targets.address
        );
        for slo in 0..slos {
            write(&format!("{name}-{slo}.slo.yaml"), &spec(&name, slo))?;
        }
    }
    let [first, second] = alertmanagers;
    config += &format!(
        "destinations:\n  - name: slack\n    slack: {{ token_file: slack, channel: \"#oncall\", api_url: \"{}\" }}\n  \
         - name: pagerduty\n    pagerduty: {{ routing_key_file: pagerduty, events_url: \"{}\" }}\n  \
         - name: webhook\n    webhook: {{ url_file: webhook }}\n  \
         - name: alertmanager\n    alertmanager: {{ urls: [\"http://{first}\", \"http://{second}\"] }}\n",
        destinations.slack.url("/api/"),
        destinations.pagerduty.url("/v2/"),
    );
    write("lookout.yaml", &config)?;
    write("slack", "xoxb-drill")?;
    write("pagerduty", "0123456789abcdef0123456789abcdef")?;
    write("webhook", &destinations.webhook.url("/hook"))?;
    write("token", token)
}

/// Returns the spec of an SLO that pages within seconds.
pub(crate) fn spec(service: &str, slo: usize) -> String {
    format!(
        "apiVersion: openslo/v1
kind: SLO
metadata:
  name: slo-{slo}
  annotations: {{ lookout.dev/tiers: page 6s/3s x2, lookout.dev/minimum-bad: \"2\" }}
spec:
  service: {service}
  description: The service answers.
  budgetingMethod: Occurrences
  timeWindow: [{{ duration: 5m, isRolling: true }}]
  objectives: [{{ target: 0.9 }}]
  indicator:
    metadata: {{ name: probes }}
    spec:
      ratioMetric:
        counter: true
        good: {{ metricSource: {{ type: probe, spec: {{ target: {service}, outcome: ok }} }} }}
        total: {{ metricSource: {{ type: probe, spec: {{ target: {service} }} }} }}
"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use axum::extract::Query;
    use axum::routing::get;
    use axum::{Json, Router};
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;

    /// Starts an API that lists incidents in pages, newest first.
    async fn listing(incidents: usize) -> Api {
        let list = async move |Query(parameters): Query<BTreeMap<String, String>>| {
            let limit: usize = parameters["limit"].parse().unwrap();
            let first = parameters.get("before").map_or(0, |id| id.parse::<usize>().unwrap() + 1);
            let incident = |id: usize| {
                let cause = if id.is_multiple_of(2) { "burn" } else { "stale" };
                let resolved = (id < 10).then_some(7);
                json!({ "id": id.to_string(), "service": "svc-1", "slo": format!("slo-{id}"), "cause": cause,
                        "detected_at_ms": 1, "resolved_at_ms": resolved })
            };
            let page: Vec<Value> = (first..incidents).take(limit).map(incident).collect();
            Json(json!({ "incidents": page }))
        };
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/api/v1/incidents", get(list));
        tokio::spawn(async { axum::serve(listener, router).await });
        Api { client: programs::http::client().unwrap(), url }
    }

    #[tokio::test]
    async fn all_pages_of_incidents_are_read() {
        for count in [0, 1, PAGE as usize, 2 * PAGE as usize + 500] {
            let api = listing(count).await;
            let ids: Vec<String> = api.incidents().await.unwrap().into_iter().map(|one| one.id).collect();
            assert_eq!(ids, (0..count).map(|id| id.to_string()).collect::<Vec<_>>());
            assert_eq!(api.open().await.unwrap().len(), count.saturating_sub(10).div_ceil(2), "of {count}");
        }
    }
}
