//! `lookout import` and `lookout schema` as their users run them.

use std::path::Path;
use std::process::Output;

use super::support::run_to_end;

const SLOTH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/import/sloth");

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_exit_code_tells_all_carried_from_notes_and_from_failures() {
    let clean = run_to_end(&["import", "sloth", &format!("{SLOTH}/01-events.yaml")]);
    assert_eq!(code(&clean), Some(0), "{}", said(&clean));
    assert_eq!(said(&clean), "1 file; everything was carried over\n");
    let text = String::from_utf8(clean.stdout).unwrap();
    let document: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!(document["metadata"]["name"], "availability", "stdout is the file and nothing else");

    let noted = run_to_end(&["import", "sloth", &format!("{SLOTH}/07-alerting-names.yaml")]);
    assert_eq!(code(&noted), Some(0), "{}", said(&noted));
    assert!(said(&noted).contains("07-alerting-names.yaml:12:13"), "{}", said(&noted));
    assert!(String::from_utf8(noted.stdout).unwrap().contains("# - "), "the file lists it too");

    let partly = run_to_end(&["import", "sloth", &format!("{SLOTH}/21-mistakes.yaml")]);
    assert_eq!(code(&partly), Some(1), "{}", said(&partly));
    assert!(String::from_utf8(partly.stdout).unwrap().contains("name: fine"), "the good one is written");

    for usage in [
        vec!["import"],
        vec!["import", "sloth"],
        vec!["import", "nagios", SLOTH],
        vec!["import", "pyrra", "--period", "30d", SLOTH],
        vec!["import", "sloth", "--service", "a", SLOTH],
        vec!["import", "sloth", "--period", "month", SLOTH],
    ] {
        let output = run_to_end(&usage);
        assert_eq!(code(&output), Some(2), "{usage:?}: {}", said(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_folder_gets_one_file_per_slo_and_what_is_there_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("slo");
    let out_text = out.to_str().unwrap();
    let input = format!("{SLOTH}/02-several-documents.yaml");
    let arguments = ["import", "sloth", &input, "--out", out_text];
    let first = run_to_end(&arguments);
    assert_eq!(code(&first), Some(0), "{}", said(&first));
    let mut names: Vec<String> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let expected =
        ["orders-availability.slo.yaml", "orders-latency.slo.yaml", "payments-availability.slo.yaml"];
    assert_eq!(names, expected);

    assert_eq!(code(&run_to_end(&arguments)), Some(0), "the same again changes nothing");
    let mine = out.join("payments-availability.slo.yaml");
    std::fs::write(&mine, "mine").unwrap();
    let refused = run_to_end(&arguments);
    assert_eq!(code(&refused), Some(2));
    assert!(
        said(&refused).contains("payments-availability.slo.yaml is there and differs"),
        "{}",
        said(&refused)
    );
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "mine");
    let forced = run_to_end(&["import", "sloth", &input, "--out", out_text, "--force"]);
    assert_eq!(code(&forced), Some(0), "{}", said(&forced));
    assert!(std::fs::read_to_string(&mine).unwrap().contains("kind: SLO"));
}

#[test]
fn the_schemas_are_those_in_the_documentation() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema");
    for (arguments, file) in
        [(vec!["schema"], "lookout"), (vec!["schema", "config"], "lookout"), (vec!["schema", "slo"], "slo")]
    {
        let output = run_to_end(&arguments);
        let committed = std::fs::read(docs.join(format!("{file}.schema.json"))).unwrap();
        assert!(output.status.success() && output.stdout == committed, "{arguments:?}");
    }
    assert_eq!(code(&run_to_end(&["schema", "nothing"])), Some(2));
}
