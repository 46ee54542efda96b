//! The assignment of a loop, which is replaced while the loop runs.

use std::sync::{Arc, Mutex, PoisonError};

use lookout_config::Target;
use tokio::sync::Notify;

/// Target of a loop, and the streams that its outcomes count for.
#[derive(Debug)]
pub struct Assignment {
    /// The target.
    pub target: Arc<Target>,
    /// Numbers of the streams that count outcomes.
    pub streams: Vec<usize>,
    /// Numbers of the streams that count outcomes of all addresses as a whole, where the target is one of them.
    pub rounds: Vec<usize>,
    /// Numbers of the streams that count certificates, each with the days that a good one must still be valid.
    pub certificates: Vec<(usize, u32)>,
}

/// The present assignment of one loop.
///
/// A channel of tokio that keeps its last value has eight lists of waiting tasks. There is one assignment for each of
/// thousands of targets, and one loop waits for it.
#[derive(Debug)]
pub struct Assigned {
    present: Mutex<Arc<Assignment>>,
    replaced: Notify,
}

impl Assigned {
    /// The first assignment of a loop.
    #[must_use]
    pub fn new(assignment: Assignment) -> Arc<Self> {
        Arc::new(Self { present: Mutex::new(Arc::new(assignment)), replaced: Notify::new() })
    }

    /// Replaces the assignment. It takes effect with the next probe.
    pub fn replace(&self, assignment: Assignment) {
        *self.present.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(assignment);
        self.replaced.notify_one();
    }

    pub(super) fn present(&self) -> Arc<Assignment> {
        Arc::clone(&self.present.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Resolves when the assignment was replaced since the call before.
    pub(super) async fn replaced(&self) {
        self.replaced.notified().await;
    }
}
