//! Lines of the text that Prometheus reads: samples with escaped labels, in two formats.

use core::fmt::Write as _;

/// Format of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The text format of Prometheus, version 0.0.4.
    Text,
    /// OpenMetrics 1.0, which has exemplars.
    OpenMetrics,
}

/// Type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A value that only goes up.
    Counter,
    /// Counts of values up to bounds.
    Histogram,
}

impl Format {
    /// The media type of the text.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Writes the head of a family. A counter of OpenMetrics is named without its ending `_total`.
    pub fn write_head(self, out: &mut String, name: &str, kind: Kind, help: Option<&str>) {
        let word = match kind {
            Kind::Gauge => "gauge",
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
        };
        let name = match (self, kind) {
            (Self::OpenMetrics, Kind::Counter) => name.strip_suffix("_total").unwrap_or(name),
            _ => name,
        };
        // writing to a string cannot fail
        if let Some(help) = help {
            let _ = writeln!(out, "# HELP {name} {help}");
        }
        let _ = writeln!(out, "# TYPE {name} {word}");
    }

    /// Writes what ends a text.
    pub fn write_end(self, out: &mut String) {
        if self == Self::OpenMetrics {
            out.push_str("# EOF\n");
        }
    }
}

/// Writes labels without their brackets: `a="1",b="2"`.
pub fn write_labels<'a>(out: &mut String, labels: impl IntoIterator<Item = (&'a str, &'a str)>) {
    for (at, (label, text)) in labels.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(label);
        out.push_str("=\"");
        escape(out, text);
        out.push('"');
    }
}

/// Writes the name of a series, in two parts, its labels as they are written, and the space before its value.
pub fn write_series(out: &mut String, name: [&str; 2], labels: &str) {
    name.iter().for_each(|part| out.push_str(part));
    if labels.is_empty() {
        out.push(' ');
    } else {
        out.push('{');
        out.push_str(labels);
        out.push_str("} ");
    }
}

/// Writes a whole number.
pub fn write_count(out: &mut String, count: u64) {
    out.push_str(itoa::Buffer::new().format(count));
}

/// Writes a value. Most are whole, and these take a fifth of the time.
pub fn write_value(out: &mut String, value: f64) {
    /// Every whole number up to this has a value of its own.
    const MAX_EXACT: f64 = (1_u64 << 53) as f64;
    if value == 0.0 || value == 1.0 {
        // most are states, and a copy of one byte costs more than the byte
        out.push(if value == 0.0 { '0' } else { '1' });
    } else if value.abs() <= MAX_EXACT && value.fract() == 0.0 {
        out.push_str(itoa::Buffer::new().format(value as i64));
    } else {
        // writing to a string cannot fail
        let _ = write!(out, "{value}");
    }
}

fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '"', '\n']) {
        let (plain, from) = rest.split_at(at);
        let (letter, after) = from.split_at(1);
        out.push_str(plain);
        out.push('\\');
        out.push_str(if letter == "\n" { "n" } else { letter });
        rest = after;
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_written_as_the_language_does() {
        for value in [0.0, 1.0, -3.0, 0.1, 1e-7, 1e15, 9_007_199_254_740_992.0, 1e20, 0.1 + 0.2, -2.5] {
            let mut out = String::new();
            write_value(&mut out, value);
            assert_eq!(out, value.to_string());
        }
    }

    #[test]
    fn labels_are_escaped_and_a_counter_of_openmetrics_lacks_its_ending() {
        let mut out = String::new();
        write_labels(&mut out, [("x", "a\"b\\c\nd"), ("y", "")]);
        assert_eq!(out, "x=\"a\\\"b\\\\c\\nd\",y=\"\"");
        let head = |format: Format| {
            let mut out = String::new();
            format.write_head(&mut out, "b_total", Kind::Counter, Some("The second."));
            format.write_end(&mut out);
            out
        };
        assert_eq!(head(Format::Text), "# HELP b_total The second.\n# TYPE b_total counter\n");
        assert_eq!(head(Format::OpenMetrics), "# HELP b The second.\n# TYPE b counter\n# EOF\n");
    }
}
