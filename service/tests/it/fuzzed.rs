//! The running program held against its own description by schemathesis: no answer that is not documented, no fault of ours,
//! nothing accepted that the description forbids, nothing refused that it allows.
//!
//! Ignored unless asked for, because it needs tools from the Python package index: `cargo xtask test --only contract` brings
//! them and runs these.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::edge::digest;
use crate::program::Program;
use crate::server::Postgres;

/// The year; any other would do as well, but each day the same.
const SEED: &str = "1912";

fn tools() -> PathBuf {
    let folder =
        std::env::var_os("API_TOOLS").expect("API_TOOLS: the folder of schemathesis and its companions");
    PathBuf::from(folder)
}

async fn passes(command: &mut Command) {
    let output = command.output().await.unwrap();
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    println!("{said}");
}

async fn holds(variables: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let key = format!("fuzz passengers:write,passengers:import,voyages:write sha256:{}", digest("iceberg"));
    let all = [&[("API_KEYS", key.as_str())], variables].concat();
    let program = Program::start(&folder, &all).await;
    let url = format!("{}/openapi.json", program.address);
    let document = program.http.get(&url).send().await.unwrap().text().await.unwrap();
    std::fs::write(folder.path().join("openapi.json"), document).unwrap();
    passes(
        Command::new(tools().join("openapi-spec-validator")).arg("openapi.json").current_dir(folder.path()),
    )
    .await;

    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../xtask/tools/api");
    passes(
        Command::new(tools().join("schemathesis"))
            .arg("--config-file")
            .arg(ours.join("schemathesis.toml"))
            .args(["run", &url, "--checks", "all", "--seed", SEED, "--max-examples", "25"])
            .args([
                "--request-timeout",
                "20",
                "--continue-on-failure",
                "--suppress-health-check",
                "all",
                "--no-color",
            ])
            .env("SCHEMATHESIS_HOOKS", ours.join("hooks.py"))
            .env("API_KEY", "iceberg")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(folder.path())
            .kill_on_drop(true),
    )
    .await;
    assert!(!program.warned(), "{:?}", program.story());
}

#[tokio::test]
#[ignore = "needs schemathesis: cargo xtask test --only contract"]
async fn every_answer_is_documented_on_sqlite() {
    holds(&[]).await;
}

#[tokio::test]
#[ignore = "needs schemathesis: cargo xtask test --only contract"]
async fn every_answer_is_documented_on_postgresql() {
    let server = Postgres::start().await;
    holds(&[("DATABASE_URL", &server.database("fuzzed").await)]).await;
}
