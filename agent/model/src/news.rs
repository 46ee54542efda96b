//! News about an incident that goes on: acknowledgements, repetitions, escalations to another destination, silences.

use lookout_engine::{Change, Severity};
use serde::{Deserialize, Serialize};

use crate::{IncidentRecord, Matcher, Timestamp, word};

/// A person's word that somebody works on an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// The instant.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// The name of the token.
    pub actor: String,
    /// Text for people: from outside, escape it. May be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// The silence that keeps an incident from being told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilencedBy {
    /// The id of the silence.
    pub id: String,
    /// The name of the token that made it.
    pub actor: String,
    /// The reason: text from outside, escape it.
    pub reason: String,
    /// The end.
    #[serde(rename = "until_ms")]
    pub until: Timestamp,
}

/// News beside the measurements of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum News {
    /// Somebody acknowledged it.
    Acknowledged,
    /// It is told again, because it is still open.
    Repeated,
    /// Nobody acknowledged it in time.
    Unacknowledged {
        /// The destination that heard of it before.
        from: String,
        /// Seconds without an acknowledgement.
        after_s: u64,
    },
    /// It is told late: a silence is over, or the hours of the destination begin.
    Late {
        /// The silence, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        silence: Option<SilencedBy>,
    },
}

impl News {
    /// Returns the name in JSON and in the ledger.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Repeated => "repeated",
            Self::Unacknowledged { .. } => "unacknowledged",
            Self::Late { .. } => "late",
        }
    }
}

/// A bounded time in which incidents are told to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilenceRecord {
    /// Unique: `sil-…`.
    pub id: String,
    /// The SLOs.
    #[serde(default)]
    pub matcher: Matcher,
    /// The severity; both, when missing.
    #[serde(with = "optional_severity", default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// The reason, for people.
    pub reason: String,
    /// The name of the token that made it.
    pub actor: String,
    /// The beginning.
    #[serde(rename = "created_at_ms")]
    pub created_at: Timestamp,
    /// The end; earlier than planned when it was expired.
    #[serde(rename = "ends_at_ms")]
    pub ends_at: Timestamp,
    /// The name of the token that ended it early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired_by: Option<String>,
}

impl SilenceRecord {
    /// Returns whether it is in force at an instant. It began when it was made: a clock that is set back before that
    /// ends it for a while, and lengthens it never.
    #[must_use]
    pub fn is_active(&self, at: Timestamp) -> bool {
        self.created_at <= at && !self.is_over(at)
    }

    /// Returns whether its end has come.
    #[must_use]
    pub fn is_over(&self, at: Timestamp) -> bool {
        self.ends_at <= at
    }

    /// Returns the mark of what it keeps from being told.
    #[must_use]
    pub fn mark(&self) -> SilencedBy {
        SilencedBy {
            id: self.id.clone(),
            actor: self.actor.clone(),
            reason: self.reason.clone(),
            until: self.ends_at,
        }
    }
}

/// An incident as people attend to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Followed {
    /// The incident.
    pub incident: IncidentRecord,
    /// Its last change.
    pub change: Change,
    /// The instant of that change.
    pub changed_at: Timestamp,
    /// True for a fault of the agent itself and for a drill, which have routes of their own.
    pub unrouted: bool,
    /// The silence that kept the last change from being told.
    pub silence: Option<SilencedBy>,
    /// The last acknowledgement.
    pub acknowledgement: Option<Acknowledgement>,
    /// The destinations that were told, oldest first.
    pub told: Vec<DestinationMessage>,
}

/// A message about an incident that a destination got or gets.
#[derive(Debug, Clone, PartialEq)]
pub struct DestinationMessage {
    /// The name of the destination.
    pub destination: String,
    /// The instant of what is told.
    pub at: Timestamp,
    /// The news; `None` for a change.
    pub news: Option<News>,
    /// The change.
    pub change: Change,
}

mod optional_severity {
    use lookout_engine::Severity;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::word;

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Severity>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(severity) => word::serialize(severity, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Severity>, D::Error> {
        #[derive(Deserialize)]
        struct Wrapped(#[serde(with = "word")] Severity);
        Ok(Option::<Wrapped>::deserialize(deserializer)?.map(|Wrapped(severity)| severity))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn a_clock_that_is_set_back_lengthens_no_silence() {
        let made = Timestamp::from_seconds(1_000_000);
        let hour = Duration::from_secs(3600);
        let silence = SilenceRecord {
            id: "sil-1".to_owned(),
            matcher: Matcher::default(),
            severity: None,
            reason: "a move".to_owned(),
            actor: "bo".to_owned(),
            created_at: made,
            ends_at: made + hour,
            expired_by: None,
        };
        assert!(silence.is_active(made) && silence.is_active(made + hour / 2));
        assert!(!silence.is_active(made + hour));
        for back in [1, 24] {
            let at = made - back * hour;
            assert!(!silence.is_active(at) && !silence.is_over(at), "{back} h");
        }
    }
}
