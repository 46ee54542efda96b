//! The service's life: built, it owns its ports; run, it opens its database and serves until told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_server::Limits;
use tokio::net::TcpListener;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{self, OpenError};
use crate::clock::Clock;
use crate::config::{Config, Keys};
use crate::database::{Database, Opening};
use crate::http::startup_gate::StartupGate;
use crate::http::{self, Shared};
use crate::shutdown::Shutdown;
use crate::telemetry;

/// Time limit for requests in flight at the end: longer than the limit of each.
const GRACE: Duration = Duration::from_secs(15);
/// The limit of operators' connections: a few scrapers and people.
const ADMIN_CONNECTIONS: usize = 64;
/// The interval of maintenance.
const OFTEN: Duration = Duration::from_secs(1);
/// The pause between two attempts to open the database.
const RETRY: Duration = Duration::from_millis(500);

/// The reason for which the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be used.
    #[error("opening the database")]
    Database(#[from] OpenError),
    /// A port cannot be had.
    #[error("listening on {address} ({variable}); is the port taken?")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The variable it comes from.
        variable: &'static str,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
}

/// The service with its ports.
pub struct Titanic {
    config: Config,
    clock: Arc<dyn Clock>,
    public: Listener,
    admin: Listener,
}

struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    async fn bind(address: SocketAddr, variable: &'static str) -> Result<Self, StartError> {
        let failed = |source| StartError::Bind { address, variable, source };
        let socket = http_server::bind(address).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address })
    }
}

/// One of the two ports: its startup gate, its connections, and the token that stops it.
struct Port {
    gate: Arc<StartupGate>,
    connections: TaskTracker,
    stop: CancellationToken,
}

impl Port {
    fn serve(socket: TcpListener, gate: StartupGate, limits: Limits) -> Self {
        let port =
            Self { gate: Arc::new(gate), connections: TaskTracker::new(), stop: CancellationToken::new() };
        let gate = Arc::clone(&port.gate);
        let answer = move |request| {
            let gate = Arc::clone(&gate);
            async move { gate.answer(request).await }
        };
        let serving = http_server::serve(Arc::new(socket), answer, limits, port.stop.clone());
        port.connections.spawn(serving);
        port.connections.close();
        port
    }
}

impl Titanic {
    /// Binds both ports. Nobody is served yet, and no database is touched: a second service must leave that of the first
    /// alone, and finds out here that it is the second.
    pub async fn build(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let public = Listener::bind(config.address(), "PORT").await?;
        let admin = Listener::bind(config.admin_address(), "ADMIN_PORT").await?;
        Ok(Self { config, clock, public, admin })
    }

    /// Returns the address of the API.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.public.address
    }

    /// Returns the address of metrics and faults.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address
    }

    /// Serves until told to stop. At first probes alone, until the database is open; an error when it does not open in time.
    /// At the end readiness goes first, then no new connections, then requests in flight finish, then the database is closed.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), StartError> {
        let Self { config, clock, public, admin } = self;
        let addresses = (public.address, admin.address);
        let policy = &config.clients;
        let limits = Limits {
            exempt: policy.proxies.iter().map(|network| network.0).collect(),
            ..Limits::new(policy.connections, policy.connections_per_address)
        };
        let clients = Port::serve(public.socket, StartupGate::probed(&config), limits);
        let limits = Limits::new(ADMIN_CONNECTIONS, ADMIN_CONNECTIONS);
        let operators = Port::serve(admin.socket, StartupGate::probed(&config), limits);
        let database = tokio::select! {
            database = open(&config, addresses) => database?,
            // While it still waits for its database there is nothing to end in order.
            () = shutdown.begin.cancelled() => return Ok(()),
        };
        let shared = api::shared(config, database, clock);
        clients.gate.open(api::public(&shared));
        operators.gate.open(http::admin(&shared));
        announce(&shared, addresses);
        let mut housekeeping = JoinSet::new();
        housekeeping.spawn(maintain(shared.clone()));
        if !shared.config.secret_files.is_empty() {
            housekeeping.spawn(reload_secrets(shared.clone()));
        }

        shutdown.begin.cancelled().await;
        tokio::select! {
            () = drain(&shared, &clients) => {}
            () = shutdown.forced() => tracing::warn!("told twice to stop: requests in flight are cut"),
        }
        housekeeping.abort_all();
        operators.stop.cancel();
        tokio::select! {
            _ = timeout(Duration::from_secs(1), operators.connections.wait()) => {}
            () = shutdown.forced() => {}
        }
        tokio::select! {
            () = shared.database.close() => {}
            () = shutdown.forced() => {}
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Logs the addresses and the policy for changes.
fn announce(shared: &Shared, (address, admin_address): (SocketAddr, SocketAddr)) {
    tracing::info!(
        target: telemetry::START,
        %address,
        %admin_address,
        version = shared.config.version,
        environment = %shared.config.environment,
        database = %shared.config.database_url,
        "listening"
    );
    for warning in &shared.config.warnings {
        tracing::warn!(warning, "the configuration is suspicious");
    }
    match &shared.config.clients.keys {
        Keys::Required(keys) => tracing::info!(keys = keys.len(), "changes need an API key"),
        Keys::Open => {
            tracing::info!("no API keys are configured: in development anyone may change anything")
        }
        Keys::Nobody => {
            tracing::warn!("no API keys are configured (API_KEYS): every change will be refused")
        }
    }
}

/// Runs periodic maintenance. That something is always about to happen has a merit of its own: the limit of a
/// request's time is never the next thing the runtime waits for, so that it need not be woken to hear of each.
async fn maintain(shared: Shared) {
    let mut often = interval(OFTEN);
    loop {
        often.tick().await;
        shared.database.maintain();
        shared.metrics.upkeep();
    }
}

/// Reads changed secrets again. The file system may hang, which must not hold up anything else.
async fn reload_secrets(shared: Shared) {
    let mut often = interval(OFTEN);
    loop {
        often.tick().await;
        let shared = shared.clone();
        let reload = move || shared.secrets.reload(&shared.database, shared.clock.now());
        let _done = spawn_blocking(reload).await;
    }
}

/// Opens the database; waits for one that is still starting, but not for one that says no.
async fn open(
    config: &Config,
    (address, admin_address): (SocketAddr, SocketAddr),
) -> Result<Database, OpenError> {
    let since = Instant::now();
    loop {
        let error = match api::open(Opening::Serve, config, config.max_connections).await {
            Ok(database) => return Ok(database),
            Err(error) => error,
        };
        if !error.may_still_come() || since.elapsed() + RETRY > config.start {
            return Err(error);
        }
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let waited_seconds = since.elapsed().as_secs();
        tracing::warn!(
            %error, source, waited_seconds, %address, %admin_address, "the database is not there yet"
        );
        sleep(RETRY).await;
    }
}

/// Lets balancers notice before connections are refused, and clients get their answers before the end.
async fn drain(shared: &Shared, clients: &Port) {
    shared.readiness.withdraw();
    tracing::info!(seconds = shared.config.drain.as_secs(), "no longer ready; still serving");
    sleep(shared.config.drain).await;
    clients.stop.cancel();
    tracing::info!("no longer accepting connections; finishing requests in flight");
    if timeout(GRACE, clients.connections.wait()).await.is_err() {
        tracing::warn!(grace_seconds = GRACE.as_secs(), "some requests did not finish in time and are cut");
    }
}
