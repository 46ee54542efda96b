//! Tests of destinations and drills, as a user runs them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::{Lookout, PROBED_SLO, Slack, Target, eventually, run_to_end};

fn write_config(folder: &Path, target: &Target, slack: &Slack) -> PathBuf {
    let nowhere =
        format!("{{ name: pages, minimum: page, webhook: {{ url: \"http://{}/nowhere\" }} }}", slack.address);
    write_config_with(folder, target, slack, &nowhere)
}

fn write_config_with(folder: &Path, target: &Target, slack: &Slack, second: &str) -> PathBuf {
    let config = folder.join("lookout.yaml");
    let text = format!(
        "listen: 127.0.0.1:0\nledger: lookout.db\ninterval: 1s\n\
         targets:\n  - {{ name: api, http: {{ url: \"{url}\" }}, interval: 1s, timeout: 500ms }}\n\
         destinations:\n  - {{ name: oncall, slack: {{ webhook_url_file: webhook }} }}\n  \
         - {second}\n\
         auth:\n  tokens:\n    - name: ada\n      sha256: b46c09677343261f0b439a472422225e3a230c9c094d6ab16762e2036b597053\n      \
         scopes: [deliver]\n",
        url = target.url(),
    );
    std::fs::write(&config, text).unwrap();
    std::fs::write(folder.join("token"), "t0ken").unwrap();
    std::fs::write(folder.join("webhook"), slack.webhook()).unwrap();
    std::fs::write(folder.join("api.slo.yaml"), PROBED_SLO).unwrap();
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_shows_what_each_destination_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (target, slack) = (Target::start().await, Slack::start().await);
    let config = write_config(folder.path(), &target, &slack).display().to_string();
    let one = run_to_end(&["notify", "test", "oncall", "-c", &config]);
    assert_eq!(one.status.code(), Some(0), "{}", String::from_utf8_lossy(&one.stderr));
    assert!(String::from_utf8_lossy(&one.stdout).contains("oncall       accepted"));
    let head = "[TEST] lookout notification oncall: this is only a test";
    assert_eq!(slack.texts()[0].lines().next(), Some(head));
    let all = run_to_end(&["notify", "test", "--json", "-c", &config]);
    assert_eq!(all.status.code(), Some(1), "one refuses");
    let answer: Value = serde_json::from_slice(&all.stdout).unwrap();
    assert_eq!(answer["destinations"][0]["accepted"], true);
    assert_eq!(answer["destinations"][1]["error"], "webhook answered 404");
    let unknown = run_to_end(&["notify", "test", "nobody", "-c", &config]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there are oncall, pages"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_goes_the_whole_way_and_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (target, slack) = (Target::start().await, Slack::start().await);
    let agent = Lookout::run(&write_config(folder.path(), &target, &slack));
    let before = agent
        .slos("a healthy start", |slos| slos["slos"][0]["evidence"]["total"].as_u64().is_some_and(|n| n >= 2))
        .await;
    let token = folder.path().join("token").display().to_string();
    let run = |severity: &str| {
        run_to_end(&[
            "drill",
            "api-availability",
            "--severity",
            severity,
            "--for",
            "3s",
            "--within",
            "20s",
            "--json",
            "--url",
            &agent.url,
            "--token-file",
            &token,
        ])
    };
    let quiet = run("ticket");
    assert_eq!(quiet.status.code(), Some(0), "{}", String::from_utf8_lossy(&quiet.stderr));
    let progress = String::from_utf8_lossy(&quiet.stderr).into_owned();
    for line in ["oncall: opened delivered", "oncall: resolved delivered"] {
        assert!(progress.contains(line), "{progress}");
    }
    let answer: Value = serde_json::from_slice(&quiet.stdout).unwrap();
    let told: Vec<_> = answer["deliveries"].as_array().unwrap().iter().collect();
    assert_eq!(
        (told.len(), &told[0]["change"], &told[1]["change"]),
        (2, &"opened".into(), &"resolved".into())
    );
    let texts = slack.texts();
    assert!(texts[0].starts_with("[DRILL] [TICKET] api availability: this is only a drill"), "{}", texts[0]);
    assert!(texts[1].starts_with("[DRILL] [RESOLVED] api availability: the drill is over"), "{}", texts[1]);

    let page = run("page");
    assert_eq!(page.status.code(), Some(1), "a destination refuses pages");
    let answer: Value = serde_json::from_slice(&page.stdout).unwrap();
    let refused =
        answer["deliveries"].as_array().unwrap().iter().find(|one| one["destination"] == "pages").unwrap();
    assert_eq!((&refused["state"], &refused["error"]), (&"failed".into(), &"webhook answered 404".into()));

    let after = agent.get("/api/v1/slos").await;
    let (before, after) = (&before["slos"][0], &after["slos"][0]);
    assert_eq!(after["evidence"]["budget_left_ratio"], before["evidence"]["budget_left_ratio"]);
    assert_eq!((&after["incidents"], &after["evidence"]["bad"]), (&Value::Array(Vec::new()), &0.into()));
    let letters = agent.get("/api/v1/deliveries").await;
    assert_eq!(letters["dead_letters"][0]["destination"], "pages");
    let retried = run_to_end(&["deliver", "retry", "pages", "--url", &agent.url, "--token-file", &token]);
    assert_eq!(retried.status.code(), Some(0), "{}", String::from_utf8_lossy(&retried.stderr));
    let again = String::from_utf8_lossy(&retried.stdout).into_owned();
    assert_eq!(again.trim(), "2 tried again");
    eventually("they are refused once more", || async {
        let letters = agent.get("/api/v1/deliveries").await;
        (letters["dead_letters"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    let nobody = run_to_end(&["drill", "api-nothing", "--url", &agent.url, "--token-file", &token]);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("known are api-availability"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_refused_arrives_once_the_secret_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let (target, slack, program) = (Target::start().await, Slack::start().await, Slack::start().await);
    std::fs::write(folder.path().join("hook"), format!("http://{}/expired", program.address)).unwrap();
    let second = "{ name: program, fallback: oncall, minimum: page, webhook: { url_file: hook } }";
    let config = write_config_with(folder.path(), &target, &slack, second);
    let text = std::fs::read_to_string(&config).unwrap();
    // the first destination hears of nothing but what the second refuses
    std::fs::write(&config, text.replace("name: oncall,", "name: oncall, minimum: page,")).unwrap();
    let agent = Lookout::run(&config);
    let token = folder.path().join("token").display().to_string();
    let drill = run_to_end(&[
        "drill",
        "api-availability",
        "--for",
        "1s",
        "--within",
        "1s",
        "--url",
        &agent.url,
        "--token-file",
        &token,
    ]);
    drop(drill);
    let letters = async || {
        let answer = agent.get("/api/v1/deliveries").await;
        answer["dead_letters"].as_array().unwrap().clone()
    };
    eventually("the dead letter", || async { (!letters().await.is_empty()).then_some(()) }).await;
    assert_eq!(letters().await[0]["error"], "webhook answered 404");
    eventually("the others hear of it", || async {
        slack.texts().iter().any(|text| text.contains("program refuses messages")).then_some(())
    })
    .await;
    drop(agent);
    std::fs::write(folder.path().join("hook"), program.webhook()).unwrap();
    let agent = Lookout::run(&config);
    eventually("the page", || async { (!program.texts().is_empty()).then_some(()) }).await;
    eventually("no dead letter", || async {
        let answer = agent.get("/api/v1/deliveries").await;
        answer["dead_letters"].as_array().unwrap().is_empty().then_some(())
    })
    .await;
}
