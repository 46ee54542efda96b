//! PromQL: one reading of queries and one client of the servers that answer them.
//!
//! [`query`] parses a query with places inside its text, tells its type, whether its value is a rate or a count and which
//! labels it keeps, and rewrites and prints it. [`selector`] is the vector selector, which scrapes use too. [`client`]
//! asks Prometheus and what speaks its API. This crate never decides about an SLO, never guesses a quantity, and never
//! takes a partial answer for a whole one.

pub mod client;
mod keyword;
pub mod query;
pub mod selector;
