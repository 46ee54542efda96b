//! The agent of every environment is started with its files, and every link is followed: those of alerts and those of pages.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::path::Path;
use std::time::Duration;

use conformance::agents::{self, Agent};
use conformance::tree::Tree;
use programs::running::{Running, field};
use programs::{http, workspace};
use reqwest::{Client, StatusCode};
use tokio::time::{Instant, sleep};

use crate::checks::unless_missing;

#[tokio::test(flavor = "multi_thread")]
async fn every_link_of_every_environment_leads_somewhere() {
    let tree = Tree::copy_of(&workspace::root()).unwrap();
    let Some(found) =
        unless_missing("agents::every_link_of_every_environment_leads_somewhere", agents::all(&tree))
    else {
        return;
    };
    workspace::must_succeed(workspace::cargo().args(["build", "--quiet", "--workspace", "--bin", "lookout"]))
        .unwrap();
    let program = workspace::target_directory().unwrap().join("debug/lookout");
    // a second test of this process may have installed it
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = http::client().unwrap();
    let mut dead = Vec::new();
    for agent in found.unwrap() {
        let folder = tempfile::tempdir().unwrap();
        let mut running = start(&agent, &program, folder.path());
        let line = running.listening().await.unwrap();
        let address = format!("http://{}", field(&line, "address").unwrap());
        evaluated(&client, &address).await;
        let (followed, broken) = follow(&client, &address, &agent.links).await;
        assert!(followed > 10, "{}: only {followed} links were followed", agent.name);
        println!("{}: {followed} links, {} dead", agent.name, broken.len());
        dead.extend(broken.into_iter().map(|link| format!("{}: {link}", agent.name)));
    }
    assert!(dead.is_empty(), "\n{}", dead.join("\n"));
}

/// Lays out the files below a folder and starts the agent on a free port.
fn start(agent: &Agent, program: &Path, folder: &Path) -> Running {
    let below = |path: &Path| folder.join(path.strip_prefix("/").unwrap());
    let secret = below(Path::new("/run/secrets/lookout/slack-webhook-url"));
    fs::create_dir_all(secret.parent().unwrap()).unwrap();
    fs::write(&secret, "https://127.0.0.1:9/services/nobody").unwrap();
    for (path, text) in &agent.files {
        let file = below(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(
            file,
            text.replace("/run/secrets/lookout", &secret.parent().unwrap().display().to_string()),
        )
        .unwrap();
    }
    Running::start(&agent.name, program, |command| {
        command.env_clear().envs(&agent.variables).env("LOOKOUT_LISTEN", "127.0.0.1:0");
        command.env("LOOKOUT_LEDGER", folder.join("lookout.db")).env("DEPLOY_TOKEN_SHA256", "0f".repeat(32));
        command.env("SLACK_WEBHOOK_URL", "https://127.0.0.1:9/services/nobody");
        command.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
        command.args(["run", "--log", "json", "-c"]).arg(below(&agent.config)).current_dir(folder);
    })
    .unwrap()
}

/// Waits for the first evaluation: before it the agent has no SLO to show.
async fn evaluated(client: &Client, address: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = client.get(format!("{address}/api/v1/slos")).send().await.unwrap().text().await.unwrap();
        if answer.contains("probes-availability") {
            return;
        }
        assert!(Instant::now() < deadline, "the agent never evaluated: {answer}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// Follows the links of alerts, and from page to page those of the agent. Returns how many there are and which are dead.
async fn follow(client: &Client, address: &str, links: &[String]) -> (usize, Vec<String>) {
    let mut waiting: VecDeque<(String, String)> =
        links.iter().map(|link| (link.clone(), "an alert".to_owned())).collect();
    waiting.push_back(("/".to_owned(), "people".to_owned()));
    let (mut seen, mut dead) = (BTreeSet::new(), Vec::new());
    while let Some((path, from)) = waiting.pop_front() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let answer = client.get(format!("{address}{path}")).send().await.unwrap();
        // not ready yet is an answer of the page that was asked for
        if ![StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&answer.status()) {
            dead.push(format!("{path} from {from}: {}", answer.status()));
        }
        let text = answer.text().await.unwrap();
        waiting.extend(targets(&path, &text).into_iter().map(|target| (target, path.clone())));
    }
    (seen.len(), dead)
}

/// Pages of the agent that a page links to.
fn targets(path: &str, text: &str) -> Vec<String> {
    let links = text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let ours =
        links.filter(|link| !link.contains("://") && !link.starts_with(['#', 'm']) && !link.is_empty());
    ours.map(|link| {
        let link = link.split(['#', '?']).next().unwrap_or_default();
        let (up, rest) = (link.matches("../").count(), link.trim_start_matches("../"));
        if link.starts_with('/') {
            return link.to_owned();
        }
        let mut folders: Vec<&str> = path.split('/').collect();
        folders.truncate(folders.len().saturating_sub(1 + up));
        format!("{}/{rest}", folders.join("/"))
    })
    .collect()
}
