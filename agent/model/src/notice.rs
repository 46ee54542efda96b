//! Changes of an incident and everything a message says about one.

use lookout_engine::Change;
use serde::{Deserialize, Serialize};

use crate::{Acknowledgement, DeployRecord, Evidence, IncidentRecord, News, SilencedBy, Timestamp, word};

/// One change of an incident, with everything that is told about it.
#[derive(Debug, Clone, PartialEq)]
pub struct TransitionRecord {
    /// The incident after the change.
    pub incident: IncidentRecord,
    /// The change.
    pub change: Change,
    /// The instant of the change, at the end of a slot.
    pub at: Timestamp,
    /// The content of the message.
    pub notice: Notice,
    /// Names of the destinations it goes to.
    pub destinations: Vec<String>,
}

impl TransitionRecord {
    /// Returns the record of news about the incident as it is after this change.
    #[must_use]
    pub fn with_news(&self, news: News, at: Timestamp, destinations: Vec<String>) -> Self {
        let mut record = self.clone();
        record.notice.changed_at = Some(self.notice.changed_at.unwrap_or(self.at));
        record.notice.news = Some(news);
        record.notice.silence = None;
        (record.at, record.notice.at) = (at, at);
        record.destinations = destinations;
        record
    }
}

/// Content of the message about a transition. It is self-contained, so that it reads the same after a restart or a
/// change of specs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// The change.
    #[serde(with = "word")]
    pub change: Change,
    /// The instant of the change.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// The incident after the change.
    pub incident: IncidentRecord,
    /// The name of the alert and of its runbook.
    pub alert: String,
    /// The title of the SLO.
    pub slo_title: String,
    /// The meaning of a bad event to a user.
    pub description: String,
    /// The label `env`.
    pub environment: Option<String>,
    /// The measurements.
    pub evidence: Evidence,
    /// The address of the runbook.
    pub runbook_url: String,
    /// The address of the dashboard.
    pub dashboard_url: String,
    /// The agent's own page about this SLO.
    pub explain_url: String,
    /// The agent's own page about all incidents.
    #[serde(default)]
    pub incidents_url: String,
    /// The agent's own page about silences, with this SLO.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub silences_url: String,
    /// The last deploy of the service before the change.
    pub last_deploy: Option<DeployRecord>,
    /// The last failure that a probe of the service saw: text from outside, escape it.
    pub last_failure: Option<String>,
    /// True if the ledger could not record it: a restart may lose it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_recorded: bool,
    /// A fault of the agent itself; the message then has no measurement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_fault: Option<OwnFault>,
    /// The mark of a message about nothing real.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehearsal: Option<Rehearsal>,
    /// The news, if it tells no change. Everything else is then as at the last change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub news: Option<News>,
    /// The instant of the last change, if it tells no change.
    #[serde(rename = "changed_at_ms", default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
    /// The last acknowledgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledgement: Option<Acknowledgement>,
    /// The silence that keeps it from being told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<SilencedBy>,
}

impl Notice {
    /// Returns the name of what it tells, in JSON and in the ledger.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.news.as_ref().map_or(self.change.as_str(), News::as_str)
    }

    /// Returns whether people must hear of it, and not only see it where they look.
    #[must_use]
    pub fn is_alarm(&self) -> bool {
        match &self.news {
            Some(News::Acknowledged) => false,
            Some(News::Repeated | News::Unacknowledged { .. } | News::Late { .. }) => true,
            None => matches!(self.change, Change::Opened | Change::Reopened | Change::Escalated),
        }
    }
}

/// Reason of a message about nothing real.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rehearsal {
    /// A message that tests one destination.
    Test,
    /// An incident that rehearses the whole way of a page.
    Drill {
        /// The instant at which it is resolved.
        #[serde(rename = "ends_at_ms")]
        ends_at: Timestamp,
    },
}

impl Rehearsal {
    /// Returns its name: `test` or `drill`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Drill { .. } => "drill",
        }
    }
}

/// A fault of the agent itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnFault {
    /// The title: `nothing is recorded`.
    pub title: String,
    /// The cause and the agent's reaction, in one or two sentences.
    pub text: String,
}
