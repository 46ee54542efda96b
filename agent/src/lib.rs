//! The lookout agent, room by room, in the direction the data flow: no room imports one that stands below it here.
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
