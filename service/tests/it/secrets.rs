//! API keys and logins that change while the service runs, and reads that need a key.

use std::path::Path;

use axum::http::Method;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::app::App;
use crate::edge::digest;
use crate::program::{Program, until};
use crate::server::Postgres;

const ALL: &str = "/api/v1/passengers";

#[tokio::test]
async fn where_anonymous_reads_are_denied_a_read_needs_a_key_of_its_entity() {
    let keys = [("purser", "passengers:read"), ("officer", "voyages:read"), ("agent", "passengers:write")];
    let keys = keys.map(|(name, scope)| format!("{name} {scope} sha256:{}", digest(name))).join(";");
    let app = App::with(&[("API_KEYS", &keys), ("ANONYMOUS_READS", "deny")]).await;
    let open = App::with(&[("API_KEYS", &keys)]).await;
    let made = open.call_with(Method::POST, ALL, &[("authorization", "Bearer agent")], None).await;
    assert_eq!(made.status, 415, "a key for changes is known: {}", made.text);
    let voyage = "/api/v1/voyages/019b7000-a800-7000-8000-000000000001";
    let reads = [
        (String::from(ALL), "purser"),
        (format!("{ALL}/stats"), "purser"),
        (format!("{ALL}/export"), "purser"),
        (format!("{ALL}/export?format=csv"), "purser"),
        (String::from("/api/v1/voyages"), "officer"),
        (String::from(voyage), "officer"),
        (format!("{voyage}/calls"), "officer"),
    ];
    for (path, reader) in &reads {
        assert_eq!(open.get(path).await.status, 200, "{path}");
        assert_eq!(app.get(path).await.problem(401).0, "unauthorized", "{path}");
        assert_eq!(app.call(Method::HEAD, path, None).await.status, 401, "{path}");
        for key in ["purser", "officer", "agent"] {
            let header = format!("Bearer {key}");
            let answer = app.call_with(Method::GET, path, &[("authorization", &header)], None).await;
            let expected = if key == *reader { 200 } else { 403 };
            assert_eq!(answer.status, expected, "{path} {key}: {}", answer.text);
        }
    }
    let someone = app.call_with(Method::GET, ALL, &[("authorization", "Bearer purser")], None).await.json();
    let one = format!("{ALL}/{}", someone["items"][0]["id"].as_str().unwrap());
    assert_eq!(app.get(&one).await.problem(401).0, "unauthorized");
    for path in ["/api/hello", "/livez", "/readyz", "/health", "/version", "/openapi.json", "/docs"] {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    let document = app.get("/openapi.json").await.json();
    assert_eq!(document["paths"][ALL]["get"]["security"], json!([{}, {"key": ["passengers:read"]}]));
}

/// Puts a file in place of another, as a secret store does.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

fn key(secret: &str) -> String {
    format!("purser passengers:write sha256:{}\n", digest(secret))
}

/// The status of an attempted change that nobody would make: a known key gets to its body.
async fn knocks(program: &Program, secret: &str) -> u16 {
    let request = program.http.post(format!("{}{ALL}", program.address)).bearer_auth(secret).json(&json!({}));
    request.send().await.unwrap().status().as_u16()
}

async fn secrets_check(program: &Program) -> (u16, Value, Value) {
    let answer = program.http.get(format!("{}/readyz", program.address)).send().await.unwrap();
    let status = answer.status().as_u16();
    let report: Value = answer.json().await.unwrap();
    (status, report["status"].clone(), report["checks"]["secrets"].clone())
}

async fn metric(program: &Program, name: &str) -> f64 {
    let scrape = program.http.get(format!("{}/metrics", program.admin_address)).send().await.unwrap();
    let text = scrape.text().await.unwrap();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("{secret=\"API_KEYS\"} "));
    value.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
}

#[tokio::test]
async fn keys_are_exchanged_without_a_restart_and_a_bad_file_keeps_the_last_good_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, key("first")).unwrap();
    let program = Program::start(&folder, &[("API_KEYS_FILE", path.to_str().unwrap())]).await;
    assert_eq!((knocks(&program, "first").await, knocks(&program, "second").await), (422, 401));
    let (successful, succeeded_at) =
        ("titanic_secret_last_reload_successful", "titanic_secret_last_reload_success_timestamp_seconds");
    let started = metric(&program, succeeded_at).await;

    replace(&path, &key("second"));
    until("the second key is known", async || (knocks(&program, "second").await == 422).then_some(())).await;
    assert_eq!(knocks(&program, "first").await, 401);
    assert!(metric(&program, succeeded_at).await > started);

    let bad = [Some("purser passengers:write second\n".to_owned()), Some(String::new()), None];
    for (round, text) in bad.into_iter().enumerate() {
        match text {
            Some(text) => std::fs::write(&path, text).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        until("the bad file is noticed", async || {
            (secrets_check(&program).await == (200, json!("degraded"), json!("reload_failed"))).then_some(())
        })
        .await;
        assert_eq!(metric(&program, successful).await, 0.0);
        let good = if round == 0 { "second".to_owned() } else { format!("good-{}", round - 1) };
        assert_eq!(knocks(&program, &good).await, 422, "round {round}");
        let next = format!("good-{round}");
        std::fs::write(&path, key(&next)).unwrap();
        until("the good file is read", async || (knocks(&program, &next).await == 422).then_some(())).await;
        assert_eq!(secrets_check(&program).await, (200, json!("ok"), json!("ok")));
        assert_eq!(metric(&program, successful).await, 1.0);
    }
    let told = program.line("a secret file cannot be used; the last good one stays").await;
    assert_eq!((&told["level"], &told["secret"]), (&json!("ERROR"), &json!("API_KEYS")));
    assert!(told["expected"].as_str().unwrap().starts_with("line 1 to be `name scope"), "{told}");
    assert!(!told.to_string().contains("second"), "{told}");
}

/// A named pipe stands for a file system that hangs: who opens it for reading waits for a writer, and then for its words.
#[tokio::test]
async fn a_file_that_cannot_be_read_to_its_end_holds_up_no_probe() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, key("first")).unwrap();
    let program = Program::start(&folder, &[("API_KEYS_FILE", path.to_str().unwrap())]).await;
    std::fs::remove_file(&path).unwrap();
    assert!(tokio::process::Command::new("mkfifo").arg(&path).status().await.unwrap().success());
    for round in 0..2 {
        let pipe = path.clone();
        let opened = spawn_blocking(move || std::fs::File::options().write(true).open(pipe));
        let mut pipe = opened.await.unwrap().unwrap();
        assert_eq!(program.status("/readyz").await, Some(200), "round {round}");
        assert_eq!(metric(&program, "titanic_secret_last_reload_successful").await, 1.0, "round {round}");
        let next = format!("good-{round}");
        std::io::Write::write_all(&mut pipe, key(&next).as_bytes()).unwrap();
        drop(pipe);
        until("the key is known", async || (knocks(&program, &next).await == 422).then_some(())).await;
    }
}

/// A file is mended in a way that its size and time do not show, as a change of its owner is.
#[tokio::test]
async fn a_file_that_could_not_be_used_is_tried_again_although_it_looks_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, key("first")).unwrap();
    let program = Program::start(&folder, &[("API_KEYS_FILE", path.to_str().unwrap())]).await;
    for round in 0..2 {
        let next = key(&format!("good-{round}"));
        std::fs::write(&path, next.replace("passengers:write", "passengers,write")).unwrap();
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        until("the bad file is noticed", async || {
            (secrets_check(&program).await.2 == json!("reload_failed")).then_some(())
        })
        .await;
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, next.as_bytes(), 0).unwrap();
        file.set_modified(modified).unwrap();
        let good = format!("good-{round}");
        until("the good file is read", async || (knocks(&program, &good).await == 422).then_some(())).await;
        assert_eq!(secrets_check(&program).await, (200, json!("ok"), json!("ok")));
    }
}

#[tokio::test]
async fn a_new_password_of_the_database_serves_new_connections() {
    let server = Postgres::start().await;
    server.database("crossing").await;
    server.add_login("clerk", "first").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "first\n").unwrap();
    let port = server.port().to_string();
    let variables = [
        ("DB_HOST", "127.0.0.1"),
        ("DB_PORT", &port),
        ("DB_NAME", "crossing"),
        ("DB_USER", "clerk"),
        ("DB_PASSWORD_FILE", path.to_str().unwrap()),
    ];
    let program = Program::start(&folder, &variables).await;
    assert_eq!(program.status(ALL).await, Some(200));
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'clerk'";
    for password in ["second", "third"] {
        server.execute(&format!("alter role clerk password '{password}'")).await;
        server.execute(cut).await;
        // The old password opens nothing any more, which the new one has to mend.
        until("a request fails", async || (program.status(ALL).await != Some(200)).then_some(())).await;
        replace(&path, &format!("{password}\n"));
        until("requests succeed", async || (program.status(ALL).await == Some(200)).then_some(())).await;
        until("it is ready", async || (program.status("/readyz").await == Some(200)).then_some(())).await;
    }
}

/// The state of the secrets once this file was read again with such a result.
async fn reread(program: &Program, state: &str) {
    let expected = if state == "ok" { "ok" } else { "degraded" };
    until(&format!("secrets are {state}"), async || {
        (secrets_check(program).await == (200, json!(expected), json!(state))).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_new_token_of_operators_replaces_the_old_one_and_a_bad_file_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "first\n").unwrap();
    let variables = [("ADMIN_TOKEN", ""), ("ADMIN_TOKEN_FILE", path.to_str().unwrap())];
    let program = Program::start(&folder, &variables).await;
    let admits = async |token: &str| {
        let faults = program.http.get(format!("{}/faults", program.admin_address)).bearer_auth(token);
        faults.send().await.unwrap().status() == 200
    };
    assert!(admits("first").await);
    let mut good = "first";
    for next in ["second", "third"] {
        std::fs::write(&path, "\n").unwrap();
        reread(&program, "reload_failed").await;
        assert!(admits(good).await && !admits("").await, "{good}");
        replace(&path, next);
        until("the new token is known", async || admits(next).await.then_some(())).await;
        assert!(!admits(good).await, "{good}");
        reread(&program, "ok").await;
        good = next;
    }
}

#[tokio::test]
async fn a_new_database_url_brings_another_login_and_never_another_database() {
    let server = Postgres::start().await;
    server.database("crossing").await;
    server.database("other").await;
    server.add_login("clerk", "first").await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    let url =
        |login: &str, database: &str| format!("postgres://{login}@127.0.0.1:{}/{database}\n", server.port());
    std::fs::write(&path, url("clerk:first", "crossing")).unwrap();
    let program = Program::start(&folder, &[("DATABASE_URL_FILE", path.to_str().unwrap())]).await;
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'clerk'";
    for (bad, password) in [(url("titanic", "other"), "second"), (String::from("mysql://a/b"), "third")] {
        replace(&path, &bad);
        reread(&program, "reload_failed").await;
        server.execute(cut).await;
        until("requests go on", async || (program.status(ALL).await == Some(200)).then_some(())).await;

        server.execute(&format!("alter role clerk password '{password}'")).await;
        server.execute(cut).await;
        until("a request fails", async || (program.status(ALL).await != Some(200)).then_some(())).await;
        replace(&path, &url(&format!("clerk:{password}"), "crossing"));
        until("requests succeed", async || (program.status(ALL).await == Some(200)).then_some(())).await;
        reread(&program, "ok").await;
    }
    let told = program.line("a secret file cannot be used; the last good one stays").await;
    assert_eq!(told["secret"], "DATABASE_URL");
    assert!(!told.to_string().contains("first"), "{told}");
}

#[tokio::test]
async fn the_url_of_a_file_is_read_again_but_names_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    std::fs::write(&path, "sqlite://titanic.db").unwrap();
    let program = Program::start(&folder, &[("DATABASE_URL_FILE", path.to_str().unwrap())]).await;
    for _ in 0..2 {
        replace(&path, "sqlite://other.db");
        reread(&program, "reload_failed").await;
        replace(&path, "sqlite://titanic.db\n");
        reread(&program, "ok").await;
    }
    assert!(!folder.path().join("other.db").exists());
}
