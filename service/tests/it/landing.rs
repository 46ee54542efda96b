//! The landing page, and the rules for `Host` on a connection.

use axum::http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::app::App;
use crate::program::Program;

#[tokio::test]
async fn a_browser_gets_a_page_and_a_program_gets_links_that_work() {
    let app = App::new().await;
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let page = app.call_with(Method::GET, "/", &[("accept", browser)], None).await;
    assert_eq!(
        (page.status.as_u16(), &page.headers["content-type"]),
        (200, &"text/html; charset=utf-8".parse().unwrap())
    );
    assert!(page.headers["vary"].to_str().unwrap().to_lowercase().contains("accept"));
    assert!(page.text.contains("<a href=\"/docs\">") && !page.text.contains("<script"), "{}", page.text);
    let program = app.call_with(Method::GET, "/", &[("accept", "*/*")], None).await.json();
    assert_eq!(program["links"]["openapi"], "/openapi.json");
    assert_eq!(app.get("/").await.json(), program);
    let prefers_json = [("accept", "text/html;q=0.5, application/json")];
    assert_eq!(app.call_with(Method::GET, "/", &prefers_json, None).await.json(), program);
    let examples = program["examples"].as_array().unwrap();
    assert!(examples.len() >= 4, "{program}");
    let links = program["links"].as_object().unwrap().values();
    for path in links.chain(examples.iter().map(|example| &example["path"])) {
        let path = path.as_str().unwrap();
        assert_eq!(app.get(path).await.status, 200, "{path}");
        assert!(page.text.contains(&format!("href=\"{path}\"")), "{path}");
    }
}

/// The status and the body of a request that is sent as it stands.
async fn raw(program: &Program, head: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(program.address.trim_start_matches("http://")).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_request_names_its_host_once_and_as_a_host() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[]).await;
    let head = |version: &str, hosts: &[&str]| {
        let hosts: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
        format!("GET /api/hello HTTP/{version}\r\n{hosts}Connection: close\r\n\r\n")
    };
    for (version, hosts) in [
        ("1.1", &["titanic.example:8080"][..]),
        ("1.1", &[""]),
        ("1.1", &["[::1]:8080"]),
        ("1.0", &[]),
        ("1.0", &["a"]),
    ] {
        assert_eq!(raw(&program, &head(version, hosts)).await.0, 200, "{version} {hosts:?}");
    }
    for (version, hosts) in [
        ("1.1", &[][..]),
        ("1.1", &["a", "a"]),
        ("1.1", &["a b"]),
        ("1.1", &["me@titanic.example"]),
        ("1.1", &["titanic.example:http"]),
        ("1.0", &["a/b"]),
    ] {
        let (status, problem) = raw(&program, &head(version, hosts)).await;
        let at_fault = (&problem["code"], &problem["errors"][0]["field"]);
        assert_eq!(
            (status, at_fault),
            (400, (&json!("invalid_header"), &json!("host"))),
            "{version} {hosts:?}"
        );
    }
}
