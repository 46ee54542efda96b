//! The order of what is posted under one set of labels. All incidents of an SLO with the same severity are one alert of
//! Alertmanager: its end is posted when none of them fires any more, and no post repeats a state from before a delivery.
//!
//! No time of the wall clock decides: it may be set while an incident is open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lookout_engine::Severity;
use lookout_model::Notice;
use tokio::time::Instant;

use super::alert::AlertTemplate;

/// Time before a read of the ledger in which a delivery counts as later than it: it may have been stored after it.
const MARGIN: Duration = Duration::from_secs(1);

/// The alerts that were delivered.
#[derive(Debug, Default)]
pub(super) struct Order(Mutex<Alerts>);

#[derive(Debug, Default)]
struct Alerts {
    /// By their labels.
    told: BTreeMap<String, AlertState>,
    /// The instant of the last delivery.
    changed: Option<Instant>,
}

impl Alerts {
    fn delivered_since(&self, template: &AlertTemplate<'_>, since: Instant) -> Option<State> {
        self.changed.filter(|changed| *changed >= since)?;
        let last = self.told.get(&key(template))?.last.as_ref()?;
        (last.at >= since).then(|| last.state.clone())
    }
}

/// The state of an alert at its receivers, as far as this process delivered it.
#[derive(Debug, Default)]
struct AlertState {
    /// The incidents that fire.
    firing: BTreeSet<String>,
    last: Option<Last>,
}

/// The last delivery.
#[derive(Debug, Clone)]
struct Last {
    state: State,
    at: Instant,
}

/// A state of an alert, to be posted again.
#[derive(Debug, Clone)]
pub(super) struct State {
    notice: Arc<Notice>,
    severity: Severity,
    firing: bool,
}

impl State {
    pub(super) fn template(&self) -> AlertTemplate<'_> {
        AlertTemplate { notice: &self.notice, severity: self.severity, firing: self.firing }
    }
}

impl AlertState {
    fn changed_since(&self, instant: Instant) -> bool {
        self.last.as_ref().is_some_and(|last| last.at >= instant)
    }
}

impl Order {
    fn locked(&self) -> MutexGuard<'_, Alerts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a delivery. Returns the alerts to post: without the end of one that fires because of another incident.
    pub(super) fn deliver<'n>(&self, templates: &[AlertTemplate<'n>]) -> Vec<AlertTemplate<'n>> {
        let mut all = self.locked();
        let (mut posted, now) = (Vec::with_capacity(templates.len()), Instant::now());
        for template in templates {
            let (told, incident) = (all.told.entry(key(template)).or_default(), &template.notice.incident.id);
            if template.firing {
                told.firing.insert(incident.clone());
            } else {
                told.firing.remove(incident);
                if !told.firing.is_empty() {
                    continue;
                }
            }
            let (notice, severity) = (Arc::new(template.notice.clone()), template.severity);
            let state = State { notice, severity, firing: template.firing };
            told.last = Some(Last { state, at: now });
            posted.push(*template);
        }
        all.changed = Some(now);
        posted
    }

    /// Takes over the alerts that fire as the ledger had them at an instant, and forgets what it does not know any more.
    pub(super) fn learn(&self, templates: &[AlertTemplate<'_>], read_at: Instant) {
        let mut read: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for template in templates {
            let firing = read.entry(key(template)).or_default();
            if template.firing {
                firing.insert(template.notice.incident.id.clone());
            }
        }
        let mut all = self.locked();
        let since = earlier(read_at);
        all.told.retain(|labels, told| told.changed_since(since) || read.contains_key(labels));
        for (labels, firing) in read {
            let told = all.told.entry(labels).or_default();
            if !told.changed_since(since) {
                *told = AlertState { firing, last: None };
            }
        }
    }

    /// Returns the alerts as they are now: as the ledger had them at an instant, or as they were delivered after that.
    pub(super) fn current<'n>(
        &self,
        templates: &[AlertTemplate<'n>],
        read_at: Instant,
    ) -> (Vec<AlertTemplate<'n>>, Vec<State>) {
        let all = self.locked();
        let (mut read, mut delivered) = (Vec::with_capacity(templates.len()), Vec::new());
        for template in templates {
            match all.delivered_since(template, earlier(read_at)) {
                Some(state) => delivered.push(state),
                None => read.push(*template),
            }
        }
        (read, delivered)
    }

    /// Returns the states of alerts that were delivered last, by their labels.
    pub(super) fn states(&self, labels: &BTreeSet<String>) -> Vec<State> {
        let all = self.locked();
        let last = labels.iter().filter_map(|labels| all.told.get(labels)?.last.as_ref());
        last.map(|last| last.state.clone()).collect()
    }

    /// Returns those of these labels whose alerts were delivered since an instant.
    pub(super) fn changed_since(&self, labels: &BTreeSet<String>, since: Instant) -> BTreeSet<String> {
        let all = self.locked();
        let changed = |labels: &&String| all.told.get(*labels).is_some_and(|told| told.changed_since(since));
        labels.iter().filter(changed).cloned().collect()
    }

    /// Returns the states that were delivered while these alerts were being posted.
    pub(super) fn overtaken(&self, templates: &[AlertTemplate<'_>], since: Instant) -> Vec<State> {
        let all = self.locked();
        templates.iter().filter_map(|template| all.delivered_since(template, since)).collect()
    }
}

/// Returns the labels of an alert as one text.
pub(super) fn key(template: &AlertTemplate<'_>) -> String {
    let labels = template.labels();
    let mut key = String::new();
    for (name, value) in &labels {
        key.extend([name, "\u{0}", value, "\u{0}"]);
    }
    key
}

/// Returns an instant before which a delivery surely was stored when the ledger was read.
fn earlier(read_at: Instant) -> Instant {
    read_at.checked_sub(MARGIN).unwrap_or(read_at)
}
