//! Another configuration for an agent that runs: requests, and the keys that only a restart can change.

use std::sync::Arc;

use lookout_config::Config;
use lookout_runtime::clock::Clock;
use lookout_runtime::events::names;
use lookout_web::{RefusedConfig, RefusedConfigs};
use tokio::sync::{mpsc, oneshot};

use super::dependencies::BuildError;

/// Reason for which the agent keeps its configuration.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The files cannot be used.
    #[error("{0}")]
    Files(String),
    /// Keys changed that only a restart can change.
    #[error("a restart is needed to change {0}")]
    Restart(String),
    /// A client cannot be made.
    #[error(transparent)]
    Client(#[from] BuildError),
    /// The state cannot be read from the ledger.
    #[error(transparent)]
    Restore(#[from] lookout_evaluate::RestoreError),
    /// The agent stops.
    #[error("the agent stops")]
    Stopping,
}

/// A configuration on its way to the agent.
pub(super) struct Request {
    pub(super) config: Box<Config>,
    pub(super) reply: oneshot::Sender<Result<(), ReloadError>>,
}

/// Handle that gives a running agent another configuration.
#[derive(Clone)]
pub struct Reloader {
    requests: mpsc::Sender<Request>,
    refused: RefusedConfigs,
    clock: Arc<dyn Clock>,
}

impl Reloader {
    pub(super) fn new(refused: RefusedConfigs, clock: Arc<dyn Clock>) -> (Self, mpsc::Receiver<Request>) {
        let (requests, received) = mpsc::channel(1);
        // from the start on, so that a first failure is a change
        metrics::gauge!(names::CONFIG_RELOADED).set(1.0);
        metrics::gauge!(names::CONFIG_RELOADED_AT).set(clock.now().as_seconds_f64());
        (Self { requests, refused, clock }, received)
    }

    /// Replaces the configuration as a whole, or not at all. The result is shown on the overview and in metrics.
    ///
    /// # Errors
    /// If the agent cannot run on the configuration; it keeps the one before.
    pub async fn reload(&self, config: Config) -> Result<(), ReloadError> {
        let (reply, replied) = oneshot::channel();
        let request = Request { config: Box::new(config), reply };
        let result = match self.requests.send(request).await {
            Ok(()) => replied.await.unwrap_or(Err(ReloadError::Stopping)),
            Err(_) => Err(ReloadError::Stopping),
        };
        match &result {
            Ok(()) => {
                self.refused.clear();
                metrics::gauge!(names::CONFIG_RELOADED).set(1.0);
                metrics::gauge!(names::CONFIG_RELOADED_AT).set(self.clock.now().as_seconds_f64());
            }
            Err(error) => self.refuse(error),
        }
        result
    }

    /// Reports that the configuration before is kept.
    pub fn refuse(&self, error: &ReloadError) {
        metrics::gauge!(names::CONFIG_RELOADED).set(0.0);
        let text = lookout_runtime::events::chain(error);
        self.refused.set(RefusedConfig { text, at: self.clock.now() });
    }
}

/// Returns the keys that differ and that only a restart can change.
pub(super) fn keys_of_a_restart(before: &Config, after: &Config) -> Vec<&'static str> {
    let keys = [
        ("`listen`", before.listen != after.listen),
        ("`ledger`", before.ledger != after.ledger),
        ("`interval`", before.grid != after.grid),
        ("`otlp`", before.otlp != after.otlp),
    ];
    keys.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}
