//! The requests in the README work as they stand there.

use std::process::Stdio;

use tokio::process::Command;

use crate::program::{Program, command};

const README: &str = include_str!("../../README.md");

#[tokio::test]
async fn every_request_of_the_readme_works() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder, &[("ENVIRONMENT", "local")]).await;
    let script = README.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(script.matches("curl ").count() >= 10, "{script}");
    let script = script.replace("http://localhost:8080", &program.address);
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &script]).current_dir(folder.path()).stdin(Stdio::null());
    let output = shell.output().await.unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{wrong}");
    assert!(said.contains("Welcome aboard") && said.contains("\"imported\":1"), "{said}");
    let csv = std::fs::read_to_string(folder.path().join("passengers.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1310);
}

#[tokio::test]
async fn the_variables_of_a_deployment_start_it_as_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [
        ("DB_PASSWORD", "iceberg"),
        ("API_BASE_URL", "http://localhost:8080"),
        ("LOG_LEVEL", "INFO"),
        ("MAX_CONNECTIONS", "20"),
        ("ENVIRONMENT", "local"),
    ];
    let program = Program::start(&folder, &variables).await;
    let warned = program.line("the configuration is suspicious").await;
    assert!(warned["warning"].as_str().unwrap().contains("DB_HOST"), "{warned}");
    assert_eq!(program.status("/readyz").await, Some(200));
    let person = serde_json::json!({"name": "Brown", "class": 1, "sex": "female", "survived": true});
    let made = program.http.post(format!("{}/api/v1/passengers", program.address)).json(&person).send().await;
    assert_eq!(made.unwrap().status(), 201, "a local machine takes changes without a key");
}

#[tokio::test]
async fn help_lists_the_commands_and_every_setting() {
    let folder = tempfile::tempdir().unwrap();
    let output = command(&folder, &[("PORT", "wrong")]).arg("--help").output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    for command in ["serve", "healthcheck", "backup", "restore"] {
        assert!(said.contains(&format!("\n  {command} ")), "{command}: {said}");
    }
    assert!(said.contains("--check-config"), "{said}");
    for setting in titanic::config::reference() {
        assert!(said.contains(&setting.name), "{}", setting.name);
    }
}

#[test]
fn every_scope_of_a_key_is_named() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    for scope in titanic::api::SCOPES {
        assert!(readme.contains(&format!("`{}`", scope.as_str())), "{}", scope.as_str());
    }
}
