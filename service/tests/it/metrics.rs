//! The contents of a scrape.

use axum::body::Body;
use axum::http::Request;

use crate::app::App;
use crate::program::until;

const DURATION: &str = "http_server_request_duration_seconds";

fn labels(method: &str, route: &str, status: u16) -> String {
    format!("http_request_method=\"{method}\",http_route=\"{route}\",http_response_status_code=\"{status}\"")
}

#[track_caller]
fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in {metrics}")).parse().unwrap()
}

#[tokio::test]
async fn requests_are_measured_by_their_route_in_classic_buckets() {
    let app = App::new().await;
    let path = "/api/v1/passengers/01890000-0000-7000-8000-000000000000";
    for _ in 0..3 {
        app.get(path).await;
    }
    let metrics = app.metrics().await;
    let labels = labels("GET", "/api/v1/passengers/{id}", 404);
    assert!(metrics.contains(&format!("# TYPE {DURATION} histogram")));
    assert_eq!(value(&metrics, &format!("{DURATION}_count{{{labels}}}")), 3.0);
    assert!(value(&metrics, &format!("{DURATION}_sum{{{labels}}}")) > 0.0);
    let bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];
    let counts = bounds.map(|le| value(&metrics, &format!("{DURATION}_bucket{{{labels},le=\"{le}\"}}")));
    assert!(counts.is_sorted(), "{counts:?}");
    assert_eq!(counts.last(), Some(&3.0));
    let shown = metrics.lines().filter(|line| line.starts_with(DURATION) && line.contains("_bucket"));
    assert_eq!(shown.filter(|line| line.contains(&labels)).count(), bounds.len());
}

#[tokio::test]
async fn series_exist_before_the_first_request() {
    let app = App::new().await;
    // The pool takes a connection back in a task of its own.
    until("the connection is idle", async || (app.database.pool_state().idle == 1).then_some(())).await;
    let metrics = app.metrics().await;
    for (method, route, status) in
        titanic::api::routes().into_iter().map(|(route, method, status)| (method, route, status))
    {
        let count = format!("{DURATION}_count{{{}}}", labels(method, route, status));
        assert_eq!(value(&metrics, &count), 0.0);
    }
    assert_eq!(value(&metrics, "http_server_active_requests"), 0.0);
    assert!(
        metrics.contains("# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total "),
        "{metrics}"
    );
    assert_eq!(value(&metrics, "db_client_connection_count{state=\"idle\"}"), 1.0);
    assert_eq!(value(&metrics, "db_client_connection_count{state=\"used\"}"), 0.0);
}

#[tokio::test]
async fn clients_cannot_invent_labels() {
    let app = App::new().await;
    app.send(Request::builder().method("BREW").uri("/a/b").body(Body::empty()).unwrap()).await;
    app.get("/c/d").await;
    let metrics = app.metrics().await;
    assert_eq!(value(&metrics, &format!("{DURATION}_count{{{}}}", labels("_OTHER", "unmatched", 404))), 1.0);
    assert_eq!(value(&metrics, &format!("{DURATION}_count{{{}}}", labels("GET", "unmatched", 404))), 1.0);
    assert!(!metrics.contains("BREW") && !metrics.contains("/a/b"));
}

#[tokio::test]
async fn scrapes_do_not_count_as_requests_and_samples_survive_them() {
    let app = App::new().await;
    app.get("/api/hello").await;
    let count = format!("{DURATION}_count{{{}}}", labels("GET", "/api/hello", 200));
    assert_eq!(value(&app.metrics().await, &count), 1.0);
    app.get("/api/hello").await;
    let metrics = app.metrics().await;
    assert_eq!(value(&metrics, &count), 2.0);
    assert!(!metrics.contains("http_route=\"/metrics\""));
}

#[tokio::test]
async fn a_client_that_goes_away_is_counted_and_leaves_nothing_behind() {
    let app = App::new().await;
    let order =
        serde_json::json!({"route": "/api/hello", "delay_percent": 100, "delay_ms": 9000, "ttl_seconds": 60});
    app.faults(axum::http::Method::POST, Some(crate::app::TOKEN), Some(&order)).await;
    let mut visit = Box::pin(app.get("/api/hello"));
    // One poll is enough to enter the delay, and dropping it is what the server does when a connection ends.
    assert!(poll_once(&mut visit).await.is_none());
    assert_eq!(value(&app.metrics().await, "http_server_active_requests"), 1.0);
    drop(visit);
    let metrics = app.metrics().await;
    assert_eq!(value(&metrics, "http_server_active_requests"), 0.0);
    assert_eq!(value(&metrics, &format!("{DURATION}_count{{{}}}", labels("GET", "/api/hello", 499))), 1.0);
}

/// Polls once: the answer, if it is ready.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = std::future::ready(()) => None,
    }
}
