//! Supervised loops: a task that panics is counted, logged and started again.

use std::any::Any;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::events::names;

/// The agent's tasks: spawns them, tells them to stop, and waits for them.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

/// Returns the message of a panic.
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// Pause after a panic before a task is started again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

impl Tasks {
    /// Returns the token that is cancelled when the agent shuts down.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs a loop until it returns. `make` starts it anew after a panic.
    pub fn supervise<F, Fut>(&self, name: impl Into<String>, mut make: F)
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (name, stop) = (name.into(), self.stop.clone());
        // a series that begins with its first panic would show no increase
        metrics::counter!(names::TASK_PANICS, "task" => name.clone()).increment(0);
        self.tracker.spawn(async move {
            loop {
                if std::panic::AssertUnwindSafe(make()).catch_unwind().await.is_ok() {
                    return;
                }
                tracing::error!(task.name = %name, "task panicked and is started again");
                metrics::counter!(names::TASK_PANICS, "task" => name.clone()).increment(1);
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(RESTART_PAUSE) => {}
                }
            }
        });
    }

    /// Cancels every task and waits until all have ended, at most `grace`. Returns whether all have.
    pub async fn shut_down(&self, grace: Duration) -> bool {
        Self::shut_down_all(std::slice::from_ref(self), grace).await
    }

    /// Cancels the tasks of several groups and waits until all have ended, at most `grace`. Returns whether all have.
    pub async fn shut_down_all(groups: &[Self], grace: Duration) -> bool {
        for group in groups {
            group.stop.cancel();
            group.tracker.close();
        }
        let ended = async {
            for group in groups {
                group.tracker.wait().await;
            }
        };
        tokio::time::timeout(grace, ended).await.is_ok()
    }
}
