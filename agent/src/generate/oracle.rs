//! What Debian's Prometheus and Alertmanager say about the generated files.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{artifacts, drift, fixture, write};

/// Runs a tool of a Debian package and returns what it said, with whether it was content.
fn tool(program: &str, package: &str, folder: &Path, arguments: &[&str]) -> (bool, String) {
    let out = Command::new(program).args(arguments).current_dir(folder).output().unwrap_or_else(|error| {
        panic!("{program} cannot be run ({error}); install it with: apt-get install --no-install-recommends {package}")
    });
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    (out.status.success(), text)
}

#[test]
fn the_committed_files_are_those_of_the_specs() {
    let list = artifacts(&fixture::titanic());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        write(&list).unwrap();
    }
    let found: Vec<String> = drift(&list).unwrap().iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{}\n(UPDATE_GOLDEN=1 writes them)", found.join("\n"));
}
