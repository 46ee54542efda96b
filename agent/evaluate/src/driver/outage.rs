//! Outages of a scraped neighbour, which its availability SLO tells for all SLOs that count there.
//!
//! While nothing can be scraped, every SLO that counts at the neighbour lacks data. One outage is one incident, so those
//! SLOs open none about missing data or missing traffic meanwhile.

use std::collections::BTreeMap;

use lookout_config::{Indicator, Slo};
use lookout_engine::{Assessment, Cause, Decision, Severity};

/// Outages by the name of the scrape.
pub(super) struct Outages<'c>(BTreeMap<&'c str, Severity>);

impl<'c> Outages<'c> {
    /// Finds the scrapes whose availability SLO has an open incident or fails.
    ///
    /// A failure counts before its incident opens: its alert may take longer than the one on missing data.
    pub(super) fn find<'d>(decided: impl Iterator<Item = (&'c Slo, &'d Assessment, Decision)>) -> Self {
        let mut outages = BTreeMap::new();
        for (slo, assessment, decision) in decided {
            let Indicator::Up { source } = &slo.indicator else { continue };
            let open = [Cause::Burn, Cause::CrashLoop].into_iter().filter_map(|cause| decision.open(cause));
            let fails = assessment.present.failing && !assessment.state.lacks_data();
            let expected = slo.policy.tiers.iter().map(|tier| tier.severity).max().filter(|_| fails);
            if let Some(severity) = open.map(|open| open.severity).max().max(expected) {
                outages.insert(source.as_str(), severity);
            }
        }
        Self(outages)
    }

    /// Returns the severity of the outages that explain why an SLO lacks data or traffic. Each of its silent components
    /// must have an outage, or all of its components when none is silent.
    pub(super) fn explaining(&self, slo: &Slo, assessment: &Assessment) -> Option<Severity> {
        if self.0.is_empty() {
            return None;
        }
        let is_silent = |component: usize| {
            assessment.components.get(component).is_some_and(|component| component.state.freezes())
        };
        let streams = slo.streams();
        let any_silent = streams.iter().any(|stream| is_silent(stream.component));
        let mut explained = None;
        for stream in streams.iter().filter(|stream| !any_silent || is_silent(stream.component)) {
            let Indicator::Scrape { source, .. } = stream.indicator else { return None };
            let severity = *self.0.get(source.as_str())?;
            explained = Some(explained.map_or(severity, |least: Severity| least.min(severity)));
        }
        explained
    }
}
