//! The metrics that the rules about the agent read: they exist from its first minute on, and from zero. A counter that
//! begins with its first event never shows an increase.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::support::{Lookout, Slack, eventually};

/// The metrics of the agent that the committed rules read.
fn read_by_rules() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let rules = fs::read_to_string(root.join("alerts/lookout.rules.yaml")).unwrap();
    rules
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("lookout_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn a_new_agent_shows_what_the_rules_about_it_read() {
    let slack = Slack::start().await;
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("lookout.yaml");
    fs::write(folder.path().join("shop.yaml"), "- targets: [\"127.0.0.1:9\"]\n").unwrap();
    let shop = r#"{ name: shop, http: { url: "http://{{address}}/" }, discover: { files: [shop.yaml], refresh: 1s } }"#;
    let destination = format!("{{ name: oncall, slack: {{ webhook_url: \"{}\" }} }}", slack.webhook());
    fs::write(
        &config,
        format!(
            "listen: 127.0.0.1:0\nledger: memory\ninterval: 1s\nslos: []\ndestinations: [{destination}]\ntargets: [{shop}]\n"
        ),
    )
    .unwrap();
    let agent = Lookout::run(&config);
    let wanted = read_by_rules();
    assert!(wanted.len() >= 7, "{wanted:?}");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let text = eventually("an evaluation, a look of the outbox and a lookup", async || {
        let text = client.get(format!("{}/metrics", agent.url)).send().await.ok()?.text().await.ok()?;
        let done = ["task=\"evaluate\"", "task=\"deliver oncall\""]
            .map(|task| format!("lookout_task_last_success_timestamp_seconds{{{task}}} "));
        let found = text.contains("lookout_discovery_last_lookup_successful{target=\"shop\"} 1");
        (found && done.iter().all(|series| text.contains(series.as_str()))).then_some(text)
    })
    .await;
    for name in &wanted {
        let shown = text
            .lines()
            .any(|line| line.starts_with(&format!("{name} ")) || line.starts_with(&format!("{name}{{")));
        assert!(shown, "{name} is not in {text}");
    }
    for counter in [
        "lookout_ledger_failures_total 0",
        "lookout_clock_jumps_total 0",
        "lookout_task_panics_total{task=\"evaluate\"} 0",
        "lookout_delivery_total{destination=\"oncall\",outcome=\"delivered\"} 0",
        "lookout_delivery_total{destination=\"oncall\",outcome=\"failed\"} 0",
    ] {
        assert!(text.contains(&format!("{counter}\n")), "{counter} is not in {text}");
    }
}
