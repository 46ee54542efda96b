//! OpenSLO v1 as it is: all kinds, in the forms that lookout's own documents do not have.

mod alerting;
mod convert;
mod definition;
mod definitions;
mod indicator;
mod library;
mod rewrite;
mod servers;

pub(crate) use convert::{read, without_labels};
pub(crate) use definition::{is, is_own};
pub(crate) use definitions::read_definitions;
pub(crate) use library::{Library, Purpose};
pub(crate) use rewrite::rewrite;
pub(crate) use servers::Servers;
