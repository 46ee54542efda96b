//! Sources of good and bad events of an objective.

use lookout_engine::Objective;
use lookout_promql::query::EventQuery;
use lookout_promql::selector::Selector;

/// Source of good and bad events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Indicator {
    /// Every probe of a target is an event; a good one met all expectations.
    Probe {
        /// Name of the target.
        target: String,
        /// Days that the certificate must still be valid for a good event; `None` where the outcome decides.
        certificate_days: Option<u32>,
    },
    /// Counters of a scraped neighbour.
    Scrape {
        /// Name of the scrape.
        source: String,
        /// The series that count.
        ratio: Ratio,
    },
    /// Every scrape of a neighbour is an event; a good one could be read.
    Up {
        /// Name of the scrape.
        source: String,
    },
    /// Queries to a server with Prometheus' query API.
    Prometheus {
        /// Name of the server.
        source: String,
        /// Queries for both counts.
        queries: Queries,
    },
    /// At least two indicators with one budget.
    Composite(Vec<Component>),
}

/// One of several indicators that are judged together. What the engine is told about it stands at the same place in the
/// policy's method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Unique within its SLO; part of the id its counts are stored under.
    pub name: String,
    /// For people.
    pub display_name: Option<String>,
    /// Its own objective.
    pub objective: Objective,
    /// Source of its events; never a composite itself.
    pub indicator: Indicator,
}

impl Component {
    /// Returns the name people read.
    #[must_use]
    pub fn title(&self) -> &str {
        self.display_name.as_deref().unwrap_or(&self.name)
    }
}

/// Queries to a server with the query API of Prometheus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Queries {
    /// The samples of counters as they were scraped: exact, the counting is done here.
    Counters(Ratio),
    /// Expressions over a window: the server counts, as exactly as its `rate` extrapolates.
    Windowed {
        /// The good or the bad events.
        part: EventQuery,
        /// True if those are the bad ones.
        part_is_bad: bool,
        /// All events.
        total: EventQuery,
    },
}

/// Two sums of counters, of which the second counts everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ratio {
    /// Good events of all.
    Good {
        /// Series of good events, summed.
        good: Selector,
        /// Series of all events, summed.
        total: Selector,
    },
    /// Bad events of all.
    Bad {
        /// Series of bad events, summed.
        bad: Selector,
        /// Series of all events, summed.
        total: Selector,
    },
}
