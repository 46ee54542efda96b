//! The whole agent, in three phases: a [`Config`] is plain data; [`Agent::build`] binds, opens and restores but starts
//! nothing; [`Agent::run`] runs until it is told to stop. Meanwhile a [`Reloader`] gives it another configuration.

mod background;
mod collectors;
mod dependencies;
mod discoveries;
mod jobs;
mod outboxes;
mod probe_history;
mod reload;
mod views;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use background::{
    PeriodicExport, metrics_export, start_evaluation, start_ledger_checks, start_metrics_export,
};
use collectors::{Collectors, Numbered};
use discoveries::{Change, Discoveries};
use jobs::query_jobs;
use lookout_collect::StreamNumbers;
use lookout_collect::discover::Lookup;
use lookout_collect::probe::Latest;
use lookout_collect::promql::Job;
use lookout_config::Config;
use lookout_evaluate::{Board, Driver, Reconfiguration, Reconfigure, Snapshot};
use lookout_export::Host;
use lookout_runtime::events::chain;
use lookout_runtime::task::Tasks;
use lookout_web::{CurrentRouter, RefusedConfigs};
use outboxes::{Outboxes, retry_refused};
use probe_history::start_storing;
use reload::{Request, keys_of_a_restart};
use views::{blackbox_families, last_failure, probe_maker, probe_rows, receiver_rows};

pub use dependencies::{BuildError, Clients, Connect, Dependencies, MakeDiscoverer};
pub use reload::{ReloadError, Reloader};

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
    clients: Clients,
    listener: TcpListener,
    driver: Driver,
    numbers: StreamNumbers,
    jobs: Vec<Job>,
    refused: RefusedConfigs,
    reloader: (Reloader, mpsc::Receiver<Request>),
    metrics_export: Option<PeriodicExport>,
    view: View,
}

/// Observations on their way to the evaluator.
const FEED: usize = 4096;
/// Time that collectors may take to stop.
const COLLECTORS_GRACE: Duration = Duration::from_secs(5);
/// Time that the last tick and the answers in flight may take.
const END_GRACE: Duration = Duration::from_secs(5);

impl Agent {
    /// Binds the port and takes up the state of before. Starts nothing.
    ///
    /// # Errors
    /// If the port is taken or the ledger cannot be read.
    pub async fn build(mut config: Config, dependencies: Dependencies) -> Result<Self, BuildError> {
        let address = config.listen;
        let listen_error = |source| BuildError::Listen { address, source };
        let listener = lookout_web::bind(address).map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        name_port(&mut config, address);
        let clients = (dependencies.connect)(&config)?;
        let metrics_export = metrics_export(&config, &dependencies)?;
        let config = Arc::new(config);
        let latest = Latest::default();
        let now = dependencies.clock.now();
        dependencies.heartbeats.restore(dependencies.ledger.heartbeats().await?);
        dependencies.ledger.pauses().await?.into_iter().for_each(|pause| dependencies.pauses.put(pause));
        let driver = Driver::restore(
            Arc::clone(&config),
            Arc::clone(&dependencies.ledger),
            last_failure(&config, &latest),
            now,
        )
        .await?
        .with_pauses(dependencies.pauses.clone());
        let mut numbers = StreamNumbers::default();
        let assigned = numbers.assign(&config);
        let numbered = Numbered { config: &config, numbers: &assigned };
        let jobs = query_jobs(numbered, &[], &*dependencies.ledger, now).await?;
        let nothing_yet = Snapshot {
            at: Snapshot::NEVER,
            interval_s: config.grid.width_seconds(),
            ledger_is_down: false,
            slos: Vec::new(),
        };
        let view = View { address, board: Board::new(nothing_yet), latest };
        let refused = RefusedConfigs::default();
        let reloader = Reloader::new(refused.clone(), Arc::clone(&dependencies.clock));
        Ok(Self {
            config,
            dependencies,
            clients,
            listener,
            driver,
            numbers,
            jobs,
            refused,
            reloader,
            metrics_export,
            view,
        })
    }

    /// Returns the views of the running agent.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Returns the handle that gives the agent another configuration while it runs.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        self.reloader.0.clone()
    }

    /// Runs until `shutdown`, then stops in order: collectors, the last evaluation, deliveries, the server, the ledger.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (mut running, mut requests, mut lookups) = self.start().await;
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(Request { config, reply }) = requests.recv() => {
                    // whoever asked may have gone
                    let _ = reply.send(running.reload(*config).await);
                }
                Some(lookup) = lookups.recv() => running.discovered(lookup).await,
            }
        }
        running.stop().await;
    }

    async fn start(self) -> (Running, mpsc::Receiver<Request>, mpsc::Receiver<Lookup>) {
        let Self {
            config,
            dependencies,
            clients,
            listener,
            driver,
            mut numbers,
            jobs,
            refused,
            reloader: (_, requests),
            metrics_export,
            view,
        } = self;
        let (feed, observations) = mpsc::channel(FEED);
        let (reconfigure, reconfigurations) = mpsc::channel(1);
        let wake = Arc::new(Notify::new());
        let (evaluation, rest) = (Tasks::default(), Tasks::default());
        let mut collectors = Collectors::new(&dependencies, config.grid, feed, &view.latest);
        let assigned = numbers.assign(&config);
        collectors.assign(Numbered { config: &config, numbers: &assigned }, jobs, &clients).await;
        let inputs = (observations, reconfigurations);
        start_evaluation(driver, inputs, &dependencies, &view.board, &wake, &evaluation);
        let mut outboxes = Outboxes::default();
        outboxes.assign(&config, &clients.receivers, &dependencies, &wake).await;
        start_drill_ends(&dependencies, &wake, &rest);
        let current_config = watch::Sender::new(Arc::clone(&config));
        start_follow_up(&dependencies, current_config.subscribe(), &wake, &rest);
        start_ledger_checks(Arc::clone(&dependencies.ledger), &rest);
        start_storing(&dependencies, &rest);
        let (mut discoveries, lookups) = Discoveries::new(&dependencies);
        discoveries.assign(&config).await;
        let state = web_state(&config, &dependencies, &view, refused, &discoveries, &outboxes, &wake);
        if let Some(export) = metrics_export {
            start_metrics_export(export, &state, &rest);
        }
        let router = CurrentRouter::new(state.clone());
        start_server(listener, &router, &rest);
        tracing::info!(
            address = %view.address,
            slos = config.slos.len(),
            targets = config.targets.len(),
            scrapes = config.scrapes.len(),
            prometheus = config.prometheus.len(),
            "listening"
        );
        let running = Running {
            config,
            dependencies,
            clients,
            numbers,
            collectors,
            discoveries,
            reconfigure,
            outboxes,
            current_config,
            state,
            router,
            evaluation,
            rest,
            view,
            wake,
        };
        (running, requests, lookups)
    }
}

/// Returns what pages, API and metrics read.
fn web_state(
    config: &Arc<Config>,
    dependencies: &Dependencies,
    view: &View,
    refused: RefusedConfigs,
    discoveries: &Discoveries,
    outboxes: &Outboxes,
    wake: &Arc<Notify>,
) -> lookout_web::State {
    let heartbeats = dependencies.heartbeats.clone();
    lookout_web::State {
        board: view.board.clone(),
        ledger: Arc::clone(&dependencies.ledger),
        clock: Arc::clone(&dependencies.clock),
        config: Arc::clone(config),
        refused,
        heartbeats: lookout_web::HeartbeatSink::new(move |name| heartbeats.note(name)),
        pauses: dependencies.pauses.clone(),
        recorder: dependencies.recorder.clone(),
        metrics: Default::default(),
        host: Arc::new(Host::new()),
        probes: probe_rows(config, &view.latest),
        discoveries: discoveries.view(),
        receivers: receiver_rows(&outboxes.receivers()),
        blackbox: blackbox_families(config, &view.latest),
        probe_maker: probe_maker(&dependencies.prober),
        random: Arc::clone(&dependencies.random),
        wake: Arc::clone(wake),
    }
}

/// An agent that runs.
struct Running {
    config: Arc<Config>,
    dependencies: Dependencies,
    clients: Clients,
    numbers: StreamNumbers,
    collectors: Collectors,
    discoveries: Discoveries,
    reconfigure: mpsc::Sender<Reconfigure>,
    outboxes: Outboxes,
    current_config: watch::Sender<Arc<Config>>,
    state: lookout_web::State,
    router: CurrentRouter,
    evaluation: Tasks,
    rest: Tasks,
    view: View,
    wake: Arc<Notify>,
}

impl Running {
    /// Goes on with another configuration. All that can fail comes before the first change.
    async fn reload(&mut self, mut config: Config) -> Result<(), ReloadError> {
        let keys = keys_of_a_restart(&self.config, &config);
        if !keys.is_empty() {
            return Err(ReloadError::Restart(keys.join(", ")));
        }
        name_port(&mut config, self.view.address);
        let config = self.discoveries.fill(config).await.map_err(ReloadError::Files)?;
        let clients = (self.dependencies.connect)(&config)?;
        let config = Arc::new(config);
        self.count_by(&config, &clients).await?;
        let started = self.outboxes.assign(&config, &clients.receivers, &self.dependencies, &self.wake).await;
        retry_refused(&started, &self.dependencies, &self.wake).await;
        self.clients = clients;
        self.discoveries.assign(&config).await;
        self.show(config);
        tracing::info!(
            slos = self.config.slos.len(),
            targets = self.config.targets.len(),
            scrapes = self.config.scrapes.len(),
            prometheus = self.config.prometheus.len(),
            "goes on with another configuration"
        );
        Ok(())
    }

    /// Goes on with the addresses that were found, if they are others than before.
    async fn discovered(&mut self, lookup: Lookup) {
        let Some(change) = self.discoveries.change(lookup, &self.config).await else { return };
        let Change { target, found, config } = change;
        let (config, clients) = (Arc::new(config), self.clients.clone());
        match self.count_by(&config, &clients).await {
            Ok(()) => {
                self.discoveries.took(target, found, &config);
                self.show(config);
            }
            Err(error) => self.discoveries.refused(&target, chain(&error), &self.config),
        }
    }

    /// Gives evaluation and collectors another configuration. Only the first step can fail.
    async fn count_by(&mut self, config: &Arc<Config>, clients: &Clients) -> Result<(), ReloadError> {
        let numbers = self.numbers.assign(config);
        self.reconfigure(Reconfiguration {
            config: Arc::clone(config),
            numbers: numbers.clone(),
            last_failure: last_failure(config, &self.view.latest),
        })
        .await?;
        let numbered = Numbered { config, numbers: &numbers };
        let jobs = self.jobs(numbered).await;
        self.collectors.assign(numbered, jobs, clients).await;
        Ok(())
    }

    /// Answers requests by another configuration.
    fn show(&mut self, config: Arc<Config>) {
        self.current_config.send_replace(Arc::clone(&config));
        self.state.config = Arc::clone(&config);
        self.state.probes = probe_rows(&config, &self.view.latest);
        self.state.receivers = receiver_rows(&self.outboxes.receivers());
        self.state.blackbox = blackbox_families(&config, &self.view.latest);
        self.router.replace(self.state.clone());
        self.config = config;
    }

    async fn reconfigure(&self, to: Reconfiguration) -> Result<(), ReloadError> {
        let (reply, replied) = oneshot::channel();
        let sent = self.reconfigure.send(Reconfigure { to, reply }).await;
        sent.map_err(|_| ReloadError::Stopping)?;
        Ok(replied.await.map_err(|_| ReloadError::Stopping)??)
    }

    /// Returns the jobs of the queries. Those that are new wait for the next reload when the ledger cannot be read.
    async fn jobs(&self, numbered: Numbered<'_>) -> Vec<Job> {
        let (known, now) = (self.collectors.jobs(), self.dependencies.clock.now());
        match query_jobs(numbered, &known, &*self.dependencies.ledger, now).await {
            Ok(jobs) => jobs,
            Err(error) => {
                tracing::error!(error = chain(&error), "new queries are not asked until the next reload");
                known
            }
        }
    }

    async fn stop(self) {
        tracing::info!("stopping");
        let (discoveries, collectors) = tokio::join!(
            self.discoveries.shut_down(COLLECTORS_GRACE),
            self.collectors.shut_down(COLLECTORS_GRACE)
        );
        let evaluation = self.evaluation.shut_down(END_GRACE).await;
        let (outboxes, rest) =
            tokio::join!(self.outboxes.shut_down(END_GRACE), self.rest.shut_down(END_GRACE));
        let ended = [
            ("lookups of addresses", discoveries),
            ("collectors", collectors),
            ("evaluation", evaluation),
            ("deliveries", outboxes),
            ("server", rest),
        ];
        for (what, _) in ended.iter().filter(|(_, in_time)| !in_time) {
            tracing::warn!("{what} did not stop in time");
        }
        self.dependencies.ledger.close().await;
        tracing::info!("stopped");
    }
}

/// Gives a URL that names the free port it was told to take the number of that port.
fn name_port(config: &mut Config, address: SocketAddr) {
    if config.external_url.port() == Some(0) {
        // such a URL cannot be refused another number
        let _ = config.external_url.set_port(Some(address.port()));
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

/// Starts the task that repeats open incidents and escalates those that nobody acknowledges.
fn start_follow_up(
    dependencies: &Dependencies,
    config: watch::Receiver<Arc<Config>>,
    wake: &Arc<Notify>,
    tasks: &Tasks,
) {
    let stop = tasks.stopping();
    let ports = lookout_evaluate::FollowUpPorts {
        ledger: Arc::clone(&dependencies.ledger),
        clock: Arc::clone(&dependencies.clock),
        config,
        wake: Arc::clone(wake),
    };
    tasks.supervise("follow-up", move || lookout_evaluate::follow_up(ports.clone(), stop.clone()));
}

fn start_server(listener: TcpListener, router: &CurrentRouter, tasks: &Tasks) {
    let (listener, router, stop) = (Arc::new(listener), router.clone(), tasks.stopping());
    tasks.supervise("web", move || {
        let (router, listener, stop) = (router.dispatch(), Arc::clone(&listener), stop.clone());
        async move {
            if let Err(error) = lookout_web::serve(&listener, router, stop).await {
                tracing::error!(error = chain(&error), "the server ended");
            }
        }
    });
}
