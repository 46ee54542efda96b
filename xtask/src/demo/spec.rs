//! The files the demo writes for its agent, and what follows from their numbers alone.
//!
//! Everything stands as in production; only the periods are short.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::receiver::CHANNEL;

/// The route that is used, broken and measured.
pub(super) const ROUTE: &str = "/api/v1/passengers";
/// The service everything belongs to.
pub(super) const SERVICE: &str = "titanic";
/// The SLO that the fault breaks.
pub(super) const BROKEN: &str = "requests-availability";
/// The SLO that counts every request of the story.
pub(super) const COUNTING: &str = "requests-latency";
/// The SLO of the probes of `/health`.
pub(super) const HEALTH: &str = "probes-availability";
/// The SLO of the journey.
pub(super) const JOURNEY: &str = "journey";
/// Seconds between journeys.
pub(super) const JOURNEY_INTERVAL_S: u32 = 1;
/// Share of requests that fail once the fault is on, in percent: a total outage, of which `lookout check` promises when it
/// pages.
pub(super) const FAULT_PERCENT: u32 = 100;
/// Seconds between evaluations.
pub(super) const INTERVAL_S: u32 = 1;
/// The environment variable through which the agent gets its Slack token.
pub(super) const TOKEN_VARIABLE: &str = "LOOKOUT_DEMO_SLACK_TOKEN";

/// The environment variable through which the agent gets its key for changes.
pub(super) const KEY_VARIABLE: &str = "LOOKOUT_DEMO_API_KEY";

/// Objective of the broken SLO in percent.
const OBJECTIVE_PERCENT: u32 = 90;
/// Its tiers.
pub(super) const TIERS: [Tier; 2] = [
    Tier { severity: "page", long_s: 10, short_s: 2, factor: 2 },
    Tier { severity: "ticket", long_s: 20, short_s: 5, factor: 1 },
];

/// A long and a short window with the burn rate that must be exceeded in both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tier {
    severity: &'static str,
    pub(super) long_s: u32,
    short_s: u32,
    factor: u32,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}s/{}s x{}", self.severity, self.long_s, self.short_s, self.factor)
    }
}

impl Tier {
    /// The share of bad events above which the tier fires.
    pub(super) fn threshold(&self) -> f64 {
        f64::from(self.factor) * f64::from(100 - OBJECTIVE_PERCENT) / 100.0
    }

    /// Seconds from the fault to firing when events are exact: long × factor ÷ burn.
    fn detection_s(&self) -> f64 {
        f64::from(self.long_s) * f64::from(self.factor) / burn()
    }

    /// Seconds from the end of the fault to letting go: short × (1 − factor ÷ burn).
    fn reset_s(&self) -> f64 {
        f64::from(self.short_s) * (1.0 - f64::from(self.factor) / burn())
    }
}

/// The burn rate of the fault.
pub(super) fn burn() -> f64 {
    f64::from(FAULT_PERCENT) / f64::from(100 - OBJECTIVE_PERCENT)
}

/// The earliest that any agent could open the incident, in seconds after the fault.
pub(super) fn detection_s() -> f64 {
    TIERS.iter().map(Tier::detection_s).fold(f64::INFINITY, f64::min)
}

/// The earliest that any agent could resolve it, in seconds after the fault ended.
pub(super) fn reset_s() -> f64 {
    TIERS.iter().map(Tier::reset_s).fold(0.0, f64::max)
}

/// Seconds without a fault after which every window that matters is full, so that the closed form is exact.
pub(super) fn warm_up_s() -> u32 {
    TIERS.iter().map(|tier| tier.long_s).max().unwrap_or_default() + 2
}

/// The addresses the files mention.
pub(super) struct Neighbours {
    pub(super) service: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) slack: SocketAddr,
    pub(super) alertmanager: Option<SocketAddr>,
}

/// Writes the agent's config and its SLOs below `folder`. Returns the path of the config.
pub(super) fn write(folder: &Path, neighbours: &Neighbours) -> Result<PathBuf> {
    let slos = folder.join("slo");
    std::fs::create_dir_all(&slos).with_context(|| format!("making {}", slos.display()))?;
    let config = folder.join("lookout.yaml");
    for (path, text) in [
        (&config, lookout_yaml(neighbours)),
        (&slos.join("probes-availability.slo.yaml"), probes_availability()),
        (&slos.join("requests-availability.slo.yaml"), requests_availability()),
        (&slos.join("requests-latency.slo.yaml"), requests_latency()),
    ] {
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(config)
}

/// Adds a client's journey to the files.
pub(super) fn add_journey(folder: &Path, service: SocketAddr) -> Result<()> {
    let config = folder.join("lookout.yaml");
    let text = std::fs::read_to_string(&config).with_context(|| format!("reading {}", config.display()))?;
    let text = text.replacen("\nscrapes:", &format!("\n{}scrapes:", journey_target(service)), 1);
    let slo = folder.join("slo/journey.slo.yaml");
    for (path, text) in [(slo, journey()), (config, text)] {
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn journey_target(service: SocketAddr) -> String {
    format!(
        r#"  - name: journey
    off_without: ${{{KEY_VARIABLE}:-}}
    journey:
      variables: {{ list: "http://{service}{ROUTE}", key: "${{{KEY_VARIABLE}:-}}" }}
      steps:
        - name: list
          http: {{ url: "{{{{list}}}}?limit=1" }}
          extract: {{ first: 'json("$.items[0].id")' }}
        - name: read
          http: {{ url: "{{{{list}}}}/{{{{first}}}}" }}
        - name: add
          http:
            url: "{{{{list}}}}"
            method: POST
            headers: {{ content-type: application/json }}
            bearer_token: "{{{{key}}}}"
            body: '{{"name": "Lookout, Mr. Journey", "class": 3, "sex": "male", "survived": true}}'
            expect: {{ status: 201 }}
          extract: {{ added: 'json("$.id")' }}
        - name: read-back
          http: {{ url: "{{{{list}}}}/{{{{added}}}}" }}
        - name: remove
          always: true
          http: {{ url: "{{{{list}}}}/{{{{added}}}}", method: DELETE, bearer_token: "{{{{key}}}}" }}
    interval: {JOURNEY_INTERVAL_S}s
    timeout: 900ms
"#
    )
}

fn journey() -> String {
    let indicator = probe_ratio("journey");
    slo(JOURNEY, "A client can change the list", "10m", "0.9", "page 6s/2s x2", &indicator)
}

fn lookout_yaml(neighbours: &Neighbours) -> String {
    let Neighbours { service, admin, slack, alertmanager } = neighbours;
    let alertmanager = alertmanager.map_or_else(String::new, |address| {
        format!("  - name: alertmanager\n    alertmanager:\n      urls: [\"http://{address}\"]\n")
    });
    format!(
        r##"listen: 127.0.0.1:0
ledger: lookout.db
interval: {INTERVAL_S}s
slos: ["slo/*.slo.yaml"]
targets:
  - name: health
    http:
      url: http://{service}/health
      expect:
        status: [200]
    interval: 2s
    timeout: 900ms
scrapes:
  - name: {SERVICE}
    url: http://{admin}/metrics
    timeout: 900ms
    job: {SERVICE}
    up: "off"
destinations:
  - name: oncall
    slack:
      token: ${{{TOKEN_VARIABLE}}}
      channel: "{CHANNEL}"
      api_url: http://{slack}/api/
{alertmanager}generate:
  alerts: alerts
  dashboards: dashboards
  runbooks: runbooks
"##
    )
}

/// One OpenSLO document: its head, and the two sources that `indicator` names.
fn slo(name: &str, description: &str, period: &str, target: &str, tiers: &str, indicator: &str) -> String {
    format!(
        r#"apiVersion: openslo/v1
kind: SLO
metadata:
  name: {name}
  annotations:
    lookout.dev/tiers: "{tiers}"
spec:
  service: {SERVICE}
  description: {description}
  budgetingMethod: Occurrences
  timeWindow:
    - duration: {period}
      isRolling: true
  objectives:
    - target: {target}
  indicator:
    metadata:
      name: {name}
    spec:
{indicator}"#
    )
}

/// `which` (`good` or `bad`) series of all series, as the ratio of an indicator.
fn ratio(which: &str, counted: &str, total: &str) -> String {
    let source = |selector: &str| {
        format!(
            "          metricSource:\n            type: scrape\n            spec:\n              \
             source: {SERVICE}\n              selector: '{selector}'\n"
        )
    };
    format!(
        "      ratioMetric:\n        counter: true\n        {which}:\n{}        total:\n{}",
        source(counted),
        source(total)
    )
}

fn requests_availability() -> String {
    let total = format!(r#"http_server_request_duration_seconds_count{{http_route="{ROUTE}"}}"#);
    let bad = format!(
        r#"http_server_request_duration_seconds_count{{http_route="{ROUTE}",http_response_status_code=~"5.."}}"#
    );
    let tiers = TIERS.iter().map(Tier::to_string).collect::<Vec<_>>().join("; ");
    let target = format!("0.{OBJECTIVE_PERCENT}");
    slo(BROKEN, "The passenger list answers", "10m", &target, &tiers, &ratio("bad", &bad, &total))
}

fn requests_latency() -> String {
    let total = format!(r#"http_server_request_duration_seconds_count{{http_route="{ROUTE}"}}"#);
    let good = format!(r#"http_server_request_duration_seconds_bucket{{http_route="{ROUTE}",le="0.25"}}"#);
    let indicator = ratio("good", &good, &total);
    slo(COUNTING, "The passenger list answers within 250 ms", "1h", "0.9", "page 2m/10s x9", &indicator)
}

fn probes_availability() -> String {
    slo(HEALTH, "The service is healthy", "1h", "0.99", "page 2m/10s x14.4", &probe_ratio("health"))
}

/// Good probes of all probes of a target, as the ratio of an indicator.
fn probe_ratio(target: &str) -> String {
    format!(
        "      ratioMetric:\n        counter: true\n        good:\n          metricSource:\n            \
         type: probe\n            spec:\n              target: {target}\n              outcome: ok\n        total:\n          \
         metricSource:\n            type: probe\n            spec:\n              target: {target}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closed_form_of_the_design() {
        assert!((detection_s() - 10.0 * 2.0 / 10.0).abs() < 1e-9, "{}", detection_s());
        assert!((reset_s() - 5.0 * (1.0 - 1.0 / 10.0)).abs() < 1e-9, "{}", reset_s());
        assert_eq!(warm_up_s(), 22);
    }

    #[test]
    fn the_tiers_are_written_as_the_agent_reads_them() {
        assert!(requests_availability().contains(r#"lookout.dev/tiers: "page 10s/2s x2; ticket 20s/5s x1""#));
        assert!(requests_availability().contains("target: 0.90"));
    }
}
