//! The outboxes: one loop per destination. One whose settings changed begins anew, after its deliveries in flight.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lookout_config::{Config, Destination};
use lookout_deliver::Receiver;
use lookout_ledger::DeliveryStore;
use lookout_runtime::events::chain;
use lookout_runtime::task::Tasks;
use tokio::sync::Notify;

use super::dependencies::Dependencies;

/// Time that the deliveries in flight to a destination that changed may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);

/// All outboxes by the names of their destinations.
#[derive(Default)]
pub(super) struct Outboxes(BTreeMap<String, Outbox>);

/// The loop of a destination.
struct Outbox {
    /// Its settings.
    destination: Option<Destination>,
    receiver: Arc<dyn Receiver>,
    tasks: Tasks,
}

impl Outboxes {
    /// Starts, stops and restarts outboxes, so that they are those of a configuration. Returns the names of those that were started.
    pub(super) async fn assign(
        &mut self,
        config: &Config,
        receivers: &[Arc<dyn Receiver>],
        dependencies: &Dependencies,
        wake: &Arc<Notify>,
    ) -> Vec<String> {
        let settings =
            |name: &str| config.destinations.iter().find(|destination| destination.name == name).cloned();
        let named = |name: &str| receivers.iter().any(|receiver| receiver.name() == name);
        let gone: BTreeMap<_, _> =
            self.0.extract_if(.., |name, one| !named(name) || settings(name) != one.destination).collect();
        let removed: Vec<String> = gone.keys().filter(|name| !named(name)).cloned().collect();
        let tasks: Vec<Tasks> = gone.into_values().map(|one| one.tasks).collect();
        if !Tasks::shut_down_all(&tasks, STOP_TIMEOUT).await {
            tracing::warn!("a delivery to a destination that changed did not end in time");
        }
        for name in removed {
            // a gauge that stands still looks like a task that does
            dependencies.recorder.forget("destination", &name);
            dependencies.recorder.forget("task", &task_of(&name));
        }
        let mut started = Vec::new();
        for receiver in receivers {
            let name = receiver.name().to_owned();
            if !self.0.contains_key(&name) {
                let destination = settings(&name);
                let fallback = destination.as_ref().and_then(|destination| destination.fallback.clone());
                let tasks = start(receiver, fallback, dependencies, wake);
                let outbox = Outbox { destination, receiver: Arc::clone(receiver), tasks };
                self.0.insert(name.clone(), outbox);
                started.push(name);
            }
        }
        started
    }

    /// Returns the receivers in use.
    pub(super) fn receivers(&self) -> Vec<Arc<dyn Receiver>> {
        self.0.values().map(|one| Arc::clone(&one.receiver)).collect()
    }

    /// Stops all outboxes. Returns whether all of them ended in time.
    pub(super) async fn shut_down(self, grace: Duration) -> bool {
        let tasks: Vec<Tasks> = self.0.into_values().map(|one| one.tasks).collect();
        Tasks::shut_down_all(&tasks, grace).await
    }
}

/// Returns the name of the task of a destination.
fn task_of(destination: &str) -> String {
    format!("deliver {destination}")
}

fn start(
    receiver: &Arc<dyn Receiver>,
    fallback: Option<String>,
    dependencies: &Dependencies,
    wake: &Arc<Notify>,
) -> Tasks {
    let tasks = Tasks::default();
    let (receiver, stop) = (Arc::clone(receiver), tasks.stopping());
    let ports = lookout_deliver::Ports {
        ledger: Arc::clone(&dependencies.ledger) as Arc<dyn DeliveryStore>,
        clock: Arc::clone(&dependencies.clock),
        random: Arc::clone(&dependencies.random),
        wake: Arc::clone(wake),
        fallback,
    };
    tasks.supervise(task_of(receiver.name()), move || {
        lookout_deliver::run(Arc::clone(&receiver), ports.clone(), stop.clone())
    });
    tasks
}

/// Tries again what a destination refused under the settings before. Its outbox may have looked already.
pub(super) async fn retry_refused(names: &[String], dependencies: &Dependencies, wake: &Notify) {
    for name in names {
        let retried = dependencies.ledger.retry_dead_letters(Some(name), dependencies.clock.now()).await;
        if let Err(error) = retried {
            tracing::warn!(destination.name = %name, error = chain(&error), "refused deliveries are not tried again");
        }
    }
    wake.notify_waiters();
}
