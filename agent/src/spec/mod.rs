//! What the user wrote: `lookout.yaml` and SLO specs, parsed into one valid model or into diagnostics.

mod address;
mod config;
mod destination;
mod diagnostic;
mod duration;
mod load;
mod mask;
mod model;
mod reader;
mod secret;
mod selector;
mod target;
mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, Level};
pub use duration::{parse_duration, print_duration};
pub use load::load;
pub use model::*;
pub use secret::Secret;
pub use selector::{BadSelector, MatchOp, Matcher, Selector};
