//! A collector that is there, and one that is not.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use lookout_model::Timestamp;
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _};
use opentelemetry::trace::{Span as _, Tracer as _, TracerProvider as _};

use super::*;
use lookout_runtime::exposition::Format;

use crate::install_recorder;

/// Reads one request, head and body, and answers with a status.
fn answer(mut stream: TcpStream, status: &str) -> String {
    let mut seen = Vec::new();
    let mut buffer = [0_u8; 4096];
    loop {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the request ended early: {}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&seen).to_ascii_lowercase();
        let Some(head) = text.find("\r\n\r\n") else { continue };
        let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if seen.len() >= head + 4 + length.unwrap().trim().parse::<usize>().unwrap() {
            break;
        }
    }
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn spans_reach_the_collector_and_are_counted() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let recorder = install_recorder(&[]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let collector = std::thread::spawn(move || answer(listener.accept().unwrap().0, "200 OK"));

    let provider = tracer_provider(resource(None), &url).unwrap();
    let mut span = provider.tracer("test").start("probe home");
    assert!(span.span_context().is_valid(), "a span has a trace id");
    span.end();
    provider.shutdown_with_timeout(Duration::from_secs(10)).ok();
    let request = collector.join().unwrap();
    assert!(request.starts_with("POST /v1/traces HTTP/1.1"), "{request}");
    assert!(request.contains("application/x-protobuf"), "{request}");
    assert!(request.contains("probe home") && request.contains("lookout"), "{request}");
    assert!(recorder.text(Format::Text).contains("lookout_otlp_spans_total{outcome=\"exported\"} 1"));

    // A port that nobody listens on any more: the loss is counted.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let url: Url = format!("http://{}", gone.local_addr().unwrap()).parse().unwrap();
    drop(gone);
    let provider = tracer_provider(resource(None), &url).unwrap();
    provider.tracer("test").start("lost").end();
    provider.shutdown_with_timeout(Duration::from_secs(10)).ok();
    assert!(
        recorder.text(Format::Text).contains("lookout_otlp_spans_total{outcome=\"failed\"} 1"),
        "{}",
        recorder.text(Format::Text)
    );
}

#[test]
fn the_path_of_a_signal_is_added_once() {
    for (given, wanted) in [
        ("http://c:4318", "http://c:4318/v1/traces"),
        ("http://c:4318/v1/traces", "http://c:4318/v1/traces"),
        ("https://c/otlp/", "https://c/otlp/v1/traces"),
    ] {
        assert_eq!(Signal::Traces.url(&given.parse().unwrap()).as_str(), wanted);
    }
    let traces = "http://c:4318/v1/traces".parse().unwrap();
    assert_eq!(Signal::Logs.url(&traces).as_str(), "http://c:4318/v1/logs");
    let secret = "https://user:password@c:1/otlp?key=abc".parse().unwrap();
    assert_eq!(without_credentials(&secret), "https://c:1/otlp");
}

#[test]
fn log_lines_reach_the_collector() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let collector = std::thread::spawn(move || answer(listener.accept().unwrap().0, "200 OK"));
    let provider = logger_provider(resource(Some("staging")), &url).unwrap();
    let logger = provider.logger("test");
    let mut record = logger.create_log_record();
    record.set_body(AnyValue::from("the pool is empty"));
    logger.emit(record);
    provider.shutdown_with_timeout(Duration::from_secs(10)).unwrap();
    let request = collector.join().unwrap();
    assert!(request.starts_with("POST /v1/logs HTTP/1.1"), "{request}");
    assert!(request.contains("the pool is empty") && request.contains("staging"), "{request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_reach_the_collector_and_a_refusal_is_named() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url: Url = format!("http://key:secret@{}/", listener.local_addr().unwrap()).parse().unwrap();
    let collector = std::thread::spawn(move || {
        let taken = answer(listener.accept().unwrap().0, "200 OK");
        answer(listener.accept().unwrap().0, "429 Too Many Requests");
        taken
    });
    let export = MetricsExport::new(&url, None, Timestamp::from_seconds(1)).unwrap();
    let (text, now) = ("# TYPE seen_total counter\nseen_total 3\n", Timestamp::from_seconds(9));
    export.send(text, now, Duration::from_secs(10)).await.unwrap();
    let refused = export.send(text, now, Duration::from_secs(10)).await.unwrap_err().to_string();
    assert!(refused.contains("429") && !refused.contains("secret"), "{refused}");
    let taken = collector.join().unwrap();
    assert!(taken.starts_with("POST /v1/metrics HTTP/1.1"), "{taken}");
    assert!(taken.contains("application/x-protobuf") && taken.contains("seen_total"), "{taken}");
}

#[test]
fn what_exporting_does_is_not_exported() {
    assert!(
        is_exporter("hyper::proto::h1")
            && is_exporter("opentelemetry_sdk")
            && is_exporter("reqwest::connect")
    );
    assert!(!is_exporter("lookout_collect"));
}
