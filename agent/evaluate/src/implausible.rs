//! Findings about counts that cannot be true.

use std::time::Duration;

use lookout_config::{Indicator, Slo};
use lookout_engine::Counts;
use lookout_model::{ImplausibleCounts, Timestamp, format};

/// Time for which a finding is shown unless the ledger has the counts. A person who looks at the figures of a day finds it.
const SHOWN_FOR: Duration = Duration::from_secs(86_400);

/// A value that cannot be true, and where it was shown.
pub(super) struct Shown<'s> {
    pub(super) slo: &'s Slo,
    pub(super) component: usize,
    pub(super) from: Timestamp,
    pub(super) seconds: u32,
}

impl Shown<'_> {
    /// Returns the finding about a single value.
    pub(super) fn value(&self, value: f64, reason: &str) -> ImplausibleCounts {
        let value =
            if (0.0..1e15).contains(&value) { format::count(value as u64) } else { format!("{value:e}") };
        self.finding(value, reason, false)
    }

    /// Returns the finding about counts.
    pub(super) fn counts(&self, counts: Counts, stored: bool) -> ImplausibleCounts {
        let (good, bad) = (format::count(counts.good), format::count(counts.bad));
        self.finding(format!("{good} good and {bad} bad events"), "more_than_a_service_can_have", stored)
    }

    fn finding(&self, value: String, reason: &str, stored: bool) -> ImplausibleCounts {
        let streams = self.slo.streams();
        let stream = streams.get(self.component);
        ImplausibleCounts {
            stream: stream.map_or_else(|| self.slo.id(), |stream| stream.id.clone()),
            source: stream.map_or_else(String::new, |stream| source(stream.indicator)),
            at: self.from,
            until: self.from + Duration::from_secs(self.seconds.into()),
            value,
            reason: reason.to_owned(),
            stored,
        }
    }
}

fn source(indicator: &Indicator) -> String {
    match indicator {
        Indicator::Probe { target, .. } => format!("probe {target}"),
        Indicator::Scrape { source, .. } | Indicator::Up { source } => format!("scrape {source}"),
        Indicator::Prometheus { source, .. } => format!("prometheus {source}"),
        Indicator::Composite(_) => "composite".to_owned(),
    }
}

/// Returns a finding while it is worth showing.
pub(super) fn shown(finding: Option<&ImplausibleCounts>, now: Timestamp) -> Option<ImplausibleCounts> {
    finding.filter(|finding| finding.stored || now.since(finding.at) < SHOWN_FOR).cloned()
}
