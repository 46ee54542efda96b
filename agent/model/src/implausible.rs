//! Counts that cannot be true.

use serde::{Deserialize, Serialize};

use crate::{Timestamp, format};

/// Finding about counts that no service can have. They are in no figure of the agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImplausibleCounts {
    /// `Slo::id`, for a component of a composite followed by `/` and its name.
    pub stream: String,
    /// Kind and name of the source: `scrape api`.
    pub source: String,
    /// Begin of the slot they were shown for.
    #[serde(rename = "at_ms")]
    pub at: Timestamp,
    /// End of that slot.
    #[serde(rename = "until_ms")]
    pub until: Timestamp,
    /// The value that was shown.
    pub value: String,
    /// The reason for which it is not believed: `absurd_growth`.
    pub reason: String,
    /// True if the ledger has them, from a version that believed them.
    pub stored: bool,
}

impl ImplausibleCounts {
    /// Returns the finding in a sentence, with the advice.
    #[must_use]
    pub fn text(&self) -> String {
        let reason = self.reason.replace('_', " ");
        let found = format!(
            "{} showed {} at {} ({reason}); it is not counted",
            self.source,
            self.value,
            format::date_time(self.at)
        );
        if self.stored {
            let (from, to) = (format::rfc3339(self.at), format::rfc3339(self.until));
            let slo = self.stream.split('/').next().unwrap_or_default();
            return format!(
                "{found}, but the ledger has it: `lookout ledger repair --slo {slo} --from {from} --to {to}` excludes it"
            );
        }
        format!("{found}, and nothing needs to be done")
    }
}
