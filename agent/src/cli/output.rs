//! Words to people and data to machines.

use std::io::{IsTerminal as _, Write as _};

/// Writes data to stdout. A reader that went away has had enough: that is no failure.
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

/// Whether stdout is looked at by a person.
pub(super) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether diagnostics on stderr may be coloured (<https://no-color.org>).
pub(super) fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A share as people read it: enough digits that 99.95 % is not 100 %.
pub(super) fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    let text = if percent.abs() >= 100.0 || percent == 0.0 {
        format!("{percent:.0}")
    } else if percent > 99.0 {
        // rounded towards zero, because "100 %" must mean that nothing failed
        format!("{:.3}", (percent * 1000.0).floor() / 1000.0)
    } else {
        format!("{percent:.1}")
    };
    format!("{text} %")
}

/// Seconds as people read them: the two largest units.
pub(super) fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (days, hours, minutes) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole}s"),
        (0, 0, minutes) => format!("{minutes}m {}s", whole % 60),
        (0, hours, minutes) => format!("{hours}h {minutes}m"),
        (days, hours, _) => format!("{days}d {hours}h"),
    }
}

/// Text from outside with everything that could move a terminal's cursor taken out.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Rows as columns, left-aligned, two spaces between.
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
    fn a_share_is_never_rounded_up_to_all() {
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.999_999_9), "99.999 %");
        assert_eq!(percent(0.375), "37.5 %");
        assert_eq!(percent(-2.3), "-230 %");
    }

    #[test]
    fn columns_line_up() {
        let text =
            table(&["a", "long"], &[vec!["wide cell".into(), "x".into()], vec!["b".into(), "y".into()]]);
        assert_eq!(text, "a          long\nwide cell  x\nb          y\n");
    }

    #[test]
    fn a_failing_service_cannot_write_to_the_terminal() {
        assert_eq!(printable("\u{1b}[2Jgone"), " [2Jgone");
    }
}
