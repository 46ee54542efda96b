//! Mistakes of users: each is reported with file, line, column and the fix, and nothing is lost.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::support::run_to_end;

const SPEC: &str = r#"
apiVersion: openslo/v1
kind: SLO
metadata: { name: availability }
spec:
  service: api
  description: The API answers.
  budgetingMethod: Occurrences
  timeWindow: [{ duration: 30d, isRolling: true }]
  objectives: [{ target: 0.999 }]
  indicator:
    metadata: { name: probes }
    spec:
      ratioMetric:
        counter: true
        good: { metricSource: { type: probe, spec: { target: api, outcome: ok } } }
        total: { metricSource: { type: probe, spec: { target: api } } }
"#;

const CONFIG: &str = "\
listen: 127.0.0.1:0
ledger: lookout.db
targets:
  - name: api
    http: { url: http://127.0.0.1:9/health }
";

fn folder(config: &str, spec: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lookout.yaml");
    std::fs::write(&file, config).unwrap();
    std::fs::write(folder.path().join("api.slo.yaml"), spec).unwrap();
    (folder, file)
}

/// Runs a verb on a file and returns its exit code and output.
fn lookout(arguments: &[&str], file: &Path) -> (i32, String) {
    let mut all = arguments.to_vec();
    all.push(file.to_str().unwrap());
    let output = run_to_end(&all);
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn check_ends_1_and_run_ends_2_with_file_line_and_fix() {
    let cases = [
        ("a wrong key", CONFIG.replace("ledger:", "leger:"), SPEC.to_owned(), "lookout.yaml:2:1", "ledger"),
        (
            "an objective of 100 %",
            CONFIG.to_owned(),
            SPEC.replace("0.999", "1.0"),
            "api.slo.yaml:10:26",
            "100",
        ),
        (
            "an unusable URL",
            CONFIG.replace("http://127.0.0.1:9", "ftp://127.0.0.1"),
            SPEC.to_owned(),
            "lookout.yaml:5:",
            "http",
        ),
        ("a bad duration", CONFIG.to_owned(), SPEC.replace("30d", "30x"), "api.slo.yaml:9:28", "`7d`"),
    ];
    for (what, config, spec, place, word) in cases {
        let (_folder, file) = folder(&config, &spec);
        for (verb, code) in [(vec!["check"], 1), (vec!["run", "-c"], 2)] {
            let (found, said) = lookout(&verb, &file);
            assert_eq!(found, code, "{what}, {verb:?}: {said}");
            assert!(said.contains(place), "{what}: no {place} in\n{said}");
            assert!(said.contains(word), "{what}: no {word} in\n{said}");
        }
    }
}

#[test]
fn check_ends_0_on_good_files() {
    let (_folder, file) = folder(CONFIG, SPEC);
    let (code, said) = lookout(&["check"], &file);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("no destination is configured") && said.contains("1 warning"), "{said}");
    let told =
        format!("{CONFIG}destinations: [{{ name: am, alertmanager: {{ urls: ['http://127.0.0.1:9'] }} }}]\n");
    let (_folder, file) = folder(&told, SPEC);
    let (code, said) = lookout(&["check"], &file);
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("no destination"), "{said}");
}

#[test]
fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (_folder, file) = folder(&CONFIG.replace("127.0.0.1:0", &address), SPEC);
    let (code, said) = lookout(&["run", "-c"], &file);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains(&address) && said.contains("listen"), "{said}");
}

#[test]
fn a_ledger_that_is_none_is_refused_and_kept() {
    let (folder, file) = folder(CONFIG, SPEC);
    let ledger = folder.path().join("lookout.db");
    std::fs::write(&ledger, "this is no database, but it is mine").unwrap();
    let (code, said) = lookout(&["run", "-c"], &file);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("lookout.db") && said.contains("damaged"), "{said}");
    assert_eq!(std::fs::read_to_string(&ledger).unwrap(), "this is no database, but it is mine");
}

#[test]
fn an_unknown_verb_is_a_usage_error() {
    assert_eq!(run_to_end(&["wach"]).status.code(), Some(2));
    assert_eq!(run_to_end(&["--version"]).status.code(), Some(0));
}
