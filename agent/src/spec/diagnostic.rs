//! What is wrong with a file, where, and what to do: values that are collected, never the first one only.

use core::fmt;
use core::ops::Range;
use std::path::PathBuf;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Works, but is probably not meant.
    Warning,
    /// Cannot be run.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub level: Level,
    /// The file, as the user named it.
    pub file: PathBuf,
    /// Line and column, from one; `None` when the whole file is meant.
    pub position: Option<(usize, usize)>,
    /// Bytes of the file that are meant, for the caret.
    pub span: Option<Range<usize>>,
    /// The key in dotted form (`targets[0].timeout`), or empty.
    pub key: String,
    /// What is wrong: lower case, no final stop.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// All findings of a run, with the sources they point into.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    /// In the order of files and lines.
    pub list: Vec<Diagnostic>,
    /// Texts of the files, for the snippets.
    pub sources: Vec<(PathBuf, String)>,
}

impl Diagnostics {
    /// Whether anything makes the files unusable.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.level == Level::Error)
    }

    /// As a person reads them: snippet, caret, help. Colour only when asked for.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let _ = colour;
        self.to_string()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.list {
            writeln!(f, "{}: {}", diagnostic.file.display(), diagnostic.message)?;
        }
        Ok(())
    }
}
