//! The weaknesses of podinfo, the demo service that most people start from, each as a test that we pass. The numbers are
//! those of our notes on its code.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use crate::app::{App, TOKEN};
use crate::collector::{Collector, contains};
use crate::program::{Program, until};

/// 1: every error was a 200 on the wire, with the real status only in its text.
#[tokio::test]
async fn weakness_1_the_status_of_an_error_is_on_the_wire_and_in_the_metrics() {
    let app = App::new().await;
    app.order(json!({"route": "/api/hello", "error_percent": 100, "status": 500, "ttl_seconds": 60})).await;
    let large = json!({"name": "x".repeat(100_000)});
    for (method, path, body, status, route) in [
        (Method::GET, "/api/nowhere", None, 404, "unmatched"),
        (Method::GET, "/api/v1/passengers?limit=x", None, 400, "/api/v1/passengers"),
        (Method::DELETE, "/api/v1/passengers", None, 405, "/api/v1/passengers"),
        (Method::POST, "/api/v1/passengers", Some(&large), 413, "/api/v1/passengers"),
        (Method::GET, "/api/hello", None, 500, "/api/hello"),
    ] {
        let label = method.to_string();
        let answer = app.call(method, path, body).await;
        answer.problem(status);
        let count = format!(
            "http_server_request_duration_seconds_count{{http_request_method=\"{label}\",http_route=\"{route}\",\
             http_response_status_code=\"{status}\"}} 1"
        );
        let metrics = app.metrics().await;
        assert!(metrics.lines().any(|line| line == count), "{count}");
    }
}

/// 2: the last spans were lost, logs were flushed before the servers had ended, and liveness turned red while draining.
#[tokio::test]
async fn weakness_2_the_last_spans_and_lines_arrive_and_a_draining_service_is_alive() {
    let collector = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.as_str()), ("DRAIN_SECONDS", "1")];
    let mut program = Program::start(&folder, &variables).await;
    program.signal("TERM").await;
    until("/readyz is 503", async || (program.status("/readyz").await == Some(503)).then_some(())).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = program.http.get(format!("{}/api/v1/passengers", program.address));
    let last = request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01")).send().await.unwrap();
    assert_eq!((last.status().as_u16(), &last.headers()["connection"]), (200, &"close".parse().unwrap()));
    assert!(last.headers()["traceresponse"].to_str().unwrap().starts_with(&format!("00-{trace}-")));
    assert_eq!(program.status("/livez").await, Some(200));
    assert!(program.ended().await.success());

    let spans = collector.trace(trace).expect("the last span has arrived");
    for part in ["GET /api/v1/passengers", "SELECT passengers", "db.query.text", "db.system.name", "limit +$"]
    {
        assert!(contains(&spans, part.as_bytes()), "{part}");
    }
    for (message, route) in
        [("no longer ready; still serving", ""), ("request", "/api/v1/passengers"), ("stopped", "")]
    {
        let line = (String::from(message), String::from(route));
        until(message, async || program.story().contains(&line).then_some(())).await;
    }
}

/// 3: random faults hit probes and metrics, all requests of one second shared their fate, and equal bounds of a delay
/// ended the process.
#[tokio::test]
async fn weakness_3_faults_spare_probes_and_metrics_and_spread_within_a_second() {
    let app = App::new().await;
    app.order(json!({"route": "*", "error_percent": 50, "delay_percent": 100, "delay_ms": 1, "jitter_ms": 0,
        "ttl_seconds": 60}))
        .await;
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(app.get("/api/hello").await.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 5, "{statuses:?}");
    for spared in ["/health", "/livez", "/readyz", "/version"] {
        let answer = app.get(spared).await;
        assert_eq!(answer.status, 200, "{spared}");
        assert!(!answer.headers.contains_key("x-fault-injected"), "{spared}");
    }
    app.metrics().await;
    // Unless somebody wants just that, and says so twice.
    let livez = json!({"route": "/livez", "error_percent": 100, "ttl_seconds": 60});
    assert_eq!(app.faults(Method::POST, Some(TOKEN), Some(&livez)).await.problem(422).1, ["route"]);
    app.order(json!({"route": "/livez", "include_health": true, "error_percent": 100, "ttl_seconds": 60}))
        .await;
    assert_eq!(app.get("/livez").await.status, 503);
    assert_eq!(app.get("/readyz").await.status, 200);
}

/// 4: the only switch was `500 for everything`, for everybody, until somebody thought of it again.
#[tokio::test]
async fn weakness_4_a_fault_has_a_target_an_end_an_owner_and_a_lock() {
    let app = App::new().await;
    let order = json!({"route": "/api/hello", "method": "GET", "header": "x-drill: 7", "error_percent": 100,
        "status": 502, "ttl_seconds": 60, "by": "the watch"});
    assert_eq!(app.faults(Method::POST, None, Some(&order)).await.status, 401);
    let fault = app.order(order).await;
    assert_eq!(app.get("/api/hello").await.status, 200);
    let marked = app.call_with(Method::GET, "/api/hello", &[("x-drill", "7")], None).await;
    assert_eq!(marked.problem(502).0, "fault_injected");
    assert!(app.metrics().await.contains("titanic_faults_active{kind=\"error\"} 1"));

    let one = format!("/faults/{}", fault["id"].as_str().unwrap());
    assert_eq!(app.operate(Method::DELETE, &one, Some(TOKEN), None).await.status, 204);
    assert_eq!(app.operate(Method::DELETE, &one, Some(TOKEN), None).await.status, 404);
    assert!(app.metrics().await.contains("titanic_faults_active{kind=\"error\"} 0"));
}

/// 5: the environment, mounted secrets, profiles and a switch that ends the process were open to everybody.
#[tokio::test]
async fn weakness_5_nothing_that_helps_an_attacker_is_open() {
    let app = App::new().await;
    for path in [
        "/env",
        "/configs",
        "/panic",
        "/debug/pprof/",
        "/store",
        "/faults",
        "/audit",
        "/metrics",
        "/readyz/disable",
        "/readyz/enable",
        "/token",
    ] {
        for method in [Method::GET, Method::POST] {
            assert_eq!(app.call(method.clone(), path, None).await.status, 404, "{method} {path}");
        }
    }
    for path in ["/env", "/configs", "/panic", "/debug/pprof/"] {
        assert_eq!(app.operate(Method::GET, path, Some(TOKEN), None).await.status, 404, "{path}");
    }
    assert_eq!(app.operate(Method::GET, "/faults", None, None).await.status, 401);
    // There is no token that somebody forgot to change.
    let without = App::with(&[]).await;
    assert_eq!(without.operate(Method::GET, "/faults", Some(""), None).await.status, 404);
    for text in
        [app.get("/version").await.text, format!("{:?}", app.shared.config), app.shared.config.to_string()]
    {
        assert!(!text.contains(TOKEN), "{text}");
    }
}

/// 6: default buckets, no figures of what is in flight, of sizes, of the database or of the build, no exemplars; requests
/// that no route took were not measured at all.
#[tokio::test]
async fn weakness_6_everything_that_an_operator_asks_for_is_measured() {
    let app = App::new().await;
    app.get("/no/such/route").await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let list = "/api/v1/passengers?limit=1";
    app.call_with(Method::GET, list, &[("traceparent", &parent)], None).await;
    let metrics = app.metrics().await;
    for part in [
        "http_server_request_duration_seconds_count{http_request_method=\"GET\",http_route=\"unmatched\"",
        "http_server_active_requests 0",
        "http_server_request_body_size_bytes_count{http_route=\"/api/v1/passengers\"} 1",
        "http_server_response_body_size_bytes_sum{http_route=\"/api/v1/passengers\"} ",
        "db_client_operation_duration_seconds_count{db_system_name=\"sqlite\",db_operation_name=\"SELECT\"} ",
        "db_client_connection_wait_time_seconds_count ",
        "db_client_connection_pending_requests 0",
        "titanic_build_info{version=",
        "process_resident_memory_bytes ",
        "process_start_time_seconds ",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(part)), "{part} in {metrics}");
    }

    let request = Request::get("/metrics")
        .header("host", "titanic")
        .header("accept", "application/openmetrics-text; version=1.0.0");
    let answer = app.admin.answer(request.body(Body::empty()).unwrap()).await;
    let media_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(media_type.starts_with("application/openmetrics-text; version=1.0.0"), "{media_type}");
    let text = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(text.ends_with("# EOF\n"));
    let exemplar = format!("# {{trace_id=\"{trace}\",span_id=\"");
    let shown: Vec<_> = text.lines().filter(|line| line.contains(&exemplar)).collect();
    assert!(shown.len() == 1 && shown[0].contains("_bucket{http_request_method=\"GET\""), "{shown:?}");
}

/// 7: one line at the start of a request, at debug, without status, duration or anything to find it by.
#[tokio::test]
async fn weakness_7_each_request_leaves_one_line_that_says_how_it_ended() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[]).await;
    assert_eq!(program.status("/api/v1/passengers/nobody").await, Some(400));
    let line = program.line("request").await;
    assert_eq!((&line["status"], &line["route"]), (&json!(400), &json!("/api/v1/passengers/{id}")));
    assert!(line["duration_seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{line}");
    for id in ["trace_id", "span_id", "request_id"] {
        assert!(line[id].as_str().is_some_and(|id| id.len() >= 16), "{id} in {line}");
    }
    assert_eq!(program.story().iter().filter(|(message, _)| message == "request").count(), 1);
}

/// 8: the port that clients reach was the one that was scraped.
#[tokio::test]
async fn weakness_8_metrics_are_on_a_port_of_their_own() {
    let app = App::new().await;
    app.get("/metrics").await.problem(404);
    assert!(app.metrics().await.contains("http_server_request_duration_seconds_bucket"));
    assert_eq!(app.operate(Method::GET, "/api/hello", None, None).await.status, 404);
}
