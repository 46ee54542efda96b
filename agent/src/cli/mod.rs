//! One verb per job.

use std::process::ExitCode;

/// Parses the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
