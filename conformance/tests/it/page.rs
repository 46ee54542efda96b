//! The tables of `docs/checks.md`: the same checks, their tools in the versions that are locked, and for each a mistake
//! that is really made.

use std::fs;

use programs::workspace::root;

use crate::{checks, mistakes};

fn page() -> String {
    fs::read_to_string(root().join("docs/checks.md")).unwrap()
}

/// Returns the cells of the table's rows, from below its heading to the next one.
fn rows() -> Vec<Vec<String>> {
    let page = page();
    let lines = page.lines().skip_while(|line| *line != "## Checks of `conformance`").skip(1);
    let table = lines.take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| "));
    // the head of the table is no row
    table
        .skip(1)
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

#[test]
fn every_check_has_its_row_in_order() {
    let listed: Vec<String> = rows().iter().map(|cells| cells[0].trim_matches('`').to_owned()).collect();
    let all: Vec<&str> = checks::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(listed, all, "docs/checks.md and the checks differ");
}

#[test]
fn the_mistake_of_a_row_is_one_that_its_check_must_notice() {
    for ((check, _), cells) in checks::ALL.iter().zip(rows()) {
        let shown = cells.last().unwrap().replace(' ', "_");
        let mut made = mistakes::ALL.iter().filter(|(_, by)| by == check);
        assert!(
            made.any(|(mistake, _)| *mistake == shown),
            "docs/checks.md: {check} does not notice `{shown}`"
        );
    }
}

#[test]
fn tools_have_the_versions_that_are_locked() {
    let page = page();
    for list in ["checks", "policy", "api"] {
        let pins = fs::read_to_string(root().join(format!("xtask/tools/{list}.in"))).unwrap();
        for pin in pins.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let said = pin.replace("==", " ");
            assert!(page.contains(&said), "docs/checks.md does not say `{said}` as {list}.in does");
        }
    }
}
