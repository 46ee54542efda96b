//! The last outcome of each target, for pages, status and exports.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use lookout_model::Timestamp;

use super::{Outcome, Reason, Verdict};

/// The last probe of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastProbe {
    /// Its outcome.
    pub outcome: Outcome,
    /// The instant of its start.
    pub started_at: Timestamp,
    /// The last one that failed; the same probe when that is the last of all.
    pub last_failure: Option<Arc<Failed>>,
}

/// A probe that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The reason.
    pub reason: Reason,
    /// For people, with the measured value. Holds text from outside: escape it.
    pub detail: String,
    /// The instant of its start.
    pub started_at: Timestamp,
}

impl Failed {
    fn of(outcome: &Outcome, started_at: Timestamp) -> Option<Self> {
        match &outcome.verdict {
            Verdict::Ok => None,
            Verdict::Fail { reason, detail } => {
                Some(Self { reason: *reason, detail: detail.clone(), started_at })
            }
        }
    }
}

/// The last probe of every target by name. Clones share one map; it is as large as the number of targets.
#[derive(Debug, Clone, Default)]
pub struct Latest(Arc<RwLock<BTreeMap<String, Arc<LastProbe>>>>);

impl Latest {
    /// Replaces the last outcome of a target; a success keeps the last failure.
    pub fn put(&self, target: &str, outcome: Outcome, started_at: Timestamp) {
        let failed = Failed::of(&outcome, started_at).map(Arc::new);
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match map.get_mut(target) {
            Some(seen) => {
                let last_failure = failed.or_else(|| seen.last_failure.clone());
                *seen = Arc::new(LastProbe { outcome, started_at, last_failure });
            }
            None => {
                let seen = LastProbe { outcome, started_at, last_failure: failed };
                map.insert(target.to_owned(), Arc::new(seen));
            }
        }
    }

    /// Forgets a target that is no longer probed.
    pub fn forget(&self, target: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(target);
    }

    /// Returns the last probe of a target; nothing before its first.
    #[must_use]
    pub fn get(&self, target: &str) -> Option<Arc<LastProbe>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(target).cloned()
    }

    /// Returns every target that was probed, by name.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, Arc<LastProbe>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Phases, Received};
    use super::*;

    fn outcome(verdict: Verdict) -> Outcome {
        Outcome {
            verdict,
            total: Duration::from_millis(3),
            phases: Phases::default(),
            status: None,
            summary: None,
            address: None,
            certificate: None,
            steps: Vec::new(),
            received: Received::default(),
            trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
        }
    }

    #[test]
    fn the_last_failure_outlives_later_successes() {
        let latest = Latest::default();
        assert_eq!(latest.get("api"), None);
        let failed = outcome(Verdict::Fail { reason: Reason::Dns, detail: "no such name".to_owned() });
        latest.put("api", outcome(Verdict::Ok), Timestamp::from_seconds(1));
        assert_eq!(latest.get("api").unwrap().last_failure, None);
        latest.put("api", failed, Timestamp::from_seconds(2));
        latest.clone().put("api", outcome(Verdict::Ok), Timestamp::from_seconds(3));
        let seen = latest.get("api").unwrap();
        assert_eq!((seen.outcome.is_ok(), seen.started_at), (true, Timestamp::from_seconds(3)));
        let failed = Failed {
            reason: Reason::Dns,
            detail: "no such name".to_owned(),
            started_at: Timestamp::from_seconds(2),
        };
        assert_eq!(seen.last_failure.as_deref(), Some(&failed));
        assert_eq!(latest.all().keys().collect::<Vec<_>>(), ["api"]);
    }
}
