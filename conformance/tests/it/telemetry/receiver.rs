//! A receiver of OTLP/HTTP on loopback, which decodes what it gets.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

const DEADLINE: Duration = Duration::from_secs(60);

/// Everything received so far, each item with the program it is from.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) spans: Vec<(String, Span)>,
    pub(super) metrics: Vec<(String, Metric)>,
    pub(super) lines: Vec<(String, LogRecord)>,
    /// Messages about incidents, posted to the webhook.
    pub(super) messages: Vec<Bytes>,
}

impl Received {
    /// Names of a program's spans.
    pub(super) fn span_names(&self, program: &str) -> BTreeSet<&str> {
        self.spans.iter().filter(|(from, _)| from == program).map(|(_, span)| span.name.as_str()).collect()
    }

    /// Names of a program's metrics.
    pub(super) fn metric_names(&self, program: &str) -> BTreeSet<&str> {
        let ours = self.metrics.iter().filter(|(from, _)| from == program);
        ours.map(|(_, metric)| metric.name.as_str()).collect()
    }

    /// Lines of a program.
    pub(super) fn lines_of(&self, program: &str) -> impl Iterator<Item = &LogRecord> {
        self.lines.iter().filter(move |(from, _)| from == program).map(|(_, line)| line)
    }
}

type Shared = Arc<Mutex<Received>>;

pub(super) struct Receiver {
    /// Base URL, for OTLP and for the path `/messages`.
    pub(super) endpoint: String,
    received: Shared,
}

impl Receiver {
    pub(super) async fn start() -> Self {
        let received = Shared::default();
        let router = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .route("/v1/logs", post(logs))
            .route("/messages", post(messages))
            .layer(DefaultBodyLimit::max(64 << 20))
            .with_state(Arc::clone(&received));
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", socket.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(socket, router).await });
        Self { endpoint, received }
    }

    /// Waits until something is there, and returns it. Fails with what is missing.
    pub(super) async fn until<T>(&self, what: &str, find: impl Fn(&Received) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = find(&self.received.lock().unwrap()) {
                return found;
            }
            if Instant::now() >= deadline {
                let received = self.received.lock().unwrap();
                let (agent, service) = (received.span_names("lookout"), received.span_names("titanic"));
                panic!(
                    "{what} never came; spans of the agent: {agent:?}, of the service: {service:?}, {} lines, \
                     metrics: {:?}",
                    received.lines.len(),
                    received.metric_names("lookout")
                );
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
}

fn decode<M: Message + Default>(body: Bytes) -> M {
    M::decode(body).expect("a program sends what is no OTLP")
}

/// Text of an attribute.
pub(super) fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let value = attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?;
    match value.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn program(resource: Option<Resource>) -> String {
    let attributes = resource.unwrap_or_default().attributes;
    text(&attributes, "service.name").unwrap_or_default().to_owned()
}

async fn traces(State(received): State<Shared>, body: Bytes) {
    for of_resource in decode::<ExportTraceServiceRequest>(body).resource_spans {
        let from = program(of_resource.resource);
        let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        received.lock().unwrap().spans.extend(spans.map(|span| (from.clone(), span)));
    }
}

async fn metrics(State(received): State<Shared>, body: Bytes) {
    for of_resource in decode::<ExportMetricsServiceRequest>(body).resource_metrics {
        let from = program(of_resource.resource);
        let metrics = of_resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
        received.lock().unwrap().metrics.extend(metrics.map(|metric| (from.clone(), metric)));
    }
}

async fn logs(State(received): State<Shared>, body: Bytes) {
    for of_resource in decode::<ExportLogsServiceRequest>(body).resource_logs {
        let from = program(of_resource.resource);
        let lines = of_resource.scope_logs.into_iter().flat_map(|scope| scope.log_records);
        received.lock().unwrap().lines.extend(lines.map(|line| (from.clone(), line)));
    }
}

async fn messages(State(received): State<Shared>, body: Bytes) -> StatusCode {
    received.lock().unwrap().messages.push(body);
    StatusCode::NO_CONTENT
}
