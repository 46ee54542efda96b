//! Pauses of probed targets. Their time is unseen, and nobody needs to be told that data are missing.

use core::time::Duration;

use lookout_collect::probe::Pauses;
use lookout_config::{Config, Indicator, Slo};
use lookout_engine::{Severity, Slot};
use lookout_model::{GridTime, Pause, Timestamp};

use super::Driver;

impl Driver {
    /// Uses the pauses that operators ask for.
    #[must_use]
    pub fn with_pauses(mut self, pauses: Pauses) -> Self {
        self.pauses = pauses;
        self
    }

    /// Returns the severity up to which missing data of an SLO need no alert, because a target of it is paused. A pause
    /// that is just over explains the silence too, until the first probe had its time.
    pub(super) fn silence_of_pause(&self, slo: &Slo, closed: Slot) -> Option<Severity> {
        let end = self.config.grid.end_of(closed);
        let alert_after = Duration::from_secs(slo.policy.data_alert_seconds());
        let is_paused = |at| find(&self.config, &self.pauses, slo, at).is_some();
        (is_paused(end) || is_paused(end - alert_after)).then_some(Severity::Page)
    }
}

/// Returns the pause of a target that an SLO counts, at an instant: the one that lasts longest.
pub(super) fn find(config: &Config, pauses: &Pauses, slo: &Slo, at: Timestamp) -> Option<Pause> {
    let streams = slo.streams();
    let rank = |pause: &Pause| (pause.until.is_none(), pause.until);
    let paused = streams.iter().filter_map(|stream| match stream.indicator {
        Indicator::Probe { target, .. } => {
            // of several addresses, one that is probed is evidence
            let addresses = config.targets.iter().filter(|one| one.is_of(target));
            let paused: Option<Vec<Pause>> = addresses.map(|one| pauses.at(one, at)).collect();
            paused?.into_iter().min_by_key(rank)
        }
        _ => None,
    });
    paused.max_by_key(rank)
}
