//! Simulations and backtests: the live agent's engine on made-up outages (`simulate`) and on counts of the past
//! (`backtest`).
//!
//! ```text
//!  spec ─▶ Policy ──▶ simulate: even traffic, a step of failures ─▶ times at which each tier fires and is released
//!                └──▶ backtest: CSV · ledger · Prometheus ─▶ Recording ─▶ replay ─▶ incidents, against labelled outages
//! ```

mod conditions;
mod csv;
mod instant;
mod json;
mod labels;
mod naive;
mod page;
mod prometheus;
mod promise;
mod recording;
mod replay;
mod report;
mod run;
mod simulate;
mod traffic;

use std::path::PathBuf;

pub use conditions::ConditionTimes;
pub use csv::read as read_csv;
pub use instant::{Bounds, parse as parse_instant};
pub use json::{backtest_json, simulation_json};
pub use labels::{Outage, Score, read as read_labels};
pub use naive::{NaiveRule, Page};
pub use page::page as html;
pub use prometheus::{Prometheus, read as read_prometheus};
pub use promise::{Promised, promise};
pub use recording::{Recording, SPAN_LIMIT};
pub use replay::{Incident, Outcome, Point, fitted, replay};
pub use report::{backtest_text, simulation_text};
pub use run::{Backtest, Naive, Question, WhatIf, backtest};
pub use simulate::{OutageTimes, Simulation, TierFacts, TierTimes, simulate};

/// Failure to load counts.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read.
    #[error("reading {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: std::io::Error,
    },
    /// A line of a file has a fault.
    #[error("{}:{line}: {what}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: u64,
        /// The fault, and the expected text.
        what: String,
    },
    /// Nothing was observed.
    #[error("there is nothing to replay: no slot was observed in this time")]
    Empty,
    /// The time is too long to be replayed.
    #[error(
        "first and last counts are more than {SPAN_LIMIT} slots of {width} s apart; \
         narrow the time with --since and --until"
    )]
    TooLong {
        /// The width of a slot in seconds.
        width: u32,
    },
    /// The Prometheus could not be reached, or its answer is none of its API.
    #[error("asking Prometheus at {url}: {what}")]
    Prometheus {
        /// The address.
        url: String,
        /// The fault.
        what: String,
    },
}
