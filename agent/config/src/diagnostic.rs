//! Diagnostics: faults of a file with their place and a remedy. They are collected; reading never stops at the first.
//!
//! They are shown as a compiler shows them: the line, a caret, the help. The texts kept for that are free of secrets
//! already when they get here (see `secret.rs`), so that no way of printing a finding can show one.

use core::fmt;
use core::ops::Range;
use std::path::{Path, PathBuf};

use super::inputs::Inputs;
use annotate_snippets::{AnnotationKind, Group, Level as Mark, Origin, Renderer, Snippet};

/// Severity of a diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The file can be used, but probably means something else.
    Warning,
    /// The file cannot be used.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its severity.
    pub level: Level,
    /// The file, as the user named it.
    pub file: PathBuf,
    /// Line and column, from one; `None` when the whole file is meant.
    pub position: Option<(usize, usize)>,
    /// Bytes of the file that are meant, for the caret.
    pub span: Option<Range<usize>>,
    /// The key in dotted form (`targets[0].timeout`), or empty.
    pub key: String,
    /// The fault: lower case, no final stop.
    pub message: String,
    /// The remedy.
    pub help: Option<String>,
}

impl Diagnostic {
    /// Returns an error about a file as a whole.
    pub(super) fn whole_file(file: &Path, message: String, help: &str) -> Self {
        Self {
            level: Level::Error,
            file: file.to_owned(),
            position: None,
            span: None,
            key: String::new(),
            message,
            help: Some(help.to_owned()),
        }
    }
}

/// All findings of a run, with the sources they point into.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    /// In the order of files and lines.
    pub list: Vec<Diagnostic>,
    /// Texts of the files, for the snippets; secrets in them are masked.
    pub sources: Vec<(PathBuf, String)>,
    /// The files that were read.
    pub inputs: Inputs,
}

impl Diagnostics {
    /// Returns whether anything makes the files unusable.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.level == Level::Error)
    }

    /// Number of errors and of warnings.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.list.iter().filter(|diagnostic| diagnostic.level == Level::Error).count();
        (errors, self.list.len() - errors)
    }

    /// Renders snippet, caret and help, with colour on request.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let shown = self.list.iter().map(|diagnostic| renderer.render(&[self.group(diagnostic)]));
        shown.fold(
            String::new(),
            |all, one| if all.is_empty() { one + "\n" } else { all + "\n" + &one + "\n" },
        )
    }

    /// Sorts by file and line, and drops duplicates.
    pub(super) fn sort(&mut self) {
        self.list.sort_by(|a, b| (&a.file, a.position, a.level).cmp(&(&b.file, b.position, b.level)));
        self.list.dedup();
    }

    fn group<'a>(&'a self, diagnostic: &'a Diagnostic) -> Group<'a> {
        let mark = match diagnostic.level {
            Level::Warning => Mark::WARNING,
            Level::Error => Mark::ERROR,
        };
        let path = diagnostic.file.display().to_string();
        let title = mark.primary_title(diagnostic.message.as_str());
        let source = self.sources.iter().find(|(file, _)| *file == diagnostic.file);
        let group = match (source, &diagnostic.span) {
            (Some((_, text)), Some(span)) => {
                let caret = AnnotationKind::Primary.span(first_line(text, span));
                title.element(Snippet::source(text.as_str()).path(path).annotation(caret))
            }
            _ => {
                let origin = Origin::path(path);
                title.element(match diagnostic.position {
                    Some((line, column)) => origin.line(line).char_column(column),
                    None => origin,
                })
            }
        };
        match &diagnostic.help {
            Some(help) => group.element(Mark::HELP.message(annotate_snippets::normalize_untrusted_str(help))),
            None => group,
        }
    }
}

/// Returns the part of a span that is on its first line: a caret under a block says no more than one under its
/// beginning.
fn first_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let meant = text.get(span.clone()).unwrap_or_default();
    let line = meant.lines().next().unwrap_or_default();
    span.start..span.start + line.trim_end().len()
}

impl fmt::Display for Diagnostics {
    /// As [`Diagnostics::render`] without colour.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(file: &str, line: usize, message: &str) -> Diagnostic {
        Diagnostic {
            level: Level::Error,
            file: PathBuf::from(file),
            position: Some((line, 1)),
            span: None,
            key: String::new(),
            message: message.to_owned(),
            help: Some("mend it".to_owned()),
        }
    }

    #[test]
    fn control_characters_of_a_file_do_not_reach_the_terminal() {
        let mut found = finding("a.yaml", 1, "bad \u{1b}[31m thing");
        found.help = Some("not \u{1b}[2J this".to_owned());
        found.span = Some(0..3);
        let text = "a: \u{1b}[31m\n".to_owned();
        let shown = Diagnostics {
            list: vec![found],
            sources: vec![(PathBuf::from("a.yaml"), text)],
            ..Diagnostics::default()
        };
        assert!(!shown.to_string().contains('\u{1b}'), "{shown}");
        assert!(shown.render(true).contains('\u{1b}'), "colour when asked for");
    }

    #[test]
    fn order_is_by_file_and_line_and_nothing_is_said_twice() {
        let list =
            vec![finding("b", 1, "x"), finding("a", 9, "y"), finding("a", 2, "z"), finding("a", 9, "y")];
        let mut all = Diagnostics { list, ..Diagnostics::default() };
        all.sort();
        let order: Vec<&str> = all.list.iter().map(|found| found.message.as_str()).collect();
        assert_eq!(order, ["z", "y", "x"]);
        assert_eq!(all.counts(), (3, 0));
    }
}
