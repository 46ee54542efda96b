//! The loops that look addresses up, and the targets that follow from what they found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lookout_collect::discover::{self, DiscoveryError, Lookup};
use lookout_config::{AddressSource, Config, Discovery, FoundAddress, Target};
use lookout_runtime::events::names;
use lookout_runtime::task::Tasks;
use lookout_web::{DiscoveryFailure, DiscoveryRow, DiscoveryView};
use tokio::sync::mpsc;

use super::dependencies::Dependencies;

/// Time that a loop without a source any more may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A loop and its settings.
struct Loop {
    source: AddressSource,
    refresh: Duration,
    tasks: Tasks,
}

/// All loops that look addresses up, and the addresses in use.
pub(super) struct Discoveries {
    dependencies: Dependencies,
    results: mpsc::Sender<Lookup>,
    loops: BTreeMap<String, Loop>,
    in_use: BTreeMap<String, Vec<FoundAddress>>,
    rows: Arc<Mutex<BTreeMap<String, DiscoveryRow>>>,
}

/// Addresses that are not in use yet, and the configuration with them.
pub(super) struct Change {
    pub(super) target: String,
    pub(super) found: Vec<FoundAddress>,
    pub(super) config: Config,
}

impl Discoveries {
    pub(super) fn new(dependencies: &Dependencies) -> (Self, mpsc::Receiver<Lookup>) {
        let (results, received) = mpsc::channel(16);
        let (loops, in_use, rows) = (BTreeMap::new(), BTreeMap::new(), Arc::default());
        (Self { dependencies: dependencies.clone(), results, loops, in_use, rows }, received)
    }

    /// Returns the state of every source, for pages.
    pub(super) fn view(&self) -> DiscoveryView {
        let rows = Arc::clone(&self.rows);
        DiscoveryView::new(move || {
            rows.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
        })
    }

    /// Puts the addresses in use into a configuration that was read anew. Those that were read with it are newer.
    pub(super) async fn fill(&self, mut config: Config) -> Result<Config, String> {
        for discovery in config.discoveries.clone() {
            let Some(found) = self.in_use.get(&discovery.name) else { continue };
            if discovery.read.is_none() {
                let targets = targets_of(&discovery, found).await?;
                put(&mut config, &discovery.name, targets);
            }
        }
        Ok(config)
    }

    /// Looks addresses up by a configuration. A source that is the same goes on; one that is gone is forgotten.
    pub(super) async fn assign(&mut self, config: &Config) {
        let named = |name: &str| config.discoveries.iter().find(|one| one.name == name);
        let gone: Vec<Loop> = {
            let is_gone = |name: &String, one: &mut Loop| {
                named(name).is_none_or(|wanted| wanted.source != one.source || wanted.refresh != one.refresh)
            };
            self.loops.extract_if(.., is_gone).map(|(_, one)| one).collect()
        };
        let tasks: Vec<Tasks> = gone.into_iter().map(|one| one.tasks).collect();
        if !Tasks::shut_down_all(&tasks, STOP_TIMEOUT).await {
            tracing::warn!("lookups of the configuration before did not stop in time");
        }
        self.in_use.retain(|name, _| named(name).is_some());
        self.rows().retain(|name, _| {
            let stays = named(name).is_some();
            // the series of a failed lookup would raise an alert on, but a plain target may have the name now
            if !stays && config.targets.iter().all(|target| target.name != *name) {
                self.dependencies.recorder.forget("target", name);
            }
            stays
        });
        for discovery in &config.discoveries {
            if let Some(read) = &discovery.read {
                self.in_use.insert(discovery.name.clone(), read.clone());
            }
            self.note_use(discovery, config);
            if !self.loops.contains_key(&discovery.name) {
                self.start(discovery);
            }
        }
    }

    fn start(&mut self, discovery: &Discovery) {
        let (tasks, results) = (Tasks::default(), self.results.clone());
        let discoverer = (self.dependencies.discoverers)(&discovery.source);
        let (stop, watched) = (tasks.stopping(), Arc::new(discovery.clone()));
        tasks.supervise(format!("discovery {}", discovery.name), move || {
            let (watched, discoverer) = (Arc::clone(&watched), Arc::clone(&discoverer));
            let (results, stop) = (results.clone(), stop.clone());
            async move { discover::watch(&watched, discoverer, results, stop).await }
        });
        let one = Loop { source: discovery.source.clone(), refresh: discovery.refresh, tasks };
        self.loops.insert(discovery.name.clone(), one);
    }

    /// Returns what changes by the result of a lookup; nothing where it failed or the addresses are those in use.
    pub(super) async fn change(&self, lookup: Lookup, config: &Config) -> Option<Change> {
        let Lookup { target, result } = lookup;
        // the last result of a loop that has stopped meanwhile
        let discovery = config.discoveries.iter().find(|one| one.name == target)?;
        let found = match result {
            Ok(found) => found,
            Err(error) => {
                self.note_failure(discovery, &error);
                return None;
            }
        };
        if self.in_use.get(&target) == Some(&found) {
            self.note_success(discovery);
            return None;
        }
        match targets_of(discovery, &found).await {
            Ok(targets) => {
                let mut config = config.clone();
                put(&mut config, &target, targets);
                Some(Change { target, found, config })
            }
            Err(message) => {
                self.note_failure(discovery, &DiscoveryError::Unusable(message));
                None
            }
        }
    }

    /// Notes that the agent goes on with the addresses of a change.
    pub(super) fn took(&mut self, target: String, found: Vec<FoundAddress>, config: &Config) {
        let Some(discovery) = config.discoveries.iter().find(|one| one.name == target) else { return };
        let before = self.in_use.insert(target.clone(), found).unwrap_or_default();
        let names =
            |found: &[FoundAddress]| found.iter().map(|one| one.address.clone()).collect::<BTreeSet<_>>();
        let (before, after) = (names(&before), names(self.in_use.get(&target).map_or(&[], Vec::as_slice)));
        tracing::info!(
            probe.target = target,
            added = after.difference(&before).count(),
            removed = before.difference(&after).count(),
            addresses = after.len(),
            "a target has other addresses"
        );
        self.note_use(discovery, config);
        self.note_success(discovery);
    }

    /// Notes that addresses were found and cannot be used, because the agent cannot go on with them.
    pub(super) fn refused(&self, target: &str, message: String, config: &Config) {
        if let Some(discovery) = config.discoveries.iter().find(|one| one.name == target) {
            self.note_failure(discovery, &DiscoveryError::Unusable(message));
        }
    }

    /// Stops all loops. Returns whether all of them ended in time.
    pub(super) async fn shut_down(self, grace: Duration) -> bool {
        let tasks: Vec<Tasks> = self.loops.into_values().map(|one| one.tasks).collect();
        Tasks::shut_down_all(&tasks, grace).await
    }

    fn rows(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, DiscoveryRow>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_row(&self, discovery: &Discovery, note: impl FnOnce(&mut DiscoveryRow)) {
        let new = || DiscoveryRow {
            target: discovery.name.clone(),
            source: discovery.source.kind(),
            addresses: 0,
            succeeded_at: None,
            failure: None,
        };
        let mut rows = self.rows();
        let row = rows.entry(discovery.name.clone()).or_insert_with(new);
        row.source = discovery.source.kind();
        note(row);
    }

    fn note_use(&self, discovery: &Discovery, config: &Config) {
        let addresses =
            config.targets.iter().filter(|target| target.group.as_ref() == Some(&discovery.name)).count();
        metrics::gauge!(names::DISCOVERED, "target" => discovery.name.clone()).set(addresses as f64);
        // from the start on, so that a first failure is an increase
        for outcome in ["ok", "fail"] {
            metrics::counter!(names::DISCOVERIES, "target" => discovery.name.clone(), "outcome" => outcome)
                .increment(0);
        }
        self.with_row(discovery, |row| row.addresses = addresses);
    }

    fn note_success(&self, discovery: &Discovery) {
        let (name, now) = (&discovery.name, self.dependencies.clock.now());
        metrics::counter!(names::DISCOVERIES, "target" => name.clone(), "outcome" => "ok").increment(1);
        metrics::gauge!(names::DISCOVERED_AT, "target" => name.clone()).set(now.as_seconds_f64());
        metrics::gauge!(names::DISCOVERY_SUCCEEDED, "target" => name.clone()).set(1.0);
        self.with_row(discovery, |row| {
            row.succeeded_at = Some(now);
            if row.failure.take().is_some() {
                tracing::info!(probe.target = name, "addresses are found again");
            }
        });
    }

    fn note_failure(&self, discovery: &Discovery, error: &DiscoveryError) {
        let (name, now) = (&discovery.name, self.dependencies.clock.now());
        metrics::counter!(names::DISCOVERIES, "target" => name.clone(), "outcome" => "fail").increment(1);
        metrics::counter!(names::DISCOVERY_FAILURES, "target" => name.clone(), "reason" => error.reason())
            .increment(1);
        metrics::gauge!(names::DISCOVERY_SUCCEEDED, "target" => name.clone()).set(0.0);
        self.with_row(discovery, |row| {
            let text = error.to_string();
            let since = row.failure.as_ref().map_or(now, |before| before.since);
            let is_told = row.failure.as_ref().is_some_and(|before| before.text == text);
            if !is_told {
                let kept = row.addresses;
                tracing::warn!(
                    probe.target = name,
                    error = text,
                    kept,
                    "a lookup of addresses failed; those of before stay in use"
                );
            }
            row.failure = Some(DiscoveryFailure { text, since });
        });
    }
}

/// Returns the targets at some addresses. Templates may name files, so that they are read on a thread of their own.
async fn targets_of(discovery: &Discovery, found: &[FoundAddress]) -> Result<Vec<Target>, String> {
    let (discovery, found) = (discovery.clone(), found.to_vec());
    let reading = tokio::task::spawn_blocking(move || discovery.targets(&found));
    reading.await.unwrap_or_else(|error| Err(format!("reading the target broke: {error}")))
}

/// Replaces the targets of a template, in the place of those before.
fn put(config: &mut Config, name: &str, targets: Vec<Target>) {
    let is_of = |target: &Arc<Target>| target.group.as_deref() == Some(name);
    let place = config.targets.iter().position(is_of).unwrap_or(config.targets.len());
    config.targets.retain(|target| !is_of(target));
    config.targets.splice(place..place, targets.into_iter().map(Arc::new));
}
