//! Rate, errors and duration by OpenTelemetry's convention in Prometheus' spelling, and what else a scrape shows.
//!
//! Labels come from routes, known methods and statuses, so that no client can add series.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use ::metrics::{Histogram, counter, histogram};
use axum::http::Method;
use jiff::Timestamp;

use super::{ApiRoute, Shared};
use crate::telemetry::metrics::{self as scrape, Format, Recorder};
use crate::telemetry::{self, TraceIds};

const DURATION: &str = "http_server_request_duration_seconds";
const REQUEST_SIZE: &str = "http_server_request_body_size_bytes";
const RESPONSE_SIZE: &str = "http_server_response_body_size_bytes";
const INJECTED: &str = "titanic_faults_injected_total";

/// Bounds of the latency buckets in seconds. Latency objectives must use one of these.
pub const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const SIZES: [f64; 6] = [256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 1_048_576.0];

/// The label of requests that no route took.
pub const UNMATCHED: &str = "unmatched";

/// The metrics of requests.
pub struct Metrics {
    active: AtomicI64,
    recorder: Recorder,
    /// By route, and by method and status: made once, because a request would spend more on finding its labels than on
    /// counting.
    series: RwLock<HashMap<String, SeriesOfRoute>>,
}

/// Those of one route, by method and status.
type SeriesOfRoute = HashMap<(&'static str, u16), Series>;

/// The metrics of one route, method and status.
struct Series {
    duration: Histogram,
    request_size: Histogram,
    response_size: Histogram,
    /// An exemplar for each bucket of durations.
    exemplars: Mutex<[Option<Exemplar>; BUCKETS.len() + 1]>,
}

/// One request that fell into a bucket: from the chart to the trace in one step.
type Exemplar = (TraceIds, f64, Timestamp);

/// One request that was handled, as it is measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// The status that was sent.
    pub status: u16,
    /// Its duration.
    pub seconds: f64,
    /// The declared size of its body.
    pub request_bytes: Option<u64>,
    /// The size of the response body, if it is known beforehand.
    pub response_bytes: Option<u64>,
    /// Its trace, and the time of the response.
    pub trace: Option<(TraceIds, Timestamp)>,
}

impl Metrics {
    /// Creates the series that should exist before the first request: a rate over a series that
    /// appears with its first event misses that event.
    #[must_use]
    pub fn new(api: &[ApiRoute]) -> Self {
        let recorder = Recorder::new(
            &[
                (
                    DURATION,
                    "Duration of HTTP requests, until the answer was ready. A stream that was cut has the status of the reason.",
                    &BUCKETS,
                ),
                (REQUEST_SIZE, "Size of request bodies, as their clients declared it.", &SIZES),
                (RESPONSE_SIZE, "Size of response bodies, except of streams.", &SIZES),
            ],
            &[(INJECTED, "Requests broken on purpose, by route and kind.")],
        );
        let metrics = Self { active: AtomicI64::new(0), recorder, series: RwLock::default() };
        for (route, method, status) in api {
            metrics.with_series((method, route, *status), |_| ());
        }
        metrics
    }

    /// A request came in.
    pub fn request_started(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was answered, or given up by its client. The method is a label: see [`method_label`].
    #[expect(clippy::cast_precision_loss, reason = "sizes of bodies")]
    pub fn request_ended(&self, method: &'static str, route: &str, sample: Sample) {
        let Sample { status, seconds, request_bytes, response_bytes, trace } = sample;
        self.active.fetch_sub(1, Ordering::Relaxed);
        self.with_series((method, route, status), |series| {
            series.duration.record(seconds);
            series.request_size.record(request_bytes.unwrap_or(0) as f64);
            if let Some(bytes) = response_bytes {
                series.response_size.record(bytes as f64);
            }
            // Any example will do: a request never waits for another one to have written its own.
            if let (Some((ids, at)), Ok(mut exemplars)) = (trace, series.exemplars.try_lock())
                && let Some(exemplar) = exemplars.get_mut(BUCKETS.partition_point(|bound| *bound < seconds))
            {
                *exemplar = Some((ids, seconds, at));
            }
        });
    }

    fn with_series(&self, (method, route, status): (&'static str, &str, u16), record: impl Fn(&Series)) {
        let of_route = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = of_route.get(route).and_then(|of_route| of_route.get(&(method, status))) {
            return record(series);
        }
        drop(of_route);
        let mut of_route = self.series.write().unwrap_or_else(PoisonError::into_inner);
        let of_route = of_route.entry(route.to_owned()).or_default();
        record(of_route.entry((method, status)).or_insert_with(|| {
            self.recorder.record(|| Series {
                duration: histogram!(DURATION, "http_request_method" => method,
                    "http_route" => route.to_owned(), "http_response_status_code" => status.to_string()),
                request_size: histogram!(REQUEST_SIZE, "http_route" => route.to_owned()),
                response_size: histogram!(RESPONSE_SIZE, "http_route" => route.to_owned()),
                exemplars: Mutex::default(),
            })
        }));
    }

    /// A request was broken on purpose.
    pub fn fault_injected(&self, route: &str, kind: &'static str) {
        self.recorder.record(|| counter!(INJECTED, "route" => route.to_owned(), "kind" => kind).increment(1));
    }

    /// Requests being handled.
    #[must_use]
    pub fn active(&self) -> i64 {
        self.active.load(Ordering::Relaxed)
    }

    /// Merges what was measured into the buckets: see [`Recorder::upkeep`].
    pub fn upkeep(&self) {
        self.recorder.upkeep();
    }

    /// Returns the exemplars by the series of their buckets, as OpenMetrics writes both.
    fn exemplars(&self) -> HashMap<String, String> {
        let mut written = HashMap::new();
        for (route, of_route) in &*self.series.read().unwrap_or_else(PoisonError::into_inner) {
            for ((method, status), series) in of_route {
                let exemplars = *series.exemplars.lock().unwrap_or_else(PoisonError::into_inner);
                let bounds = BUCKETS.iter().map(f64::to_string).chain([String::from("+Inf")]);
                for (bound, exemplar) in bounds.zip(exemplars) {
                    let Some((ids, value, at)) = exemplar else { continue };
                    let bucket = format!(
                        "{DURATION}_bucket{{http_request_method=\"{method}\",http_route=\"{route}\",\
                         http_response_status_code=\"{status}\",le=\"{bound}\"}}"
                    );
                    let (trace, span, at) = (ids.trace, ids.span, at.as_duration().as_secs_f64());
                    let text = format!("{{trace_id=\"{trace}\",span_id=\"{span}\"}} {value} {at:.6}");
                    written.insert(bucket, text);
                }
            }
        }
        written
    }
}

/// Returns everything, as Prometheus reads it.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a count of requests")]
pub fn render(shared: &Shared, format: Format) -> String {
    let now = scrape::render_now(|| {
        scrape::gauge(
            "http_server_active_requests",
            "HTTP requests being handled.",
            &[],
            shared.metrics.active() as f64,
        );
        let version = [("version", shared.config.version.clone())];
        scrape::gauge("titanic_build_info", "Always 1; the label tells the version.", &version, 1.0);
        shared.database.record();
        shared.readiness.record();
        shared.secrets.record();
        for (kind, faults) in shared.faults.count(tokio::time::Instant::now()) {
            let help = "Faults that were ordered and have not ended, by kind.";
            scrape::gauge("titanic_faults_active", help, &[("kind", kind.to_owned())], faults.into());
        }
        let help = "Log lines that were lost: not read in time.";
        scrape::counter("titanic_log_lines_lost_total", help, &[], telemetry::lost_lines());
    });
    let text = [shared.metrics.recorder.render(), shared.database.render(), now].concat();
    match format {
        Format::Text => text,
        Format::OpenMetrics => {
            let exemplars = shared.metrics.exemplars();
            scrape::openmetrics(&text, |series| exemplars.get(series).cloned())
        }
    }
}

/// Methods are a label, and a client may invent any: those of the standard are kept, the rest share one.
#[must_use]
pub fn method_label(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An objective that asks for a bucket that does not exist sees no good request at all.
    #[test]
    fn every_latency_objective_asks_for_a_bucket_that_exists() {
        let mut asked = 0;
        for file in std::fs::read_dir("../slo").unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for rest in text.split(&format!("{DURATION}_bucket")).skip(1) {
                let bound = rest.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
                assert!(BUCKETS.contains(&bound.parse().unwrap()), "{bound}");
                asked += 1;
            }
        }
        assert!(asked > 0, "no objective asks for a bucket");
    }
}
