//! Alerts that an instance did not accept while another one did. They are posted to it as soon as it takes requests: until
//! then it tells people of what is over, and takes the next start of an alert for the same one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::alert::AlertTemplate;
use super::order::{self, State};
use super::{BATCH, Poster};
use crate::Retry;

/// Pause before an instance that answers is asked again.
const PAUSE: Duration = Duration::from_secs(2);

/// The labels of the alerts that an instance missed.
#[derive(Debug, Default)]
pub(super) struct Missed {
    alerts: Mutex<BTreeSet<String>>,
    /// Held while they are posted.
    posting: tokio::sync::Mutex<()>,
}

impl Missed {
    fn locked(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, templates: &[AlertTemplate<'_>]) {
        self.locked().extend(templates.iter().map(order::key));
    }
}

/// The instances that catch up, each in a task of its own. They end with the destination.
#[derive(Debug, Default)]
pub(super) struct CatchUps(Mutex<JoinSet<()>>);

impl CatchUps {
    /// Lets every instance that missed something catch up.
    pub(super) fn begin(&self, poster: &Arc<Poster>) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        for (index, instance) in poster.instances.iter().enumerate() {
            if instance.missed.locked().is_empty() {
                continue;
            }
            let poster = Arc::clone(poster);
            tasks.spawn(async move { poster.catch_up(index).await });
        }
    }
}

impl Poster {
    /// Posts the present states of what an instance missed until it has accepted all of them.
    async fn catch_up(&self, index: usize) {
        let Some(instance) = self.instances.get(index) else { return };
        // the task before goes on
        let Ok(_posting) = instance.missed.posting.try_lock() else { return };
        loop {
            let open = instance.breaker.open_until();
            tokio::time::sleep_until(open.unwrap_or_else(|| Instant::now() + PAUSE)).await;
            let missed: BTreeSet<String> = instance.missed.locked().iter().take(BATCH).cloned().collect();
            if missed.is_empty() {
                return;
            }
            let begun = Instant::now();
            let states = self.order.states(&missed);
            let templates: Vec<AlertTemplate<'_>> = states.iter().map(State::template).collect();
            match self.post_to(&[instance], &templates, None, None).await.1 {
                Err(refused) if refused.retry != Retry::Never => {}
                // what is refused for good is in quarantine
                Ok(()) | Err(_) => {
                    let newer = self.order.changed_since(&missed, begun);
                    instance.missed.locked().retain(|key| !missed.contains(key) || newer.contains(key));
                }
            }
        }
    }
}
