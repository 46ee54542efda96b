//! What ships the two programs, held against the tools that would refuse it later: every kind of file has a check, and
//! `cargo xtask mutations` shows that each of them can fail.

mod agreement;
mod alerts;
mod checks;
mod compose;
mod containers;
mod dashboards;
mod kubernetes;
mod links;
mod mutations;
#[cfg(test)]
pub(crate) mod page;
mod terraform;
mod text;
pub(crate) mod tools;
mod tree;
mod workflows;

use anyhow::{Result, bail};
use tokio::time::Instant;

pub(crate) use checks::Check;
use tree::Tree;

use crate::workspace::root;

/// Which checks to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run this check alone; may be given more than once.
    #[arg(long, value_enum)]
    only: Vec<Check>,
}

/// Runs the checks over the tree as it would be committed, all of them, and fails when one does.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let chosen = |check: &&Check| arguments.only.is_empty() || arguments.only.contains(check);
    run_all(Check::ALL.iter().filter(chosen)).map(|said| println!("{said}"))
}

/// Every check, for the tests.
pub(crate) fn run_every() -> Result<String> {
    run_all(Check::ALL.iter())
}

fn run_all<'c>(checks: impl Iterator<Item = &'c Check>) -> Result<String> {
    let tree = Tree::copy_of(&root())?;
    let (mut passed, mut failed) = (0, Vec::new());
    for check in checks {
        let began = Instant::now();
        let said = check.run(&tree);
        let took = began.elapsed().as_secs_f64();
        match said {
            Ok(note) => {
                passed += 1;
                println!("{:<12} ok      {took:>6.1} s  {note}", check.to_string());
            }
            Err(error) => {
                println!("{:<12} FAILED  {took:>6.1} s\n{error:#}\n", check.to_string());
                failed.push(check.to_string());
            }
        }
    }
    if !failed.is_empty() {
        bail!("{} failed; run one alone: cargo xtask ship --only NAME", failed.join(", "));
    }
    Ok(format!("{passed} checks"))
}

/// Breaks the tree in ways that people do, and fails when a check does not notice.
pub(crate) fn mutations() -> Result<()> {
    mutations::run(&root())
}
