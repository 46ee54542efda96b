//! `docs/checks.md` says what the code does: the same checks, their tools in the versions that are locked, and for each a
//! mistake that is really made.

use std::fs;

use super::checks::Check;
use super::mutations::mistakes;
use crate::workspace::root;

/// The cells of a table's rows, from below a heading to the next one.
pub(crate) fn rows(heading: &str) -> Vec<Vec<String>> {
    let page = fs::read_to_string(root().join("docs/checks.md")).unwrap();
    let lines = page.lines().skip_while(|line| *line != heading).skip(1);
    let table = lines.take_while(|line| !line.starts_with("## ")).filter(|line| line.starts_with("| "));
    // the head of the table is no row
    table
        .skip(1)
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// `` `name` `` without its quotes.
pub(crate) fn name(cell: &str) -> Option<String> {
    Some(cell.strip_prefix('`')?.strip_suffix('`')?.to_owned())
}

fn checks() -> Vec<Vec<String>> {
    rows("## Checks of `cargo xtask ship`")
}

#[test]
fn every_check_has_its_row_in_order() {
    let listed: Vec<String> = checks().iter().filter_map(|cells| name(cells.first()?)).collect();
    let all: Vec<String> = Check::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(listed, all, "docs/checks.md and the checks differ");
}

#[test]
fn what_is_said_to_show_a_check_is_a_mistake_that_it_must_notice() {
    for (check, cells) in Check::ALL.iter().zip(checks()) {
        let shown = cells.last().map(String::as_str).unwrap_or_default();
        let made = mistakes(*check);
        assert!(
            made.contains(&shown),
            "docs/checks.md: `{shown}` is none of what {check} must notice: {made:?}"
        );
    }
}

#[test]
fn tools_have_the_versions_that_are_locked() {
    let page = fs::read_to_string(root().join("docs/checks.md")).unwrap();
    for list in ["checks", "policy", "api"] {
        let pins = fs::read_to_string(root().join(format!("xtask/tools/{list}.in"))).unwrap();
        for pin in pins.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let said = pin.replace("==", " ");
            assert!(page.contains(&said), "docs/checks.md does not say `{said}` as {list}.in does");
        }
    }
}
