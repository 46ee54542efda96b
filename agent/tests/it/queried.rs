//! An objective that a Prometheus measures: its history is there from the start, and a `kill -9` counts nothing twice.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use lookout_runtime::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::support::Lookout;

fn now_s() -> i64 {
    SystemClock.now().as_seconds()
}

/// A Prometheus that scraped, once a second and since `since_s`, a target with ten requests and one failure a second.
async fn prometheus(since_s: i64) -> SocketAddr {
    let answer = move |headers: HeaderMap, body: String| async move {
        if headers.get("authorization").is_none_or(|value| value != "Bearer s3cret") {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        answer(since_s, &body)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/prom/api/v1/query", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

fn answer(since_s: i64, form: &str) -> Response {
    let form: HashMap<String, String> = url::form_urlencoded::parse(form.as_bytes())
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let (query, at) = (form["query"].as_str(), form["time"].parse::<i64>().unwrap());
    let range: i64 = query.rsplit_once('[').unwrap().1.trim_end_matches([')', ']', 's']).parse().unwrap();
    let per_second = if query.contains("code=~\"5..\"") { 1 } else { 10 };
    let sample = |second: i64| json!([second, ((second - since_s) * per_second).to_string()]);
    let mut seconds = (at - range..=at.min(now_s())).filter(|second| *second >= since_s);
    let metric = json!({"job": "api", "instance": "a", "code": per_second.to_string()});
    let series = if query.starts_with("last_over_time") {
        seconds.next_back().map(|second| json!({"metric": metric, "value": sample(second)}))
    } else {
        let values: Vec<Value> = seconds.map(sample).collect();
        (!values.is_empty()).then(|| json!({"metric": metric, "values": values}))
    };
    let result: Vec<Value> = series.into_iter().collect();
    axum::Json(json!({"status": "success", "data": {"result": result}})).into_response()
}

fn write_config(folder: &Path, server: SocketAddr) -> PathBuf {
    let config = folder.join("lookout.yaml");
    let text = format!(
        "listen: 127.0.0.1:0\nledger: lookout.db\ninterval: 1s\nprometheus:\n  - name: main\n    url: http://{server}/prom\n    \
         bearer_token_file: token\n    scrape_interval: 1s\n    delay: 1s\n"
    );
    std::fs::write(&config, text).unwrap();
    std::fs::write(folder.join("token"), "s3cret\n").unwrap();
    std::fs::write(
        folder.join("api.slo.yaml"),
        r#"
apiVersion: openslo/v1
kind: SLO
metadata:
  name: requests
  annotations: { lookout.dev/tiers: page 6s/3s x2 }
spec:
  service: api
  budgetingMethod: Occurrences
  timeWindow: [{ duration: 10m, isRolling: true }]
  objectives: [{ target: 0.9 }]
  indicator:
    spec:
      ratioMetric:
        counter: true
        bad: { metricSource: { type: prometheus, spec: { source: main, query: 'requests_total{code=~"5.."}' } } }
        total: { metricSource: { type: prometheus, spec: { source: main, query: requests_total } } }
"#,
    )
    .unwrap();
    config
}

/// The end of the newest slot that is known, and what was counted; zeros before the first evaluation.
fn counted(slos: &Value) -> (i64, u64, u64) {
    let slo = &slos["slos"][0];
    let known = slo["data_age_s"].as_f64().zip(slo["at_ms"].as_i64());
    let known_to = known.map_or(0, |(age_s, at)| at / 1000 - age_s as i64);
    let number = |name: &str| slo["evidence"][name].as_u64().unwrap_or(0);
    (known_to, number("total"), number("bad"))
}

#[tokio::test]
async fn history_is_read_back_at_the_start_and_kill_9_counts_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let since_s = now_s() - 200;
    let config = write_config(folder.path(), prometheus(since_s).await);
    // every second that is known has ten requests and one failure, and none is missing
    let whole = |slos: &Value, later_than: i64| {
        let (known_to, total, bad) = counted(slos);
        let seconds = u64::try_from(known_to - since_s).unwrap_or(0);
        known_to > later_than && (total, bad) == (seconds * 10, seconds)
    };

    let agent = Lookout::run(&config);
    let slos = agent.slos("the history", |slos| whole(slos, since_s + 200)).await;
    assert_eq!(slos["slos"][0]["source"], "prometheus");
    let (before, ..) = counted(&slos);
    agent.slos("three seconds more", |slos| whole(slos, before + 3)).await;
    agent.kill();

    let agent = Lookout::run(&config);
    let slos = agent.slos("everything again, once", |slos| whole(slos, before + 5)).await;
    let (again, ..) = counted(&slos);
    agent.slos("and on", |slos| whole(slos, again + 2)).await;
}
