//! The pages of this repository call the program as it can be called.

use std::process::{Command, Stdio};

use crate::fences::{Call, calls};

/// Returns whether the program knows these words: only then it looks at the environment, which cannot be used.
fn is_known(words: &[String]) -> bool {
    let mut command = Command::new(env!("CARGO_BIN_EXE_titanic"));
    let output = command.args(words).env_clear().env("PORT", "none").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap().contains("PORT is `none`")
}

#[test]
fn every_command_in_the_pages_is_one_that_this_program_knows() {
    let calls = calls("titanic");
    assert!(calls.len() > 3, "{calls:?}");
    let wrong = calls.iter().filter(|call| !is_known(&call.words)).map(Call::to_string);
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn a_verb_or_a_flag_that_does_not_exist_is_found() {
    let known = |line: &str| is_known(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    for line in ["", "--check-config", "healthcheck", "backup /tmp/a", "restore a"] {
        assert!(known(line), "{line}");
    }
    for line in ["backups a", "backup", "backup --all", "restore a b", "--check", "healthcheck now"] {
        assert!(!known(line), "{line}");
    }
}
