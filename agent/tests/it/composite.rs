//! A whole agent under simulated time that watches a journey of two steps: one of them fails, one of them falls silent.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use lookout::agent::{Agent, Clients, Dependencies};
use lookout_collect::probe::{
    Heartbeats, Outcome, Pauses, Phases, Probe, ProbeHistory, Reason, Received, Verdict,
};
use lookout_collect::promql::QueryApi;
use lookout_collect::scrape::{Fetch, FetchError};
use lookout_config::{Config, Destination, DestinationKind, Prometheus, Scrape, Secret, Target, load_with};
use lookout_deliver::{Receiver, Refused};
use lookout_engine::Severity;
use lookout_evaluate::Snapshot;
use lookout_export::detached_recorder;
use lookout_ledger::{IncidentStore as _, Ledger, MemoryLedger};
use lookout_model::{Delivery, Notice, Timestamp};
use lookout_promql::client::{Answer, Error, Question};
use lookout_runtime::clock::{Clock, TokioClock};
use lookout_runtime::random::Random;
use tokio_util::sync::CancellationToken;

const HOUR: i64 = 3600;

/// Faults of targets, in seconds since the start.
type Troubles = BTreeMap<&'static str, (Reason, Range<i64>)>;

struct World {
    clock: Arc<dyn Clock>,
    start: Timestamp,
    troubles: Troubles,
    told: Mutex<Vec<Notice>>,
}

struct Connected(Arc<World>);

#[async_trait]
impl Probe for Connected {
    async fn probe(&self, target: &Target) -> Outcome {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = self.0.clock.now().millis_since(self.0.start) / 1000;
        let trouble = self.0.troubles.get(target.name.as_str()).filter(|(_, when)| when.contains(&now));
        let verdict = trouble.map_or(Verdict::Ok, |(reason, _)| Verdict::Fail {
            reason: *reason,
            detail: "status 503, expected 200-299".to_owned(),
        });
        let total = Duration::from_millis(5);
        Outcome {
            verdict,
            total,
            phases: Phases::default(),
            status: None,
            summary: None,
            address: None,
            certificate: None,
            steps: Vec::new(),
            received: Received::default(),
            trace_id: "0".repeat(32),
        }
    }
}

#[async_trait]
impl Fetch for Connected {
    async fn fetch(&self, _: &Scrape) -> Result<String, FetchError> {
        Ok(String::new())
    }
}

#[async_trait]
impl QueryApi for Connected {
    async fn query(&self, _: &Prometheus, _: &Question) -> Result<Answer, Error> {
        Ok(Answer::default())
    }
}

#[async_trait]
impl Receiver for Connected {
    fn name(&self) -> &str {
        "oncall"
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Option<String>, Refused> {
        self.0.told.lock().unwrap().push(delivery.notice.clone());
        Ok(None)
    }
}

/// Search and booking, the worst of which counts; evaluated in slices of five minutes.
fn config() -> Config {
    let (mut config, _) = load_with(Path::new("config/tests/spec/composite"), &|_| None).unwrap();
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.slos.retain(|slo| slo.name == "journey");
    let kind = DestinationKind::SlackWebhook { url: Secret::new("http://slack.test/") };
    config.destinations = vec![Destination { minimum: Severity::Ticket, ..Destination::new("oncall", kind) }];
    config
}

struct Simulation {
    world: Arc<World>,
    ledger: Arc<MemoryLedger>,
}

impl Simulation {
    fn new(troubles: Troubles) -> Self {
        let start: Timestamp = "2026-11-20T00:00:00Z".parse().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(start));
        let world = World { clock, start, troubles, told: Mutex::default() };
        Self { world: Arc::new(world), ledger: Arc::default() }
    }

    /// Runs an agent until this many seconds after the start, and returns its snapshot.
    async fn run(&self, until_s: i64) -> Arc<Snapshot> {
        let connected = || Connected(Arc::clone(&self.world));
        let clients = Clients {
            fetch: Arc::new(connected()),
            query_api: Arc::new(connected()),
            receivers: vec![Arc::new(connected())],
        };
        let outside = Dependencies {
            clock: Arc::clone(&self.world.clock),
            random: Arc::new(Random::from_seed(7)),
            prober: Arc::new(connected()),
            heartbeats: Heartbeats::new(Arc::clone(&self.world.clock)),
            pauses: Pauses::default(),
            history: ProbeHistory::default(),
            ledger: Arc::clone(&self.ledger) as Arc<dyn Ledger>,
            connect: Arc::new(move |_| Ok(clients.clone())),
            discoverers: Arc::new(|_| unreachable!("nothing is discovered")),
            recorder: detached_recorder(),
        };
        let agent = Agent::build(config(), outside).await.unwrap();
        let board = agent.view().board;
        let stop = CancellationToken::new();
        let script = async {
            let until = self.world.start.plus_millis(until_s * 1000);
            tokio::time::sleep(until.since(self.world.clock.now())).await;
            stop.cancel();
        };
        tokio::join!(script, agent.run(stop.cancelled()));
        board.read()
    }

    /// Returns cause and change of every message.
    fn told(&self) -> Vec<(String, String)> {
        let told = self.world.told.lock().unwrap();
        told.iter()
            .map(|notice| (notice.incident.cause.as_str().to_owned(), notice.change.to_string()))
            .collect()
    }
}

fn words(told: &[(&str, &str)]) -> Vec<(String, String)> {
    told.iter().map(|(cause, change)| ((*cause).to_owned(), (*change).to_owned())).collect()
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn one_step_of_two_that_fails_is_one_incident_also_over_a_restart() {
    let outage = 4 * HOUR..4 * HOUR + 1200;
    let simulation = Simulation::new(Troubles::from([("booking", (Reason::Status, outage))]));
    let burning = simulation.run(4 * HOUR + 900).await;
    let status = &burning.slos[0];
    assert_eq!((status.source.as_str(), status.evidence.data_state.as_str()), ("composite", "ok"));
    let shares = |burning: &Snapshot| -> Vec<_> {
        let components = burning.slos[0].evidence.components.iter();
        components.map(|one| (one.title.clone(), one.lately_bad > 0, one.lately_burn_share)).collect()
    };
    let blamed = [("Search".to_owned(), false, Some(0.0)), ("Booking".to_owned(), true, Some(1.0))];
    assert_eq!(shares(&burning), blamed);

    // a quarter of an hour later by another agent, from the ledger alone
    let after = simulation.run(4 * HOUR + 1810).await;
    assert_eq!(shares(&after), blamed);
    assert_eq!(after.slos[0].evidence.total, 4 * 12 + 6, "in slices");
    // its ticket looks at the last 36 hours: five minutes of failure are many where a slice is five minutes
    simulation.run(60 * HOUR).await;
    assert_eq!(simulation.told(), words(&[("burn", "opened"), ("burn", "eased"), ("burn", "resolved")]));
    let incidents = simulation.ledger.incidents(None, 10).await.unwrap();
    assert_eq!(incidents.len(), 1, "{incidents:?}");
    let opened_s = incidents[0].detected_at.millis_since(simulation.world.start) / 1000 - 4 * HOUR;
    assert_eq!(opened_s, 300, "at the end of the first bad slice");
    let opened = &simulation.world.told.lock().unwrap()[0];
    assert_eq!(opened.evidence.components[1].title, "Booking");
    assert_eq!(opened.last_failure.as_deref(), Some("status: status 503, expected 200-299"));
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_step_that_falls_silent_is_told_by_name_and_pages_no_one_for_the_burn() {
    // what this machine lacks says nothing about the target: its slots are missed
    let silence = 4 * HOUR..5 * HOUR;
    let simulation = Simulation::new(Troubles::from([("search", (Reason::Resources, silence))]));
    let silent = simulation.run(5 * HOUR - 60).await;
    let evidence = &silent.slos[0].evidence;
    assert_eq!(evidence.data_state, lookout_engine::DataState::Partial);
    let states: Vec<_> = evidence.components.iter().map(|one| one.data_state.as_str()).collect();
    assert_eq!(states, ["stale", "ok"]);
    let age = silent.slos[0].data_age_s.unwrap();
    assert!((3500.0..3600.0).contains(&age), "the age of the oldest: {age}");
    simulation.run(6 * HOUR).await;
    assert_eq!(simulation.told(), words(&[("data_missing", "opened"), ("data_missing", "resolved")]));
}
