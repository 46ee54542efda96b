//! The lookout agent: it turns counts into the states of SLOs, and these into messages, answers, pages and files.
//!
//! Modules are in the order of the data flow; none imports one below it. Sources of counts, the store, the readers of
//! files and the arithmetic are crates of their own, which cannot import this one. `docs/ARCHITECTURE.md` has the map.

mod report;

pub mod agent;

pub mod cli;
