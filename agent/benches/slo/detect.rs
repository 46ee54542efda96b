//! Outages under simulated time, with the agent's own collectors and evaluator: every step from the failing service to
//! the wake-up of the deliveries is real.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lookout_collect::{probe, scrape};
use lookout_config::{Config, Indicator, Scrape, Target};
use lookout_evaluate::{Board, Driver, Snapshot};
use lookout_ledger::{IncidentStore as _, Ledger, MemoryLedger};
use lookout_model::Timestamp;
use lookout_runtime::clock::{Clock, TokioClock};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Source of the counts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Source {
    /// Counters of fifty requests a second, read at the end of every slot of 10 s.
    Scrape,
    /// One probe every 10 s.
    Probe,
}

/// Seconds that a total outage takes to page under the default tiers and 99.9 % over 30 days, by the closed form.
pub(crate) const CLOSED_FORM_S: f64 = 51.84;

/// Health before the outage: every window that matters is full.
const WARM_UP_S: i64 = 3900;
/// Duration of a request, of a probe and of a scrape.
const LATENCY: Duration = Duration::from_millis(20);
const PER_S: f64 = 50.0;
const START: &str = "2026-11-20T00:00:00Z";

/// Service that fails from an instant on, for every request.
struct Service {
    clock: Arc<dyn Clock>,
    start: Timestamp,
    outage_at: Timestamp,
}

#[async_trait]
impl probe::Probe for Service {
    async fn probe(&self, _: &Target) -> probe::Outcome {
        let failed = self.clock.now() >= self.outage_at;
        tokio::time::sleep(LATENCY).await;
        let verdict = match failed {
            true => probe::Verdict::Fail { reason: probe::Reason::Status, detail: "status 503".to_owned() },
            false => probe::Verdict::Ok,
        };
        let phases = probe::Phases::default();
        probe::Outcome {
            verdict,
            total: LATENCY,
            phases,
            status: None,
            summary: None,
            address: None,
            certificate: None,
            steps: Vec::new(),
            received: probe::Received::default(),
            trace_id: "0".repeat(32),
        }
    }
}

#[async_trait]
impl scrape::Fetch for Service {
    async fn fetch(&self, _: &Scrape) -> Result<String, scrape::FetchError> {
        let now = self.clock.now();
        tokio::time::sleep(LATENCY).await;
        let requests = |ms: i64| (ms.max(0) as f64 / 1000.0 * PER_S) as u64;
        let (all, bad) = (requests(now.millis_since(self.start)), requests(now.millis_since(self.outage_at)));
        Ok(format!("requests_total {all}\nerrors_total {bad}\n"))
    }
}

/// Returns the config of an agent with one SLO.
fn config(folder: &Path, source: Source, name: &str) -> Result<Config, String> {
    let (part, total) = match source {
        Source::Scrape => (
            format!(
                "bad: {{ metricSource: {{ type: scrape, spec: {{ source: {name}, selector: errors_total }} }} }}"
            ),
            format!("{{ type: scrape, spec: {{ source: {name}, selector: requests_total }} }}"),
        ),
        Source::Probe => (
            format!("good: {{ metricSource: {{ type: probe, spec: {{ target: {name}, outcome: ok }} }} }}"),
            format!("{{ type: probe, spec: {{ target: {name} }} }}"),
        ),
    };
    let sources = match source {
        Source::Scrape => {
            format!("scrapes:\n  - name: {name}\n    url: http://service.test/metrics\n    up: \"off\"\n")
        }
        Source::Probe => format!(
            "targets:\n  - name: {name}\n    http: {{ url: \"http://service.test/\" }}\n    interval: 10s\n    timeout: 2s\n"
        ),
    };
    let slo = format!(
        "apiVersion: openslo/v1\nkind: SLO\nmetadata: {{ name: availability }}\nspec:\n  service: api\n  \
         description: A request failed.\n  budgetingMethod: Occurrences\n  \
         timeWindow: [{{ duration: 30d, isRolling: true }}]\n  objectives: [{{ target: 0.999 }}]\n  indicator:\n    \
         metadata: {{ name: availability }}\n    spec:\n      ratioMetric:\n        counter: true\n        {part}\n        \
         total: {{ metricSource: {total} }}\n"
    );
    let write = |name: &str, text: &str| {
        std::fs::write(folder.join(name), text).map_err(|error| format!("writing {name}: {error}"))
    };
    write("lookout.yaml", &format!("ledger: lookout.db\ninterval: 10s\n{sources}"))?;
    write("api.slo.yaml", &slo)?;
    let loaded = lookout_config::load_without_secrets(&folder.join("lookout.yaml"));
    loaded.map(|(config, _)| config).map_err(|told| told.render(false))
}

/// Returns the seconds from the beginning of a total outage until the deliveries of its page are woken. The outage
/// begins `phase_ms` into a slot, and the name decides the phase of a probe within its slot.
///
/// # Errors
/// If the config is refused or the incident does not open within ten minutes.
pub(crate) fn seconds_to_page(source: Source, name: &str, phase_ms: i64) -> Result<f64, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let config = config(folder.path(), source, name)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.map_err(|error| error.to_string())?.block_on(outage(config, phase_ms))
}

async fn outage(config: Config, phase_ms: i64) -> Result<f64, String> {
    let start: Timestamp = START.parse().map_err(|error| format!("{error}"))?;
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(start));
    let start = clock.now();
    let outage_at = start.plus_millis(WARM_UP_S * 1000 + phase_ms);
    let service = Arc::new(Service { clock: Arc::clone(&clock), start, outage_at });
    let (config, ledger) = (Arc::new(config), Arc::new(MemoryLedger::default()));
    let (feed, mut observations) = mpsc::channel(64);
    let (wake, stop) = (Arc::new(Notify::new()), CancellationToken::new());
    let restored = Driver::restore(
        Arc::clone(&config),
        Arc::clone(&ledger) as Arc<dyn Ledger>,
        Arc::new(|_| None),
        start,
    );
    let mut driver = restored.await.map_err(|error| error.to_string())?;
    let nothing = Snapshot { at: Snapshot::NEVER, interval_s: 10, ledger_is_down: false, slos: Vec::new() };
    let ports = lookout_evaluate::Ports {
        clock: Arc::clone(&clock),
        board: Board::new(nothing),
        wake: Arc::clone(&wake),
        ledger: Arc::clone(&ledger) as Arc<dyn Ledger>,
    };
    let collectors = collect(&config, &service, feed, &stop);
    let woken = wake.notified();
    let (_reconfigure, mut requests) = mpsc::channel(1);
    let begun = lookout_evaluate::run(&mut driver, (&mut observations, &mut requests), &ports, stop.clone());
    let limit = Duration::from_secs(WARM_UP_S as u64 + 600);
    let woken_at = tokio::select! {
        () = collectors => None,
        () = begun => None,
        () = woken => Some(clock.now()),
        () = tokio::time::sleep(limit) => None,
    };
    let woken_at = woken_at.ok_or("no incident opened")?;
    let open = ledger.open_incidents().await.map_err(|error| error.to_string())?;
    match open.as_slice() {
        [incident]
            if incident.severity == lookout_engine::Severity::Page && incident.detected_at <= woken_at =>
        {
            Ok(woken_at.seconds_since(outage_at))
        }
        other => Err(format!("expected one page, found {other:?}")),
    }
}

async fn collect(
    config: &Config,
    service: &Arc<Service>,
    feed: mpsc::Sender<lookout_collect::Observation>,
    stop: &CancellationToken,
) {
    let clock = Arc::clone(&service.clock);
    let Some(slo) = config.slos.first() else { return };
    match &slo.indicator {
        Indicator::Scrape { ratio, .. } => {
            let Some(source) = config.scrapes.first() else { return };
            let fetch = Arc::clone(service) as Arc<dyn scrape::Fetch>;
            let ports = scrape::Ports { fetch, clock, grid: config.grid, feed };
            let streams = scrape::Streams { ratios: vec![(0, ratio.clone())], up: Vec::new() };
            let (_assign, streams) = watch::channel(streams);
            scrape::watch(Arc::new(source.clone()), streams, ports, stop.clone()).await;
        }
        Indicator::Probe { .. } => {
            let Some(target) = config.targets.first() else { return };
            let prober = Arc::clone(service) as Arc<dyn probe::Probe>;
            let latest = probe::Latest::default();
            let ports = probe::Ports {
                prober,
                clock,
                grid: config.grid,
                feed,
                latest,
                history: probe::ProbeHistory::default(),
                pauses: probe::Pauses::default(),
                rounds: probe::Rounds::default(),
            };
            let assignment = probe::Assignment {
                target: Arc::clone(target),
                streams: vec![0],
                certificates: Vec::new(),
                rounds: Vec::new(),
            };
            let assigned = probe::Assigned::new(assignment);
            probe::watch(assigned, Arc::new(ports), stop.clone()).await;
        }
        _ => {}
    }
}
