//! Destinations that refuse messages for good: the page arrives once the secret is right, and elsewhere meanwhile.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::{Lookout, PROBED_SLO, Program, Slack, Target, eventually, run_to_end};

/// Writes a config with a program, whose fallback is a Slack channel.
fn write_config(folder: &Path, target: &Target, program: &Program, slack: &Slack, slo: &str) -> PathBuf {
    let text = format!(
        "listen: 127.0.0.1:0\nledger: lookout.db\ninterval: 1s\n\
         targets:\n  - {{ name: api, http: {{ url: \"{url}\" }}, interval: 1s, timeout: 500ms }}\n\
         destinations:\n  - name: program\n    fallback: oncall\n    webhook: {{ url: \"http://{program}/hook\", \
         headers: {{ Authorization: {{ file: header }} }} }}\n  \
         - {{ name: oncall, minimum: page, slack: {{ webhook_url_file: webhook }} }}\n\
         auth:\n  tokens:\n    - name: ada\n      sha256: b46c09677343261f0b439a472422225e3a230c9c094d6ab16762e2036b597053\n      \
         scopes: [deliver]\n",
        url = target.url(),
        program = program.address,
    );
    std::fs::write(folder.join("lookout.yaml"), text).unwrap();
    std::fs::write(folder.join("token"), "t0ken").unwrap();
    std::fs::write(folder.join("header"), "Bearer old").unwrap();
    std::fs::write(folder.join("webhook"), slack.webhook()).unwrap();
    std::fs::write(folder.join("api.slo.yaml"), slo).unwrap();
    folder.join("lookout.yaml")
}

/// Runs `lookout deliver retry`.
fn retry(agent: &Lookout, folder: &Path) {
    let token = folder.join("token").display().to_string();
    let done = run_to_end(&["deliver", "retry", "--url", &agent.url, "--token-file", &token]);
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
}

async fn letters(agent: &Lookout) -> Vec<String> {
    let answer = agent.get("/api/v1/deliveries").await;
    let letters = answer["dead_letters"].as_array().unwrap().clone();
    letters.iter().map(|letter| letter["error"].as_str().unwrap().to_owned()).collect()
}

async fn healthy(agent: &Lookout) {
    let enough = |slos: &Value| slos["slos"][0]["evidence"]["total"].as_u64() >= Some(2);
    agent.slos("a healthy start", enough).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_refused_for_an_old_token_arrives_without_a_restart_once_the_file_has_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (target, program, slack) = (Target::start().await, Program::start().await, Slack::start().await);
    program.accept("Bearer new");
    let config = write_config(folder.path(), &target, &program, &slack, PROBED_SLO);
    let agent = Lookout::run(&config);
    healthy(&agent).await;
    target.answer(503);
    eventually("a dead letter", || async {
        letters(&agent).await.contains(&"webhook answered 401".to_owned()).then_some(())
    })
    .await;
    let before = program.refused();
    retry(&agent, folder.path());
    eventually("it is refused once more", || async {
        (program.refused() > before && !letters(&agent).await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(program.changes(), Vec::<String>::new());
    std::fs::write(folder.path().join("header"), "Bearer new").unwrap();
    eventually("the page", || async {
        program.changes().contains(&"availability opened".to_owned()).then_some(())
    })
    .await;
    eventually("no dead letter", || async { letters(&agent).await.is_empty().then_some(()) }).await;
    target.answer(200);
    eventually("the end", || async {
        program.changes().contains(&"availability resolved".to_owned()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fallback_hears_of_what_is_refused_and_of_the_end_though_that_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (target, program, slack) = (Target::start().await, Program::start().await, Slack::start().await);
    // the fallback takes pages only, so a ticket can only come from the program; no outage is long enough for a page
    let slo = PROBED_SLO.replace("page 6s/3s x2", "ticket 6s/3s x2; page 4m/2m x9");
    let config = write_config(folder.path(), &target, &program, &slack, &slo);
    let agent = Lookout::run(&config);
    healthy(&agent).await;
    let told = |head: &str| {
        let texts = slack.texts();
        texts.iter().filter(|text| text.starts_with(head) && text.contains("api availability")).count()
    };
    // twice: the program refuses everything, and the fallback gets the start and the end
    for round in 1..=2 {
        target.answer(503);
        eventually("the ticket at the fallback", || async { (told("[TICKET] api") == round).then_some(()) })
            .await;
        let letter = |text: &String| text == "webhook answered 410";
        eventually("a dead letter", || async { letters(&agent).await.iter().any(letter).then_some(()) })
            .await;
        target.answer(200);
        eventually("the end at the fallback", || async { (told("[RESOLVED] api") == round).then_some(()) })
            .await;
    }
    assert_eq!(program.changes(), Vec::<String>::new());
    // then it refuses the start only: the fallback would show an open incident for ever
    target.answer(503);
    eventually("the third ticket", || async { (told("[TICKET] api") == 3).then_some(()) }).await;
    program.accept("Bearer old");
    target.answer(200);
    eventually("the end at both", || async {
        let ended = program.changes().iter().any(|change| change == "availability resolved");
        (ended && told("[RESOLVED] api") == 3).then_some(())
    })
    .await;
    retry(&agent, folder.path());
    eventually("the program hears of what it refused, and of the end once more", || async {
        let changes = program.changes();
        let opened = changes.iter().any(|change| change == "availability opened");
        (opened && changes.last().is_some_and(|last| last == "availability resolved")).then_some(())
    })
    .await;
    assert_eq!(letters(&agent).await, Vec::<String>::new());
    assert_eq!((told("[TICKET] api"), told("[RESOLVED] api")), (3, 3), "{:#?}", slack.texts());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_that_is_given_up_ends_the_incident_about_its_destination() {
    let folder = tempfile::tempdir().unwrap();
    let (target, program, slack) = (Target::start().await, Program::start().await, Slack::start().await);
    let config = write_config(folder.path(), &target, &program, &slack, PROBED_SLO);
    let agent = Lookout::run(&config);
    healthy(&agent).await;
    let told = |head: &str| slack.texts().iter().filter(|text| text.starts_with(head)).count();
    let token = folder.path().join("token").display().to_string();
    let discard = |more: &[&str]| {
        let access = ["--url", &agent.url, "--token-file", &token];
        run_to_end(&[&["deliver", "discard"], more, &access].concat())
    };
    let unnamed = discard(&[]);
    assert_eq!(unnamed.status.code(), Some(2), "{}", String::from_utf8_lossy(&unnamed.stderr));
    target.answer(503);
    for round in 1..=2 {
        eventually("a page about the program", || async {
            (told("[PAGE] lookout delivery program: program refuses messages") == round).then_some(())
        })
        .await;
        let unknown = discard(&["program", "--incident", "inc-none"]);
        assert_eq!(String::from_utf8_lossy(&unknown.stdout).trim(), "0 given up");
        assert_eq!(String::from_utf8_lossy(&discard(&["program"]).stdout).trim(), "1 given up");
        assert_eq!(letters(&agent).await, Vec::<String>::new());
        eventually("the end", || async {
            let ended = told("[RESOLVED] lookout delivery program: 1 message is given up");
            (ended == round).then_some(())
        })
        .await;
        // the end of the outage is refused as well
        target.answer(200);
    }
}

/// Returns whether a dead letter is shown by `lookout status` as text, as JSON, on its page, and by the gate.
async fn shown(agent: &Lookout) -> [bool; 4] {
    let text = run_to_end(&["status", "--url", &agent.url]);
    let json = run_to_end(&["status", "--json", "--url", &agent.url]);
    assert_eq!((text.status.code(), json.status.code()), (Some(0), Some(0)));
    let line = "program: not told that api-availability opened: webhook answered 410";
    let text = String::from_utf8(text.stdout).unwrap().lines().any(|one| one == line);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["slos"][0]["id"], "api-availability");
    let told = |letter: &Value| {
        letter["destination"] == "program"
            && letter["slo_id"] == "api-availability"
            && letter["change"] == "opened"
            && letter["error"] == "webhook answered 410"
    };
    let page = agent.text("/deliveries").await;
    let gate = run_to_end(&["gate", "check", "--json", "--url", &agent.url, "--service", "api"]);
    let gate = String::from_utf8(gate.stdout).unwrap().contains("pages_undelivered");
    let told = json["dead_letters"].as_array().unwrap().iter().any(told);
    [text, told, page.contains("webhook answered 410"), gate]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_is_seen_in_the_status_and_on_its_page_until_it_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let (target, program, slack) = (Target::start().await, Program::start().await, Slack::start().await);
    let config = write_config(folder.path(), &target, &program, &slack, PROBED_SLO);
    let agent = Lookout::run(&config);
    healthy(&agent).await;
    for round in 1..=2 {
        assert_eq!(shown(&agent).await, [false; 4], "round {round}");
        target.answer(503);
        eventually("it is shown", || async { (shown(&agent).await == [true; 4]).then_some(()) }).await;
        program.accept("Bearer old");
        retry(&agent, folder.path());
        let opened = || program.changes().iter().filter(|one| *one == "availability opened").count();
        eventually("it is delivered", || async { (opened() == round).then_some(()) }).await;
        eventually("it is gone", || async { (shown(&agent).await == [false; 4]).then_some(()) }).await;
        target.answer(200);
        let ended = || program.changes().iter().filter(|one| *one == "availability resolved").count();
        eventually("the end", || async { (ended() >= round).then_some(()) }).await;
        program.refuse();
        // the next outage opens an incident of its own
        let over = |slos: &Value| {
            let until = slos["slos"][0]["resolved"][0]["reopens_until_ms"].as_i64();
            until.is_none_or(|until| slos["at_ms"].as_i64() > Some(until))
        };
        agent.slos("it does not open again", over).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_that_is_removed_leaves_no_metric() {
    let folder = tempfile::tempdir().unwrap();
    let (target, program, slack) = (Target::start().await, Program::start().await, Slack::start().await);
    let config = write_config(folder.path(), &target, &program, &slack, PROBED_SLO);
    let whole = std::fs::read_to_string(&config).unwrap();
    let (begin, rest) = whole.split_once("  - name: program\n").unwrap();
    let (_, end) = rest.split_once("  - { name: oncall").unwrap();
    let without = format!("{begin}  - {{ name: oncall{end}");
    let agent = Lookout::run(&config);
    let shows = async |what: &str, shown: bool| {
        let series = ["destination=\"program\"", "task=\"deliver program\""];
        eventually(what, || async {
            let metrics = agent.text("/metrics").await;
            series.iter().all(|one| metrics.contains(one) == shown).then_some(())
        })
        .await;
    };
    for _ in 0..2 {
        shows("the destination", true).await;
        std::fs::write(&config, &without).unwrap();
        agent.signal("HUP");
        shows("none of its series: a gauge that stands still raises alerts", false).await;
        std::fs::write(&config, &whole).unwrap();
        agent.signal("HUP");
    }
}
