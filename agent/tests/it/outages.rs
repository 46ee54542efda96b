//! Outages that leave no bad event: a service that refuses connections, one that starts again and again, and one that
//! nobody reaches. The agent has its defaults, under simulated time.

use lookout_collect::scrape::FetchError;
use lookout_config::{Config, Destination, DestinationKind, Secret, load_with};
use lookout_engine::{Cause, DataState, Severity};
use lookout_model::{IncidentRecord, Timestamp};

use super::simulated::{Event, HOUR, START, Simulation};

const CONFIG: &str = "
listen: 127.0.0.1:0
interval: 10s
scrapes: [{ name: api, url: \"http://api.test/metrics\" }]
";

const SPEC: &str = r#"
apiVersion: openslo/v1
kind: SLO
metadata: { name: requests }
spec:
  service: api
  budgetingMethod: Occurrences
  timeWindow: [{ duration: 30d, isRolling: true }]
  objectives: [{ targetPercent: 99.9 }]
  indicator:
    spec:
      ratioMetric:
        counter: true
        bad: { metricSource: { type: scrape, spec: { source: api, selector: 'requests_total{code="500"}' } } }
        total: { metricSource: { type: scrape, spec: { source: api, selector: requests_total } } }
"#;

pub(super) fn config() -> Config {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lookout.yaml"), CONFIG).unwrap();
    std::fs::write(folder.path().join("requests.slo.yaml"), SPEC).unwrap();
    let (mut config, _) = load_with(folder.path(), &|_| None).unwrap();
    let kind = DestinationKind::SlackWebhook { url: Secret::new("http://slack.test/") };
    config.destinations = vec![Destination { minimum: Severity::Ticket, ..Destination::new("oncall", kind) }];
    config
}

/// Metrics of a process, by the second since the start of the simulation at which it started.
pub(super) fn metrics(started_s: i64, good: i64, bad: i64) -> String {
    let started = START.parse::<Timestamp>().unwrap().as_seconds() + started_s;
    format!(
        "process_start_time_seconds {started}\nrequests_total{{code=\"200\"}} {good}\n\
         requests_total{{code=\"500\"}} {bad}\n"
    )
}

/// Metrics of a process that has run for an hour, with ten good requests a second.
pub(super) fn healthy(second: i64) -> Result<String, FetchError> {
    Ok(metrics(-HOUR, 36_000 + 10 * second, 0))
}

async fn incident_of(simulation: &Simulation, slo: &str, cause: Cause) -> IncidentRecord {
    let incidents = simulation.incidents().await;
    let found = incidents.iter().find(|incident| incident.slo == slo && incident.cause == cause);
    found.cloned().unwrap_or_else(|| panic!("{slo} has no {cause:?}: {incidents:?}"))
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_service_that_refuses_connections_pages() {
    let simulation = Simulation::of(config());
    *simulation.world.exposition.lock().unwrap() = healthy;
    let refuse: Event = |world| {
        *world.exposition.lock().unwrap() = |_| Err(FetchError::Connect("connection refused".to_owned()));
    };
    simulation.run(3 * HOUR, &[(2 * HOUR, refuse)]).await;
    let page = incident_of(&simulation, "up", Cause::Burn).await;
    assert_eq!(page.severity, Severity::Page);
    let late = page.detected_at.millis_since(simulation.start) / 1000 - 2 * HOUR;
    assert!((10..=300).contains(&late), "paged {late} s after the first refusal");
    assert_eq!(simulation.incidents().await.len(), 1, "one outage is one incident");
    let shown = simulation.shown();
    let requests = shown.slos.iter().find(|slo| slo.slo == "requests").unwrap();
    assert_eq!(requests.evidence.data_state, DataState::Stale, "its counters are unknown, not bad");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn counters_that_vanish_from_a_page_that_answers_are_missing_data() {
    let simulation = Simulation::of(config());
    *simulation.world.exposition.lock().unwrap() = healthy;
    let refuse: Event = |world| {
        *world.exposition.lock().unwrap() = |_| Err(FetchError::Connect("connection refused".to_owned()));
    };
    // the neighbour answers again, but its page has lost the counters
    let vanish: Event = |world| *world.exposition.lock().unwrap() = |_| Ok("other_total 1\n".to_owned());
    simulation.run(6 * HOUR, &[(2 * HOUR, refuse), (2 * HOUR + 600, vanish)]).await;
    let outage = incident_of(&simulation, "up", Cause::Burn).await;
    let over = outage.resolved_at.unwrap();
    let data = incident_of(&simulation, "requests", Cause::DataMissing).await;
    assert_eq!(data.severity, Severity::Ticket);
    assert!(data.detected_at >= over, "the outage told it until then");
    assert!(data.detected_at.millis_since(over) <= 60_000, "told when the outage no longer explains it");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_crash_loop_is_no_idle_service() {
    let simulation = Simulation::of(config());
    *simulation.world.exposition.lock().unwrap() = healthy;
    // every scrape meets a new process, which has failed a hundred requests since it started three seconds ago
    let crash: Event = |world| *world.exposition.lock().unwrap() = |second| Ok(metrics(second - 3, 0, 100));
    simulation.run(2 * HOUR + 300, &[(2 * HOUR, crash)]).await;
    let page = incident_of(&simulation, "up", Cause::CrashLoop).await;
    assert_eq!(page.severity, Severity::Page);
    let late = page.detected_at.millis_since(simulation.start) / 1000 - 2 * HOUR;
    assert!((10..=50).contains(&late), "the third start is a crash loop: paged after {late} s");
    let burn = incident_of(&simulation, "requests", Cause::Burn).await;
    assert_eq!(burn.severity, Severity::Page, "every failure of a new process counts");
    let shown = simulation.shown();
    let requests = shown.slos.iter().find(|slo| slo.slo == "requests").unwrap();
    assert!(requests.evidence.bad >= 2_900, "{} bad events of 3,000", requests.evidence.bad);
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_service_that_nobody_reaches_opens_a_ticket_unless_that_is_normal() {
    for normal in [false, true] {
        let mut config = config();
        if normal {
            config.slos.iter_mut().for_each(|slo| slo.policy.conditions.clear());
        }
        let simulation = Simulation::of(config);
        *simulation.world.exposition.lock().unwrap() = healthy;
        let quiet: Event = |world| *world.exposition.lock().unwrap() = |_| healthy(2 * HOUR);
        simulation.run(4 * HOUR, &[(2 * HOUR, quiet)]).await;
        if normal {
            assert_eq!(simulation.incidents().await, []);
            continue;
        }
        let ticket = incident_of(&simulation, "requests", Cause::TrafficMissing).await;
        assert_eq!(ticket.severity, Severity::Ticket);
        let second = |at: Timestamp| at.millis_since(simulation.start) / 1000 - 2 * HOUR;
        assert!((3600..=3640).contains(&second(ticket.detected_at)), "{} s", second(ticket.detected_at));
        assert!((-10..=20).contains(&second(ticket.started_at.unwrap())), "the first slot without an event");
    }
}
