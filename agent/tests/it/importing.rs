//! `lookout import` and `lookout schema` as their users run them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::support::run_to_end;

const SLOTH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/tests/import/sloth");

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
    let mut names: Vec<String> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let expected =
        ["orders-availability.slo.yaml", "orders-latency.slo.yaml", "payments-availability.slo.yaml"];
    assert_eq!(names, expected);

    assert_eq!(code(&run_to_end(&arguments)), Some(0), "the same again changes nothing");
    let mine = out.join("payments-availability.slo.yaml");
    fs::write(&mine, "mine").unwrap();
    let refused = run_to_end(&arguments);
    assert_eq!(code(&refused), Some(2));
    assert!(
        said(&refused).contains("payments-availability.slo.yaml is there and differs"),
        "{}",
        said(&refused)
    );
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
    let forced = run_to_end(&["import", "sloth", &input, "--out", out_text, "--force"]);
    assert_eq!(code(&forced), Some(0), "{}", said(&forced));
    assert!(fs::read_to_string(&mine).unwrap().contains("kind: SLO"));
}

#[test]
fn the_schemas_are_those_in_the_documentation() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schema");
    for (arguments, file) in
        [(vec!["schema"], "lookout"), (vec!["schema", "config"], "lookout"), (vec!["schema", "slo"], "slo")]
    {
        let output = run_to_end(&arguments);
        let committed = fs::read(docs.join(format!("{file}.schema.json"))).unwrap();
        assert!(output.status.success() && output.stdout == committed, "{arguments:?}");
    }
    assert_eq!(code(&run_to_end(&["schema", "nothing"])), Some(2));
}

/// The examples of all tools, one feature each, but those that say what they cannot be.
fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/tests/import");
    let mut all = vec![folder.join("../spec/foreign/specs")];
    for tool in ["sloth", "pyrra", "openslo"] {
        let entries = fs::read_dir(folder.join(tool)).unwrap().map(|entry| entry.unwrap().path());
        all.extend(entries.filter(|path| !path.ends_with("expected")));
    }
    all.sort();
    all
}

const CONFIG: &str = "ledger: memory\nslos: [\"specs/*.yaml\"]\ntargets: [{ name: orders, http: { url: \"http://127.0.0.1:1\" } }]\n\
    prometheus: [{ name: prometheus, url: \"http://127.0.0.1:1\" }, { name: main, url: \"http://127.0.0.1:1\" }]\n\
    generate: { alerts: alerts, dashboards: dashboards, runbooks: runbooks }\n";

/// A folder with a `lookout.yaml` beside specs.
fn set_up(folder: &Path, example: &Path) -> PathBuf {
    let specs = folder.join("specs");
    fs::create_dir_all(&specs).unwrap();
    let files = match example.is_dir() {
        true => fs::read_dir(example).unwrap().map(|entry| entry.unwrap().path()).collect(),
        false => vec![example.to_owned()],
    };
    for file in files {
        // the variable is none of this test
        let text = fs::read_to_string(&file).unwrap().replace("\"${API_TOKEN}\"", "\"${API_TOKEN:-none}\"");
        fs::write(specs.join(file.file_name().unwrap()), text).unwrap();
    }
    let config = folder.join("lookout.yaml");
    fs::write(&config, CONFIG).unwrap();
    config
}

fn files_in(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    files
}

fn promtool(arguments: &[&str], files: &[PathBuf]) {
    let said = Command::new("promtool").args(arguments).args(files).output();
    let said = said.expect("promtool is needed: install the Debian package `prometheus`");
    let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "promtool {}: {text}", arguments.join(" "));
}

/// Each part of the examples that is carried over is checked and generated where it stands, and Prometheus takes the
/// rules.
#[test]
fn the_examples_of_every_tool_check_simulate_and_generate_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (mut rules, mut tests, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for (n, example) in examples().into_iter().enumerate() {
        let home = folder.path().join(n.to_string());
        let config = set_up(&home, &example);
        let config = config.to_str().unwrap();
        let checked = run_to_end(&["check", config]);
        if code(&checked) == Some(1) {
            refused.push(example);
            continue;
        }
        assert_eq!(code(&checked), Some(0), "{}: {}", example.display(), said(&checked));
        let generated = run_to_end(&["generate", "-c", config]);
        assert_eq!(code(&generated), Some(0), "{}: {}", example.display(), said(&generated));
        rules.extend(files_in(&home.join("alerts"), ".rules.yaml"));
        // a simulation of each would take minutes: the plainest of each tool has one
        if example.file_stem().is_some_and(|stem| stem == "01-ratio" || stem == "01-events") {
            let simulated = run_to_end(&["simulate", home.join("specs").to_str().unwrap()]);
            assert_eq!(code(&simulated), Some(0), "{}: {}", example.display(), said(&simulated));
            tests.extend(files_in(&home.join("alerts"), ".tests.yaml"));
        }
    }
    // what has an expected file converts
    for example in &refused {
        let name = example.file_stem().unwrap().to_string_lossy();
        let expected = example.with_file_name("expected").join(format!("{name}.txt"));
        let said = fs::read_to_string(&expected).unwrap_or_default();
        assert!(said.contains("error: "), "{} is refused", example.display());
    }
    assert!(rules.len() > 55 && refused.len() < 20, "{} files, {} refused", rules.len(), refused.len());
    // each has those about the agent, too
    assert_eq!(tests.len(), 6);
    promtool(&["check", "rules"], &rules);
    promtool(&["test", "rules"], &tests);
}
