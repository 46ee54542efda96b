//! Claims of the pages about this repository: tests that there are, files that exist, constants that stand in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use pulldown_cmark::{Event, Options, Parser, TagEnd};

use conformance::tree::Tree;
use programs::workspace::root;

use crate::{checks, mistakes};

/// Returns the names after each `cargo nextest run -p conformance` of a page.
fn names_run(page: &str) -> Vec<&str> {
    let calls = page.split("cargo nextest run -p conformance").skip(1);
    let commands = calls.filter_map(|call| call.split(['`', '#', '\n']).next());
    commands.flat_map(str::split_whitespace).collect()
}

#[test]
fn every_check_that_the_pages_run_is_one_that_there_is() {
    let tree = Tree::copy_of(&root()).unwrap();
    let is_there = |word: &str| {
        let checks = checks::ALL.iter().map(|(name, _)| format!("checks::{name}"));
        checks
            .chain(mistakes::ALL.iter().map(|(name, _)| format!("mistakes::{name}")))
            .chain(["agents::", "preview::", "telemetry::"].map(str::to_owned))
            .any(|name| name.contains(word))
    };
    let mut seen = 0;
    for page in tree.files_in("", &[".md"]) {
        let text = tree.read(page).unwrap();
        for name in names_run(&text) {
            assert!(is_there(name), "{}: there is no check `{name}`", page.display());
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen}");
    assert_eq!(names_run("`cargo nextest run -p conformance a b` c"), ["a", "b"]);
    assert!(!is_there("terraform_everything"));
}

/// Code spans of a page, row by row of its tables; text outside of tables is one row per paragraph.
fn rows(text: &str) -> Vec<(usize, Vec<String>)> {
    let (mut rows, mut row) = (Vec::new(), Vec::new());
    for (event, span) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Code(code) => row.push(code.into_string()),
            Event::End(TagEnd::TableRow | TagEnd::TableHead | TagEnd::Paragraph | TagEnd::Item) => {
                let line = text[..span.start].matches('\n').count() + 1;
                rows.push((line, std::mem::take(&mut row)));
            }
            _ => {}
        }
    }
    rows
}

fn is_file(code: &str) -> bool {
    let top = [
        "agent/",
        "service/",
        "http-server/",
        "xtask/",
        "conformance/",
        "programs/",
        "bench/",
        "drills/",
        "k8s/",
        "terraform/",
        ".github/",
        "slo/",
        "deploy/",
        "runbooks/",
    ];
    top.iter().any(|top| code.starts_with(top)) && !code.contains([' ', '*', '{', '<', '…'])
}

fn is_constant(code: &str) -> bool {
    code.len() > 2 && code.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[test]
fn files_that_pages_name_exist() {
    let (mut seen, mut missing) = (BTreeSet::new(), Vec::new());
    for page in ["security", "limits", "twelve-factor", "troubleshooting", "pipelines", "ARCHITECTURE"] {
        let text = fs::read_to_string(root().join("docs").join(page).with_extension("md")).unwrap();
        for (line, codes) in rows(&text) {
            for code in codes.iter().filter(|code| is_file(code)) {
                if !root().join(code).exists() {
                    missing.push(format!("docs/{page}.md:{line}: `{code}` does not exist"));
                }
                seen.insert(code.clone());
            }
        }
    }
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
    assert!(seen.len() > 50, "{seen:?}");
}

#[test]
fn every_price_names_its_page_and_when_somebody_compared_them() {
    let page = fs::read_to_string(root().join("docs/cost.md")).unwrap();
    let tables = page.lines().skip_while(|line| !line.ends_with("| checked at |"));
    let rows = tables.filter(|line| line.starts_with("| ") && !line.ends_with("| checked at |"));
    let prices: Vec<&str> =
        rows.filter(|row| !row.starts_with("| **sum**") && !row.starts_with("| budget")).collect();
    let is_date = |text: &str| {
        let digits: Vec<usize> =
            text.split('-').map(|part| part.parse::<u16>().map_or(0, |_| part.len())).collect();
        digits == [4, 2, 2]
    };
    for row in &prices {
        let source = row.trim_end_matches('|').rsplit('|').next().unwrap().trim();
        let (pages, compared) = source.rsplit_once(": ").unwrap_or((source, ""));
        assert!(pages.contains("](https://"), "no page of the price: {row}");
        assert!(
            compared == "check" || is_date(compared),
            "expected `check` or a date such as 2026-11-22: {row}"
        );
    }
    assert!(prices.len() > 20, "{prices:?}");
}

/// Constants and settings of a row that the file which the row names after them does not define.
fn strangers(codes: &[String], before: &mut String, read: impl Fn(&Path) -> String) -> Vec<String> {
    let (mut named, mut strangers) = (Vec::new(), Vec::new());
    let defines = |file: &str, name: &str| {
        file.contains(&format!("const {name}:")) || file.contains(&format!("{name:?}"))
    };
    for code in codes {
        if is_constant(code) {
            named.push(code);
        } else if is_file(code) {
            *before = read(Path::new(code));
            strangers.extend(named.drain(..).filter(|name| !defines(before, name)).cloned());
        }
    }
    // `same file`: that of the row before
    if !codes.iter().any(|code| is_file(code)) {
        strangers.extend(named.into_iter().filter(|name| !defines(before, name)).cloned());
    }
    strangers
}

#[test]
fn constants_of_the_limits_stand_where_the_page_says() {
    let read = |file: &Path| fs::read_to_string(root().join(file)).unwrap_or_default();
    let (page, mut wrong) = (read(Path::new("docs/limits.md")), Vec::new());
    let (rows, mut file) = (rows(&page), String::new());
    for (line, codes) in &rows {
        let unknown = strangers(codes, &mut file, read);
        wrong.extend(unknown.iter().map(|name| format!("docs/limits.md:{line}: no `{name}` there")));
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    let constants = rows.iter().flat_map(|(_, codes)| codes).filter(|code| is_constant(code)).count();
    assert!(constants > 40, "{constants}");
    let row = ["BODY_LIMIT", "NO_SUCH_LIMIT", "agent/web/src/lib.rs"].map(str::to_owned);
    assert_eq!(strangers(&row, &mut file, read), ["NO_SUCH_LIMIT"]);
}
