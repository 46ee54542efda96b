//! Alerts that an instance refuses for good: refreshes leave them out for a while, so that one bad alert does not make
//! every batch fail.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lookout_engine::Severity;
use tokio::time::Instant;

/// Time after which a refresh tries a refused alert again: the instance may have another config by then.
const PAUSE: Duration = Duration::from_secs(10 * 60);

/// Incident and severity of an alert.
type Key = (String, Severity);

/// Alerts that were refused lately.
#[derive(Debug, Default)]
pub(super) struct Quarantine(Mutex<BTreeMap<Key, Instant>>);

impl Quarantine {
    /// Adds an alert. Returns whether it is new.
    pub(super) fn add(&self, incident: &str, severity: Severity) -> bool {
        let now = Instant::now();
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|_, until| *until + PAUSE > now);
        refused.insert((incident.to_owned(), severity), now + PAUSE).is_none()
    }

    /// Removes an alert that was accepted.
    pub(super) fn remove(&self, incident: &str, severity: Severity) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !refused.is_empty() {
            refused.remove(&(incident.to_owned(), severity));
        }
    }

    /// Returns whether a refresh leaves an alert out.
    pub(super) fn contains(&self, incident: &str, severity: Severity) -> bool {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !refused.is_empty()
            && refused.get(&(incident.to_owned(), severity)).is_some_and(|until| *until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refused_alert_is_left_out_for_a_while_or_until_it_is_accepted() {
        let quarantine = Quarantine::default();
        assert!(quarantine.add("inc-1", Severity::Page));
        assert!(!quarantine.add("inc-1", Severity::Page), "it is known");
        assert!(quarantine.contains("inc-1", Severity::Page));
        assert!(!quarantine.contains("inc-1", Severity::Ticket));
        quarantine.remove("inc-1", Severity::Page);
        assert!(!quarantine.contains("inc-1", Severity::Page));
        quarantine.add("inc-2", Severity::Page);
        tokio::time::advance(PAUSE).await;
        assert!(!quarantine.contains("inc-2", Severity::Page));
    }
}
