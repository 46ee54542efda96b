//! Verbs against real neighbours.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use super::support::{Target, run_to_end};

/// A port that nobody listens on: taken and given back.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_shows_its_phases_and_says_yes_or_no() {
    let target = Target::start().await;
    let url = target.url();
    let good = tokio::task::spawn_blocking(move || run_to_end(&["probe", &url])).await.unwrap();
    let text = String::from_utf8(good.stdout).unwrap();
    assert_eq!(good.status.code(), Some(0), "{text}");
    for word in ["connect", "processing", "transfer", "total", "ok: status 200"] {
        assert!(text.contains(word), "no {word} in\n{text}");
    }

    target.answer(503);
    let url = target.url();
    let bad = tokio::task::spawn_blocking(move || run_to_end(&["probe", "--json", &url])).await.unwrap();
    assert_eq!(bad.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!((&json["ok"], &json["reason"]), (&false.into(), &"status".into()), "{json}");
    let phases =
        json["phases_seconds"].as_object().unwrap().values().map(|v| v.as_f64().unwrap()).sum::<f64>();
    assert!((phases - json["total_seconds"].as_f64().unwrap()).abs() < 0.001, "{json}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_check_is_an_exit_code() {
    let target = Target::start().await;
    for (status, code) in [(200, 0), (503, 1)] {
        target.answer(status);
        let url = target.url();
        let check =
            tokio::task::spawn_blocking(move || run_to_end(&["healthcheck", "--url", &url])).await.unwrap();
        assert_eq!(check.status.code(), Some(code), "{status}");
        assert!(check.stdout.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gate_answers_is_an_exit_code() {
    const VALID: &str = "2100-01-01T00:01:00Z";
    for (decision, decided_by, evidence, valid_until, code) in [
        ("allow", "policy", "good", VALID, 0),
        // nobody may rely on it any more
        ("allow", "policy", "good", "2020-01-01T00:01:00Z", 3),
        ("deny", "policy", "bad", VALID, 1),
        ("hold", "policy", "unknown", VALID, 3),
        ("hold", "policy", "insufficient_data", VALID, 3),
        // an agent of tomorrow
        ("hold", "freeze", "good", VALID, 5),
        ("hold", "freeze", "unknown", VALID, 5),
    ] {
        let answer = serde_json::json!({"decision": decision, "decided_by": decided_by, "evidence": evidence,
            "reasons": [], "minimum_detectable_effect": null, "evaluated_at": "2026-01-01T00:00:00Z",
            "valid_until": valid_until, "data_age_seconds": null, "decision_id": "dec-1",
            "policy_hash": "0"});
        let gate = axum::routing::get(async move || axum::Json(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().route("/api/v1/gate", gate);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let ask = move || run_to_end(&["gate", "check", "--service", "api", "--url", &url]);
        let output = tokio::task::spawn_blocking(ask).await.unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{shown}");
        assert!(shown.starts_with(&decision.to_uppercase()), "{shown}");
    }
}

#[test]
fn an_agent_that_is_not_there_is_exit_4() {
    let url = format!("http://127.0.0.1:{}", free_port());
    for verb in [
        vec!["status", "--url", &url],
        vec!["gate", "check", "--service", "api", "--url", &url],
        vec!["healthcheck", "--url", &url],
        vec!["correction", "list", "--url", &url],
        vec!["correction", "add", "--all", "--last", "5m", "--reason", "x", "--url", &url],
        vec!["correction", "revoke", "cor-1", "--reason", "x", "--url", &url],
    ] {
        let output = run_to_end(&verb);
        assert_eq!(output.status.code(), Some(4), "{verb:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(&url), "{verb:?} names the address");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_probed_is_shown_without_its_secrets() {
    let target = Target::start().await;
    let url = format!("{}?token=hunter2", target.url());
    for form in ["--config=lookout.yaml", "--json"] {
        let url = url.clone();
        let output = tokio::task::spawn_blocking(move || run_to_end(&["probe", form, &url])).await.unwrap();
        let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(output.status.code() == Some(0) && shown.contains("token=***"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_url_with_a_password_is_refused_and_not_repeated() {
    for verb in ["watch", "probe"] {
        let output = run_to_end(&[verb, "http://me:hunter2@127.0.0.1:1/?token=hunter2"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("holds a user name or password; send them as a header"), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let output = run_to_end(&["watch", "http://127.0.0.1:1/", "127.0.0.1:2/hunter2"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("URL 2: this URL has no scheme") && !said.contains("hunter2"), "{said}");
}

/// Answers one request with an error and returns its head.
fn one_request(listener: std::net::TcpListener) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = String::new();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).unwrap() > 0 {}
        let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(answer.as_bytes()).unwrap();
        head
    })
}

#[test]
fn an_agent_behind_a_path_is_asked_there_and_sent_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "of-the-file\n").unwrap();
    let file = file.to_str().unwrap();
    let gate = ["gate", "check", "--service", "api", "--token-file", file];
    for (verb, path, token) in [
        (&gate[..], "/behind/a/api/v1/gate?service=api&class=feature", "of-the-file"),
        (&["status"][..], "/behind/a/api/v1/slos", "of-the-variable"),
    ] {
        for slash in ["", "/"] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("http://{}/behind/a{slash}", listener.local_addr().unwrap());
            let asked = one_request(listener);
            let output = Command::new(env!("CARGO_BIN_EXE_lookout"))
                .args(verb)
                .args(["--url", &url])
                .env("LOOKOUT_TOKEN", "of-the-variable")
                .output()
                .unwrap();
            let head = asked.join().unwrap();
            assert!(head.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{head}");
            assert!(head.contains(&format!("authorization: Bearer {token}\r\n")), "{head}");
            let shown = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert!(output.status.code() == Some(4) && !shown.contains(token), "{shown}");
        }
    }
}

#[test]
fn an_empty_token_is_said_to_be_none() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "\n").unwrap();
    let output = run_to_end(&["status", "--token-file", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("holds no token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_needs_no_file_at_all() {
    let target = Target::start().await;
    let empty = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_lookout"))
        .args(["watch", "--listen", "127.0.0.1:0", &target.url()])
        .current_dir(empty.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let seen = tokio::task::spawn_blocking(move || {
        let mut lines = lines;
        (lines.by_ref().any(|line| line.contains("status 200")), lines.any(|line| line.contains("✔")))
    })
    .await
    .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(seen, (true, true));
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "nothing is left behind");
}
