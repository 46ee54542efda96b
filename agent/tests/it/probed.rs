//! Probes as other programs and later agents see them: a real Prometheus that scrapes `/probe` with relabelling and
//! `/metrics` with exemplars, and a history that a restart keeps.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::{Lookout, Prometheus, Target, eventually};

/// `printf secret | sha256sum`
const SHA256: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

fn write_config(folder: &Path, target: &Target) -> PathBuf {
    let config = folder.join("lookout.yaml");
    let text = format!(
        "listen: 127.0.0.1:0\nledger: lookout.db\ninterval: 1s\nslos: []\n\
         auth: {{ tokens: [{{ name: prometheus, sha256: {SHA256}, scopes: [probe] }}] }}\n\
         blackbox:\n  networks: [127.0.0.0/8]\n  modules:\n    \
         - {{ name: http_2xx, timeout: 2s, http: {{ url: \"http://target\" }} }}\n\
         targets:\n  - {{ name: api, interval: 1s, http: {{ url: \"{}\" }} }}\n",
        target.url()
    );
    std::fs::write(&config, text).unwrap();
    config
}

/// The value of the only sample of a query.
async fn value(prometheus: &Prometheus, query: &str) -> Option<String> {
    let answer = prometheus.query(&format!("query?query={query}")).await?;
    let sample = answer["data"]["result"].as_array().filter(|samples| samples.len() == 1)?.first()?.clone();
    Some(sample["value"][1].as_str()?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_scrapes_probes_with_relabelling_and_exemplars() {
    let (folder, target) = (tempfile::tempdir().unwrap(), Target::start().await);
    let agent = Lookout::run(&write_config(folder.path(), &target));
    let address = agent.url.trim_start_matches("http://");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "global: {{ scrape_interval: 1s, scrape_timeout: 1s }}\nscrape_configs:\n  - job_name: blackbox\n    \
         metrics_path: /probe\n    params: {{ module: [http_2xx] }}\n    authorization: {{ credentials: secret }}\n    \
         static_configs: [{{ targets: [\"{}\", \"http://{closed}/\", \"http://8.8.8.8/\"] }}]\n    relabel_configs:\n      \
         - {{ source_labels: [__address__], target_label: __param_target }}\n      \
         - {{ source_labels: [__param_target], target_label: instance }}\n      \
         - {{ target_label: __address__, replacement: \"{address}\" }}\n  \
         - {{ job_name: lookout, static_configs: [{{ targets: [\"{address}\"] }}] }}\n\
         storage: {{ exemplars: {{ max_exemplars: 100 }} }}\n",
        target.url()
    );
    let prometheus =
        Prometheus::start_with(folder.path(), &config, &["--enable-feature=exemplar-storage"]).await;
    let one = |query: String, wanted: &'static str| {
        let prometheus = &prometheus;
        async move {
            eventually(&format!("{query} is {wanted}"), || async {
                value(prometheus, &query).await.filter(|value| value == wanted)
            })
            .await
        }
    };
    let good = target.url();
    one(format!("probe_success{{instance=\"{good}\"}}"), "1").await;
    one(format!("probe_http_status_code{{instance=\"{good}\"}}"), "200").await;
    one(format!("probe_success{{instance=\"http://{closed}/\"}}"), "0").await;
    one("up{instance=\"http://8.8.8.8/\"}".to_owned(), "0").await;
    target.answer(503);
    one(format!("probe_success{{instance=\"{good}\"}}"), "0").await;
    target.answer(200);
    one(format!("probe_success{{instance=\"{good}\"}}"), "1").await;

    one("up{job=\"lookout\"}".to_owned(), "1").await;
    let trace = eventually("an exemplar of a probe", || async {
        let range =
            "query=lookout_probe_duration_seconds_bucket&start=2020-01-01T00:00:00Z&end=2099-01-01T00:00:00Z";
        let answer = prometheus.query(&format!("query_exemplars?{range}")).await?;
        let trace = answer["data"][0]["exemplars"][0]["labels"]["trace_id"].as_str()?;
        Some(trace.to_owned())
    })
    .await;
    assert_eq!((trace.len(), trace.bytes().all(|byte| byte.is_ascii_hexdigit())), (32, true), "{trace}");
}

fn sum(history: &Value) -> (u64, u64) {
    let of = |name: &str| history["sum"][name].as_u64().unwrap();
    (of("probes"), of("failed"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_of_a_target_outlives_a_restart() {
    let (folder, target) = (tempfile::tempdir().unwrap(), Target::start().await);
    let config = write_config(folder.path(), &target);
    let agent = Lookout::run(&config);
    let probed = async |outcome: &str| {
        let text = agent.text("/metrics").await;
        let line = format!("lookout_probe_total{{target=\"api\",outcome=\"{outcome}\"}} ");
        let count = text.lines().find_map(|known| known.strip_prefix(&line))?.parse::<u64>().ok()?;
        (count >= 2).then_some(())
    };
    eventually("two good probes", || probed("ok")).await;
    target.answer(500);
    eventually("two failed probes", || probed("fail")).await;
    // the minute that goes on is stored when the agent ends
    agent.stop();

    let agent = Lookout::run(&config);
    let (probes, failed) = sum(&agent.get("/api/v1/targets/api/history?last=1h").await);
    assert!(probes >= 4 && failed >= 2 && probes > failed, "{probes} probes, {failed} failed");
    let page = agent.text("/targets/api").await;
    assert!(page.contains("<dt>p99</dt>"), "{page}");
    agent.stop();
}
