//! The names and timings that SLO specs may refer to.

use core::time::Duration;

use lookout_engine::Grid;
use lookout_promql::query::Dialect;

use super::rates::RealRates;

/// Default evaluation interval, in seconds.
pub(super) const GRID_SECONDS: u32 = 10;

/// Names and timings that SLO specs may refer to.
#[derive(Clone, Default)]
pub(super) struct Known {
    /// The evaluation grid, when it could be read.
    pub(super) grid: Option<Grid>,
    /// Names of targets and their timing; `None` when nothing is known about targets at all.
    pub(super) targets: Option<Vec<(String, Option<Timing>)>>,
    /// Names of scrapes; `None` when nothing is known about scrapes at all.
    pub(super) scrapes: Option<Vec<String>>,
    /// Names of Prometheus servers and their timing; `None` when nothing is known about them at all.
    pub(super) prometheus: Option<Vec<(String, Option<QueryTiming>)>>,
    /// Names of destinations, those included that are off; `None` when nothing is known about them at all.
    pub(super) destinations: Option<Vec<String>>,
    /// Rates that a total outage must page at; `None` for no such check.
    pub(super) real_rates: Option<RealRates>,
}

/// The schedule of a target, and whether it shows a certificate.
#[derive(Clone, Copy)]
pub(super) struct Timing {
    pub(super) uses_tls: bool,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
}

/// The schedule of the queries to a Prometheus server.
#[derive(Clone, Copy)]
pub(super) struct QueryTiming {
    pub(super) scrape_interval: Duration,
    pub(super) window: Duration,
    pub(super) delay: Duration,
    pub(super) timeout: Duration,
    pub(super) dialect: Dialect,
}
