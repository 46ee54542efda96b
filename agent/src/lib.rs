//! The lookout agent: counts become states, states become messages, answers, pages and files.
//!
//! Modules stand in the order in which the data flow; none imports one that stands below it here. Sources of counts,
//! the store, the readers of files and the arithmetic are crates of their own, which cannot import this one.
//! `docs/ARCHITECTURE.md` is the map.

pub mod evaluate;

pub mod deliver;

pub mod gate;

pub mod export;

pub mod web;

pub mod generate;

pub mod rehearse;

pub mod agent;

pub mod cli;
