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
    /// The state is known and may change soon.
    Hold,
}

impl Exit {
    const ALL: [Self; 6] =
        [Self::Fine, Self::No, Self::Usage, Self::Inconclusive, Self::Unreachable, Self::Hold];

    const fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::No => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::Unreachable => 4,
            Self::Hold => 5,
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Fine => "success, or the answer is yes",
            Self::No => "the answer is no",
            Self::Usage => "usage or configuration",
            Self::Inconclusive => "too little is known",
            Self::Unreachable => "the agent cannot be reached",
            Self::Hold => "not now: the state is known and may change soon",
        }
    }
}

/// All codes with their meanings, for the help.
pub(super) fn table() -> String {
    let rows = Exit::ALL.map(|exit| format!("  {}  {}", exit.code(), exit.meaning()));
    format!("Exit codes:\n{}", rows.join("\n"))
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_every_code_with_its_meaning() {
        let readme = include_str!("../../../README.md");
        for exit in Exit::ALL {
            let row = format!("| {} | {} |", exit.code(), exit.meaning());
            assert!(readme.contains(&row), "README.md lacks the row `{row}`");
        }
    }
}
