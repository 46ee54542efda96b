//! The pages of this repository call the program as it can be called. How it can be called is what it says when it is
//! called wrongly.

use std::process::{Command, Stdio};

use crate::fences::{Call, calls};

/// The ways to call the program: words that stand as they are, and words in capitals for what is the caller's.
fn ways() -> Vec<Vec<String>> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_titanic")).arg("no-such-verb").stdin(Stdio::null()).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    let quoted = said.split('`').skip(1).step_by(2);
    let ways = quoted.filter_map(|way| way.strip_prefix("titanic"));
    ways.map(|way| way.split_whitespace().map(str::to_owned).collect()).collect()
}

fn is_one_of(call: &Call, ways: &[Vec<String>]) -> bool {
    let fits = |(word, wanted): (&String, &String)| {
        word == wanted || (wanted.chars().all(|c| c.is_ascii_uppercase()) && !word.starts_with('-'))
    };
    ways.iter().any(|way| way.len() == call.words.len() && call.words.iter().zip(way).all(fits))
}

#[test]
fn every_command_in_the_pages_is_one_that_this_program_knows() {
    let (calls, ways) = (calls("titanic"), ways());
    assert!(calls.len() > 3 && ways.len() > 3, "{calls:?} {ways:?}");
    let wrong = calls.iter().filter(|call| !is_one_of(call, &ways)).map(Call::to_string);
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "\n{}\nit can be called as {ways:?}\n", wrong.join("\n"));
}

#[test]
fn a_verb_or_a_flag_that_does_not_exist_is_found() {
    let ways = ways();
    let known = |line: &str| {
        let words = line.split_whitespace().map(str::to_owned).collect();
        is_one_of(&Call::at("here", words), &ways)
    };
    for line in ["", "--check-config", "healthcheck", "backup /tmp/a", "restore a"] {
        assert!(known(line), "{line}");
    }
    for line in ["backups a", "backup", "backup --all", "restore a b", "--check", "healthcheck now"] {
        assert!(!known(line), "{line}");
    }
}
