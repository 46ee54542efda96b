//! Whole files of the other probers: what is written, and what is said.

use std::path::{Path, PathBuf};

use expect_test::expect_file;

use super::*;

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new("tests/import").join(folder)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths
}

/// Set `UPDATE_EXPECT=1` to rewrite the expected texts, and read what changed.
#[test]
fn files_of_other_probers_come_to_what_is_expected() {
    for (folder, prober) in [("blackbox", Prober::Blackbox), ("gatus", Prober::Gatus)] {
        let imported = import_targets(&files(folder), prober);
        let [file] = imported.files.as_slice() else { panic!("{folder}: {}", imported.findings) };
        let said = imported.findings.to_string();
        assert!(!file.text.contains("hunter2") && !said.contains("hunter2"), "a secret is shown:\n{said}");
        for (ending, text) in [("yaml", &file.text), ("txt", &said)] {
            let path =
                Path::new("tests/import").join(folder).join("expected").join(format!("lookout.{ending}"));
            expect_file![std::path::absolute(path).unwrap()].assert_eq(text);
        }
    }
}

#[test]
fn what_is_written_is_a_configuration() {
    for (folder, prober, targets) in [("blackbox", Prober::Blackbox, 14), ("gatus", Prober::Gatus, 9)] {
        let imported = import_targets(&files(folder), prober);
        let root = tempfile::tempdir().unwrap();
        for file in ["ca.pem", "client.pem"] {
            std::fs::copy("tests/spec/good/ca.pem", root.path().join(file)).unwrap();
        }
        std::fs::write(root.path().join("token"), "secret").unwrap();
        for file in ["more.yml", "db-1.json"] {
            std::fs::write(root.path().join(file), "[{\"targets\": [\"example.org:443\"]}]").unwrap();
        }
        let text = format!("slos: []\n{}", imported.files[0].text);
        std::fs::write(root.path().join("lookout.yaml"), text).unwrap();
        match crate::load_with(root.path(), &|_| Some("x".to_owned())) {
            Ok((config, _)) => assert_eq!(config.targets.len(), targets, "{folder}"),
            Err(found) => panic!("{folder}: {found}"),
        }
    }
}
