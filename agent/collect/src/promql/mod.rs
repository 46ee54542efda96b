//! Counts out of a server with Prometheus' query API, for slots that are over: now, and back over the period.
//!
//! A query has one of two forms.
//!
//! - *Counters* (a plain selector). The samples of its series are read as they were scraped (`selector[range]`, an
//!   instant query), and counted here as [`scrape`](super::scrape) counts: a difference belongs to the slot in which the
//!   later sample was taken, a smaller value is a counter that started again. Differences of differences cancel out, so
//!   that over any span the sum is what the counters say: `increase()` would leave out what happened between the last
//!   sample of one slot and the first of the next, and make up for it by extrapolation; a sum over series would hide
//!   resets. The edge: an event belongs to the slot of the scrape that saw it first, at most one scrape interval late;
//!   what a counter gained between its last scrape and its restart no scrape saw.
//! - *Windowed* (an expression with `{{.window}}`). The server counts over windows that follow one another without a
//!   gap, as exactly as its `rate` extrapolates. Events are spread evenly over the slots of their window.
//!
//! No sample is no observation: a server that is down, a target that is down and a query that selects nothing leave the
//! SLO stale. What is missing is asked for until it is there or newer data show that it never will be, so that a gap of
//! the agent, of the network or of the server's ingestion is filled as soon as it can be, the newest part first. No
//! slot is sent twice: what the ledger knew at the start and what was sent since is [`Progress`].

mod clients;
mod counters;
mod known;
mod ports;
mod read;
#[cfg(test)]
mod real_tests;
mod watch;
mod windowed;

pub use clients::{ClientError, HttpQueryApi, QueryApi};
pub use known::Progress;
pub use ports::Ports;
pub use watch::{Job, watch};
