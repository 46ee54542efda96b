//! OpenSLO v1 as it is: all kinds, in the forms that lookout's own documents do not have.

mod alerting;
mod convert;
mod definitions;
mod indicator;
mod kinds;
mod read;
mod rewrite;
mod servers;

pub(crate) use convert::{read, without_labels};
pub(crate) use definitions::{Definitions, Purpose};
pub(crate) use kinds::{is, is_own};
pub(crate) use read::read_definitions;
pub(crate) use rewrite::rewrite;
pub(crate) use servers::Servers;
