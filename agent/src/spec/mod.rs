//! What the user wrote: `lookout.yaml` and SLO specs, parsed into one valid model or into diagnostics.

mod diagnostic;
mod duration;
mod load;
mod model;
mod secret;
mod selector;
mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, Level};
pub use duration::{parse_duration, print_duration};
pub use load::load;
pub use model::*;
pub use secret::Secret;
pub use selector::{BadSelector, MatchOp, Matcher, Selector};
