//! The service's life: built, it owns its database and its ports; run, it serves until told to stop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::{Config, Keys};
use crate::http::serve::{Limits, serve};
use crate::http::{self, Shared};
use crate::passengers::{Store, StoreError};
use crate::shutdown::Shutdown;
use crate::telemetry;

/// How long requests in flight may take to finish: longer than the limit each of them has.
const GRACE: Duration = Duration::from_secs(15);
/// How many connections operators may hold: a few scrapers and people.
const ADMIN_CONNECTIONS: usize = 64;
/// How long a database that is not there yet is left alone before it is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The passengers cannot be reached.
    #[error("opening the passengers")]
    Store(#[from] StoreError),
    /// A port cannot be had.
    #[error("listening on {address} ({variable}); is the port taken?")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// Where it comes from.
        variable: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The service, ready to serve.
pub struct Titanic {
    shared: Shared,
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
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address })
    }
}

impl Titanic {
    /// Binds both ports and opens the database. Nobody is served yet.
    pub async fn build(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        // Ports first: they are quick to refuse, and a second service must not touch the database of the first.
        let public = Listener::bind(config.address, "PORT").await?;
        let admin = Listener::bind(config.admin_address, "ADMIN_PORT").await?;
        let store = open(&config).await?;
        Ok(Self { shared: Shared::new(config, store, clock), public, admin })
    }

    /// Where the API listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.public.address
    }

    /// Where metrics and drills are served.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address
    }

    /// Serves until told to stop: readiness goes first, then no new connections, then requests in flight finish, then
    /// the database is closed.
    pub async fn run(self, shutdown: Shutdown) {
        let Self { shared, public, admin } = self;
        tracing::info!(
            target: telemetry::START,
            address = %public.address,
            admin_address = %admin.address,
            version = shared.config.version,
            environment = %shared.config.environment,
            database = %shared.config.database_url,
            "listening"
        );
        match &shared.config.edge.keys {
            Keys::Required(keys) => tracing::info!(keys = keys.len(), "changes need an API key"),
            Keys::Open => {
                tracing::info!("no API keys are configured: in development anyone may change anything")
            }
            Keys::Nobody => {
                tracing::warn!("no API keys are configured (API_KEYS): every change will be refused")
            }
        }
        http::metrics::export(&shared);
        let (stop_public, stop_admin) = (CancellationToken::new(), CancellationToken::new());
        let (clients, operators) = (TaskTracker::new(), TaskTracker::new());
        let limits = Limits::of(shared.config.edge.connections);
        clients.spawn(serve(public.socket, http::public(&shared), limits, stop_public.clone()));
        let limits = Limits::of(ADMIN_CONNECTIONS);
        operators.spawn(serve(admin.socket, http::admin(&shared), limits, stop_admin.clone()));

        shutdown.begin.cancelled().await;
        tokio::select! {
            () = drain(&shared, &stop_public, &clients) => {}
            () = shutdown.forced() => tracing::warn!("told twice to stop: requests in flight are cut"),
        }
        stop_admin.cancel();
        operators.close();
        tokio::select! {
            _ = timeout(Duration::from_secs(1), operators.wait()) => {}
            () = shutdown.forced() => {}
        }
        tokio::select! {
            () = shared.store.close() => {}
            () = shutdown.forced() => {}
        }
        tracing::info!("stopped");
    }
}

/// Opens the database; waits for one that is still starting, but not for one that says no.
async fn open(config: &Config) -> Result<Store, StoreError> {
    let since = Instant::now();
    loop {
        let error = match Store::open(&config.database_url, config.max_connections).await {
            Ok(store) => return Ok(store),
            Err(error) => error,
        };
        if !error.may_still_come() || since.elapsed() + RETRY > config.start {
            return Err(error);
        }
        let source = std::error::Error::source(&error).map(ToString::to_string);
        tracing::warn!(%error, source, waited_seconds = since.elapsed().as_secs(), "the database is not there yet");
        sleep(RETRY).await;
    }
}

/// Lets balancers notice before connections are refused, and clients get their answers before the end.
async fn drain(shared: &Shared, stop: &CancellationToken, clients: &TaskTracker) {
    shared.readiness.withdraw();
    tracing::info!(seconds = shared.config.drain.as_secs(), "no longer ready; still serving");
    sleep(shared.config.drain).await;
    stop.cancel();
    clients.close();
    tracing::info!("no longer accepting connections; finishing requests in flight");
    if timeout(GRACE, clients.wait()).await.is_err() {
        tracing::warn!(grace_seconds = GRACE.as_secs(), "some requests did not finish in time and are cut");
    }
}
