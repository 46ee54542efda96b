//! One Prometheus scrapes the agent and loads the generated rules: every name that both export has one value, for a
//! young, an interrupted and a full history.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use lookout_runtime::clock::{Clock as _, SystemClock};
use serde_json::Value;

use super::support::{Lookout, Prometheus, eventually, run_to_end};

/// Requests per second of the service.
const RATE: u64 = 50;

/// Seconds of the period, the shortest there is.
const PERIOD: i64 = 60;

/// Seconds that the two may differ in time: one interval each of slot, scrape and evaluation.
const NEAR: i64 = 3;

/// A service that counts requests, until its metrics are taken away.
#[derive(Default)]
struct Service {
    counts: Mutex<(u64, u64)>,
    /// Percent of requests that fail; `None` while nothing answers.
    failing: Mutex<Option<u64>>,
}

impl Service {
    async fn start() -> (Arc<Self>, SocketAddr) {
        let service = Arc::new(Self::default());
        let scraped = Arc::clone(&service);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/metrics", get(async move || scraped.metrics()));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let counting = Arc::clone(&service);
        tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(100));
            loop {
                pace.tick().await;
                let failing = *counting.failing.lock().unwrap();
                let mut counts = counting.counts.lock().unwrap();
                if let Some(percent) = failing {
                    counts.0 += RATE / 10 * 10;
                    counts.1 += RATE / 10 * percent / 10;
                }
            }
        });
        (service, address)
    }

    fn metrics(&self) -> Response {
        if self.failing.lock().unwrap().is_none() {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        let (all, bad) = *self.counts.lock().unwrap();
        format!("http_total{{code=\"200\"}} {}\nhttp_total{{code=\"500\"}} {bad}\n", all - bad)
            .into_response()
    }
}

const SPEC: &str = r#"
apiVersion: openslo/v1
kind: SLO
metadata:
  name: requests
  annotations: { lookout.dev/tiers: page 20s/5s x2 until x1.5; ticket 30s/10s x1 }
spec:
  service: api
  budgetingMethod: Occurrences
  timeWindow: [{ duration: 60s, isRolling: true }]
  objectives: [{ targetPercent: 90 }]
  indicator:
    spec:
      ratioMetric:
        counter: true
        bad: { metricSource: { type: scrape, spec: { source: api, selector: 'http_total{code="500"}' } } }
        total: { metricSource: { type: scrape, spec: { source: api, selector: http_total } } }
"#;

/// Starts a Prometheus that scrapes both and loads the generated rules.
async fn start(folder: &Path, service: SocketAddr, agent: &str) -> Prometheus {
    let config = format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 900ms, evaluation_interval: 1s }}\n\
         rule_files: [\"alerts/api.rules.yaml\"]\nscrape_configs:\n\
         - {{ job_name: api, static_configs: [{{ targets: [\"{service}\"] }}] }}\n\
         - {{ job_name: lookout, static_configs: [{{ targets: [\"{}\"] }}] }}\n",
        agent.trim_start_matches("http://")
    );
    let server = Prometheus::start(folder, &config).await;
    // it takes seconds to find its targets
    eventually("a Prometheus that scrapes both", || async {
        let answer = server.query("query?query=count(up)").await?;
        (answer["data"]["result"][0]["value"][1] == "2").then_some(())
    })
    .await;
    server
}

/// Values by second of every exported series of the SLO, by name: those of the rules have no instance.
async fn series(
    server: &Prometheus,
    instance: &str,
    (from, to): (i64, i64),
) -> BTreeMap<String, BTreeMap<i64, f64>> {
    let query = format!("{{__name__=~\"slo:.+\", sloth_slo=\"requests\", instance{instance}\"\"}}");
    let form: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("query", query.as_str()), ("step", "1")])
        .extend_pairs([("start", from.to_string()), ("end", to.to_string())])
        .finish();
    let answer = server.query(&format!("query_range?{form}")).await.unwrap();
    let list = answer["data"]["result"].as_array().unwrap();
    let named = |series: &Value| {
        let values = series["values"].as_array().unwrap().iter();
        let values = values.map(|pair| (pair[0].as_f64().unwrap() as i64, number(&pair[1])));
        (series["metric"]["__name__"].as_str().unwrap().to_owned(), values.collect())
    };
    list.iter().map(named).collect()
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

fn now_s() -> i64 {
    SystemClock.now().as_millis() / 1000
}

/// Compares what the rules record with what the agent exports, at every second in which both have a value. Returns the
/// number of comparisons by name.
fn compare(
    rules: &BTreeMap<String, BTreeMap<i64, f64>>,
    agent: &BTreeMap<String, BTreeMap<i64, f64>>,
    (from, to): (i64, i64),
) -> BTreeMap<String, usize> {
    let mut compared = BTreeMap::new();
    for (name, recorded) in rules {
        let Some(exported) = agent.get(name) else { continue };
        let mut apart = 0;
        for (second, value) in recorded.range(from..to) {
            let near: Vec<f64> =
                exported.range(second - NEAR..=second + NEAR).map(|(_, value)| *value).collect();
            if near.is_empty() {
                continue;
            }
            let (least, most) = near.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
            let beyond = (least - value).max(value - most).max(0.0) / (0.2 + most.abs().max(least.abs()));
            let at = second - from;
            // a busy machine scrapes late, and `rate` extrapolates to the edges of a window of five samples
            assert!(beyond <= 0.4, "{name} at {at}: rules {value}, agent {near:?}");
            apart += usize::from(beyond > 0.1);
            *compared.entry(name.clone()).or_insert(0) += 1;
        }
        let times = compared.get(name).copied().unwrap_or(0);
        assert!(apart * 5 <= times, "{name} differs {apart} times of {times}");
    }
    compared
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_and_agent_agree_about_a_young_an_interrupted_and_a_full_history() {
    let folder = tempfile::tempdir().unwrap();
    let (service, address) = Service::start().await;
    std::fs::write(folder.path().join("api.slo.yaml"), SPEC).unwrap();
    let config = folder.path().join("lookout.yaml");
    let text = format!(
        "listen: 127.0.0.1:0\nledger: lookout.db\ninterval: 1s\nscrapes:\n  - {{ name: api, url: \"http://{address}/metrics\", \
         timeout: 900ms, job: api }}\ngenerate: {{ alerts: alerts }}\n"
    );
    std::fs::write(&config, text).unwrap();
    let generated = run_to_end(&["generate", "-c", config.to_str().unwrap()]);
    assert_eq!(generated.status.code(), Some(0), "{generated:?}");

    let agent = Lookout::run(&config);
    let prometheus = start(folder.path(), address, &agent.url).await;
    let began = now_s();
    let story = [(10, Some(10)), (6, None), (6, Some(40)), (PERIOD, Some(0))];
    let start = tokio::time::Instant::now();
    let mut until = Duration::ZERO;
    for (seconds, failing) in story {
        *service.failing.lock().unwrap() = failing;
        until += Duration::from_secs(seconds as u64);
        tokio::time::sleep(until.saturating_sub(start.elapsed())).await;
    }
    let span = (began, now_s());
    let (rules, exported) = (series(&prometheus, "=", span).await, series(&prometheus, "!=", span).await);
    let shared: Vec<&String> = rules.keys().filter(|name| exported.contains_key(*name)).collect();
    for name in [
        "slo:current_burn_rate:ratio",
        "slo:error_budget:ratio",
        "slo:objective:ratio",
        "slo:period_burn_rate:ratio",
        "slo:period_error_budget_remaining:ratio",
        "slo:sli_error:ratio_rate5s",
        "slo:sli_error:ratio_rate10s",
        "slo:sli_error:ratio_rate20s",
        "slo:sli_error:ratio_rate30s",
        "slo:sli_error:ratio_rate1m",
        "slo:time_period:days",
    ] {
        assert!(shared.iter().any(|shared| *shared == name), "{name} is not in {shared:?}");
    }
    // the first seconds have no two samples yet
    let young = compare(&rules, &exported, (began + 3, began + 10));
    let interrupted = compare(&rules, &exported, (began + 10, began + 76));
    let full = compare(&rules, &exported, (began + 76, span.1));
    for (history, compared) in [("young", young), ("interrupted", interrupted), ("full", full)] {
        for name in &shared {
            let times = compared.get(*name).copied().unwrap_or(0);
            assert!(times >= 4, "{name} was compared {times} times in the {history} history");
        }
    }
    // the whole period is not spent by a tenth of a young one
    let left = &rules["slo:period_error_budget_remaining:ratio"];
    let first = left.range(began..began + 6).next().map(|(_, left)| *left);
    assert!(first.is_some_and(|left| left > 0.5), "{left:?}");
}
