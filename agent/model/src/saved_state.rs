//! The state of an SLO's evaluator as the ledger stores it, beside counts and incidents.

use lookout_engine::{SavedAlert, SavedCoverage, SavedRow, SavedState, SavedStretch};
use serde::{Deserialize, Serialize};

/// State of one SLO's evaluator. Its instants are seconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateRecord {
    /// `Slo::id`.
    pub slo_id: String,
    /// The state.
    #[serde(with = "stored")]
    pub state: SavedState,
}

mod stored {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::{SavedState, Stored};

    pub(super) fn serialize<S: Serializer>(state: &SavedState, to: S) -> Result<S::Ok, S::Error> {
        Stored::from(state).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SavedState, D::Error> {
        Stored::deserialize(from).map(SavedState::from)
    }
}

/// Form of the JSON. Keys that a state does not need are left out.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Stored {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alerts: Vec<StoredAlert>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<i64>,
    observed: StoredCoverage,
    #[serde(skip_serializing_if = "StoredCoverage::is_empty")]
    rated: StoredCoverage,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    starts: Vec<(i64, u32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<StoredRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stepped: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct StoredAlert {
    alert: String,
    firing: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exceeded_since: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_since: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct StoredRow {
    failures: u32,
    successes: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failed: Option<(i64, i64)>,
}

#[derive(Serialize, Deserialize, Default)]
struct StoredCoverage {
    gap_after: i64,
    /// Begin, end and unseen seconds of each.
    stretches: Vec<(i64, Option<i64>, i64)>,
}

impl StoredCoverage {
    fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }
}

impl From<&SavedState> for Stored {
    fn from(state: &SavedState) -> Self {
        let alert = |saved: &SavedAlert| StoredAlert {
            alert: saved.alert.clone(),
            firing: saved.firing,
            exceeded_since: saved.exceeded_since,
            run_since: saved.run_since,
        };
        Self {
            alerts: state.alerts.iter().map(alert).collect(),
            failing_since: state.failing_since,
            observed: (&state.observed).into(),
            rated: (&state.rated).into(),
            starts: state.starts.clone(),
            row: state.row.map(|SavedRow { failures, successes, failed }| StoredRow {
                failures,
                successes,
                failed,
            }),
            stepped: state.stepped,
        }
    }
}

impl From<Stored> for SavedState {
    fn from(stored: Stored) -> Self {
        let alert = |stored: StoredAlert| SavedAlert {
            alert: stored.alert,
            firing: stored.firing,
            exceeded_since: stored.exceeded_since,
            run_since: stored.run_since,
        };
        Self {
            alerts: stored.alerts.into_iter().map(alert).collect(),
            failing_since: stored.failing_since,
            observed: stored.observed.into(),
            rated: stored.rated.into(),
            starts: stored.starts,
            row: stored.row.map(|StoredRow { failures, successes, failed }| SavedRow {
                failures,
                successes,
                failed,
            }),
            stepped: stored.stepped,
        }
    }
}

impl From<&SavedCoverage> for StoredCoverage {
    fn from(saved: &SavedCoverage) -> Self {
        let stretch = |saved: &SavedStretch| (saved.from, saved.to, saved.unseen);
        Self { gap_after: saved.gap_after, stretches: saved.stretches.iter().map(stretch).collect() }
    }
}

impl From<StoredCoverage> for SavedCoverage {
    fn from(stored: StoredCoverage) -> Self {
        let stretch = |(from, to, unseen)| SavedStretch { from, to, unseen };
        Self { gap_after: stored.gap_after, stretches: stored.stretches.into_iter().map(stretch).collect() }
    }
}
