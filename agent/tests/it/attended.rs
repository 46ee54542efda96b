//! Acknowledgements, escalations and silences of an agent that is killed in between.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::support::{Lookout, PROBED_SLO, Slack, Target, eventually, run_to_end};

fn write_config(folder: &Path, target: &Target, first: &Slack, second: &Slack) -> PathBuf {
    let config = folder.join("lookout.yaml");
    let text = format!(
        "listen: 127.0.0.1:0\nledger: lookout.db\ninterval: 1s\n\
         targets:\n  - {{ name: api, http: {{ url: \"{url}\" }}, interval: 1s, timeout: 500ms }}\n\
         destinations:\n  \
         - {{ name: oncall, slack: {{ webhook_url_file: first }}, escalate: {{ after: 10s, to: manager }} }}\n  \
         - {{ name: manager, slack: {{ webhook_url_file: second }}, standby: true }}\n\
         auth:\n  tokens:\n    - name: ada\n      sha256: b46c09677343261f0b439a472422225e3a230c9c094d6ab16762e2036b597053\n      \
         scopes: [deliver, acknowledge, silence]\n",
        url = target.url(),
    );
    std::fs::write(&config, text).unwrap();
    std::fs::write(folder.join("token"), "t0ken").unwrap();
    std::fs::write(folder.join("first"), first.webhook()).unwrap();
    std::fs::write(folder.join("second"), second.webhook()).unwrap();
    std::fs::write(folder.join("api.slo.yaml"), PROBED_SLO).unwrap();
    config
}

/// Begins a drill and returns the id of its incident.
async fn drill(agent: &Lookout) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(format!("{}/api/v1/drills", agent.url)).bearer_auth("t0ken");
    let body = json!({ "slo": "api-availability", "seconds": 600 });
    let answer: Value = request.json(&body).send().await.unwrap().json().await.unwrap();
    answer["incident_id"].as_str().unwrap().to_owned()
}

/// Waits until every delivery of an incident has arrived, and there are this many. An agent that is killed then sends
/// none of them again.
async fn delivered(agent: &Lookout, incident: &str, number: usize) -> Vec<Value> {
    let path = format!("/api/v1/deliveries?incident={incident}");
    eventually("all deliveries", || async {
        let answer = agent.get(&path).await;
        let all = answer["deliveries"].as_array().cloned().unwrap_or_default();
        let arrived = all.iter().filter(|one| one["state"] == "delivered").count();
        (arrived == number && all.len() == number).then_some(all)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_escalates_once_and_its_acknowledgement_survives_although_the_agent_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (target, first, second) = (Target::start().await, Slack::start().await, Slack::start().await);
    let config = write_config(folder.path(), &target, &first, &second);
    let token = folder.path().join("token").display().to_string();
    let agent = Lookout::run(&config);
    let incident = drill(&agent).await;
    delivered(&agent, &incident, 1).await;
    assert_eq!(second.texts().len(), 0, "it is on standby");
    agent.kill();

    let agent = Lookout::run(&config);
    delivered(&agent, &incident, 2).await;
    let told = second.texts();
    let head = "[DRILL] [PAGE] [ESCALATION] api availability: nobody acknowledged it within 10 s";
    assert_eq!(told[0].lines().next(), Some(head), "{told:?}");
    agent.kill();

    let agent = Lookout::run(&config);
    let note = "I look at it";
    let acknowledge = ["incident", "acknowledge", &incident, "--note", note, "--url", &agent.url];
    let given = run_to_end(&[&acknowledge[..], &["--token-file", &token]].concat());
    assert_eq!(given.status.code(), Some(0), "{}", String::from_utf8_lossy(&given.stderr));
    assert_eq!(
        String::from_utf8_lossy(&given.stdout).trim(),
        "acknowledged by ada; told to: oncall, manager"
    );
    agent.kill();

    let agent = Lookout::run(&config);
    let changes: Vec<_> = delivered(&agent, &incident, 4)
        .await
        .iter()
        .map(|one| format!("{} {}", one["destination"], one["change"]).replace('"', ""))
        .collect();
    assert_eq!(
        changes,
        ["oncall opened", "manager unacknowledged", "oncall acknowledged", "manager acknowledged"]
    );
    for slack in [&first, &second] {
        let told = slack.texts();
        let heard = told.iter().any(|text| {
            text.starts_with("[DRILL] [ACKNOWLEDGED] api availability: by ada") && text.contains(note)
        });
        assert!(heard, "{told:?}");
    }
    assert_eq!(second.texts().iter().filter(|text| text.contains("[ESCALATION]")).count(), 1);
    let shown = agent.get("/api/v1/incidents").await;
    assert_eq!(shown["incidents"][0]["acknowledgement"]["note"], note);
    let listed = run_to_end(&["incident", "list", "--url", &agent.url]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("acknowledged by ada I look at it"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silenced_page_is_recorded_and_told_when_the_silence_ends_although_the_agent_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (target, first, second) = (Target::start().await, Slack::start().await, Slack::start().await);
    let config = write_config(folder.path(), &target, &first, &second);
    let token = folder.path().join("token").display().to_string();
    let agent = Lookout::run(&config);
    agent.slos("a start", |slos| slos["slos"][0]["evidence"]["total"].as_u64() >= Some(2)).await;
    let add = ["silence", "add", "--slo", "api-availability", "--for", "1h", "--reason", "a failover"];
    let made = run_to_end(&[&add[..], &["--json", "--url", &agent.url, "--token-file", &token]].concat());
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    let silence: Value = serde_json::from_slice(&made.stdout).unwrap();
    agent.kill();

    let agent = Lookout::run(&config);
    target.answer(500);
    let incident = eventually("the incident", || async {
        let incidents = agent.incidents().await;
        incidents.into_iter().find(|incident| incident["severity"] == "page")
    })
    .await;
    let shown = eventually("the mark", || async {
        let answer = agent.get("/api/v1/incidents").await;
        let one =
            answer["incidents"].as_array().unwrap().iter().find(|one| one["id"] == incident["id"]).cloned();
        one.filter(|one| one["silence"]["id"] == silence["id"])
    })
    .await;
    assert_eq!(
        (&shown["silence"]["actor"], &shown["silence"]["reason"]),
        (&json!("ada"), &json!("a failover"))
    );
    assert_eq!((first.texts().len(), second.texts().len()), (0, 0), "nobody is told");
    let gate = agent.get("/api/v1/gate?service=api&class=feature").await;
    assert_eq!(gate["decision"], "deny", "a silence makes the gate no more lenient: {gate}");
    let listed = run_to_end(&["silence", "list", "--url", &agent.url]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("SLO api-availability"));

    let expire = ["silence", "expire", silence["id"].as_str().unwrap(), "--url", &agent.url];
    let ended = run_to_end(&[&expire[..], &["--token-file", &token]].concat());
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    eventually("the late page", || async { (!first.texts().is_empty()).then_some(()) }).await;
    let told = first.texts();
    assert!(told[0].starts_with("[PAGE] [LATE] api availability: open for "), "{told:?}");
    assert!(told[0].contains("It opened in a silence of ada until") && told[0].contains("a failover"));
}
