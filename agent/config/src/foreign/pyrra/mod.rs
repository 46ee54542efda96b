//! Pyrra's `ServiceLevelObjective`.

mod spec;
mod tiers;

pub(crate) use spec::read;
