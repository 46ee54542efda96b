//! Traces against a collector that is there, and one that is not.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use opentelemetry::trace::{Span as _, Tracer as _};

use super::*;
use crate::Recorder;

/// Reads one request, head and body, and answers 200.
fn answer(mut stream: TcpStream) -> String {
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
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    String::from_utf8_lossy(&seen).into_owned()
}

#[test]
fn spans_reach_the_collector_and_are_counted() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let recorder = Recorder::install(&[]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let collector = std::thread::spawn(move || answer(listener.accept().unwrap().0));

    let provider = provider(Some(&url)).unwrap();
    let mut span = provider.tracer("test").start("probe home");
    assert!(span.span_context().is_valid(), "a span has a trace id");
    span.end();
    Telemetry { provider }.shutdown(Duration::from_secs(10));
    let request = collector.join().unwrap();
    assert!(request.starts_with("POST /v1/traces HTTP/1.1"), "{request}");
    assert!(request.contains("application/x-protobuf"), "{request}");
    assert!(request.contains("probe home") && request.contains("lookout"), "{request}");
    assert!(recorder.text().contains("lookout_otlp_spans_total{outcome=\"exported\"} 1"));

    // A port that nobody listens on any more: the loss is counted.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let url: Url = format!("http://{}", gone.local_addr().unwrap()).parse().unwrap();
    drop(gone);
    let provider = super::provider(Some(&url)).unwrap();
    provider.tracer("test").start("lost").end();
    Telemetry { provider }.shutdown(Duration::from_secs(10));
    assert!(
        recorder.text().contains("lookout_otlp_spans_total{outcome=\"failed\"} 1"),
        "{}",
        recorder.text()
    );
}

#[test]
fn without_an_endpoint_spans_still_have_ids() {
    let provider = provider(None).unwrap();
    let span = provider.tracer("test").start("unheard");
    assert!(span.span_context().is_valid());
}

#[test]
fn the_path_of_traces_is_added_once() {
    for (given, wanted) in [
        ("http://c:4318", "http://c:4318/v1/traces"),
        ("http://c:4318/v1/traces", "http://c:4318/v1/traces"),
        ("https://c/otlp/", "https://c/otlp/v1/traces"),
    ] {
        assert_eq!(traces_url(&given.parse().unwrap()).as_str(), wanted);
    }
    let secret = "https://user:password@c:1/otlp?key=abc".parse().unwrap();
    assert_eq!(without_credentials(&secret), "https://c:1/otlp");
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

#[test]
fn a_level_that_is_none_is_refused_with_the_known_ones() {
    let config = TelemetryConfig { level: "lookout=loud".to_owned(), json: false, otlp_endpoint: None };
    let said = init(&config).unwrap_err().to_string();
    assert!(said.contains("\"lookout=loud\"") && said.contains("debug"), "{said}");
}
