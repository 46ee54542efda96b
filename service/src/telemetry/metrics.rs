//! Metrics by the facade `metrics`, shown by `metrics-exporter-prometheus`.
//!
//! Each part of the service has a recorder of its own instead of the global one, so that two services in one process do not
//! mix. States that are only of interest when somebody asks are recorded anew for each scrape: a state that is gone leaves
//! no series.

use metrics::{describe_counter, describe_gauge, describe_histogram, with_local_recorder};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusRecorder};

/// The format of a scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`: has no place for exemplars.
    Text,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

impl Format {
    /// Chooses the newer format for a scraper that names it and does not prefer the older one.
    #[must_use]
    pub fn wanted(accept: &str) -> Self {
        let newer = super::accept::weight(accept, "application/openmetrics-text");
        if newer > 0 && newer >= super::accept::weight(accept, "text/plain") {
            Self::OpenMetrics
        } else {
            Self::Text
        }
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

/// A histogram: its name, its meaning and the bounds of its buckets.
pub type HistogramSpec = (&'static str, &'static str, &'static [f64]);

/// The counters and histograms of one part of the service.
#[derive(Debug)]
pub struct Recorder(PrometheusRecorder);

impl Recorder {
    /// Creates a recorder of these histograms and counters.
    #[must_use]
    pub fn new(histograms: &[HistogramSpec], counters: &[(&'static str, &'static str)]) -> Self {
        let with_buckets = |builder: PrometheusBuilder, (name, _, bounds): &HistogramSpec| {
            builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), bounds)
        };
        let built: Result<_, BuildError> = histograms.iter().try_fold(PrometheusBuilder::new(), with_buckets);
        // The builder refuses empty lists of bounds only.
        let recorder = Self(built.unwrap_or_default().build_recorder());
        recorder.record(|| {
            for (name, help, _) in histograms {
                describe_histogram!(*name, *help);
            }
            for (name, help) in counters {
                describe_counter!(*name, *help);
            }
        });
        recorder
    }

    /// Sends the metrics that a function records here.
    pub fn record<T>(&self, record: impl FnOnce() -> T) -> T {
        with_local_recorder(&self.0, record)
    }

    /// Merges what was recorded into the buckets. Without this it is kept value by value until the next scrape.
    pub fn upkeep(&self) {
        self.0.handle().run_upkeep();
    }

    /// Returns everything so far as text.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.handle().render()
    }
}

/// Returns the text of what a function records, with the figures of this process.
#[must_use]
pub fn render_now(record: impl FnOnce()) -> String {
    let recorder = Recorder::new(&[], &[]);
    recorder.record(|| {
        let process = metrics_process::Collector::default();
        process.describe();
        process.collect();
        record();
    });
    // A counter of `metrics` is a whole number, so that seconds with fractions come as a gauge.
    recorder.render().replace("process_cpu_seconds_total gauge", "process_cpu_seconds_total counter")
}

/// Records the present value of a gauge.
pub fn gauge(name: &'static str, help: &'static str, labels: &[(&'static str, String)], value: f64) {
    describe_gauge!(name, help);
    metrics::gauge!(name, labels).set(value);
}

/// Records the present value of a counter that is counted elsewhere.
pub fn counter(name: &'static str, help: &'static str, labels: &[(&'static str, String)], value: u64) {
    describe_counter!(name, help);
    metrics::counter!(name, labels).absolute(value);
}

/// Rewrites the text format as OpenMetrics. `exemplar` returns the exemplar of a bucket, told by its series.
#[must_use]
pub fn openmetrics(text: &str, exemplar: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len() + 1024);
    for line in text.lines().filter(|line| !line.is_empty()) {
        if line.starts_with("# ") {
            // `_total` belongs to the sample, not to the family.
            out.push_str(&line.replacen("_total ", " ", 1));
        } else {
            out.push_str(line);
            if let Some(exemplar) = line.rsplit_once(' ').and_then(|(series, _)| exemplar(series)) {
                out.push_str(" # ");
                out.push_str(&exemplar);
            }
        }
        out.push('\n');
    }
    out.push_str("# EOF\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn openmetrics_links_buckets_to_traces_and_ends() {
        let recorder =
            Recorder::new(&[("a_seconds", "Its duration.", &[0.25])], &[("b_total", "Its count.")]);
        recorder.record(|| {
            metrics::histogram!("a_seconds", "route" => "a\"b\\c\nd").record(0.2);
            metrics::counter!("b_total").increment(3);
        });
        let text = recorder.render();
        let series = "a_seconds_bucket{route=\"a\\\"b\\\\c\\nd\",le=\"0.25\"}";
        assert!(text.contains(&format!("{series} 1\n")), "{text}");
        let newer =
            openmetrics(&text, |found| (found == series).then(|| String::from("{trace_id=\"7\"} 0.2")));
        assert!(newer.contains(&format!("{series} 1 # {{trace_id=\"7\"}} 0.2\n")), "{newer}");
        assert!(newer.contains("# TYPE b counter\nb_total 3\n") && newer.ends_with("# EOF\n"), "{newer}");
        assert!(newer.lines().all(|line| !line.is_empty()), "{newer}");
    }
}
