//! Everything outside of the agent that it is built on.

use std::net::SocketAddr;
use std::sync::Arc;

use lookout_collect::discover::{Discoverer, discoverer};
use lookout_collect::probe::{Heartbeats, Pauses, Probe, ProbeHistory, Prober};
use lookout_collect::promql::{HttpQueryApi, QueryApi};
use lookout_collect::scrape::{Fetch, HttpFetch};
use lookout_config::{AddressSource, Condition, Config, Discovery, Expected, LedgerLocation, Subject};
use lookout_deliver::Receiver;
use lookout_evaluate::RestoreError;
use lookout_export::install_recorder;
use lookout_ledger::{Ledger, LedgerError, MemoryLedger, WriteThroughLedger};
use lookout_runtime::clock::{Clock, SystemClock};
use lookout_runtime::random::Random;
use lookout_runtime::recorder::Recorder;

/// An error that keeps the agent from starting.
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
        /// The client.
        what: String,
        /// The error below it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Clients that depend on the config.
#[derive(Clone)]
pub struct Clients {
    /// Reader of neighbours' metrics.
    pub fetch: Arc<dyn Fetch>,
    /// Client of Prometheus servers.
    pub query_api: Arc<dyn QueryApi>,
    /// Receivers of messages.
    pub receivers: Vec<Arc<dyn Receiver>>,
}

/// Maker of clients. Nothing is sent yet.
pub type Connect = Arc<dyn Fn(&Config) -> Result<Clients, BuildError> + Send + Sync>;

/// Maker of the clients that list addresses. Nothing is asked yet.
pub type MakeDiscoverer = Arc<dyn Fn(&AddressSource) -> Arc<dyn Discoverer> + Send + Sync>;

/// Everything through which the agent touches the dependencies. Tests hand in their own.
#[derive(Clone)]
pub struct Dependencies {
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// The one source of randomness.
    pub random: Arc<Random>,
    /// Prober of targets.
    pub prober: Arc<dyn Probe>,
    /// Calls of jobs, which the prober judges.
    pub heartbeats: Heartbeats,
    /// Pauses of targets that operators ask for.
    pub pauses: Pauses,
    /// Maker of the clients that depend on the config.
    pub connect: Connect,
    /// Maker of the clients that list addresses of targets.
    pub discoverers: MakeDiscoverer,
    /// Ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The agent's own metrics.
    pub recorder: Recorder,
    /// Probes that the ledger does not have yet.
    pub history: ProbeHistory,
}

impl Dependencies {
    /// The real dependencies of a config.
    ///
    /// # Errors
    /// If the ledger or a client cannot be had.
    pub async fn real(config: &Config) -> Result<Self, BuildError> {
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
        let mut retried = 0;
        for destination in &config.destinations {
            retried += ledger.retry_dead_letters(Some(&destination.name), clock.now()).await?;
        }
        if retried > 0 {
            tracing::info!(deliveries = retried, "deliveries that were refused before are tried again");
        }
        let heartbeats = Heartbeats::new(Arc::clone(&clock));
        let (connecting, asking) = (Arc::clone(&clock), Arc::clone(&random));
        Ok(Self {
            prober: Arc::new(Prober::new(Arc::clone(&random)).with_heartbeats(heartbeats.clone())),
            heartbeats,
            pauses: Pauses::default(),
            history: ProbeHistory::default(),
            connect: Arc::new(move |config| connect(config, &connecting)),
            discoverers: Arc::new(move |source| discoverer(source, &asking)),
            clock,
            random,
            ledger,
            recorder: install_recorder(&latency_bounds(config))
                .map_err(|error| unprepared("metrics", error))?,
        })
    }
}

/// Bounds of latencies that targets are judged by, in seconds.
fn latency_bounds(config: &Config) -> Vec<f64> {
    let targets =
        config.targets.iter().map(AsRef::as_ref).chain(config.discoveries.iter().map(Discovery::stand_in));
    let assertions = targets.flat_map(|target| target.expect.iter());
    let mut bounds: Vec<f64> = assertions.flat_map(|assertion| bounds_of(&assertion.root)).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    bounds
}

fn bounds_of(condition: &Condition) -> Vec<f64> {
    match condition {
        Condition::All(inner) | Condition::Any(inner) => inner.iter().flat_map(bounds_of).collect(),
        Condition::Not(inner) => bounds_of(inner),
        Condition::Compare(comparison) => match (&comparison.subject, &comparison.expected) {
            (Subject::Latency(None), Expected::Duration(bound)) => vec![bound.as_secs_f64()],
            _ => Vec::new(),
        },
    }
}

fn connect(config: &Config, clock: &Arc<dyn Clock>) -> Result<Clients, BuildError> {
    let receiver = |destination| {
        lookout_deliver::receiver(destination, Arc::clone(clock))
            .map_err(|error| unprepared(&format!("destination {}", destination.name), error))
    };
    let needs_tls = config.scrapes.iter().any(|scrape| scrape.url.scheme() == "https");
    Ok(Clients {
        fetch: Arc::new(HttpFetch::new(needs_tls).map_err(|error| unprepared("the scraper", error))?),
        query_api: Arc::new(
            HttpQueryApi::new(&config.prometheus).map_err(|error| unprepared("the query sources", error))?,
        ),
        receivers: config.destinations.iter().map(receiver).collect::<Result<_, _>>()?,
    })
}

pub(super) fn unprepared(
    what: &str,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> BuildError {
    BuildError::Client { what: what.to_owned(), source: source.into() }
}
