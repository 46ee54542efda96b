//! A machine without kubectl and Terraform, whose official hosts do not answer either.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use programs::{fetched, skipped};

const HIDDEN: [&str; 3] = ["kubectl", "kustomize", "terraform"];
/// One check of each tool, one that needs neither, and a mistake.
const NAMES: [&str; 4] = [
    "checks::kubernetes_rules",
    "checks::terraform_format",
    "checks::links",
    "mistakes::an_open_security_group",
];

/// Links every program of the `PATH` but the hidden ones.
fn programs_without(hidden: &[&str], folder: &Path) {
    let path = std::env::var_os("PATH").unwrap();
    let folders = std::env::split_paths(&path).filter_map(|from| fs::read_dir(from).ok());
    for program in folders.flatten().map(|entry| entry.unwrap().path()) {
        let name = program.file_name().unwrap();
        let link = folder.join(name);
        if !hidden.iter().any(|hidden| name == *hidden) && link.symlink_metadata().is_err() {
            symlink(&program, link).unwrap();
        }
    }
}

/// Returns the triple that cargo builds for.
fn host() -> String {
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

fn test(scratch: &Path, strict: bool) -> Output {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.args(["test", "--only", "conformance"]).args(strict.then_some("--strict")).args(NAMES);
    // cargo keeps its own `PATH`: another one would have build scripts run again, before this test and after it
    let runner = format!("CARGO_TARGET_{}_RUNNER", host().to_uppercase().replace('-', "_"));
    xtask.env(runner, format!("env PATH={}", scratch.join("bin").display()));
    xtask.env("HTTPS_PROXY", "http://127.0.0.1:1");
    xtask.env(fetched::FOLDER, scratch.join("tools")).env(skipped::FOLDER, scratch.join("skipped"));
    // the runs of this test are not the run that it is a part of
    xtask.env_remove("NEXTEST_RUN_ID");
    xtask.output().unwrap()
}

#[test]
fn a_missing_tool_skips_its_checks_by_name_and_fails_where_it_should_be() {
    let scratch = tempfile::tempdir().unwrap();
    fs::create_dir(scratch.path().join("bin")).unwrap();
    programs_without(&HIDDEN, &scratch.path().join("bin"));

    let output = test(scratch.path(), false);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let last: Vec<&str> = said.lines().rev().take(4).collect();
    assert_eq!(last[0], "tests: 2 passed, 0 failed, 2 skipped", "{said}");
    for (line, start) in [
        (
            last[1],
            "skipped: checks::terraform_format: terraform is missing: releases.hashicorp.com does not answer",
        ),
        (last[2], "skipped: checks::kubernetes_rules: kubectl is missing: dl.k8s.io does not answer"),
    ] {
        assert!(line.starts_with(start), "{said}");
    }
    assert!(last[3].starts_with("ok in"), "{said}");

    let output = test(scratch.path(), true);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("2 passed, 2 failed"), "{said}");
}
