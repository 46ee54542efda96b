//! A whole agent under simulated time: hours pass in milliseconds, with every dependency in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use lookout::agent::{Agent, Clients, Dependencies, Reloader};
use lookout_collect::discover::{Discoverer, DiscoveryError};
use lookout_collect::probe::{
    Heartbeats, Outcome, Pauses, Phases, Probe, ProbeHistory, Reason, Received, Verdict,
};
use lookout_collect::promql::QueryApi;
use lookout_collect::scrape::{Fetch, FetchError};
use lookout_config::{
    Config, Destination, DestinationKind, FoundAddress, Prometheus, Scrape, Secret, Target, UrlOptions,
    config_of_urls,
};
use lookout_deliver::{Receiver, Refused, Retry};
use lookout_engine::{Grid, Period, Severity, Tier, Window};
use lookout_evaluate::{Board, Snapshot};
use lookout_export::detached_recorder;
use lookout_ledger::{CountStore as _, IncidentStore as _, Ledger, MemoryLedger};
use lookout_model::{Delivery, IncidentRecord, Timestamp};
use lookout_promql::client::{Answer, Error, Question};
use lookout_runtime::clock::{Clock, TokioClock};
use lookout_runtime::random::Random;
use tokio_util::sync::CancellationToken;

mod disk;

pub(super) use disk::Disk;

/// Wall time at the start of every simulation, and the seed of its randomness.
pub(super) const START: &str = "2026-11-20T00:00:00Z";
const SEED: u64 = 7;

/// Event in the world while the agent runs.
pub(super) type Event = fn(&World);

/// Clock that can be set.
pub(super) struct SetClock {
    running: TokioClock,
    pub(super) ahead_ms: AtomicI64,
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        self.running.now().plus_millis(self.ahead_ms.load(Ordering::SeqCst))
    }
}

/// Environment of the agent, by seconds since the start.
pub(super) struct World {
    pub(super) clock: Arc<SetClock>,
    pub(super) fault: Mutex<Option<(i64, i64)>>,
    receiver_is_dead: AtomicBool,
    pub(super) ledger_fails: AtomicBool,
    /// `change` and incident of every message that arrived.
    told: Mutex<Vec<(String, String)>>,
    probes: AtomicU64,
    /// True if no probe ends any more.
    pub(super) hang: AtomicBool,
    /// Starts of the probes of every target.
    pub(super) starts: Mutex<BTreeMap<String, Vec<Timestamp>>>,
    /// Targets that no fault touches.
    pub(super) spared: Mutex<BTreeSet<String>>,
    /// Result of a lookup of addresses.
    pub(super) addresses: Mutex<Result<Vec<FoundAddress>, DiscoveryError>>,
    /// Result of a scrape, by the second since the start.
    pub(super) exposition: Mutex<fn(i64) -> Result<String, FetchError>>,
}

struct Connected {
    world: Arc<World>,
    clock: Arc<dyn Clock>,
    start: Timestamp,
}

impl Connected {
    fn faulty(&self) -> bool {
        let now = self.clock.now().millis_since(self.start) / 1000;
        self.world.fault.lock().unwrap().is_some_and(|(from, to)| (from..to).contains(&now))
    }
}

#[async_trait]
impl Probe for Connected {
    async fn probe(&self, target: &Target) -> Outcome {
        self.world.probes.fetch_add(1, Ordering::SeqCst);
        let now = self.clock.now();
        self.world.starts.lock().unwrap().entry(target.name.clone()).or_default().push(now);
        tokio::time::sleep(Duration::from_millis(5)).await;
        if self.world.hang.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let is_spared = self.world.spared.lock().unwrap().contains(&target.name);
        let verdict = if self.faulty() && !is_spared {
            Verdict::Fail { reason: Reason::Status, detail: "status 503, expected 200-299".to_owned() }
        } else {
            Verdict::Ok
        };
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
        let exposition = *self.world.exposition.lock().unwrap();
        exposition(self.clock.now().millis_since(self.start) / 1000)
    }
}

#[async_trait]
impl Discoverer for Connected {
    async fn discover(&self) -> Result<Option<Vec<FoundAddress>>, DiscoveryError> {
        self.world.addresses.lock().unwrap().clone().map(Some)
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
        if self.world.receiver_is_dead.load(Ordering::SeqCst) {
            return Err(Refused { error: "connection refused".to_owned(), retry: Retry::BackOff });
        }
        let notice = &delivery.notice;
        self.world.told.lock().unwrap().push((notice.change.to_string(), notice.incident.id.clone()));
        Ok(None)
    }
}

fn config() -> Config {
    config_of(&["http://service.test/health".to_owned()])
}

/// Returns the configuration of an agent that probes some URLs.
pub(super) fn config_of(urls: &[String]) -> Config {
    let urls: Vec<_> = urls.iter().map(|url| url.parse().unwrap()).collect();
    let mut config = config_of_urls(&urls, &UrlOptions::default());
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.grid = Grid::try_new(10).unwrap();
    for target in config.targets.iter_mut().map(Arc::make_mut) {
        target.interval = Duration::from_secs(10);
        target.timeout = Duration::from_secs(5);
    }
    for slo in &mut config.slos {
        slo.policy.grid = config.grid;
        slo.policy.period = Period::Rolling(Window::days(30));
        slo.policy.tiers = Tier::defaults(slo.period());
        slo.policy.stale_after_seconds = 35;
    }
    let kind = DestinationKind::SlackWebhook { url: Secret::new("http://slack.test/") };
    config.destinations = vec![Destination { minimum: Severity::Page, ..Destination::new("oncall", kind) }];
    config
}

pub(super) struct Simulation {
    pub(super) world: Arc<World>,
    pub(super) ledger: Arc<Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) start: Timestamp,
    /// Pauses that operators make.
    pub(super) pauses: Pauses,
    /// The newest snapshot of the last agent.
    shown: Mutex<Option<(Arc<Snapshot>, Timestamp)>>,
    config: Config,
}

impl Simulation {
    /// Returns a simulation of an agent with another configuration.
    pub(super) fn of(config: Config) -> Self {
        Self { config, ..Self::new() }
    }

    pub(super) fn new() -> Self {
        let start: Timestamp = START.parse().unwrap();
        let running = TokioClock::starting_at(start);
        let clock = Arc::new(SetClock { running, ahead_ms: AtomicI64::new(0) });
        let world = Arc::new(World {
            clock: Arc::clone(&clock),
            fault: Mutex::default(),
            receiver_is_dead: AtomicBool::default(),
            ledger_fails: AtomicBool::default(),
            told: Mutex::default(),
            probes: AtomicU64::default(),
            hang: AtomicBool::default(),
            starts: Mutex::default(),
            spared: Mutex::default(),
            addresses: Mutex::new(Ok(Vec::new())),
            exposition: Mutex::new(|_| Ok(String::new())),
        });
        Self {
            ledger: Arc::new(Disk { memory: MemoryLedger::default(), world: Arc::clone(&world) }),
            clock,
            start,
            world,
            pauses: Pauses::default(),
            shown: Mutex::default(),
            config: config(),
        }
    }

    /// Sets the result of scrapes, by the second since the start.
    pub(super) fn expose(&self, exposition: fn(i64) -> Result<String, FetchError>) {
        *self.world.exposition.lock().unwrap() = exposition;
    }

    /// Runs an agent until this many seconds after the start, with the events at their times.
    pub(super) async fn run(&self, until_s: i64, events: &[(i64, Event)]) {
        let script = async |_: &Board| {
            for (second, happen) in events {
                self.sleep_until(*second).await;
                happen(&self.world);
            }
            self.sleep_until(until_s).await;
        };
        self.run_while(script).await;
    }

    /// Runs an agent until this many seconds after the start. Nothing that happens after that is stored, as if it was killed.
    pub(super) async fn run_until_killed(&self, at_s: i64) {
        let killed = async |_: &Board| {
            self.sleep_until(at_s).await;
            self.world.ledger_fails.store(true, Ordering::SeqCst);
        };
        self.run_while(killed).await;
        self.world.ledger_fails.store(false, Ordering::SeqCst);
    }

    /// Runs an agent until a script ends, which gets the agent's snapshots.
    pub(super) async fn run_while(&self, script: impl AsyncFnOnce(&Board)) {
        self.run_reloading(async |board, _| script(board).await).await;
    }

    /// Runs an agent until a script ends, which may give it another configuration.
    pub(super) async fn run_reloading(&self, script: impl AsyncFnOnce(&Board, &Reloader)) {
        let agent = self.build().await;
        let (board, reloader) = (agent.view().board, agent.reloader());
        let stop = CancellationToken::new();
        let script = async {
            script(&board, &reloader).await;
            *self.shown.lock().unwrap() = Some((board.read(), self.clock.now()));
            stop.cancel();
        };
        tokio::join!(script, agent.run(stop.cancelled()));
    }

    async fn build(&self) -> Agent {
        let (world, clock, start) = (Arc::clone(&self.world), Arc::clone(&self.clock), self.start);
        let connected = move || Connected { world: Arc::clone(&world), clock: Arc::clone(&clock), start };
        let clients = Clients {
            fetch: Arc::new(connected()),
            query_api: Arc::new(connected()),
            receivers: vec![Arc::new(connected())],
        };
        let outside = Dependencies {
            clock: Arc::clone(&self.clock),
            random: Arc::new(Random::from_seed(SEED)),
            prober: Arc::new(connected()),
            heartbeats: Heartbeats::new(Arc::clone(&self.clock)),
            pauses: self.pauses.clone(),
            history: ProbeHistory::default(),
            ledger: Arc::clone(&self.ledger) as Arc<dyn Ledger>,
            connect: Arc::new(move |_| Ok(clients.clone())),
            discoverers: Arc::new(move |_| Arc::new(connected())),
            recorder: detached_recorder(),
        };
        Agent::build(self.config.clone(), outside).await.unwrap()
    }

    pub(super) async fn sleep_until(&self, second: i64) {
        let until = self.start.plus_millis(second * 1000);
        tokio::time::sleep(until.since(self.clock.now())).await;
    }

    /// Returns the snapshot of the last agent at the end of its script.
    pub(super) fn shown(&self) -> Arc<Snapshot> {
        self.shown.lock().unwrap().clone().unwrap().0
    }

    /// Returns the end of the last script. The agent ends later: its server is awaited in real time, in which the clock jumps.
    pub(super) fn ended(&self) -> Timestamp {
        self.shown.lock().unwrap().clone().unwrap().1
    }

    pub(super) fn told(&self) -> Vec<String> {
        self.world.told.lock().unwrap().iter().map(|(change, _)| change.clone()).collect()
    }

    pub(super) async fn incidents(&self) -> Vec<IncidentRecord> {
        self.ledger.incidents(None, 10).await.unwrap()
    }

    /// Good and bad events in the ledger.
    pub(super) async fn counted(&self) -> (u64, u64) {
        let id = config().slos[0].id();
        let counts = self.ledger.counts(&id, Timestamp::EPOCH).await.unwrap().total();
        (counts.good, counts.bad)
    }
}

pub(super) const HOUR: i64 = 3600;

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_ten_minute_outage_is_one_page_one_easing_and_one_end() {
    let simulation = Simulation::new();
    *simulation.world.fault.lock().unwrap() = Some((4 * HOUR, 4 * HOUR + 600));
    simulation.run(14 * HOUR, &[]).await;

    assert_eq!(simulation.told(), ["opened", "eased", "resolved"], "seed {SEED}");
    let incidents = simulation.incidents().await;
    assert_eq!(incidents.len(), 1);
    let opened_s = incidents[0].detected_at.millis_since(simulation.start) / 1000 - 4 * HOUR;
    // 51.84 s on exact events; a probe every 10 s and an evaluation every 10 s
    assert!((52..=70).contains(&opened_s), "opened {opened_s} s after the fault");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn every_probe_is_counted_exactly_once() {
    let simulation = Simulation::new();
    *simulation.world.fault.lock().unwrap() = Some((HOUR, HOUR + 300));
    simulation.run(10 * HOUR, &[]).await;
    let probes = simulation.world.probes.load(Ordering::SeqCst);
    let (good, bad) = simulation.counted().await;
    assert_eq!(good + bad, probes);
    assert_eq!(bad, 30, "five minutes of one probe in ten seconds");
    assert!((3598..=3601).contains(&probes), "{probes} probes in ten hours");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_dead_receiver_hears_everything_in_order_when_it_is_back() {
    let simulation = Simulation::new();
    *simulation.world.fault.lock().unwrap() = Some((4 * HOUR, 4 * HOUR + 600));
    simulation.world.receiver_is_dead.store(true, Ordering::SeqCst);
    let back: Event = |world| {
        assert!(world.told.lock().unwrap().is_empty());
        world.receiver_is_dead.store(false, Ordering::SeqCst);
    };
    simulation.run(14 * HOUR, &[(5 * HOUR, back)]).await;
    assert_eq!(simulation.told(), ["opened", "eased", "resolved"], "seed {SEED}");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_full_disk_loses_no_count_and_no_page() {
    let simulation = Simulation::new();
    *simulation.world.fault.lock().unwrap() = Some((4 * HOUR, 4 * HOUR + 600));
    let full: Event = |world| world.ledger_fails.store(true, Ordering::SeqCst);
    let room: Event = |world| {
        assert!(world.told.lock().unwrap().is_empty(), "what is not stored is not told");
        world.ledger_fails.store(false, Ordering::SeqCst);
    };
    simulation.run(14 * HOUR, &[(4 * HOUR - 60, full), (4 * HOUR + 300, room)]).await;
    assert_eq!(simulation.told(), ["opened", "eased", "resolved"], "seed {SEED}");
    let (good, bad) = simulation.counted().await;
    assert_eq!(good + bad, simulation.world.probes.load(Ordering::SeqCst));
    assert_eq!(bad, 60);
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn an_agent_that_was_away_takes_up_where_it_was() {
    let simulation = Simulation::new();
    *simulation.world.fault.lock().unwrap() = Some((4 * HOUR, 4 * HOUR + 1800));
    simulation.run(4 * HOUR + 300, &[]).await;
    let before = simulation.incidents().await;
    assert_eq!((before.len(), simulation.told().len()), (1, 1));
    // ten minutes without an agent
    simulation.sleep_until(4 * HOUR + 900).await;
    simulation.run(14 * HOUR, &[]).await;
    let after = simulation.incidents().await;
    assert_eq!(after.len(), 1, "no second incident");
    assert_eq!((&after[0].id, after[0].detected_at), (&before[0].id, before[0].detected_at));
    assert_eq!(simulation.told(), ["opened", "eased", "resolved"], "seed {SEED}");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_clock_set_back_by_an_hour_hides_no_outage() {
    let simulation = Simulation::new();
    *simulation.world.fault.lock().unwrap() = Some((3 * HOUR + 1200, 3 * HOUR + 1800));
    let back: Event = |world| world.clock.ahead_ms.store(-HOUR * 1000, Ordering::SeqCst);
    // the outage of 3:20 by the wall clock happens after it was set back from 4:00 to 3:00
    let calm: Event = |world| *world.fault.lock().unwrap() = None;
    let again: Event = |world| *world.fault.lock().unwrap() = Some((3 * HOUR + 1200, 3 * HOUR + 1800));
    let events = [(3 * HOUR, calm), (4 * HOUR, back), (3 * HOUR + 600, again)];
    simulation.run(14 * HOUR, &events).await;
    let told = simulation.told();
    assert_eq!(told.first().map(String::as_str), Some("opened"), "{told:?}");
    let incidents = simulation.incidents().await;
    assert_eq!(incidents.len(), 1);
    let late_s = incidents[0].detected_at.millis_since(simulation.start) / 1000 - (3 * HOUR + 1200);
    assert!((52..=90).contains(&late_s), "opened {late_s} s after the fault");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_clock_set_ahead_by_an_hour_tells_no_one() {
    let simulation = Simulation::new();
    let ahead: Event = |world| world.clock.ahead_ms.store(HOUR * 1000, Ordering::SeqCst);
    simulation.run(8 * HOUR, &[(4 * HOUR, ahead)]).await;
    assert_eq!(simulation.incidents().await, [], "seed {SEED}");
}

/// A fault without an end.
const ENDLESS: Option<(i64, i64)> = Some((i64::MIN, i64::MAX));

/// A total outage from the fourth hour on. Ten minutes later the clock is set to another time, in seconds since the start;
/// after another half an hour by that clock the outage is over. The agent runs on, or is started again after the step.
async fn clock_set_within_an_outage(to: i64, restarts: bool) {
    let simulation = Simulation::new();
    let set = || {
        let ahead = to - (4 * HOUR + 600);
        simulation.world.clock.ahead_ms.store(ahead * 1000, Ordering::SeqCst);
    };
    let fail = async || {
        simulation.sleep_until(4 * HOUR).await;
        *simulation.world.fault.lock().unwrap() = ENDLESS;
        simulation.sleep_until(4 * HOUR + 600).await;
    };
    let heal = async || {
        simulation.sleep_until(to + 1800).await;
        assert_eq!(
            simulation.told(),
            ["opened"],
            "while it fails, to {to}, restarts: {restarts}, seed {SEED}"
        );
        *simulation.world.fault.lock().unwrap() = None;
        simulation.sleep_until(to + 1800 + 9 * HOUR).await;
    };
    if restarts {
        simulation.run_while(async |_: &Board| fail().await).await;
        set();
        simulation.run_while(async |_: &Board| heal().await).await;
    } else {
        let script = async |_: &Board| {
            fail().await;
            set();
            heal().await;
        };
        simulation.run_while(script).await;
    }
    let told = simulation.told();
    assert_eq!(told.iter().filter(|change| *change == "opened").count(), 1, "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("resolved"), "to {to}, restarts: {restarts}, {told:?}");
    assert_eq!(simulation.incidents().await.len(), 1);
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_clock_that_is_set_neither_ends_nor_repeats_an_incident() {
    for to in [3 * HOUR + 600, 4 * HOUR + 600 - 86_400, 5 * HOUR + 600, 4 * HOUR + 600 + 86_400] {
        for restarts in [false, true] {
            clock_set_within_an_outage(to, restarts).await;
        }
    }
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn an_incident_knows_when_its_fault_started_and_recovered() {
    let simulation = Simulation::new();
    *simulation.world.fault.lock().unwrap() = Some((4 * HOUR, 4 * HOUR + 600));
    simulation.run(14 * HOUR, &[]).await;
    let [incident] = simulation.incidents().await.try_into().unwrap();
    let second = |at: Timestamp| at.millis_since(simulation.start) / 1000 - 4 * HOUR;
    let (started, recovered) = (incident.started_at.unwrap(), incident.recovered_at.unwrap());
    assert!((-10..=10).contains(&second(started)), "started {} s after the fault", second(started));
    assert!((590..=610).contains(&second(recovered)), "recovered {} s after the fault", second(recovered));
    assert!(started < incident.detected_at && incident.detected_at < recovered);
    assert!(recovered < incident.resolved_at.unwrap());
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_fault_that_comes_back_after_a_restart_goes_on_in_the_same_incident() {
    let simulation = Simulation::new();
    *simulation.world.fault.lock().unwrap() = Some((4 * HOUR, 4 * HOUR + 600));
    let resolved = async |board: &Board| {
        simulation.sleep_until(4 * HOUR).await;
        while !simulation.told().contains(&"resolved".to_owned()) {
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        drop(board.read());
    };
    simulation.run_while(resolved).await;
    let now = simulation.world.clock.now().millis_since(simulation.start) / 1000;
    *simulation.world.fault.lock().unwrap() = Some((now, now + 600));
    simulation.run(now + 1200, &[]).await;
    let told = simulation.told();
    assert_eq!(told.get(..4).unwrap_or_default(), ["opened", "eased", "resolved", "reopened"], "{told:?}");
    assert_eq!(simulation.incidents().await.len(), 1, "seed {SEED}");
}
