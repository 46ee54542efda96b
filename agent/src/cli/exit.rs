//! Exit codes.

use std::process::ExitCode;

/// Exit code of a verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Success, or the answer is yes.
    Fine,
    /// The answer is no.
    No,
    /// Usage or configuration.
    Usage,
    /// Too little is known to answer.
    Inconclusive,
    /// The agent cannot be reached or is broken.
    Unreachable,
    /// Not now.
    Hold,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Fine => 0,
            Exit::No => 1,
            Exit::Usage => 2,
            Exit::Inconclusive => 3,
            Exit::Unreachable => 4,
            Exit::Hold => 5,
        })
    }
}
