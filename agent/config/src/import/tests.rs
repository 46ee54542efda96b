//! Every feature of the other tools, one file each: what is written, what is said, and that it is read back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use proptest::prelude::*;

use super::*;
use crate::foreign::{CHANGED, LOST};
use crate::foreign::{Document, map};
use crate::model::Config;
use crate::{check_with, load_with};
use lookout_engine::Window;
use lookout_model::parse_duration;

const FIXTURES: &str = "tests/import";
const DOCUMENT: &str = "../../docs/importing.md";

/// A file, or a folder of files, that uses one feature; its first line names it.
pub(super) struct Fixture {
    tool: &'static str,
    pub(super) path: PathBuf,
    feature: String,
    pub(super) options: ImportOptions,
}

pub(super) fn fixtures() -> Vec<Fixture> {
    let tools = [("sloth", Format::Sloth), ("pyrra", Format::Pyrra), ("openslo", Format::OpenSlo)];
    let mut all = Vec::new();
    for (tool, format) in tools {
        let entries = fs::read_dir(Path::new(FIXTURES).join(tool)).unwrap();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| !path.ends_with("expected"));
        paths.sort();
        all.extend(paths.into_iter().map(|path| fixture(tool, format, path)));
    }
    assert!(all.len() > 60, "the fixtures are gone");
    all
}

fn fixture(tool: &'static str, format: Format, path: PathBuf) -> Fixture {
    let mut files = vec![path.clone()];
    if path.is_dir() {
        files = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
    }
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let feature = line("# Feature: ").unwrap_or_else(|| panic!("{} names no feature", path.display()));
    let mut options = options(format);
    let words = line("# Options: ").unwrap_or_default();
    let words: Vec<&str> = words.split_whitespace().collect();
    for pair in words.chunks(2) {
        match pair[0] {
            "--period" => {
                options.period = Some(Window::seconds(parse_duration(pair[1]).unwrap().as_secs()));
            }
            "--service" => options.service = Some(pair[1].to_owned()),
            other => panic!("{other} is no option"),
        }
    }
    Fixture { tool, path, feature, options }
}

fn options(format: Format) -> ImportOptions {
    ImportOptions { format, period: None, service: None, source: "prometheus".to_owned() }
}

pub(super) fn run(fixture: &Fixture) -> Imported {
    import(std::slice::from_ref(&fixture.path), &fixture.options)
}

fn stream(files: &[SpecFile]) -> String {
    files.iter().map(|file| file.text.as_str()).collect::<Vec<_>>().join("---\n")
}

/// Compares with a file, or rewrites it when `UPDATE_EXPECT=1` is set.
fn golden(file: &Path, text: &str) {
    expect_file![std::path::absolute(file).unwrap()].assert_eq(text);
}

/// Set `UPDATE_EXPECT=1` to rewrite the expected texts, and read what changed.
#[test]
fn every_feature_comes_to_what_is_expected() {
    let mut expected = Vec::new();
    for fixture in fixtures() {
        let imported = run(&fixture);
        let folder = Path::new(FIXTURES).join(fixture.tool).join("expected");
        let stem = fixture.path.file_stem().unwrap().to_string_lossy().into_owned();
        for (ending, text) in [("yaml", stream(&imported.files)), ("txt", imported.findings.to_string())] {
            let file = folder.join(format!("{stem}.{ending}"));
            golden(&file, &text);
            expected.push(file);
        }
        assert!(!imported.files.is_empty() || imported.findings.has_errors(), "{stem} came to nothing");
    }
    for tool in ["sloth", "pyrra", "openslo"] {
        for entry in fs::read_dir(Path::new(FIXTURES).join(tool).join("expected")).unwrap() {
            let path = entry.unwrap().path();
            assert!(expected.contains(&path), "{} belongs to no fixture", path.display());
        }
    }
}

/// Returns how a feature is imported, in the words of the document.
fn fate(findings: &Diagnostics) -> &'static str {
    let said = |start: &str| findings.list.iter().any(|finding| finding.message.starts_with(start));
    if findings.has_errors() {
        "**not converted**"
    } else if said(LOST) {
        "listed as not carried over"
    } else if said(CHANGED) {
        "carried over with a note"
    } else {
        "carried over"
    }
}

/// A table row's last cell: what is said, once each.
fn said(findings: &Diagnostics) -> String {
    let plain = |message: &str| {
        let known = [LOST, CHANGED, "not converted: lookout would refuse it: ", "not converted: "];
        let rest = known.iter().find_map(|start| message.strip_prefix(start));
        rest.unwrap_or(message).replace('|', "\\|")
    };
    let mut all: Vec<String> = Vec::new();
    for finding in &findings.list {
        let message = plain(&finding.message);
        if !all.contains(&message) {
            all.push(message);
        }
    }
    all.join("; ")
}

/// Set `UPDATE_EXPECT=1` to rewrite the tables, and read what changed.
#[test]
fn the_tables_of_the_document_say_what_happens() {
    let mut tables: BTreeMap<&str, String> = BTreeMap::new();
    for fixture in fixtures() {
        let findings = run(&fixture).findings;
        let table = tables
            .entry(fixture.tool)
            .or_insert_with(|| "| feature | what becomes of it | what is said |\n|---|---|---|\n".to_owned());
        let row = format!("| {} | {} | {} |\n", fixture.feature, fate(&findings), said(&findings));
        table.push_str(&row.replace("|  |\n", "| |\n"));
    }
    let mut text = fs::read_to_string(DOCUMENT).unwrap();
    for (tool, table) in tables {
        let (start, end) = (format!("<!-- {tool} -->\n"), format!("<!-- end of {tool} -->"));
        let from = text.find(&start).unwrap_or_else(|| panic!("no {start}")) + start.len();
        let to = text.find(&end).unwrap_or_else(|| panic!("no {end}"));
        text.replace_range(from..to, &format!("\n{table}\n"));
    }
    golden(Path::new(DOCUMENT), &text);
}

/// The files in a folder of their own, with a `lookout.yaml` that has what they refer to.
pub(super) fn written(files: &[SpecFile], edit: impl Fn(&str) -> String) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        fs::write(folder.path().join(&file.name), edit(&file.text)).unwrap();
    }
    let config = "ledger: memory\nslos: [\"*.slo.yaml\"]\ntargets:\n  - { name: orders, http: { url: \"http://127.0.0.1:1\" } }\n\
                  scrapes:\n  - { name: prometheus, url: \"http://127.0.0.1:1\" }\n  - { name: main, url: \"http://127.0.0.1:1\" }\n";
    fs::write(folder.path().join("lookout.yaml"), config).unwrap();
    folder
}

/// Puts plain selectors in the place of queries, so that all the rest is judged whether queries are read or not.
fn without_queries(text: &str) -> String {
    let mut lines = Vec::new();
    let mut skipped: Option<usize> = None;
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        if skipped.is_some_and(|key| depth > key) {
            continue;
        }
        skipped = None;
        if line.trim() == "type: prometheus" {
            lines.push(line.replace("prometheus", "scrape"));
        } else if line.trim_start().starts_with("query: ") {
            lines.push(format!("{}selector: requests_total", " ".repeat(depth)));
            skipped = Some(depth);
        } else {
            lines.push(line.to_owned());
        }
    }
    lines.join("\n") + "\n"
}

fn annotation(text: &str, name: &str) -> Option<String> {
    let document: serde_json::Value = serde_saphyr::from_str(text).unwrap();
    document["metadata"]["annotations"][format!("lookout.dev/{name}")].as_str().map(str::to_owned)
}

fn slo_of(config: &Config, file: &SpecFile) -> Option<crate::Slo> {
    config.slos.iter().find(|slo| slo.file.ends_with(&file.name)).cloned()
}

#[test]
fn everything_but_the_queries_is_read_back_as_it_was_written() {
    let mut slos = 0;
    for fixture in fixtures() {
        let files = run(&fixture).files;
        if files.is_empty() {
            continue;
        }
        let folder = written(&files, without_queries);
        let config = match load_with(folder.path(), &|_| None) {
            Ok((config, warnings)) => {
                assert!(warnings.list.is_empty(), "{}: {warnings}", fixture.path.display());
                config
            }
            Err(found) => panic!("{}: {found}", fixture.path.display()),
        };
        for file in &files {
            let Some(slo) = slo_of(&config, file) else {
                assert!(file.text.contains("kind: Service"), "{} is no SLO", file.name);
                continue;
            };
            let tiers: Vec<String> = slo.tiers().iter().map(ToString::to_string).collect();
            // one without has the default tiers
            if let Some(written) = annotation(&file.text, "tiers") {
                assert_eq!(written, tiers.join("; "), "{}", file.name);
            }
            let data_alert = slo.policy.data_alert.map_or("off", lookout_engine::Severity::as_str);
            assert_eq!(annotation(&file.text, "data-alert").unwrap_or("ticket".to_owned()), data_alert);
            assert_eq!(file.name, format!("{}.slo.yaml", slo.id()));
            let document: serde_json::Value = serde_saphyr::from_str(&file.text).unwrap();
            let objective = &document["spec"]["objectives"][0];
            let percent =
                objective["targetPercent"].as_f64().or(objective["target"].as_f64().map(|s| s * 100.0));
            assert!((percent.unwrap() - slo.objective().percent()).abs() < 1e-9, "{}", file.name);
            let window = &document["spec"]["timeWindow"][0];
            let duration = window["duration"].as_str().unwrap().to_owned();
            match &slo.calendar {
                None => assert_eq!(duration, slo.period().to_string()),
                Some(calendar) => {
                    assert_eq!(window["calendar"]["timeZone"].as_str(), Some(calendar.zone()));
                    assert_eq!((duration.as_str(), slo.period()), ("1M", Window::days(30)));
                }
            }
            let labels: BTreeMap<String, String> =
                serde_json::from_value(document["metadata"]["labels"].clone()).unwrap_or_default();
            assert_eq!(labels, slo.labels);
            slos += 1;
        }
    }
    assert!(slos > 50, "only {slos}");
}

/// `check` has nothing to say about what is written, queries and all.
#[test]
fn the_prometheus_source_leaves_nothing_to_say_about_what_is_written() {
    for fixture in fixtures() {
        let files = run(&fixture).files;
        let folder = written(&files, str::to_owned);
        let paths: Vec<PathBuf> = files.iter().map(|file| folder.path().join(&file.name)).collect();
        let found = check_with(&paths, &|_| None);
        assert!(found.list.is_empty(), "{}: {found}", fixture.path.display());
    }
}

#[test]
fn the_same_is_read_from_files_with_the_line_ends_of_windows() {
    let folder = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(Path::new(FIXTURES).join("sloth/02-several-documents.yaml")).unwrap();
    let read = |name: &str, text: String| {
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        let imported = import(&[file], &options(Format::Sloth));
        assert!(imported.findings.list.is_empty(), "{}", imported.findings);
        stream(&imported.files).replace(name, "")
    };
    assert_eq!(read("unix.yaml", text.clone()), read("windows.yaml", text.replace('\n', "\r\n")));
}

#[test]
fn no_secret_of_a_data_source_is_shown() {
    let file = Path::new(FIXTURES).join("openslo/04-connection-details.yaml");
    assert!(fs::read_to_string(&file).unwrap().contains("s3cret"));
    let imported = import(&[file], &options(Format::OpenSlo));
    let shown = format!("{imported:?}{}{}", imported.findings, stream(&imported.files));
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[test]
fn a_comment_cannot_be_left_by_what_it_quotes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    let text = "version: prometheus/v1\nservice: orders\nslos:\n  - name: a\n    objective: 99\n    sli: { events: \
                { error_query: \"rate(a[{{.window}}])\", total_query: \"rate(b[{{.window}}])\" } }\n    alerting: { name: \
                \"x\\nkind: Evil\\u001b[2J\" }\n";
    fs::write(&file, text).unwrap();
    let imported = import(&[file], &options(Format::Sloth));
    let text = &imported.files[0].text;
    assert!(!text.contains("\nkind: Evil") && !text.contains('\u{1b}'), "{text}");
    assert!(!imported.findings.to_string().contains('\u{1b}'));
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    for (text, said) in [
        ("", "this file is empty"),
        ("a: [", "this is not valid YAML"),
        ("a: 1", "this is no spec of Sloth"),
        ("version: prometheus/v1\nservice: a\nslos: []\n", "this document has no SLO"),
    ] {
        fs::write(&file, text).unwrap();
        let imported = import(std::slice::from_ref(&file), &options(Format::Sloth));
        assert!(imported.findings.has_errors() && imported.findings.to_string().contains(said), "{text}");
    }
    let missing = import(&[folder.path().join("missing.yaml")], &options(Format::Sloth));
    assert!(missing.findings.to_string().contains("this file cannot be read"));
    fs::remove_file(&file).unwrap();
    let empty = import(&[folder.path().to_owned()], &options(Format::Sloth));
    assert!(empty.findings.to_string().contains("this folder has no YAML file"));
}

#[test]
fn an_agent_has_a_thousand_slos_at_most() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.yaml");
    let slo = |n: usize| {
        format!(
            "  - {{ name: a{n}, objective: 99, sli: {{ events: {{ error_query: 'rate(a[{{{{.window}}}}])', \
             total_query: 'rate(b[{{{{.window}}}}])' }} }} }}\n"
        )
    };
    let slos: String = (0..=SLO_COUNT_LIMIT).map(slo).collect();
    fs::write(&file, format!("version: prometheus/v1\nservice: orders\nslos:\n{slos}")).unwrap();
    let imported = import(&[file], &options(Format::Sloth));
    assert_eq!((imported.files.len(), imported.findings.counts()), (SLO_COUNT_LIMIT, (1, 0)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// A damaged file makes nothing panic, and what is written of it all the same is read back.
    #[test]
    fn a_damaged_file_is_refused_or_converted(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), length in 0..40_usize,
        by in "\\PC{0,8}|[a-z{}\\[\\]:,'\"|&*!-]{0,6}|: |\n  |\n- ",
    ) {
        let all = fixtures();
        let fixture = &all[which.index(all.len())];
        prop_assume!(fixture.path.is_file());
        let text: Vec<char> = fs::read_to_string(&fixture.path).unwrap().chars().collect();
        let start = at.index(text.len());
        let end = (start + length).min(text.len());
        let damaged: String = text[..start].iter().copied().chain(by.chars()).chain(text[end..].iter().copied()).collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("damaged.yaml");
        fs::write(&file, damaged).unwrap();
        let imported = import(&[file], &fixture.options);
        prop_assert!(!imported.files.is_empty() || imported.findings.has_errors());
        for file in &imported.files {
            let path = folder.path().join(&file.name);
            fs::write(&path, &file.text).unwrap();
            let found = check_with(&[path], &|_| None);
            prop_assert!(found.list.is_empty(), "{}\n{}", found, file.text);
        }
    }

    /// Any text is read back from what is written.
    #[test]
    fn texts_survive(texts in prop::collection::vec("\\PC{0,40}|[ -~\n\t]{0,60}|(a|:| |#|-|\n|'|\"){0,12}", 1..6)) {
        let entries = texts.iter().enumerate().map(|(n, text)| (format!("k{n}"), Document::text(text)));
        let document = map([("list", Document::List(vec![Document::Map(entries.collect())]))]);
        let printed = super::super::yaml::print(&document);
        let back: serde_json::Value = serde_saphyr::from_str(&printed).unwrap();
        for (n, text) in texts.iter().enumerate() {
            prop_assert_eq!(back["list"][0][format!("k{n}")].as_str(), Some(text.as_str()), "{}", printed);
        }
    }
}
