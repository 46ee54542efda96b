//! Telemetry of both programs, received and decoded: spans of every kind, metrics and log lines of the agent, and one
//! trace from a probe through the service to its database.

mod receiver;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use programs::running::{Running, field};
use programs::{http, workspace};

use receiver::{Received, Receiver, text};

/// Kinds of spans of the agent.
const KINDS: [&str; 6] = ["deliver", "evaluate", "gate", "ledger", "probe", "scrape"];

const TOKEN: &str = "a-token-of-this-test";
/// The output of `printf %s a-token-of-this-test | sha256sum`.
const TOKEN_SHA256: &str = "0fb7321b7012da4d334ad40240dee8a1ccb352cd6f2b22fbeaedd3978e1f556a";

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_what_both_programs_send() {
    let build = ["build", "--quiet", "--workspace", "--bin", "lookout", "--bin", "titanic"];
    workspace::must_succeed(workspace::cargo().args(build)).unwrap();
    let binaries = workspace::target_directory().unwrap().join("debug");
    // a second test of this process may have installed it
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (receiver, folder) = (Receiver::start().await, tempfile::tempdir().unwrap());

    let mut service = start_service(&binaries, folder.path(), &receiver.endpoint);
    let line = service.listening().await.unwrap();
    let (public, admin) = (field(&line, "address").unwrap(), field(&line, "admin_address").unwrap());
    let mut agent = start_agent(&binaries, folder.path(), &receiver.endpoint, public, admin);
    let line = agent.listening().await.unwrap();
    let address = format!("http://{}", field(&line, "address").unwrap());

    let client = http::client().unwrap();
    receiver
        .until("an evaluation", |received| received.span_names("lookout").get("evaluate").map(|_| ()))
        .await;
    let asked = client.get(format!("{address}/api/v1/gate?service=titanic&class=feature"));
    asked.bearer_auth(TOKEN).send().await.unwrap().error_for_status().unwrap();
    let drill = client.post(format!("{address}/api/v1/drills")).bearer_auth(TOKEN);
    let drill = drill.body(r#"{"slo":"titanic-reads"}"#).send().await.unwrap();
    assert!(drill.status().is_success(), "{}", drill.text().await.unwrap());

    receiver
        .until("a span of each kind", |received| {
            let names = received.span_names("lookout");
            KINDS.iter().all(|kind| names.contains(kind)).then_some(())
        })
        .await;
    receiver.until("the message of the drill", |received| received.messages.first().map(|_| ())).await;
    receiver
        .until("one trace from a probe to the database", |received| one_trace(received).then_some(()))
        .await;
    receiver
        .until("a trace from an evaluation to the ledger", |received| stored(received).then_some(()))
        .await;
    receiver.until("metrics of the agent", |received| figures_of_the_agent(received).then_some(())).await;
    receiver
        .until("a line of the agent within its trace", |received| {
            received.lines_of("lookout").find(|line| line.trace_id.len() == 16).map(|_| ())
        })
        .await;
    agent.stop().await;
    service.stop().await;
    // the last lines are sent before the end
    receiver
        .until("the last line of the agent", |received| {
            let mut bodies = received.lines_of("lookout").map(|line| format!("{:?}", line.body));
            bodies.find(|body| body.contains("stopped")).map(|_| ())
        })
        .await;
}

fn start_service(binaries: &Path, folder: &Path, endpoint: &str) -> Running {
    let database = format!("sqlite://{}", folder.join("titanic.db").display());
    Running::start("titanic", binaries.join("titanic"), |command| {
        command.env_clear().current_dir(folder);
        command.envs([("PORT", "0"), ("ADMIN_PORT", "0"), ("BIND", "127.0.0.1"), ("LOG_LEVEL", "info")]);
        command.env("DATABASE_URL", database).env("ENVIRONMENT", "demo");
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
        // milliseconds
        command.env("OTEL_BSP_SCHEDULE_DELAY", "200");
    })
    .unwrap()
}

fn start_agent(binaries: &Path, folder: &Path, endpoint: &str, public: &str, admin: &str) -> Running {
    let config = format!(
        "listen: 127.0.0.1:0\nenvironment: test\nledger: lookout.db\ninterval: 1s\n\
         otlp: {{ endpoint: \"{endpoint}\", metrics: true, metrics_interval: 1s, logs: true }}\n\
         targets:\n  - name: passengers\n    http: {{ url: \"http://{public}/api/v1/passengers?limit=1\" }}\n    \
         interval: 1s\n    timeout: 900ms\n\
         scrapes:\n  - name: titanic\n    url: http://{admin}/metrics\n    timeout: 900ms\n\
         destinations:\n  - name: hook\n    webhook: {{ url: \"{endpoint}/messages\" }}\n    group_wait: 0s\n\
         auth:\n  tokens:\n    - {{ name: test, sha256: {TOKEN_SHA256}, scopes: [ask, deliver] }}\n"
    );
    fs::write(folder.join("lookout.yaml"), config).unwrap();
    fs::write(folder.join("reads.slo.yaml"), SLOS).unwrap();
    Running::start("lookout", binaries.join("lookout"), |command| {
        command.env_clear().current_dir(folder).env("OTEL_BSP_SCHEDULE_DELAY", "200");
        command.args(["run", "--log", "json"]);
    })
    .unwrap()
}

/// An SLO of probes, and one of the metrics that are scraped.
const SLOS: &str = include_str!("slos.yaml");

/// Returns whether a probe, the service's request and a statement of it are one trace, each below the one before.
fn one_trace(received: &Received) -> bool {
    let of = |program: &'static str| {
        received.spans.iter().filter(move |(from, _)| from == program).map(|(_, span)| span)
    };
    of("lookout").filter(|span| span.name == "probe").any(|probe| {
        let requests = of("titanic").filter(|span| span.kind == SpanKind::Server as i32);
        let mut below = requests
            .filter(|span| (&span.trace_id, &span.parent_span_id) == (&probe.trace_id, &probe.span_id));
        below.any(|request| {
            of("titanic").any(|span| {
                let is_below =
                    (&span.trace_id, &span.parent_span_id) == (&request.trace_id, &request.span_id);
                is_below && text(&span.attributes, "db.system.name").is_some()
            })
        })
    })
}

/// Returns whether a span of the ledger stands below one of an evaluation.
fn stored(received: &Received) -> bool {
    let spans = || received.spans.iter().map(|(_, span)| span);
    let evaluations: BTreeSet<&[u8]> =
        spans().filter(|span| span.name == "evaluate").map(|span| span.span_id.as_slice()).collect();
    spans().any(|span| span.name == "ledger" && evaluations.contains(span.parent_span_id.as_slice()))
}

/// Returns whether counters, gauges and histograms of `/metrics` came as what they are.
fn figures_of_the_agent(received: &Received) -> bool {
    let kind = |name: &str| {
        let mut ours =
            received.metrics.iter().filter(|(from, metric)| from == "lookout" && metric.name == name);
        ours.find_map(|(_, metric)| match &metric.data {
            Some(Data::Sum(sum)) if sum.is_monotonic => Some("counter"),
            Some(Data::Gauge(_)) => Some("gauge"),
            Some(Data::Histogram(histogram)) => {
                histogram.data_points.iter().any(|point| point.count > 0).then_some("histogram")
            }
            _ => None,
        })
    };
    kind("lookout_probe_total") == Some("counter")
        && kind("slo:objective:ratio") == Some("gauge")
        && kind("process_resident_memory_bytes") == Some("gauge")
        && kind("lookout_evaluation_duration_seconds") == Some("histogram")
}
