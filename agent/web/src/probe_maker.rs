//! Probes that a request asks for, a bounded number at once.

use core::fmt;
use std::pin::Pin;
use std::sync::Arc;

use lookout_config::Target;
use tokio::sync::Semaphore;

/// Probes at once. Each may hold a body of its module's `body_limit`.
pub(crate) const AT_ONCE: usize = 32;

/// A probe that runs.
type Making = Pin<Box<dyn Future<Output = Made> + Send>>;

/// Maker of probes and of their series.
#[derive(Clone)]
pub struct ProbeMaker {
    probe: Arc<dyn Fn(Target) -> Making + Send + Sync>,
    permits: Arc<Semaphore>,
}

/// Result of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// The probe was made.
    Series {
        /// Its series, in the text format.
        series: String,
        /// Its report for people. Holds text from outside, and no secret.
        report: String,
    },
    /// The target is none that may be reached.
    Forbidden(String),
    /// This machine lacks what the probe needs: nothing is known about the target.
    Unknown(String),
}

impl ProbeMaker {
    /// Creates a maker that calls `probe` for each request.
    pub fn new<F>(probe: impl Fn(Target) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Made> + Send + 'static,
    {
        Self {
            probe: Arc::new(move |target| Box::pin(probe(target))),
            permits: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Makes a probe; `None` while as many as may run at once are running.
    pub(crate) async fn make(&self, target: Target) -> Option<Made> {
        let _permit = self.permits.try_acquire().ok()?;
        Some((self.probe)(target).await)
    }
}

impl fmt::Debug for ProbeMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProbeMaker")
    }
}
