//! Alertmanager, API v2.
//!
//! Every instance gets every alert, never through a load balancer: the instances agree among themselves which one
//! notifies. A delivery succeeds when one instance accepts it; the others catch up as soon as they take requests.
//!
//! Alertmanager keeps alerts in memory and lets them expire. So firing alerts are posted again and again with an
//! `endsAt` a few minutes ahead, and resolved ones for a while with the time at which they ended. Labels identify an
//! alert, so they contain nothing that changes while it fires.

mod alert;
mod catch_up;
#[cfg(test)]
mod catch_up_tests;
mod instance;
mod order;
#[cfg(test)]
mod order_tests;
mod quarantine;
mod read_back;
mod refresh;
#[cfg(test)]
mod refresh_tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lookout_config::{AlertmanagerSettings as Settings, Secret};
use lookout_engine::{Change, Severity};
use lookout_model::Timestamp;
use reqwest::{Client, RequestBuilder};
use tokio::time::Instant;

#[cfg(test)]
pub(super) use self::alert::sample;
use self::alert::{Alert, AlertTemplate, alerts};
use self::catch_up::CatchUps;
use self::instance::{Instance, SKEW_LIMIT_MS};
use self::order::{Order, State};
use self::refresh::Rounds;
use super::breaker::Breaker;
use super::http::Transport;
use super::instance::{HeldAlert, InstanceState};
use super::{Receiver, Refused, Retry, http};
use lookout_model::{Delivery, Notice, TransitionRecord};
use lookout_runtime::clock::Clock;
use lookout_runtime::events::names;

const REFRESH: Duration = Duration::from_secs(30);
/// Interval at which the instances are asked what they hold.
const READ_BACK: Duration = Duration::from_secs(15);
/// Time that the other instances have once one has accepted a transition.
const OTHERS_TIMEOUT: Duration = Duration::from_secs(1);
/// Number of incidents that are posted at once.
const CONCURRENCY: usize = 8;
/// Number of times that a refresh posts what was delivered while it posted.
const OVERTAKEN: usize = 3;
/// Alerts per request.
const BATCH: usize = 100;

/// A destination of the kind `alertmanager`.
pub(super) struct Alertmanager {
    poster: Arc<Poster>,
    rounds: Rounds,
    catch_ups: CatchUps,
}

/// The instances, and the means to post to them.
struct Poster {
    name: String,
    minimum: Severity,
    instances: Vec<Instance>,
    order: Order,
    /// Bearer token, for a proxy that asks for one.
    token: Option<Secret>,
    /// True if an alert fires all the time, so that its absence shows that something is broken.
    watchdog: bool,
    client: Client,
    transport: Box<dyn Transport>,
    clock: Arc<dyn Clock>,
}

impl Alertmanager {
    pub(super) fn new(
        name: String,
        minimum: Severity,
        settings: &Settings,
        (client, transport): (Client, Box<dyn Transport>),
        clock: Arc<dyn Clock>,
    ) -> Self {
        let poster = Poster {
            name,
            minimum,
            instances: settings.urls.iter().map(Instance::at).collect(),
            order: Order::default(),
            token: settings.token.clone(),
            watchdog: settings.watchdog,
            client,
            transport,
            clock,
        };
        Self { poster: Arc::new(poster), rounds: Rounds::default(), catch_ups: CatchUps::default() }
    }
}

impl Poster {
    /// Returns the alerts of a transition, for the severities of this destination.
    fn templates<'a>(&self, notice: &'a Notice) -> Vec<AlertTemplate<'a>> {
        let now = notice.incident.severity;
        let other = if now == Severity::Page { Severity::Ticket } else { Severity::Page };
        let wanted: &[(Severity, bool)] = match notice.change {
            Change::Resolved if notice.incident.peak != now => &[(now, false), (other, false)],
            Change::Resolved => &[(now, false)],
            Change::Escalated | Change::Eased => &[(other, false), (now, true)],
            Change::Opened | Change::Reopened => &[(now, true)],
        };
        wanted
            .iter()
            .filter(|(severity, _)| *severity >= self.minimum)
            .map(|&(severity, firing)| AlertTemplate { notice, severity, firing })
            .collect()
    }

    /// Posts to every instance whose breaker is closed. After the first success the others have a moment more: an
    /// instance that hangs must not delay the next incident, and catches up later.
    async fn post_to_available(&self, templates: &[AlertTemplate<'_>]) -> Result<(), Refused> {
        let closed: Vec<&Instance> = self.instances.iter().filter(|one| one.breaker.is_closed()).collect();
        let chosen = if closed.is_empty() { self.instances.iter().collect() } else { closed };
        let (took, result) = self.post_to(&chosen, templates, Some(OTHERS_TIMEOUT), None).await;
        if result.is_ok() {
            let behind = self.instances.iter().filter(|one| !took.contains(one.shown.as_str()));
            behind.for_each(|instance| instance.missed.add(templates));
        }
        result
    }

    /// Posts to these instances; fails only when none accepted everything. Returns those that accepted, or refused for good.
    /// With a grace, it ends that long after the first success. Alerts that were read from the ledger have the instant of that.
    async fn post_to<'i>(
        &self,
        instances: &[&'i Instance],
        templates: &[AlertTemplate<'_>],
        grace: Option<Duration>,
        read_at: Option<Instant>,
    ) -> (BTreeSet<&'i str>, Result<(), Refused>) {
        let mut took = BTreeSet::new();
        if templates.is_empty() {
            return (instances.iter().map(|one| one.shown.as_str()).collect(), Ok(()));
        }
        let mut posts: FuturesUnordered<_> = instances
            .iter()
            .enumerate()
            .map(|(index, instance)| async move {
                (index, self.post_to_instance(instance, templates, read_at).await)
            })
            .collect();
        let mut late: BTreeSet<usize> = (0..instances.len()).collect();
        let (mut accepted, mut refusals, mut until) = (false, Vec::new(), None::<Instant>);
        loop {
            let ended = match until {
                None => posts.next().await,
                Some(until) => tokio::time::timeout_at(until, posts.next()).await.unwrap_or(None),
            };
            let Some((index, answer)) = ended else { break };
            late.remove(&index);
            let breaker = instances.get(index).map(|instance| &instance.breaker);
            if answer.as_ref().err().is_none_or(|refused| refused.retry == Retry::Never) {
                took.extend(instances.get(index).map(|one| one.shown.as_str()));
            }
            match answer {
                Ok(()) => {
                    breaker.into_iter().for_each(Breaker::close);
                    accepted = true;
                    until = until.or_else(|| grace.map(|grace| Instant::now() + grace));
                }
                Err(refused) => {
                    // an instance that answers is reachable, whatever the answer
                    breaker.filter(|_| refused.retry != Retry::Never).into_iter().for_each(Breaker::open);
                    refusals.push(refused);
                }
            }
        }
        for instance in late.into_iter().filter_map(|index| instances.get(index)) {
            instance.breaker.open();
            let error = format!("alertmanager {} did not answer in time", instance.shown);
            refusals.push(Refused { error, retry: Retry::Unsure });
        }
        (took, self.outcome(accepted, &refusals))
    }

    fn outcome(&self, accepted: bool, refusals: &[Refused]) -> Result<(), Refused> {
        if accepted {
            for refused in refusals {
                tracing::warn!(destination.name = %self.name, error = %refused.error,
                    "one of several alertmanagers did not accept an alert; it catches up");
                metrics::counter!(names::DELIVERIES, "destination" => self.name.clone(), "outcome" => "partial")
                    .increment(1);
            }
            return Ok(());
        }
        // an instance that may accept it later decides over one that never will
        let hopeful = refusals.iter().find(|refused| refused.retry != Retry::Never);
        let none = || Refused {
            error: format!("destination {} has no alertmanager", self.name),
            retry: Retry::Never,
        };
        Err(hopeful.or_else(|| refusals.first()).cloned().unwrap_or_else(none))
    }

    async fn post_to_instance(
        &self,
        instance: &Instance,
        templates: &[AlertTemplate<'_>],
        read_at: Option<Instant>,
    ) -> Result<(), Refused> {
        self.measure_first(instance).await?;
        let assumed = instance.skew_ms();
        self.post_all(instance, templates, read_at).await?;
        if (instance.skew_ms() - assumed).abs() > SKEW_LIMIT_MS {
            // by its clock the alerts may have ended before they arrived
            self.post_all(instance, templates, read_at).await?;
        }
        Ok(())
    }

    /// Measures the clock of an instance that was never asked. By the wrong clock an alert may be over when it arrives, and
    /// a pair tells its end before its start.
    async fn measure_first(&self, instance: &Instance) -> Result<(), Refused> {
        if instance.is_measured() {
            return Ok(());
        }
        let (sent_at, who) = (self.clock.now(), format!("alertmanager {}", instance.shown));
        let request = self.authorized(self.client.get(instance.endpoint("status")));
        let answer = self.transport.send(&who, request, http::BODY_LIMIT).await;
        // whatever it answers, nothing was posted yet
        let answer = answer.map_err(|refused| Refused { retry: Retry::BackOff, ..refused })?;
        instance.measure(&answer, sent_at, self.clock.now());
        Ok(())
    }

    fn authorized(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        }
    }

    /// Posts alerts in batches. A batch with one bad alert is refused, though the good ones may have been accepted: it
    /// is halved until the bad one is alone. Any other refusal ends it: an instance that hangs would cost a time limit
    /// per batch.
    async fn post_all(
        &self,
        instance: &Instance,
        templates: &[AlertTemplate<'_>],
        read_at: Option<Instant>,
    ) -> Result<(), Refused> {
        let mut refusal = Ok(());
        let mut parts: Vec<&[AlertTemplate<'_>]> = templates.chunks(BATCH).rev().collect();
        while let Some(part) = parts.pop() {
            let posted = match read_at {
                None => self.post(instance, |now, skew_ms| alerts(part, now, skew_ms)).await,
                Some(read_at) => self.post_read(instance, part, read_at).await,
            };
            match posted {
                Err(refused) if refused.retry == Retry::Never && part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(refused) if refused.retry == Retry::Never => {
                    part.iter().for_each(|bad| self.set_aside(instance, bad, &refused));
                    refusal = refusal.and(Err(refused));
                }
                Err(refused) => return Err(refused),
                Ok(()) => {
                    let accepted =
                        part.iter().map(|template| (&template.notice.incident.id, template.severity));
                    accepted.for_each(|(incident, severity)| instance.quarantine.remove(incident, severity));
                }
            }
        }
        refusal
    }

    /// Posts alerts that were read from the ledger at an instant, or their states that were delivered since then.
    async fn post_read(
        &self,
        instance: &Instance,
        part: &[AlertTemplate<'_>],
        read_at: Instant,
    ) -> Result<(), Refused> {
        let mut begun = Instant::now();
        let (mut current, delivered) = self.order.current(part, read_at);
        current.extend(delivered.iter().map(State::template));
        self.post(instance, |now, skew_ms| alerts(&current, now, skew_ms)).await?;
        // a delivery that arrived first was undone by this post
        for _ in 0..OVERTAKEN {
            let states = self.order.overtaken(part, begun);
            if states.is_empty() {
                break;
            }
            begun = Instant::now();
            let newer: Vec<AlertTemplate<'_>> = states.iter().map(State::template).collect();
            self.post(instance, |now, skew_ms| alerts(&newer, now, skew_ms)).await?;
        }
        Ok(())
    }

    fn set_aside(&self, instance: &Instance, bad: &AlertTemplate<'_>, refused: &Refused) {
        let incident = &bad.notice.incident.id;
        if instance.quarantine.add(incident, bad.severity) {
            tracing::error!(destination.name = %self.name, incident.id = %incident, error = %refused.error,
                "an alert is refused for good; refreshes leave it out for ten minutes");
            metrics::counter!(names::DELIVERIES, "destination" => self.name.clone(), "outcome" => "quarantined")
                .increment(1);
        }
    }

    /// Posts alerts, made for a time of ours and the difference of the clocks.
    async fn post(
        &self,
        instance: &Instance,
        alerts: impl Fn(Timestamp, i64) -> Vec<Alert> + Send,
    ) -> Result<(), Refused> {
        let alerts = alerts(self.clock.now(), instance.skew_ms());
        let request = self.client.post(instance.endpoint("alerts")).json(&alerts);
        self.ask(instance, request, http::BODY_LIMIT).await.map(drop)
    }

    /// Sends a request and measures the clock of the instance by its answer. Reads so many bytes of it.
    async fn ask(
        &self,
        instance: &Instance,
        request: RequestBuilder,
        limit: usize,
    ) -> Result<http::Answer, Refused> {
        let (sent_at, who) = (self.clock.now(), format!("alertmanager {}", instance.shown));
        let answer = self.transport.send(&who, self.authorized(request), limit).await?;
        instance.measure(&answer, sent_at, self.clock.now());
        let secrets: Vec<&str> = self.token.iter().chain(&instance.passwords).map(Secret::reveal).collect();
        if answer.is_success() { Ok(answer) } else { Err(answer.refused(&who, &secrets)) }
    }

    /// Reads the alerts that an instance holds, and who silences them.
    async fn read(&self, instance: &Instance) -> Result<Vec<HeldAlert>, String> {
        let get = async |resource: &str, query: &[(&str, &str)]| {
            let request = self.client.get(instance.endpoint(resource)).query(query);
            let answer = self.ask(instance, request, read_back::BODY_LIMIT).await;
            answer.map_err(|refused| refused.error)
        };
        let mut held = read_back::alerts(&get("alerts", &read_back::ALERTS).await?)?;
        if read_back::ids(&held).next().is_some() {
            read_back::name_silences(&mut held, &get("silences", &[]).await?)?;
        }
        Ok(held)
    }
}

#[async_trait]
impl Receiver for Alertmanager {
    fn name(&self) -> &str {
        &self.poster.name
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Option<String>, Refused> {
        let notice = &delivery.notice;
        let all = self.poster.templates(notice);
        let templates = self.poster.order.deliver(&all);
        if templates.len() < all.len() {
            tracing::info!(destination.name = %self.poster.name, incident.id = %notice.incident.id,
                "the end of an incident is not posted: another one of the same alert is open");
        }
        let posted = self.poster.post_to_available(&templates).await;
        self.catch_ups.begin(&self.poster);
        posted.map(|()| None)
    }

    async fn refresh(&self, latest: &[TransitionRecord]) -> Result<(), Refused> {
        self.rounds.begin(&self.poster, latest).await
    }

    async fn read_back(&self) {
        let poster = &self.poster;
        let reads = poster.instances.iter().map(|instance| async move {
            instance.keep(poster.read(instance).await, poster.clock.now());
        });
        futures_util::future::join_all(reads).await;
    }

    fn read_back_every(&self) -> Option<Duration> {
        Some(READ_BACK)
    }

    fn instances(&self) -> Vec<InstanceState> {
        self.poster.instances.iter().map(Instance::state).collect()
    }

    fn concurrency(&self) -> usize {
        CONCURRENCY
    }

    fn refresh_every(&self) -> Option<Duration> {
        Some(REFRESH)
    }
}
