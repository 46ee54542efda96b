//! The loops that count: one per target, per neighbour and per Prometheus. A configuration that follows changes their
//! assignments. Only loops whose source is another one begin anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lookout_collect::Feed;
use lookout_collect::probe::{self, Assigned, Assignment, Latest};
use lookout_collect::promql::{self, Job};
use lookout_collect::scrape::{self, Streams};
use lookout_config::{Config, Indicator, Prometheus, Scrape, Stream};
use lookout_engine::{Cause, Grid};
use lookout_runtime::task::Tasks;
use tokio::sync::watch::{self, Sender};

use super::dependencies::{Clients, Dependencies};

/// Time that a loop without a source any more may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// A loop with its source, and what gives it assignments.
struct Loop<S, A> {
    source: S,
    assign: A,
    tasks: Tasks,
}

type Loops<S, A> = BTreeMap<String, Loop<S, A>>;

/// All loops that count.
pub(super) struct Collectors {
    dependencies: Dependencies,
    grid: Grid,
    feed: Feed,
    probe_ports: Arc<probe::Ports>,
    probes: Loops<(), Arc<Assigned>>,
    scrapes: Loops<Scrape, Sender<Streams>>,
    queries: Loops<Prometheus, Sender<Vec<Job>>>,
}

/// Streams of a configuration with their numbers.
#[derive(Clone, Copy)]
pub(super) struct Numbered<'a> {
    pub(super) config: &'a Config,
    pub(super) numbers: &'a [usize],
}

impl<'a> Numbered<'a> {
    /// Returns every stream with its number.
    pub(super) fn streams(self) -> impl Iterator<Item = (usize, Stream<'a>)> {
        self.numbers.iter().copied().zip(self.config.streams())
    }
}

impl Collectors {
    pub(super) fn new(dependencies: &Dependencies, grid: Grid, feed: Feed, latest: &Latest) -> Self {
        let probe_ports = Arc::new(probe::Ports {
            prober: Arc::clone(&dependencies.prober),
            clock: Arc::clone(&dependencies.clock),
            grid,
            feed: feed.clone(),
            latest: latest.clone(),
            history: dependencies.history.clone(),
            pauses: dependencies.pauses.clone(),
            rounds: probe::Rounds::default(),
        });
        Self {
            dependencies: dependencies.clone(),
            grid,
            feed,
            probe_ports,
            probes: Loops::new(),
            scrapes: Loops::new(),
            queries: Loops::new(),
        }
    }

    /// Gives every loop its assignment by a configuration. Starts the loops that are new and stops those that are gone.
    pub(super) async fn assign(&mut self, numbered: Numbered<'_>, jobs: Vec<Job>, clients: &Clients) {
        self.assign_probes(numbered).await;
        self.assign_scrapes(numbered, clients).await;
        self.assign_queries(numbered, jobs, clients).await;
    }

    /// Returns the jobs of the queries as they are assigned now.
    pub(super) fn jobs(&self) -> Vec<Job> {
        self.queries.values().flat_map(|one| one.assign.borrow().clone()).collect()
    }

    /// Stops all loops. Returns whether all of them ended in time.
    pub(super) async fn shut_down(self, grace: Duration) -> bool {
        let tasks = self.probes.into_values().map(|one| one.tasks);
        let tasks = tasks.chain(self.scrapes.into_values().map(|one| one.tasks));
        let tasks: Vec<Tasks> = tasks.chain(self.queries.into_values().map(|one| one.tasks)).collect();
        Tasks::shut_down_all(&tasks, grace).await
    }

    async fn assign_probes(&mut self, numbered: Numbered<'_>) {
        let mut streams: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut rounds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut certificates: BTreeMap<&str, Vec<(usize, u32)>> = BTreeMap::new();
        for (number, stream) in numbered.streams() {
            match stream.indicator {
                Indicator::Probe { target, certificate_days: Some(days) } => {
                    certificates.entry(target).or_default().push((number, *days));
                }
                Indicator::Probe { target, certificate_days: None } => {
                    let slo = numbered.config.slos.get(stream.slo);
                    let is_row = slo.is_some_and(|slo| slo.has_condition_on(Cause::TargetDown));
                    let counted = if is_row { &mut rounds } else { &mut streams };
                    counted.entry(target).or_default().push(number);
                }
                _ => {}
            }
        }
        let named: BTreeSet<&str> =
            numbered.config.targets.iter().map(|target| target.name.as_str()).collect();
        for name in retire(&mut self.probes, |name, ()| named.contains(name)).await {
            self.probe_ports.latest.forget(&name);
            // addresses come and go for as long as the agent runs
            if name.contains('@') {
                self.dependencies.recorder.forget("target", &name);
                self.dependencies.recorder.forget("task", &task_of(&name));
            }
        }
        for target in &numbered.config.targets {
            // an SLO counts every address of a target
            let named = target.declared_name();
            let mut streams = streams.get(named).cloned().unwrap_or_default();
            let mut rounds = rounds.get(named).cloned().unwrap_or_default();
            if target.group.is_none() {
                streams.append(&mut rounds);
            }
            let certificates = certificates.get(named).cloned().unwrap_or_default();
            let assignment = Assignment { target: Arc::clone(target), streams, rounds, certificates };
            if let Some(known) = self.probes.get(&target.name) {
                known.assign.replace(assignment);
                continue;
            }
            let (assigned, ports) = (Assigned::new(assignment), Arc::clone(&self.probe_ports));
            let (assign, tasks) = (Arc::clone(&assigned), Tasks::default());
            let stop = tasks.stopping();
            tasks.supervise(task_of(&target.name), move || {
                probe::watch(Arc::clone(&assigned), Arc::clone(&ports), stop.clone())
            });
            self.probes.insert(target.name.clone(), Loop { source: (), assign, tasks });
        }
    }

    async fn assign_scrapes(&mut self, numbered: Numbered<'_>, clients: &Clients) {
        let mut streams: BTreeMap<&str, Streams> = BTreeMap::new();
        for (number, stream) in numbered.streams() {
            match stream.indicator {
                Indicator::Scrape { source, ratio } => {
                    streams.entry(source).or_default().ratios.push((number, ratio.clone()));
                }
                Indicator::Up { source } => streams.entry(source).or_default().up.push(number),
                _ => {}
            }
        }
        let wanted = &numbered.config.scrapes;
        retire(&mut self.scrapes, |_, source| wanted.contains(source)).await;
        for scrape in wanted {
            let streams = streams.remove(scrape.name.as_str()).unwrap_or_default();
            if let Some(known) = self.scrapes.get(&scrape.name) {
                known.assign.send_replace(streams);
                continue;
            }
            let (assign, assigned) = watch::channel(streams);
            let tasks = Tasks::default();
            let ports = scrape::Ports {
                fetch: Arc::clone(&clients.fetch),
                clock: Arc::clone(&self.dependencies.clock),
                grid: self.grid,
                feed: self.feed.clone(),
            };
            let (source, stop) = (Arc::new(scrape.clone()), tasks.stopping());
            tasks.supervise(format!("scrape {}", scrape.name), move || {
                scrape::watch(Arc::clone(&source), assigned.clone(), ports.clone(), stop.clone())
            });
            self.scrapes.insert(scrape.name.clone(), Loop { source: scrape.clone(), assign, tasks });
        }
    }

    async fn assign_queries(&mut self, numbered: Numbered<'_>, jobs: Vec<Job>, clients: &Clients) {
        let mut by_server: BTreeMap<&str, Vec<Job>> = BTreeMap::new();
        let jobs: BTreeMap<usize, Job> = jobs.into_iter().map(|job| (job.stream, job)).collect();
        for (number, stream) in numbered.streams() {
            if let Indicator::Prometheus { source, .. } = stream.indicator {
                by_server.entry(source).or_default().extend(jobs.get(&number).cloned());
            }
        }
        let wanted = &numbered.config.prometheus;
        retire(&mut self.queries, |name, server| wanted.contains(server) && by_server.contains_key(name))
            .await;
        for server in wanted {
            let Some(jobs) = by_server.remove(server.name.as_str()) else { continue };
            if let Some(known) = self.queries.get(&server.name) {
                known.assign.send_replace(jobs);
                continue;
            }
            let (assign, assigned) = watch::channel(jobs);
            let tasks = Tasks::default();
            let ports = promql::Ports {
                query_api: Arc::clone(&clients.query_api),
                clock: Arc::clone(&self.dependencies.clock),
                grid: self.grid,
                feed: self.feed.clone(),
            };
            let (source, stop) = (Arc::new(server.clone()), tasks.stopping());
            tasks.supervise(format!("prometheus {}", server.name), move || {
                promql::watch(Arc::clone(&source), assigned.clone(), ports.clone(), stop.clone())
            });
            self.queries.insert(server.name.clone(), Loop { source: server.clone(), assign, tasks });
        }
    }
}

/// Returns the name of the task that probes a target.
fn task_of(target: &str) -> String {
    format!("probe {target}")
}

/// Stops the loops that are not to be kept, and waits for their ends. Returns their names.
async fn retire<S, A>(loops: &mut Loops<S, A>, keep: impl Fn(&str, &S) -> bool) -> Vec<String> {
    let gone: Loops<S, A> = loops.extract_if(.., |name, one| !keep(name, &one.source)).collect();
    let (names, tasks): (Vec<String>, Vec<Tasks>) =
        gone.into_iter().map(|(name, one)| (name, one.tasks)).unzip();
    if !Tasks::shut_down_all(&tasks, STOP_TIMEOUT).await {
        tracing::warn!(tasks = ?names, "loops of the configuration before did not stop in time");
    }
    names
}
