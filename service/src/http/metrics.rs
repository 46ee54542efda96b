//! Rate, errors and duration by OpenTelemetry's convention in Prometheus' spelling, and what else a scrape shows.
//!
//! Each service has a registry of its own instead of the global one, so that two in one process do not mix.

use axum::http::Method;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::API;
use crate::passengers::Store;

const DURATION: &str = "http_server_request_duration_seconds";
const ACTIVE: &str = "http_server_active_requests";
const POOL: &str = "db_client_connection_count";
const BUILD: &str = "titanic_build_info";
const FAULTS: &str = "titanic_faults_injected_total";

/// Bounds of the latency buckets in seconds. Latency objectives must use one of these.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The label of requests that no route took.
pub const UNMATCHED: &str = "unmatched";

/// What is counted and measured.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Metrics {
    /// An empty registry, except for the series that should exist before the first request: a rate over a series that
    /// appears with its first event misses that event.
    #[must_use]
    pub fn new(version: &str) -> Self {
        // The only error is an empty list of bounds.
        let builder = PrometheusBuilder::new();
        let builder = builder
            .set_buckets_for_metric(Matcher::Full(DURATION.to_owned()), &BUCKETS)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let metrics = Self { handle: recorder.handle(), recorder };
        metrics.describe();
        metrics.with(|| {
            gauge!(BUILD, "version" => version.to_owned()).set(1.0);
            gauge!(ACTIVE).set(0.0);
            for (route, method, status) in API {
                let status = status.to_string();
                let _registered = histogram!(DURATION, "http_request_method" => method, "http_route" => route,
                    "http_response_status_code" => status);
            }
        });
        metrics
    }

    fn describe(&self) {
        self.with(|| {
            describe_histogram!(
                DURATION,
                Unit::Seconds,
                "Duration of HTTP requests, until the answer was ready."
            );
            describe_gauge!(ACTIVE, "HTTP requests being handled.");
            describe_gauge!(POOL, "Database connections of the pool, by what they are doing.");
            describe_gauge!(BUILD, "Always 1; the label tells the version.");
            describe_counter!(FAULTS, "Requests broken on purpose, by route and kind.");
        });
    }

    fn with<T>(&self, record: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&self.recorder, record)
    }

    /// A request came in.
    pub fn request_started(&self) {
        self.with(|| gauge!(ACTIVE).increment(1.0));
    }

    /// A request was answered, or given up by its client.
    pub fn request_ended(&self, method: &Method, route: &str, status: u16, seconds: f64) {
        self.with(|| {
            gauge!(ACTIVE).decrement(1.0);
            histogram!(DURATION, "http_request_method" => method_label(method), "http_route" => route.to_owned(),
                "http_response_status_code" => status.to_string())
            .record(seconds);
        });
    }

    /// A request was broken on purpose.
    pub fn fault_injected(&self, route: &str, kind: &'static str) {
        self.with(|| counter!(FAULTS, "route" => route.to_owned(), "kind" => kind).increment(1));
    }

    /// Everything, as Prometheus reads it.
    #[must_use]
    pub fn render(&self, store: &Store) -> String {
        let pool = store.pool_use();
        self.with(|| {
            gauge!(POOL, "state" => "idle").set(pool.idle);
            gauge!(POOL, "state" => "used").set(pool.used);
        });
        self.handle.render()
    }

    /// Moves samples into their buckets. Without it they pile up until the next scrape, which may never come.
    pub fn tidy(&self) {
        self.handle.run_upkeep();
    }
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
