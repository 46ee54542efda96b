//! The alert of an incident, as Alertmanager takes it.

use std::collections::BTreeMap;
use std::time::Duration;

use lookout_engine::{Cause, Severity};
use lookout_model::format::{burn, duration, percent, rfc3339};
use lookout_model::{Notice, Timestamp};
use serde::Serialize;

use crate::inert::inert;
use crate::message::{self, Message, TEXT, clean, deploy_text, usable_url};

/// Time that an alert outlives its last post: eight refreshes may be lost.
pub(super) const OUTLIVES: Duration = Duration::from_secs(4 * 60);
/// Largest difference of clocks that is ignored: the granularity of the header and the latency of the answer.
pub(super) const SKEW_NOISE_MS: i64 = 2_000;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Alert {
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
pub(super) struct AlertTemplate<'a> {
    pub(super) notice: &'a Notice,
    pub(super) severity: Severity,
    pub(super) firing: bool,
}

/// Returns the alert that always fires.
pub(super) fn watchdog(now: Timestamp, skew_ms: i64) -> Alert {
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
pub(crate) fn sample(notice: &Notice) -> serde_json::Value {
    let template =
        AlertTemplate { notice, severity: notice.incident.severity, firing: !message::is_over(notice) };
    serde_json::to_value(template.alert(notice.at, 0)).unwrap_or_default()
}

pub(super) fn alerts(templates: &[AlertTemplate<'_>], now: Timestamp, skew_ms: i64) -> Vec<Alert> {
    templates.iter().map(|template| template.alert(now, skew_ms)).collect()
}

impl AlertTemplate<'_> {
    /// Returns the labels. Alertmanager knows an alert by them alone: all incidents of an SLO with the same cause and
    /// severity are one alert there.
    pub(super) fn labels(&self) -> BTreeMap<&'static str, String> {
        let notice = self.notice;
        let incident = &notice.incident;
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
        labels
    }

    /// Returns the alert with its times by a clock that is ahead of ours.
    fn alert(&self, now: Timestamp, skew_ms: i64) -> Alert {
        let notice = self.notice;
        let incident = &notice.incident;
        // an end that lies ahead of their clock ends nothing, and the difference is known to some seconds only
        let past = now.plus_millis(-SKEW_NOISE_MS);
        let ends_at = if self.firing { now + OUTLIVES } else { notice.at.min(past) }.plus_millis(skew_ms);
        // an end before the start is refused
        let starts_at = incident.detected_at.min(now).plus_millis(skew_ms).min(ends_at);
        Alert {
            labels: self.labels(),
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
            Cause::TargetDown => format!("The probes of {name} fail one after the other."),
        }
    };
    let description = [message.headline.as_str(), message.sentence.as_str(), message.description.as_str()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("\n");
    let mut annotations = BTreeMap::from([("summary", summary), ("description", description)]);
    if notice.evidence.has_budget() {
        annotations.insert("budget_remaining", percent(notice.evidence.budget_left_ratio));
    }
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
    let exhaustion = notice.evidence.seconds_to_exhaustion.filter(|_| !message::is_over(notice));
    annotations.extend(exhaustion.map(|seconds| ("time_to_exhaustion", duration(seconds))));
    annotations.extend(message::excluded_text(notice).map(|excluded| ("excluded", excluded)));
    let deploy = notice.last_deploy.as_ref();
    annotations.extend(deploy.map(|deploy| ("last_deploy", deploy_text(deploy, incident.detected_at))));
    // the receivers of Alertmanager escape nothing
    for (_, text) in annotations.iter_mut().filter(|(name, _)| !name.ends_with("_url")) {
        *text = inert(text);
    }
    annotations
}
