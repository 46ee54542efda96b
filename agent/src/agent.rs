//! The whole agent, in three phases: a [`Config`] is plain data; [`Agent::build`] binds, opens and restores but starts
//! nothing; [`Agent::run`] runs until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lookout_engine::{Counts, Window};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, mpsc};
use tokio::time::Instant;

use lookout_collect::probe::{self, Latest, Probe, Prober, Verdict};
use lookout_collect::promql::{self, Ask, HttpAsk};
use lookout_collect::scrape::{self, Fetch, HttpFetch};
use lookout_collect::{Feed, Observation};
use lookout_config::{Config, Indicator, LedgerLocation, Ratio, Slo};
use lookout_deliver::Receiver;
use lookout_evaluate::{Board, Driver, LastFailure, RestoreError, Snapshot};
use lookout_export::{Host, Recorder};
use lookout_ledger::{CountSeries, Ledger, LedgerError, MemoryLedger, Resolution, WriteThroughLedger};
use lookout_runtime::clock::{Clock, SystemClock};
use lookout_runtime::events::chain;
use lookout_runtime::random::Random;
use lookout_runtime::task::Tasks;

/// Why the agent did not come up.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}; if another program has it, give `listen` another port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Error of the system.
        #[source]
        source: std::io::Error,
    },
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The state of before cannot be taken up.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A client for the dependencies cannot be made.
    #[error("preparing {what}")]
    Client {
        /// Which.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Everything through which the agent touches the dependencies. Tests hand in their own.
#[derive(Clone)]
pub struct Dependencies {
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// The one source of randomness.
    pub random: Arc<Random>,
    /// Prober of targets.
    pub prober: Arc<dyn Probe>,
    /// Reader of neighbours' metrics.
    pub fetch: Arc<dyn Fetch>,
    /// Client of Prometheus servers.
    pub ask: Arc<dyn Ask>,
    /// Ledger.
    pub ledger: Arc<dyn Ledger>,
    /// Receivers of messages.
    pub receivers: Vec<Arc<dyn Receiver>>,
    /// The agent's own metrics.
    pub recorder: Recorder,
}

impl Dependencies {
    /// The real dependencies of a config.
    ///
    /// # Errors
    /// When the ledger or a client cannot be had.
    pub async fn real(config: &Config) -> Result<Self, BuildError> {
        let client = |what: &str, source: Box<dyn std::error::Error + Send + Sync>| BuildError::Client {
            what: what.to_owned(),
            source,
        };
        let seed = fastrand::u64(..);
        tracing::debug!(seed, "random source");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let random = Arc::new(Random::from_seed(seed));
        let ledger: Arc<dyn Ledger> = match &config.ledger {
            LedgerLocation::Sqlite(path) => {
                Arc::new(WriteThroughLedger::open(path, Arc::clone(&clock)).await?)
            }
            LedgerLocation::Memory => Arc::new(MemoryLedger::default()),
        };
        // settings or secrets may be other ones now: what was refused yesterday may be taken today
        let retried = ledger.retry_dead_letters(None, clock.now()).await?;
        if retried > 0 {
            tracing::info!(deliveries = retried, "deliveries that were refused before are tried again");
        }
        let mut receivers = Vec::with_capacity(config.destinations.len());
        for destination in &config.destinations {
            let receiver = lookout_deliver::receiver(destination, Arc::clone(&clock))
                .map_err(|error| client(&format!("destination {}", destination.name), error.into()))?;
            receivers.push(receiver);
        }
        Ok(Self {
            prober: Arc::new(Prober::new(Arc::clone(&random))),
            fetch: Arc::new(
                HttpFetch::new(config.scrapes.iter().any(|scrape| scrape.url.scheme() == "https"))
                    .map_err(|error| client("the scraper", error.into()))?,
            ),
            ask: Arc::new(
                HttpAsk::new(&config.prometheus)
                    .map_err(|error| client("the query sources", error.into()))?,
            ),
            clock,
            random,
            ledger,
            receivers,
            recorder: Recorder::install().map_err(|error| client("metrics", error.into()))?,
        })
    }
}

/// Views of a running agent.
#[derive(Clone)]
pub struct View {
    /// Address that the agent listens on.
    pub address: SocketAddr,
    /// The newest snapshot.
    pub board: Board,
    /// The newest outcome of every probe.
    pub latest: Latest,
}

/// An agent that is bound and restored, but has not started.
pub struct Agent {
    config: Arc<Config>,
    dependencies: Dependencies,
    listener: TcpListener,
    driver: Driver,
    /// The servers to be asked, each with what is counted there and is not known.
    queries: Vec<(lookout_config::Prometheus, Vec<promql::Job>)>,
    view: View,
}

/// Observations on their way to the evaluator.
const FEED: usize = 4096;
/// Time that collectors may take to stop.
const COLLECTORS_GRACE: Duration = Duration::from_secs(5);
/// Time that the last tick and the answers in flight may take.
const END_GRACE: Duration = Duration::from_secs(5);
/// Pauses between checks for damage of a small ledger, and of a large one.
const LEDGER_CHECK_EVERY: Duration = Duration::from_secs(30);
const LEDGER_CHECK_LATEST: Duration = Duration::from_secs(3600);
/// Interval at which samples of histograms are folded together.
const UPKEEP: Duration = Duration::from_secs(5);

impl Agent {
    /// Binds the port and takes up the state of before. Starts nothing.
    ///
    /// # Errors
    /// When the port is taken or the ledger cannot be read.
    pub async fn build(mut config: Config, dependencies: Dependencies) -> Result<Self, BuildError> {
        let address = config.listen;
        let listen_error = |source| BuildError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        if config.external_url.port() == Some(0) {
            // a URL that names the free port it was told to take cannot be refused another number
            let _ = config.external_url.set_port(Some(address.port()));
        }
        let config = Arc::new(config);
        let latest = Latest::default();
        let driver = Driver::restore(
            Arc::clone(&config),
            Arc::clone(&dependencies.ledger),
            last_failure(&config, &latest),
            dependencies.clock.now(),
        )
        .await?;
        let queries = query_jobs(&config, &dependencies).await?;
        let nothing_yet = Snapshot {
            at: Snapshot::NEVER,
            interval_s: config.grid.width_seconds(),
            ledger_is_down: false,
            slos: Vec::new(),
        };
        let view = View { address, board: Board::new(nothing_yet), latest };
        Ok(Self { config, dependencies, listener, driver, queries, view })
    }

    /// Returns the views of the running agent.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Runs until `shutdown`, then stops in order: collectors, the last evaluation, deliveries, the server, the ledger.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { config, dependencies, listener, driver, queries, view } = self;
        let (feed, observations) = mpsc::channel(FEED);
        let wake = Arc::new(Notify::new());
        let (collectors, evaluation, rest) = (Tasks::default(), Tasks::default(), Tasks::default());
        start_queries(&config, &dependencies, queries, &feed, &collectors);
        start_collectors(&config, &dependencies, &view.latest, feed, &collectors);
        start_evaluation(driver, observations, &dependencies, &view.board, &wake, &evaluation);
        start_deliveries(&dependencies, &wake, &rest);
        start_drill_ends(&dependencies, &wake, &rest);
        start_upkeep(dependencies.recorder.clone(), &rest);
        start_ledger_checks(Arc::clone(&dependencies.ledger), &rest);
        start_server(&config, &dependencies, &view, (listener, wake), &rest);
        tracing::info!(
            address = %view.address,
            slos = config.slos.len(),
            targets = config.targets.len(),
            scrapes = config.scrapes.len(),
            prometheus = config.prometheus.len(),
            "listening"
        );

        shutdown.await;
        tracing::info!("stopping");
        let ended = [
            ("collectors", collectors.shut_down(COLLECTORS_GRACE).await),
            ("evaluation", evaluation.shut_down(END_GRACE).await),
            ("server and deliveries", rest.shut_down(END_GRACE).await),
        ];
        for (what, _) in ended.iter().filter(|(_, in_time)| !in_time) {
            tracing::warn!("{what} did not stop in time");
        }
        dependencies.ledger.close().await;
        tracing::info!("stopped");
    }
}

fn start_collectors(
    config: &Config,
    dependencies: &Dependencies,
    latest: &Latest,
    feed: Feed,
    tasks: &Tasks,
) {
    for target in &config.targets {
        let streams = streams_of(config, |indicator| match indicator {
            Indicator::Probe { target: name } if *name == target.name => Some(()),
            _ => None,
        });
        let streams: Vec<usize> = streams.into_iter().map(|(index, ())| index).collect();
        let (target, dependencies, latest) = (Arc::new(target.clone()), dependencies.clone(), latest.clone());
        let (grid, feed, stop) = (config.grid, feed.clone(), tasks.stopping());
        tasks.supervise(format!("probe {}", target.name), move || {
            let ports = probe::Ports {
                prober: Arc::clone(&dependencies.prober),
                clock: Arc::clone(&dependencies.clock),
                grid,
                feed: feed.clone(),
                latest: latest.clone(),
            };
            probe::watch(Arc::clone(&target), streams.clone(), ports, stop.clone())
        });
    }
    for scrape in &config.scrapes {
        let ratios: Vec<(usize, Ratio)> = streams_of(config, |indicator| match indicator {
            Indicator::Scrape { source, ratio } if *source == scrape.name => Some(ratio.clone()),
            _ => None,
        });
        let up = streams_of(config, |indicator| match indicator {
            Indicator::Up { source } if *source == scrape.name => Some(()),
            _ => None,
        });
        let up: Vec<usize> = up.into_iter().map(|(index, ())| index).collect();
        let (scrape, dependencies) = (Arc::new(scrape.clone()), dependencies.clone());
        let (grid, feed, stop) = (config.grid, feed.clone(), tasks.stopping());
        tasks.supervise(format!("scrape {}", scrape.name), move || {
            let ports = scrape::Ports {
                fetch: Arc::clone(&dependencies.fetch),
                clock: Arc::clone(&dependencies.clock),
                grid,
                feed: feed.clone(),
            };
            let streams = scrape::Streams { ratios: ratios.clone(), up: up.clone() };
            scrape::watch(Arc::clone(&scrape), streams, ports, stop.clone())
        });
    }
}

/// Returns the queries of each stream that a Prometheus counts, without the slots that the ledger has.
async fn query_jobs(
    config: &Config,
    dependencies: &Dependencies,
) -> Result<Vec<(lookout_config::Prometheus, Vec<promql::Job>)>, LedgerError> {
    let now = dependencies.clock.now();
    let mut servers: Vec<(lookout_config::Prometheus, Vec<promql::Job>)> =
        config.prometheus.iter().map(|server| (server.clone(), Vec::new())).collect();
    for (index, stream) in config.streams().into_iter().enumerate() {
        let Indicator::Prometheus { source, queries } = stream.indicator else { continue };
        let Some(slo) = config.slos.get(stream.slo) else { continue };
        let now_s = now.as_seconds();
        let current = slo.calendar.as_ref().and_then(|calendar| calendar.period_at(now_s).ok());
        let length = current.map_or(slo.period(), |(from, to)| Window::seconds(to.abs_diff(from)));
        let longest = slo.tiers().iter().map(|tier| tier.long).fold(length, Ord::max);
        let reach = Duration::from_secs(longest.as_seconds());
        let since = now - reach;
        // a minute more: the ledger may keep the minute in which the reach begins
        let stored = dependencies.ledger.counts(&stream.id, since - Duration::from_secs(60)).await?;
        let progress =
            promql::Progress::of_ledger(config.grid, now, &stored.slots(), &known_minutes(&stored));
        let job = promql::Job { stream: index, queries: queries.clone(), reach, progress };
        let server = servers.iter_mut().find(|(server, _)| server.name == *source);
        server.into_iter().for_each(|(_, jobs)| jobs.push(job.clone()));
    }
    servers.retain(|(_, jobs)| !jobs.is_empty());
    Ok(servers)
}

/// The minutes of a ledger, and those that are part of its quarters of an hour.
fn known_minutes(stored: &CountSeries) -> Vec<(i64, Counts)> {
    let spans = stored.spans().iter().filter(|span| !matches!(span.resolution, Resolution::Slot(_)));
    spans
        .flat_map(|span| {
            let (first, seconds) = (span.start_s.div_euclid(60), i64::from(span.resolution.seconds()));
            (first..first.saturating_add(seconds / 60)).map(|minute| (minute, span.counts))
        })
        .collect()
}

fn start_queries(
    config: &Config,
    dependencies: &Dependencies,
    servers: Vec<(lookout_config::Prometheus, Vec<promql::Job>)>,
    feed: &Feed,
    tasks: &Tasks,
) {
    for (server, jobs) in servers {
        let (server, dependencies) = (Arc::new(server), dependencies.clone());
        let (grid, feed, stop) = (config.grid, feed.clone(), tasks.stopping());
        tasks.supervise(format!("prometheus {}", server.name), move || {
            let ports = promql::Ports {
                ask: Arc::clone(&dependencies.ask),
                clock: Arc::clone(&dependencies.clock),
                grid,
                feed: feed.clone(),
            };
            promql::watch(Arc::clone(&server), jobs.clone(), ports, stop.clone())
        });
    }
}

fn streams_of<T>(config: &Config, wanted: impl Fn(&Indicator) -> Option<T>) -> Vec<(usize, T)> {
    let all = config.streams().into_iter().enumerate();
    all.filter_map(|(index, stream)| wanted(stream.indicator).map(|found| (index, found))).collect()
}

fn start_evaluation(
    driver: Driver,
    observations: mpsc::Receiver<Observation>,
    dependencies: &Dependencies,
    board: &Board,
    wake: &Arc<Notify>,
    tasks: &Tasks,
) {
    // shared, so that a loop that panicked is started again with everything it knew
    let state = Arc::new(Mutex::new((driver, observations)));
    let (dependencies, board, wake, stop) =
        (dependencies.clone(), board.clone(), Arc::clone(wake), tasks.stopping());
    tasks.supervise("evaluate", move || {
        let ports = lookout_evaluate::Ports {
            clock: Arc::clone(&dependencies.clock),
            board: board.clone(),
            wake: Arc::clone(&wake),
            ledger: Arc::clone(&dependencies.ledger),
        };
        let (state, stop) = (Arc::clone(&state), stop.clone());
        async move {
            let mut state = state.lock().await;
            let (driver, observations) = &mut *state;
            lookout_evaluate::run(driver, observations, &ports, stop).await;
        }
    });
}

fn start_deliveries(dependencies: &Dependencies, wake: &Arc<Notify>, tasks: &Tasks) {
    for receiver in &dependencies.receivers {
        let (receiver, dependencies) = (Arc::clone(receiver), dependencies.clone());
        let (wake, stop) = (Arc::clone(wake), tasks.stopping());
        tasks.supervise(format!("deliver {}", receiver.name()), move || {
            let ports = lookout_deliver::Ports {
                ledger: Arc::clone(&dependencies.ledger),
                clock: Arc::clone(&dependencies.clock),
                random: Arc::clone(&dependencies.random),
                wake: Arc::clone(&wake),
            };
            lookout_deliver::run(Arc::clone(&receiver), ports, stop.clone())
        });
    }
}

/// Resolves drills whose time is over.
fn start_drill_ends(dependencies: &Dependencies, wake: &Arc<Notify>, tasks: &Tasks) {
    let (dependencies, wake, stop) = (dependencies.clone(), Arc::clone(wake), tasks.stopping());
    tasks.supervise("drills", move || {
        let (ledger, clock) = (Arc::clone(&dependencies.ledger), Arc::clone(&dependencies.clock));
        lookout_evaluate::end_drills(ledger, clock, Arc::clone(&wake), stop.clone())
    });
}

fn start_upkeep(recorder: Recorder, tasks: &Tasks) {
    let stop = tasks.stopping();
    tasks.supervise("upkeep", move || {
        let (recorder, stop) = (recorder.clone(), stop.clone());
        async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(UPKEEP) => recorder.upkeep(),
                }
            }
        }
    });
}

/// Looks for damage in the ledger, seldom enough that it takes no more than a thousandth of the time.
fn start_ledger_checks(ledger: Arc<dyn Ledger>, tasks: &Tasks) {
    let stop = tasks.stopping();
    tasks.supervise("ledger check", move || {
        let (ledger, stop) = (Arc::clone(&ledger), stop.clone());
        async move {
            let mut pause = LEDGER_CHECK_EVERY;
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                }
                let started = Instant::now();
                ledger.check().await;
                pause = started.elapsed().saturating_mul(1000).clamp(LEDGER_CHECK_EVERY, LEDGER_CHECK_LATEST);
            }
        }
    });
}

fn start_server(
    config: &Arc<Config>,
    dependencies: &Dependencies,
    view: &View,
    (listener, wake): (TcpListener, Arc<Notify>),
    tasks: &Tasks,
) {
    let state = lookout_web::State {
        board: view.board.clone(),
        ledger: Arc::clone(&dependencies.ledger),
        clock: Arc::clone(&dependencies.clock),
        config: Arc::clone(config),
        recorder: dependencies.recorder.clone(),
        host: Arc::new(Host::new()),
        probes: probe_rows(config, &view.latest),
        random: Arc::clone(&dependencies.random),
        wake,
    };
    let (listener, stop) = (Arc::new(listener), tasks.stopping());
    tasks.supervise("web", move || {
        let (router, listener, stop) =
            (lookout_web::router(state.clone()), Arc::clone(&listener), stop.clone());
        async move {
            if let Err(error) = lookout_web::serve(&listener, router, stop).await {
                tracing::error!(error = chain(&error), "the server ended");
            }
        }
    });
}

fn probe_rows(config: &Arc<Config>, latest: &Latest) -> lookout_web::ProbeView {
    let (config, latest) = (Arc::clone(config), latest.clone());
    lookout_web::ProbeView::new(move || {
        let row = |target: &lookout_config::Target| {
            let seen = latest.get(&target.name)?;
            Some(lookout_web::ProbeRow {
                target: target.name.clone(),
                url_without_secrets: probe::peer_of(&target.check),
                ok: seen.outcome.is_ok(),
                detail: match seen.outcome.verdict {
                    Verdict::Ok => String::new(),
                    Verdict::Fail { detail, .. } => detail,
                },
                total_ms: u64::try_from(seen.outcome.total.as_millis()).unwrap_or(u64::MAX),
                at: seen.started_at,
            })
        };
        config.targets.iter().filter_map(row).collect()
    })
}

/// A failure older than this says nothing about an incident.
const RECENT: Duration = Duration::from_secs(15 * 60);

/// The last failure of any probe of the SLO's service.
fn last_failure(config: &Arc<Config>, latest: &Latest) -> LastFailure {
    let (config, latest) = (Arc::clone(config), latest.clone());
    Arc::new(move |slo| {
        let of_service = config.slos.iter().filter(|other| other.service == slo.service);
        of_service
            .flat_map(Slo::streams)
            .filter_map(|stream| match stream.indicator {
                Indicator::Probe { target } => latest.get(target),
                Indicator::Scrape { .. }
                | Indicator::Up { .. }
                | Indicator::Prometheus { .. }
                | Indicator::Composite(_) => None,
            })
            .filter_map(|seen| {
                let failed = seen.last_failure?;
                let recent = seen.started_at.since(failed.started_at) <= RECENT;
                recent.then_some(failed.outcome.verdict)
            })
            .find_map(|verdict| match verdict {
                Verdict::Ok => None,
                Verdict::Fail { reason, detail } => Some(format!("{}: {detail}", reason.as_str())),
            })
    })
}
