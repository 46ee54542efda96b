//! One instance of Alertmanager: its address, its clock, and what it holds.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lookout_config::Secret;
use lookout_model::Timestamp;
use lookout_runtime::events::names;
use url::Url;

use super::alert::SKEW_NOISE_MS;
use super::catch_up::Missed;
use super::quarantine::Quarantine;
use crate::breaker::Breaker;
use crate::http;
use crate::instance::{HeldAlert, InstanceState};

/// Least difference of clocks that is logged; alerts are then posted again by the other clock.
pub(super) const SKEW_LIMIT_MS: i64 = 30_000;

/// An instance.
pub(super) struct Instance {
    /// The address of its API, version 2.
    api: Url,
    /// The address without user, password and query.
    pub(super) shown: String,
    /// The password of the address: as it is written, and as it is sent.
    pub(super) passwords: Vec<Secret>,
    pub(super) breaker: Breaker,
    pub(super) quarantine: Quarantine,
    /// The alerts that it did not accept while another instance did.
    pub(super) missed: Missed,
    /// Held during a refresh.
    pub(super) refreshing: tokio::sync::Mutex<()>,
    state: Mutex<InstanceState>,
}

impl Instance {
    pub(super) fn at(url: &Url) -> Self {
        let mut api = url.clone();
        if let Ok(mut path) = api.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v2"]);
        }
        let host = url.host_str().unwrap_or_default();
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let shown = format!("{host}{port}");
        Self {
            api,
            breaker: Breaker::default(),
            quarantine: Quarantine::default(),
            missed: Missed::default(),
            refreshing: tokio::sync::Mutex::default(),
            state: Mutex::new(InstanceState { instance: shown.clone(), ..InstanceState::default() }),
            shown,
            passwords: passwords(url),
        }
    }

    /// Returns the address of a resource of its API.
    pub(super) fn endpoint(&self, resource: &str) -> Url {
        let mut url = self.api.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(resource);
        }
        url
    }

    fn locked(&self) -> MutexGuard<'_, InstanceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is known of it.
    pub(super) fn state(&self) -> InstanceState {
        self.locked().clone()
    }

    /// Returns the milliseconds by which its clock is ahead of ours, as far as it is known.
    pub(super) fn skew_ms(&self) -> i64 {
        self.locked().clock_ahead_ms.unwrap_or(0)
    }

    /// Returns whether its clock was read.
    pub(super) fn is_measured(&self) -> bool {
        self.locked().clock_ahead_ms.is_some()
    }

    /// Measures its clock by an answer to a request that was sent and answered at these instants.
    pub(super) fn measure(&self, answer: &http::Answer, sent_at: Timestamp, answered_at: Timestamp) {
        let Some(date) = answer.date else { return };
        // the header has whole seconds: on average half of one is missing
        let ahead = (date + Duration::from_millis(500)).millis_since(sent_at.midpoint(answered_at));
        let skew_ms = if ahead.abs() < SKEW_NOISE_MS { 0 } else { ahead };
        let before_ms = self.locked().clock_ahead_ms.replace(skew_ms).unwrap_or(0);
        metrics::gauge!(names::ALERTMANAGER_CLOCK_SKEW, "instance" => self.shown.clone())
            .set(skew_ms as f64 / 1000.0);
        if skew_ms.abs() > SKEW_LIMIT_MS && before_ms.abs() <= SKEW_LIMIT_MS {
            tracing::warn!(alertmanager = %self.shown, skew_seconds = skew_ms / 1000,
                "the clocks of this machine and of the alertmanager disagree; alerts end by its clock");
        }
    }

    /// Keeps the result of a read. After a failure it is not known what the instance holds.
    pub(super) fn keep(&self, read: Result<Vec<HeldAlert>, String>, at: Timestamp) {
        let mut state = self.locked();
        match read {
            Ok(alerts) => {
                (state.read_at, state.failure, state.alerts) = (Some(at), None, alerts);
            }
            Err(error) => {
                if state.failure.is_none() {
                    tracing::warn!(alertmanager = %self.shown, error, "it is not known what the alertmanager holds");
                }
                (state.failure, state.alerts) = (Some(error), Vec::new());
            }
        }
    }
}

fn passwords(url: &Url) -> Vec<Secret> {
    let Some(written) = url.password() else { return Vec::new() };
    // a plus sign stands for itself in a URL, and for a space in a form
    let pair = format!("p={}", written.replace('+', "%2B"));
    let sent = url::form_urlencoded::parse(pair.as_bytes()).map(|(_, sent)| Secret::new(sent));
    sent.chain([Secret::new(written)]).collect()
}
