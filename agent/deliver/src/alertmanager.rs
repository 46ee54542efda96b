//! Alertmanager, API v2.
//!
//! Every instance gets every alert, never through a load balancer: the instances agree among themselves which one
//! notifies. A delivery succeeds when one instance accepts it; the others get the same state with the next refresh.
//!
//! Alertmanager keeps alerts in memory and lets them expire. So firing alerts are posted again and again with an
//! `endsAt` a few minutes ahead, and resolved ones for a while with the time at which they ended. Labels identify an
//! alert, so they contain nothing that changes while it fires.

mod quarantine;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lookout_config::Secret;
use lookout_engine::{Cause, Change, Severity};
use lookout_model::Timestamp;
use reqwest::Client;
use serde::Serialize;
use tokio::time::Instant;
use url::Url;

use self::quarantine::Quarantine;
use super::breaker::Breaker;
use super::message::{self, Message, TEXT, clean, deploy_text, is_over, usable_url};
use super::{Receiver, Refused, Retry, http};
use lookout_model::format::{burn, duration, percent, rfc3339};
use lookout_model::{Delivery, Notice, TransitionRecord};
use lookout_runtime::clock::Clock;
use lookout_runtime::events::names;

const REFRESH: Duration = Duration::from_secs(30);
/// Time that an alert outlives its last post: eight refreshes may be lost.
const OUTLIVES: Duration = Duration::from_secs(4 * 60);
/// Time that a resolved alert is posted again, as Prometheus does.
const RESOLVED_FOR: Duration = Duration::from_secs(15 * 60);
/// Time that the other instances have once one has accepted a transition.
const GRACE: Duration = Duration::from_secs(1);
/// Number of incidents that are posted at once.
const CONCURRENCY: usize = 8;
/// Alerts per request.
const BATCH: usize = 100;
/// Largest difference of clocks that is ignored: the granularity of the header and the latency of the answer.
const SKEW_NOISE_MS: i64 = 2_000;
/// Least difference of clocks that is logged; alerts are then posted again by the other clock.
const SKEW_LIMIT_MS: i64 = 30_000;

pub(super) struct Alertmanager {
    name: String,
    minimum: Severity,
    instances: Vec<Instance>,
    settings: Settings,
    client: Client,
    clock: Arc<dyn Clock>,
}

/// Settings of a destination that hold for all its instances.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    /// Bearer token, for a proxy that asks for one.
    pub(super) token: Option<Secret>,
    /// Whether an alert fires all the time, so that its absence shows that something is broken.
    pub(super) watchdog: bool,
}

struct Instance {
    endpoint: Url,
    /// The address without user, password and query.
    shown: String,
    /// Milliseconds by which its clock is ahead of ours.
    skew_ms: AtomicI64,
    breaker: Breaker,
    quarantine: Quarantine,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    starts_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    generator_url: Option<String>,
}

/// Alert before its times are set, which depend on the clock of each instance.
#[derive(Debug, Clone, Copy)]
struct AlertTemplate<'a> {
    notice: &'a Notice,
    severity: Severity,
    firing: bool,
}

impl Alertmanager {
    pub(super) fn new(
        name: String,
        minimum: Severity,
        urls: &[Url],
        settings: Settings,
        client: Client,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let instances = urls.iter().map(Instance::at).collect();
        Self { name, minimum, instances, settings, client, clock }
    }

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
    /// instance that hangs must not delay the next incident, and gets the same state with the next refresh.
    async fn post_to_available(&self, templates: &[AlertTemplate<'_>]) -> Result<(), Refused> {
        let closed: Vec<&Instance> = self.instances.iter().filter(|one| one.breaker.is_closed()).collect();
        let chosen = if closed.is_empty() { self.instances.iter().collect() } else { closed };
        self.post_to(&chosen, templates, Some(GRACE)).await
    }

    /// Posts to these instances; fails only when none accepted everything. With a grace, it ends that long after the
    /// first success.
    async fn post_to(
        &self,
        instances: &[&Instance],
        templates: &[AlertTemplate<'_>],
        grace: Option<Duration>,
    ) -> Result<(), Refused> {
        if templates.is_empty() {
            return Ok(());
        }
        let mut posts: FuturesUnordered<_> = instances
            .iter()
            .enumerate()
            .map(|(index, instance)| async move { (index, self.post_to_instance(instance, templates).await) })
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
        self.outcome(accepted, &refusals)
    }

    /// Posts the present state to every instance, without what it refuses for good. Fails when none accepted it.
    async fn refresh_all(&self, templates: &[AlertTemplate<'_>]) -> Result<(), Refused> {
        let posts = self.instances.iter().map(|instance| async move {
            let wanted = |template: &&AlertTemplate<'_>| {
                !instance.quarantine.contains(&template.notice.incident.id, template.severity)
            };
            let wanted: Vec<AlertTemplate<'_>> = templates.iter().filter(wanted).copied().collect();
            if wanted.is_empty() { Ok(()) } else { self.post_to(&[instance], &wanted, None).await }
        });
        let results = futures_util::future::join_all(posts).await;
        let refused = results.iter().find_map(|result| result.as_ref().err());
        match refused {
            Some(refused) if results.iter().all(Result::is_err) => Err(refused.clone()),
            Some(_) | None => Ok(()),
        }
    }

    fn outcome(&self, accepted: bool, refusals: &[Refused]) -> Result<(), Refused> {
        if accepted {
            for refused in refusals {
                tracing::warn!(destination.name = %self.name, error = %refused.error,
                    "one of several alertmanagers did not accept an alert; the next refresh repeats it");
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
    ) -> Result<(), Refused> {
        let assumed = instance.skew_ms();
        self.post_all(instance, templates).await?;
        if (instance.skew_ms() - assumed).abs() > SKEW_LIMIT_MS {
            // by its clock the alerts may have ended before they arrived
            self.post_all(instance, templates).await?;
        }
        Ok(())
    }

    /// Posts alerts in batches. A batch with one bad alert is refused, though the good ones may have been accepted: it
    /// is halved until the bad one is alone.
    async fn post_all(&self, instance: &Instance, templates: &[AlertTemplate<'_>]) -> Result<(), Refused> {
        let mut refusal = Ok(());
        let mut parts: Vec<&[AlertTemplate<'_>]> = templates.chunks(BATCH).rev().collect();
        while let Some(part) = parts.pop() {
            let posted = self.post(instance, |now, skew_ms| alerts(part, now, skew_ms)).await;
            match posted {
                Err(refused) if refused.retry == Retry::Never && part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
                Err(refused) => {
                    if refused.retry == Retry::Never {
                        part.iter().for_each(|bad| self.set_aside(instance, bad, &refused));
                    }
                    refusal = refusal.and(Err(refused));
                }
                Ok(()) => {
                    let accepted =
                        part.iter().map(|template| (&template.notice.incident.id, template.severity));
                    accepted.for_each(|(incident, severity)| instance.quarantine.remove(incident, severity));
                }
            }
        }
        refusal
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
        let sent_at = self.clock.now();
        let who = format!("alertmanager {}", instance.shown);
        let mut request = self.client.post(instance.endpoint.clone());
        if let Some(token) = &self.settings.token {
            request = request.bearer_auth(token.reveal());
        }
        let answer = http::send(&who, request.json(&alerts(sent_at, instance.skew_ms()))).await?;
        if let Some(date) = answer.date {
            let middle = sent_at.midpoint(self.clock.now());
            // the header has whole seconds: on average half of one is missing
            instance.measured((date + Duration::from_millis(500)).millis_since(middle));
        }
        let secret = self.settings.token.as_ref().map_or("", Secret::reveal);
        if answer.is_success() { Ok(()) } else { Err(answer.refused(&who, &[secret])) }
    }

    /// Posts the alert that always fires to every instance.
    async fn post_watchdog(&self) {
        for instance in &self.instances {
            if let Err(refused) = self.post(instance, |now, skew_ms| vec![watchdog(now, skew_ms)]).await {
                tracing::warn!(destination.name = %self.name, error = %refused.error, "the watchdog was not posted");
            }
        }
    }
}

/// Returns the alert that always fires.
fn watchdog(now: Timestamp, skew_ms: i64) -> Alert {
    let text =
        "The agent delivers alerts. This one always fires: its absence shows that an alert would not arrive.";
    Alert {
        labels: BTreeMap::from([
            ("alertname", "LookoutWatchdog".to_owned()),
            ("severity", "none".to_owned()),
        ]),
        annotations: BTreeMap::from([("summary", text.to_owned())]),
        starts_at: date(now.plus_millis(skew_ms)),
        ends_at: date((now + OUTLIVES).plus_millis(skew_ms)),
        generator_url: None,
    }
}

/// Returns the alert of a transition.
#[cfg(test)]
pub(super) fn sample(notice: &Notice) -> serde_json::Value {
    let template = AlertTemplate { notice, severity: notice.incident.severity, firing: !is_over(notice) };
    serde_json::to_value(template.alert(notice.at, 0)).unwrap_or_default()
}

fn alerts(templates: &[AlertTemplate<'_>], now: Timestamp, skew_ms: i64) -> Vec<Alert> {
    templates.iter().map(|template| template.alert(now, skew_ms)).collect()
}

impl Instance {
    fn at(url: &Url) -> Self {
        let mut endpoint = url.clone();
        if let Ok(mut path) = endpoint.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v2", "alerts"]);
        }
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Self {
            endpoint,
            shown: format!("{host}{port}"),
            skew_ms: AtomicI64::new(0),
            breaker: Breaker::default(),
            quarantine: Quarantine::default(),
        }
    }

    fn skew_ms(&self) -> i64 {
        self.skew_ms.load(Ordering::Relaxed)
    }

    fn measured(&self, skew_ms: i64) {
        let skew_ms = if skew_ms.abs() < SKEW_NOISE_MS { 0 } else { skew_ms };
        let before_ms = self.skew_ms.swap(skew_ms, Ordering::Relaxed);
        metrics::gauge!(names::ALERTMANAGER_CLOCK_SKEW, "instance" => self.shown.clone())
            .set(skew_ms as f64 / 1000.0);
        if skew_ms.abs() > SKEW_LIMIT_MS && before_ms.abs() <= SKEW_LIMIT_MS {
            tracing::warn!(alertmanager = %self.shown, skew_seconds = skew_ms / 1000,
                "the clocks of this machine and of the alertmanager disagree; alerts end by its clock");
        }
    }
}

impl AlertTemplate<'_> {
    /// Returns the alert with its times by a clock that is ahead of ours.
    fn alert(&self, now: Timestamp, skew_ms: i64) -> Alert {
        let notice = self.notice;
        let incident = &notice.incident;
        // an end that lies ahead of their clock ends nothing, and the difference is known to some seconds only
        let past = now.plus_millis(-SKEW_NOISE_MS);
        let ends_at = if self.firing { now + OUTLIVES } else { notice.at.min(past) }.plus_millis(skew_ms);
        // an end before the start is refused
        let starts_at = incident.detected_at.min(now).plus_millis(skew_ms).min(ends_at);
        let name = clean(&notice.alert, TEXT);
        let mut labels = BTreeMap::from([
            // an empty label is dropped
            ("alertname", if name.is_empty() { "Lookout".to_owned() } else { name }),
            ("severity", self.severity.label().to_owned()),
            ("service", clean(&incident.service, TEXT)),
            ("slo", clean(&incident.slo, TEXT)),
        ]);
        labels.extend(notice.rehearsal.map(|rehearsal| ("rehearsal", rehearsal.as_str().to_owned())));
        labels.extend(notice.environment.as_deref().map(|env| ("env", clean(env, TEXT))));
        Alert {
            labels,
            annotations: annotations(notice),
            starts_at: date(starts_at),
            ends_at: date(ends_at),
            generator_url: usable_url(&notice.explain_url),
        }
    }
}

/// Returns a time as a date, `None` when no date can tell it.
fn date(at: Timestamp) -> Option<String> {
    jiff::Timestamp::try_from(at).is_ok().then(|| rfc3339(at))
}

fn annotations(notice: &Notice) -> BTreeMap<&'static str, String> {
    let (incident, message) = (&notice.incident, Message::of(notice));
    let name = format!("{} {}", clean(&incident.service, TEXT), clean(&incident.slo, TEXT));
    let summary = if let Some(rehearsal) = notice.rehearsal {
        format!("This is only a {}.", rehearsal.as_str())
    } else if notice.own_fault.is_some() {
        "The agent itself has a fault.".to_owned()
    } else {
        match incident.cause {
            Cause::Burn => format!("The error budget of {name} burns too fast."),
            Cause::DataMissing => format!("Nothing is known about {name} any more."),
            Cause::CrashLoop => format!("The process behind {name} starts again and again."),
            Cause::TrafficMissing => format!("The traffic of {name} is missing."),
        }
    };
    let description = [message.headline.as_str(), message.sentence.as_str(), message.description.as_str()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n");
    let mut annotations = BTreeMap::from([
        ("summary", summary),
        ("description", description),
        ("budget_remaining", percent(notice.evidence.budget_left_ratio)),
    ]);
    annotations.extend(usable_url(&notice.runbook_url).map(|url| ("runbook_url", url)));
    annotations.extend(usable_url(&notice.dashboard_url).map(|url| ("dashboard_url", url)));
    if let Some(tier) = message::worst_tier(notice).filter(|_| incident.cause == Cause::Burn) {
        annotations.extend(tier.long_burn.map(|rate| ("burn_rate_long", burn(rate))));
        annotations.extend(tier.short_burn.map(|rate| ("burn_rate_short", burn(rate))));
    }
    let answer = notice.acknowledgement.as_ref();
    annotations.extend(answer.map(|answer| ("acknowledged", message::acknowledgement_text(answer))));
    if notice.not_recorded {
        annotations.insert("not_recorded", "the ledger could not store this".to_owned());
    }
    let exhaustion = notice.evidence.seconds_to_exhaustion.filter(|_| !is_over(notice));
    annotations.extend(exhaustion.map(|seconds| ("time_to_exhaustion", duration(seconds))));
    annotations.extend(message::excluded_text(notice).map(|excluded| ("excluded", excluded)));
    let deploy = notice.last_deploy.as_ref();
    annotations.extend(deploy.map(|deploy| ("last_deploy", deploy_text(deploy, incident.detected_at))));
    annotations
}

#[async_trait]
impl Receiver for Alertmanager {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Option<String>, Refused> {
        self.post_to_available(&self.templates(&delivery.notice)).await.map(|()| None)
    }

    async fn refresh(&self, latest: &[TransitionRecord]) -> Result<(), Refused> {
        if self.settings.watchdog {
            self.post_watchdog().await;
        }
        let resolved_since = self.clock.now() - RESOLVED_FOR;
        let templates: Vec<AlertTemplate<'_>> = latest
            .iter()
            .filter(|transition| transition.destinations.contains(&self.name))
            .flat_map(|transition| self.templates(&transition.notice))
            .filter(|template| template.firing || template.notice.at >= resolved_since)
            .collect();
        self.refresh_all(&templates).await
    }

    fn concurrency(&self) -> usize {
        CONCURRENCY
    }

    fn refresh_every(&self) -> Option<Duration> {
        Some(REFRESH)
    }
}
