//! The lookout agent, room by room, in the direction the data flow: no room imports one that stands below it here
//! `docs/ARCHITECTURE.md` is the map.

pub mod clock;
pub mod events;
pub mod random;
pub mod task;

pub mod spec;

pub mod collect;

pub mod ledger;

pub mod evaluate;

pub mod deliver;

pub mod gate;

pub mod export;

pub mod web;

pub mod generate;

pub mod rehearse;

pub mod agent;

pub mod cli;
