//! The exposition formats of Prometheus: its text format, and OpenMetrics with exemplars on request.

use std::fmt::Write as _;

use super::histogram::{Exemplar, Histogram};

/// The format of a scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`: has no place for exemplars.
    Text,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

impl Format {
    /// Chooses the format that a scraper accepts. The older format is the answer to everyone who does not say clearly that they want the
    /// newer one.
    #[must_use]
    pub fn wanted(accept: &str) -> Self {
        let quality = |wanted: &str| {
            let ranges = accept.split(',').filter_map(|range| {
                let (name, parameters) = range.split_once(';').unwrap_or((range, ""));
                let quality = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
                let quality = quality.map_or(Some(1.0), |quality| quality.trim().parse::<f64>().ok());
                (name.trim().eq_ignore_ascii_case(wanted)).then_some(quality.unwrap_or(0.0))
            });
            ranges.fold(0.0, f64::max)
        };
        let newer = quality("application/openmetrics-text");
        if newer > 0.0 && newer >= quality("text/plain") { Self::OpenMetrics } else { Self::Text }
    }

    /// Returns its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The type of a metric family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value that only grows. Its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, sum and count.
    Histogram,
}

/// Labels of a series.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// A scrape being written.
#[derive(Debug)]
pub struct Exposition {
    format: Format,
    text: String,
}

impl Exposition {
    /// An empty scrape.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, text: String::with_capacity(16 * 1024) }
    }

    /// Begins a family.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // In OpenMetrics `_total` belongs to the sample, not to the family.
        let name = match self.format {
            Format::Text => name,
            Format::OpenMetrics => name.strip_suffix("_total").unwrap_or(name),
        };
        let _infallible = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        let unit = ["seconds", "bytes"].into_iter().find(|unit| name.ends_with(&format!("_{unit}")));
        if let (Format::OpenMetrics, Some(unit)) = (self.format, unit) {
            let _infallible = writeln!(self.text, "# UNIT {name} {unit}");
        }
    }

    /// A sample.
    pub fn sample(&mut self, name: &str, labels: Labels<'_>, value: f64) {
        self.series(name, labels, None);
        let _infallible = writeln!(self.text, " {value}");
    }

    /// A family of one series without labels.
    pub fn only(&mut self, name: &str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// The samples of a histogram.
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    pub fn histogram(&mut self, name: &str, labels: Labels<'_>, histogram: &Histogram) {
        let reading = histogram.read();
        for (bound, count, exemplar) in &reading.buckets {
            let bound = self.bound(*bound);
            self.series(&format!("{name}_bucket"), labels, Some(("le", &bound)));
            let _infallible = write!(self.text, " {count}");
            if let (Format::OpenMetrics, Some(exemplar)) = (self.format, exemplar) {
                self.exemplar(exemplar);
            }
            self.text.push('\n');
        }
        self.sample(&format!("{name}_sum"), labels, reading.sum);
        self.sample(&format!("{name}_count"), labels, reading.count as f64);
    }

    /// Returns the text.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn bound(&self, bound: f64) -> String {
        match self.format {
            _ if bound.is_infinite() => String::from("+Inf"),
            Format::Text => bound.to_string(),
            // `1.0`: the newer format knows one spelling of each number.
            Format::OpenMetrics => format!("{bound:?}"),
        }
    }

    fn series(&mut self, name: &str, labels: Labels<'_>, more: Option<(&str, &str)>) {
        self.text.push_str(name);
        for (index, (label, value)) in labels.iter().copied().chain(more).enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    plain => self.text.push(plain),
                }
            }
            self.text.push('"');
        }
        if !labels.is_empty() || more.is_some() {
            self.text.push('}');
        }
    }

    fn exemplar(&mut self, Exemplar { ids, value, at }: &Exemplar) {
        let (trace, span, at) = (ids.trace, ids.span, at.as_microsecond());
        let (seconds, rest) = (at.div_euclid(1_000_000), at.rem_euclid(1_000_000));
        let _infallible =
            write!(self.text, " # {{trace_id=\"{trace}\",span_id=\"{span}\"}} {value} {seconds}.{rest:06}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::context::TraceIds;
    use crate::telemetry::histogram::Measure;

    fn written(format: Format) -> String {
        let histogram = Histogram::new(Measure::Seconds, &[0.25, 1.0]);
        let ids = TraceIds::of_header("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        histogram.record(0.5, Some((ids, "2026-04-14T12:00:00.5Z".parse().unwrap())));
        let mut exposition = Exposition::new(format);
        exposition.family("a_seconds", Kind::Histogram, "How long.");
        exposition.histogram("a_seconds", &[("route", "a\"b\\c\nd")], &histogram);
        exposition.only("b_total", Kind::Counter, "How many.", 3.0);
        exposition.finish()
    }

    #[test]
    fn the_older_format_has_no_exemplars() {
        let expected = r#"# HELP a_seconds How long.
# TYPE a_seconds histogram
a_seconds_bucket{route="a\"b\\c\nd",le="0.25"} 0
a_seconds_bucket{route="a\"b\\c\nd",le="1"} 1
a_seconds_bucket{route="a\"b\\c\nd",le="+Inf"} 1
a_seconds_sum{route="a\"b\\c\nd"} 0.5
a_seconds_count{route="a\"b\\c\nd"} 1
# HELP b_total How many.
# TYPE b_total counter
b_total 3
"#;
        assert_eq!(written(Format::Text), expected);
    }

    #[test]
    fn openmetrics_names_units_and_links_buckets_to_traces() {
        let expected = r#"# HELP a_seconds How long.
# TYPE a_seconds histogram
# UNIT a_seconds seconds
a_seconds_bucket{route="a\"b\\c\nd",le="0.25"} 0
a_seconds_bucket{route="a\"b\\c\nd",le="1.0"} 1 # {trace_id="0af7651916cd43dd8448eb211c80319c",span_id="b7ad6b7169203331"} 0.5 1776168000.500000
a_seconds_bucket{route="a\"b\\c\nd",le="+Inf"} 1
a_seconds_sum{route="a\"b\\c\nd"} 0.5
a_seconds_count{route="a\"b\\c\nd"} 1
# HELP b How many.
# TYPE b counter
b_total 3
# EOF
"#;
        assert_eq!(written(Format::OpenMetrics), expected);
    }

    #[test]
    fn the_newer_format_is_for_those_who_prefer_it() {
        for (accept, wanted) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/plain;version=0.0.4", Format::Text),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3",
                Format::OpenMetrics,
            ),
            ("application/openmetrics-text;q=0.2, text/plain;q=0.8", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text; q=x", Format::Text),
        ] {
            assert_eq!(Format::wanted(accept), wanted, "{accept}");
        }
    }
}
