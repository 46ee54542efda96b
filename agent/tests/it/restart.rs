//! `kill -9` in the middle of an incident: the incident goes on, no page is repeated, and its end is delivered.

use std::path::Path;

use super::support::{Lookout, PROBED_SLO, Slack, Target, eventually};

pub(super) fn write_config(folder: &Path, target: &Target, slack: &Slack) -> std::path::PathBuf {
    let config = folder.join("lookout.yaml");
    let text = format!(
        "listen: 127.0.0.1:0\nledger: lookout.db\ninterval: 1s\n\
         targets:\n  - name: api\n    http: {{ url: {url}, expect: {{ json: {{ \"$.status\": ok }} }} }}\n    \
         interval: 1s\n    timeout: 500ms\n\
         destinations:\n  - name: oncall\n    slack: {{ webhook_url_file: webhook }}\n",
        url = target.url()
    );
    std::fs::write(&config, text).unwrap();
    std::fs::write(folder.join("webhook"), slack.webhook()).unwrap();
    std::fs::write(folder.join("api.slo.yaml"), PROBED_SLO).unwrap();
    config
}

fn at(slos: &serde_json::Value) -> i64 {
    slos["at_ms"].as_i64().unwrap()
}

#[tokio::test]
async fn an_incident_survives_kill_9_with_its_id_and_start_and_pages_once() {
    let folder = tempfile::tempdir().unwrap();
    let (target, slack) = (Target::start().await, Slack::start().await);
    let config = write_config(folder.path(), &target, &slack);

    let agent = Lookout::run(&config);
    agent
        .slos("a healthy start", |slos| {
            slos["slos"][0]["evidence"]["total"].as_u64().is_some_and(|total| total >= 2)
        })
        .await;
    target.answer(503);
    eventually("the page", || async { (slack.texts().len() == 1).then_some(()) }).await;
    let before = agent.incidents().await;
    assert_eq!(before.len(), 1, "{before:?}");
    agent.kill();

    let agent = Lookout::run(&config);
    let first = at(&agent.slos("evaluations again", |slos| at(slos) > 0).await);
    agent.slos("five more evaluations", |slos| at(slos) >= first + 5_000).await;
    let after = agent.incidents().await;
    assert_eq!(after, before, "same id, same start, still open");
    assert_eq!(slack.texts().len(), 1, "no second page: {:#?}", slack.texts());

    target.answer(200);
    eventually("the end of the incident", || async { (slack.texts().len() == 2).then_some(()) }).await;
    let ended = agent.incidents().await;
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0]["id"], before[0]["id"]);
    assert!(ended[0]["resolved_at_ms"].as_i64().unwrap() > before[0]["detected_at_ms"].as_i64().unwrap());
    let texts = slack.texts();
    assert!(texts[0].contains("PAGE"), "{}", texts[0]);
    assert!(texts[1].to_lowercase().contains("resolved"), "{}", texts[1]);
}
