//! Rate, errors and duration by OpenTelemetry's convention in Prometheus' spelling, and what else a scrape shows.
//!
//! Each service has series of its own instead of global ones, so that two in one process do not mix. What is measured is
//! also given to OpenTelemetry's instruments, which do nothing unless there is a collector.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use axum::http::Method;
use jiff::Timestamp;
use opentelemetry::{KeyValue, global};

use super::ApiRoute;
use super::health::Readiness;
use super::secrets::Secrets;
use crate::database::Database;
use crate::telemetry::exposition::{Exposition, Format, Kind};
use crate::telemetry::histogram::{Histogram, Measure};
use crate::telemetry::process::Process;
use crate::telemetry::{self, TraceIds};

const DURATION: &str = "http_server_request_duration_seconds";
const REQUEST_SIZE: &str = "http_server_request_body_size_bytes";
const RESPONSE_SIZE: &str = "http_server_response_body_size_bytes";
const ACTIVE: &str = "http_server_active_requests";
const REJECTED: &str = "titanic_requests_rejected_total";
const POOL: &str = "db_client_connection_count";
const BUILD: &str = "titanic_build_info";
const INJECTED: &str = "titanic_faults_injected_total";
const LOST_LINES: &str = "titanic_log_lines_lost_total";
const BROKEN: &str = "titanic_faults_active";

/// Bounds of the latency buckets in seconds. Latency objectives must use one of these.
pub const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const SIZES: [f64; 6] = [256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 1_048_576.0];

/// The label of requests that no route took.
pub const UNMATCHED: &str = "unmatched";
/// The most series of durations. Labels come from routes, known methods and statuses, so that this is never reached; if it
/// were, the rest would share one route.
const MOST_SERIES: usize = 2000;
const OVERFLOW: &str = "overflow";

/// The metrics of requests.
pub struct Metrics {
    version: String,
    active: AtomicI64,
    series: AtomicUsize,
    routes: RwLock<HashMap<String, Route>>,
    injected: Mutex<BTreeMap<(String, &'static str), u32>>,
    rejected: Mutex<BTreeMap<&'static str, u32>>,
    exported: opentelemetry::metrics::Histogram<f64>,
}

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

struct Route {
    durations: Vec<Series>,
    request_bytes: Histogram,
    response_bytes: Histogram,
}

struct Series {
    method: &'static str,
    status: u16,
    duration: Histogram,
    attributes: [KeyValue; 3],
}

impl Route {
    fn new() -> Self {
        Self {
            durations: Vec::new(),
            request_bytes: Histogram::new(Measure::Bytes, &SIZES),
            response_bytes: Histogram::new(Measure::Bytes, &SIZES),
        }
    }
}

impl Metrics {
    /// Creates the series that should exist before the first request: a rate over a series that
    /// appears with its first event misses that event.
    #[must_use]
    pub fn new(version: &str, api: &[ApiRoute]) -> Self {
        let exported = global::meter(env!("CARGO_PKG_NAME"))
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_boundaries(BUCKETS.to_vec())
            .build();
        let metrics = Self {
            version: version.to_owned(),
            active: AtomicI64::new(0),
            series: AtomicUsize::new(0),
            routes: RwLock::default(),
            injected: Mutex::default(),
            rejected: Mutex::default(),
            exported,
        };
        for (route, method, status) in api {
            metrics.with_series(route, method, *status, |_, _| ());
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
        self.active.fetch_sub(1, Ordering::Relaxed);
        self.with_series(route, method, sample.status, |route, series| {
            series.duration.record(sample.seconds, sample.trace);
            self.exported.record(sample.seconds, &series.attributes);
            route.request_bytes.record(sample.request_bytes.unwrap_or(0) as f64, None);
            if let Some(bytes) = sample.response_bytes {
                route.response_bytes.record(bytes as f64, None);
            }
        });
    }

    /// A request was broken on purpose.
    pub fn fault_injected(&self, route: &str, kind: &'static str) {
        *locked(&self.injected).entry((route.to_owned(), kind)).or_default() += 1;
    }

    /// A request was turned away before it reached its handler.
    pub fn request_rejected(&self, reason: &'static str) {
        *locked(&self.rejected).entry(reason).or_default() += 1;
    }

    /// Requests being handled.
    #[must_use]
    pub fn active(&self) -> i64 {
        self.active.load(Ordering::Relaxed)
    }

    fn with_series(&self, route: &str, method: &'static str, status: u16, record: impl Fn(&Route, &Series)) {
        let known = |routes: &HashMap<String, Route>, route: &str, status: u16| {
            let route = routes.get(route)?;
            let series = route.durations.iter().find(|one| one.method == method && one.status == status)?;
            record(route, series);
            Some(())
        };
        if known(&self.routes.read().unwrap_or_else(PoisonError::into_inner), route, status).is_some() {
            return;
        }
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let full = self.series.load(Ordering::Relaxed) >= MOST_SERIES;
        let (route, status) = if full { (OVERFLOW, status / 100 * 100) } else { (route, status) };
        if known(&routes, route, status).is_some() {
            return;
        }
        self.series.fetch_add(1, Ordering::Relaxed);
        let attributes = [
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(status)),
        ];
        let duration = Histogram::new(Measure::Seconds, &BUCKETS);
        let series = Series { method, status, duration, attributes };
        routes.entry(route.to_owned()).or_insert_with(Route::new).durations.push(series);
        let _known_by_now = known(&routes, route, status);
    }

    /// Everything, as Prometheus reads it.
    #[must_use]
    pub fn render(
        &self,
        format: Format,
        database: &Database,
        (readiness, secrets): (&Readiness, &Secrets),
        broken: &[(&'static str, u32)],
    ) -> String {
        let mut out = Exposition::new(format);
        self.write_requests(&mut out);
        let pool = database.pool_use();
        out.family(POOL, Kind::Gauge, "Database connections of the pool, by what they are doing.");
        out.sample(POOL, &[("state", "idle")], pool.idle.into());
        out.sample(POOL, &[("state", "used")], pool.used.into());
        database.write(&mut out);
        readiness.write(&mut out);
        secrets.write(&mut out);
        out.family(BUILD, Kind::Gauge, "Always 1; the label tells the version.");
        out.sample(BUILD, &[("version", &self.version)], 1.0);
        out.family(BROKEN, Kind::Gauge, "Faults that were ordered and have not ended, by kind.");
        for (kind, faults) in broken {
            out.sample(BROKEN, &[("kind", kind)], (*faults).into());
        }
        out.family(INJECTED, Kind::Counter, "Requests broken on purpose, by route and kind.");
        for ((route, kind), count) in locked(&self.injected).iter() {
            out.sample(INJECTED, &[("route", route), ("kind", kind)], (*count).into());
        }
        out.family(
            REJECTED,
            Kind::Counter,
            "Requests turned away before they reached their handler, by reason.",
        );
        for (reason, count) in locked(&self.rejected).iter() {
            out.sample(REJECTED, &[("reason", reason)], (*count).into());
        }
        #[expect(clippy::cast_precision_loss, reason = "shown, not counted with")]
        let lost = telemetry::lost_lines() as f64;
        out.only(
            LOST_LINES,
            Kind::Counter,
            "Log lines that were lost: not read in time, or not to be written.",
            lost,
        );
        Process::now().write(&mut out);
        out.finish()
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    fn write_requests(&self, out: &mut Exposition) {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let mut routes: Vec<_> = routes.iter().collect();
        routes.sort_by_key(|(name, _)| *name);
        out.family(DURATION, Kind::Histogram, "Duration of HTTP requests, until the answer was ready.");
        for (name, route) in &routes {
            for series in &route.durations {
                let status = series.status.to_string();
                let labels = [
                    ("http_request_method", series.method),
                    ("http_route", name.as_str()),
                    ("http_response_status_code", &status),
                ];
                out.histogram(DURATION, &labels, &series.duration);
            }
        }
        out.family(REQUEST_SIZE, Kind::Histogram, "Size of request bodies, as their clients declared it.");
        for (name, route) in &routes {
            out.histogram(REQUEST_SIZE, &[("http_route", name)], &route.request_bytes);
        }
        out.family(RESPONSE_SIZE, Kind::Histogram, "Size of response bodies, except of streams.");
        for (name, route) in &routes {
            out.histogram(RESPONSE_SIZE, &[("http_route", name)], &route.response_bytes);
        }
        out.only(ACTIVE, Kind::Gauge, "HTTP requests being handled.", self.active() as f64);
    }
}

/// Lets OpenTelemetry's reader ask for what is not measured request by request.
pub fn export(shared: &super::Shared) {
    let meter = global::meter(env!("CARGO_PKG_NAME"));
    let source = shared.clone();
    let _active = meter
        .i64_observable_up_down_counter("http.server.active_requests")
        .with_unit("{request}")
        .with_callback(move |to| to.observe(source.metrics.active(), &[]))
        .build();
    let source = shared.clone();
    let _pool = meter
        .i64_observable_up_down_counter("db.client.connection.count")
        .with_unit("{connection}")
        .with_callback(move |to| {
            let pool = source.database.pool_use();
            to.observe(pool.idle.into(), &[KeyValue::new("db.client.connection.state", "idle")]);
            to.observe(pool.used.into(), &[KeyValue::new("db.client.connection.state", "used")]);
        })
        .build();
    let source = shared.clone();
    let _broken = meter
        .u64_observable_gauge("titanic.faults.active")
        .with_callback(move |to| {
            for (kind, faults) in source.faults.count(tokio::time::Instant::now()) {
                to.observe(faults.into(), &[KeyValue::new("kind", kind)]);
            }
        })
        .build();
    let _cpu = meter
        .f64_observable_counter("process.cpu.time")
        .with_unit("s")
        .with_callback(|to| {
            Process::now().cpu_seconds.into_iter().for_each(|seconds| to.observe(seconds, &[]))
        })
        .build();
    let _memory = meter
        .f64_observable_gauge("process.memory.usage")
        .with_unit("By")
        .with_callback(|to| {
            Process::now().resident_bytes.into_iter().for_each(|bytes| to.observe(bytes, &[]))
        })
        .build();
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Methods are a label, and a client may invent any: those of the standard are kept, the rest share one.
#[must_use]
pub fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        "CONNECT" => "CONNECT",
        "TRACE" => "TRACE",
        _ => "_OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_series_is_bounded_and_nothing_is_lost() {
        let metrics = Metrics::new("1", &[]);
        for number in 0..3000 {
            metrics.request_started();
            let sample = Sample { status: 404, seconds: 0.1, ..Sample::default() };
            metrics.request_ended("GET", &format!("/{number}"), sample);
        }
        let routes = metrics.routes.read().unwrap();
        let all: u64 =
            routes.values().flat_map(|route| &route.durations).map(|one| one.duration.read().count).sum();
        assert_eq!(all, 3000);
        assert!(routes.len() <= MOST_SERIES + 1, "{}", routes.len());
        let rest = &routes[OVERFLOW].durations;
        assert_eq!((rest.len(), rest[0].status), (1, 400));
        assert_eq!(metrics.active(), 0);
    }

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
