//! Reads samples from Prometheus' text format 0.0.4 and from OpenMetrics.
//!
//! Reads one line at a time and keeps nothing. Only samples are read: comments and metadata are skipped, timestamps and exemplars checked for their place and dropped. A line that is neither is an error with its
//! number: half an exposition must not pass for a whole one.

use std::borrow::Cow;

use crate::wording::bounded;

/// Samples of one exposition that are read at most.
const MOST_SAMPLES: usize = 1_000_000;

/// One value of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// The metric name.
    pub metric: &'a str,
    /// Its labels in the order they were written.
    pub labels: Vec<(&'a str, Cow<'a, str>)>,
    /// May be infinite or not a number.
    pub value: f64,
}

impl Sample<'_> {
    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| *label == name).map(|(_, value)| value.as_ref())
    }
}

/// An error of an exposition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadExposition {
    /// A line is no sample.
    #[error("line {line}: expected {expected}, found {found:?}")]
    Line {
        /// From one.
        line: usize,
        /// Expected text.
        expected: &'static str,
        /// The beginning of what stood there.
        found: String,
    },
    /// It has more samples than are read.
    #[error("more than {MOST_SAMPLES} samples")]
    TooMany,
}

/// The samples of an exposition, in order. Ends after the first error.
pub fn samples(text: &str) -> Samples<'_> {
    Samples { lines: text.lines().enumerate(), left: MOST_SAMPLES, broken: false }
}

/// Iterator over samples.
#[derive(Debug, Clone)]
pub struct Samples<'a> {
    lines: std::iter::Enumerate<std::str::Lines<'a>>,
    left: usize,
    broken: bool,
}

impl<'a> Iterator for Samples<'a> {
    type Item = Result<Sample<'a>, BadExposition>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        let (index, line) = self.lines.find_map(|(index, line)| {
            let line = line.trim_matches(is_blank);
            (!line.is_empty() && !line.starts_with('#')).then_some((index, line))
        })?;
        let result = match self.left.checked_sub(1) {
            None => Err(BadExposition::TooMany),
            Some(left) => {
                self.left = left;
                sample(line).map_err(|unexpected| BadExposition::Line {
                    line: index + 1,
                    expected: unexpected.expected,
                    found: bounded(unexpected.found, 40),
                })
            }
        };
        self.broken = result.is_err();
        Some(result)
    }
}

#[derive(Debug)]
struct Unexpected<'a> {
    expected: &'static str,
    found: &'a str,
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

fn sample(line: &str) -> Result<Sample<'_>, Unexpected<'_>> {
    let (metric, rest) = name(line, "a metric name", true)?;
    let rest = rest.trim_start_matches(is_blank);
    let (labels, rest) = match rest.strip_prefix('{') {
        None => (Vec::new(), rest),
        Some(inside) => labels(inside)?,
    };
    let (word, rest) = word(rest);
    let value = number(word, "a value")?;
    // an optional timestamp, then an optional exemplar that follows a lonely hash
    let rest = rest.trim_start_matches(is_blank);
    let rest = if rest.is_empty() || rest.starts_with('#') {
        rest
    } else {
        let (word, rest) = self::word(rest);
        number(word, "a timestamp")?;
        rest.trim_start_matches(is_blank)
    };
    if !rest.is_empty() && !rest.starts_with('#') {
        return Err(Unexpected { expected: "the end of the line", found: rest });
    }
    Ok(Sample { metric, labels, value })
}

type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// From behind the opening brace to behind the closing one.
fn labels(mut rest: &str) -> Result<(Labels<'_>, &str), Unexpected<'_>> {
    let mut labels = Labels::new();
    loop {
        rest = rest.trim_start_matches(is_blank);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (label, after) = name(rest, "a label name", false)?;
        let after = after.trim_start_matches(is_blank);
        let after =
            after.strip_prefix('=').ok_or(Unexpected { expected: "= after a label name", found: after })?;
        let (value, after) = quoted(after.trim_start_matches(is_blank))?;
        labels.push((label, value));
        let after = after.trim_start_matches(is_blank);
        rest = match after.strip_prefix(',') {
            Some(next) => next,
            None if after.starts_with('}') => after,
            None => return Err(Unexpected { expected: ", or } after a label", found: after }),
        };
    }
}

fn name<'a>(
    text: &'a str,
    expected: &'static str,
    colons: bool,
) -> Result<(&'a str, &'a str), Unexpected<'a>> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    let end = text.find(|c| !fits(c)).unwrap_or(text.len());
    if end == 0 || text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Unexpected { expected, found: text });
    }
    Ok(text.split_at(end))
}

/// A label value and what follows it. An escape that is none of the three stands for itself.
fn quoted(text: &str) -> Result<(Cow<'_, str>, &str), Unexpected<'_>> {
    let inside =
        text.strip_prefix('"').ok_or(Unexpected { expected: "a quoted label value", found: text })?;
    let plain_end = inside.find(['"', '\\']).unwrap_or(inside.len());
    let (plain, mut rest) = inside.split_at(plain_end);
    if let Some(after) = rest.strip_prefix('"') {
        return Ok((Cow::Borrowed(plain), after));
    }
    let mut value = plain.to_owned();
    loop {
        let mut chars = rest.chars();
        match chars.next() {
            None => return Err(Unexpected { expected: "a quote that ends the label value", found: text }),
            Some('"') => return Ok((Cow::Owned(value), chars.as_str())),
            Some('\\') => match chars.next() {
                Some('n') => value.push('\n'),
                Some(escaped @ ('"' | '\\')) => value.push(escaped),
                Some(other) => value.extend(['\\', other]),
                None => {
                    return Err(Unexpected { expected: "a quote that ends the label value", found: text });
                }
            },
            Some(other) => value.push(other),
        }
        rest = chars.as_str();
    }
}

fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start_matches(is_blank);
    text.split_at(text.find(is_blank).unwrap_or(text.len()))
}

fn number<'a>(word: &'a str, expected: &'static str) -> Result<f64, Unexpected<'a>> {
    word.parse().map_err(|_| Unexpected { expected, found: word })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(String, f64)> {
        samples(text)
            .map(|sample| {
                let sample = sample.unwrap();
                let labels: Vec<String> = sample.labels.iter().map(|(l, v)| format!("{l}={v}")).collect();
                (format!("{}{{{}}}", sample.metric, labels.join(",")), sample.value)
            })
            .collect()
    }

    fn error(text: &str) -> String {
        samples(text).find_map(Result::err).unwrap().to_string()
    }

    #[test]
    fn text_format_is_read() {
        let text = "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\r\n\n\
            http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\
            http_requests_total { method = \"get\" , code=\"400\", } 3\n\
            \tno_labels 1.5e-3\n  go:rule_name{} +Inf\nempty{a=\"\"} -Inf -3\n\
            msdos_file{path=\"C:\\\\DIR\\\\F.TXT\",error=\"no\\n\\\"x\\\" } \\q\"} 1.458255915e9\n";
        assert_eq!(
            read(text),
            [
                ("http_requests_total{method=post,code=200}".to_owned(), 1027.0),
                ("http_requests_total{method=get,code=400}".to_owned(), 3.0),
                ("no_labels{}".to_owned(), 0.0015),
                ("go:rule_name{}".to_owned(), f64::INFINITY),
                ("empty{a=}".to_owned(), f64::NEG_INFINITY),
                ("msdos_file{path=C:\\DIR\\F.TXT,error=no\n\"x\" } \\q}".to_owned(), 1_458_255_915.0),
            ]
        );
        assert!(samples("a NaN").next().unwrap().unwrap().value.is_nan());
    }

    #[test]
    fn openmetrics_is_read_and_exemplars_are_dropped() {
        let text = "# TYPE req counter\nreq_total{code=\"200\"} 17.0 1520879607.789 # {trace_id=\"a#b\"} 0.67 1.5\n\
            req_bucket{le=\"1.0\"} 11 # {trace_id=\"KOO5S4vxi0o\"} 0.67\nreq_created 1.5e9\n# EOF\n";
        let values: Vec<f64> = read(text).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, [17.0, 11.0, 1.5e9]);
    }

    #[test]
    fn a_malformed_line_is_named() {
        assert_eq!(error("a 1\n\n# c\nb x\n"), "line 4: expected a value, found \"x\"");
        assert_eq!(error("a"), "line 1: expected a value, found \"\"");
        assert_eq!(error("1a 2"), "line 1: expected a metric name, found \"1a 2\"");
        assert_eq!(error("<html>"), "line 1: expected a metric name, found \"<html>\"");
        assert_eq!(error("a{b} 1"), "line 1: expected = after a label name, found \"} 1\"");
        assert_eq!(error("a{b=c} 1"), "line 1: expected a quoted label value, found \"c} 1\"");
        assert_eq!(
            error("a{b=\"c\" d=\"e\"} 1"),
            "line 1: expected , or } after a label, found \"d=\\\"e\\\"} 1\""
        );
        assert_eq!(
            error("a{b=\"c} 1"),
            "line 1: expected a quote that ends the label value, found \"\\\"c} 1\""
        );
        assert_eq!(
            error("a{b=\"c\\"),
            "line 1: expected a quote that ends the label value, found \"\\\"c\\\\\""
        );
        assert_eq!(error("a{,} 1"), "line 1: expected a label name, found \",} 1\"");
        assert_eq!(error("a 1 2 3"), "line 1: expected the end of the line, found \"3\"");
        assert_eq!(error("a 1 x"), "line 1: expected a timestamp, found \"x\"");
        assert!(error(&"é".repeat(1000)).chars().count() < 120, "what is shown is bounded");
        assert_eq!(samples("a 1\nb\nc 3").filter(Result::is_ok).count(), 1, "nothing is read after an error");
    }

    #[test]
    fn the_number_of_samples_is_bounded() {
        let text = "# c\na 1\n".repeat(4);
        assert_eq!(samples(&text).left, MOST_SAMPLES);
        let mut read = Samples { left: 3, ..samples(&text) }.skip(3);
        assert_eq!(read.next(), Some(Err(BadExposition::TooMany)));
        assert_eq!(read.next(), None);
        assert!(Samples { left: 4, ..samples(&text) }.all(|sample| sample.is_ok()));
    }

    fn escaped(value: &str) -> String {
        value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            let _ = samples(&text).count();
        }

        #[test]
        fn no_near_miss_makes_it_panic(parts in proptest::collection::vec("[a{}=\",\\\\ #1.eé\n]", 0..60)) {
            let _ = samples(&parts.concat()).count();
        }

        #[test]
        fn what_is_written_is_read(
            written in proptest::collection::vec(
                (
                    "[a-zA-Z_:][a-zA-Z0-9_:]{0,8}",
                    proptest::collection::vec(("[a-zA-Z_][a-zA-Z0-9_]{0,8}", "(?s)[^\r]{0,12}"), 0..4),
                    proptest::num::f64::NORMAL | proptest::num::f64::ZERO | proptest::num::f64::INFINITE,
                ),
                0..10,
            ),
        ) {
            let text: String = written
                .iter()
                .map(|(metric, labels, value)| {
                    let labels: Vec<String> =
                        labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
                    format!("{metric}{{{}}} {value:e}\n", labels.join(","))
                })
                .collect();
            let read: Vec<_> = samples(&text)
                .map(|sample| {
                    let sample = sample.unwrap();
                    let labels = sample.labels.iter().map(|(l, v)| ((*l).to_owned(), v.to_string())).collect();
                    (sample.metric.to_owned(), labels, sample.value)
                })
                .collect::<Vec<(String, Vec<(String, String)>, f64)>>();
            prop_assert_eq!(read, written);
        }
    }
}
