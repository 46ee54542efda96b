//! Output: text for people on stderr, data for machines on stdout.

use std::io::{IsTerminal as _, Write as _};

/// Writes data to stdout. A reader that has closed the pipe is no failure.
pub(super) fn data(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a line to stdout.
pub(super) fn line(text: &str) {
    data(&format!("{text}\n"));
}

/// Writes a line for people to stderr.
pub(super) fn problem(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Returns whether stdout is a terminal.
pub(super) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Returns whether diagnostics on stderr may be coloured (<https://no-color.org>).
pub(super) fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Renders rows as columns, left-aligned, two spaces between.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let all = || {
        std::iter::once(header.iter().map(|cell| (*cell).to_owned()).collect()).chain(rows.iter().cloned())
    };
    let widths = all().fold(vec![0; header.len()], |widths: Vec<usize>, row: Vec<String>| {
        widths.iter().zip(&row).map(|(width, cell)| (*width).max(cell.chars().count())).collect()
    });
    all().fold(String::new(), |text, row| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell}{}", " ".repeat(width - cell.chars().count().min(width))))
            .collect();
        text + cells.join("  ").trim_end() + "\n"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let text =
            table(&["a", "long"], &[vec!["wide cell".into(), "x".into()], vec!["b".into(), "y".into()]]);
        assert_eq!(text, "a          long\nwide cell  x\nb          y\n");
    }
}
