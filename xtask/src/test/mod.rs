//! Everything that must hold before a change is merged, in the order in which it fails fastest.
//!
//! The whole workspace is selected in every step, so that dependencies are resolved with one set of features and
//! compiled once for checking and once for running. Nothing is built in release mode.

mod steps;
mod summary;

use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use tokio::time::Instant;

use steps::{Step, StepResult};
use summary::Summary;

/// The steps to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run this step alone; may be given more than once.
    #[arg(long, value_enum)]
    only: Vec<Step>,
    /// Fail when a check or a step is skipped, for machines that should have every tool.
    #[arg(long)]
    strict: bool,
    /// Run only the checks and mistakes of `conformance` whose names contain one of these.
    names: Vec<String>,
}

/// The result of a step, for the table.
enum Ending {
    Passed(String),
    Skipped(String),
    Failed,
    NotRun,
}

struct Row {
    step: Step,
    ending: Ending,
    took: Duration,
}

/// Runs the steps up to the first that fails, then shows all of them.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let steps =
        Step::ALL.iter().copied().filter(|step| arguments.only.is_empty() || arguments.only.contains(step));
    let started = Instant::now();
    let unchanged = steps::tree_as_it_is();
    let (mut rows, mut tests, mut failure) = (Vec::new(), Summary::default(), None);
    let mut skipped: Vec<(String, String)> = Vec::new();
    for step in steps {
        if failure.is_some() {
            rows.push(Row { step, ending: Ending::NotRun, took: Duration::ZERO });
            continue;
        }
        println!("\n--- {step}: {}", step.about());
        let began = Instant::now();
        let result = step.run(arguments, unchanged.as_deref());
        let took = began.elapsed();
        let ending = match result {
            Ok(StepResult::Passed(note)) => Ending::Passed(note),
            Ok(StepResult::Skipped(why)) if arguments.strict => {
                println!("{step} was skipped: {why}");
                failure = Some((step, anyhow!("skipped: {why}")));
                Ending::Failed
            }
            Ok(StepResult::Skipped(why)) => {
                skipped.push((step.to_string(), why.clone()));
                Ending::Skipped(why)
            }
            Ok(StepResult::Tests(summary, without)) => {
                tests.add(summary);
                skipped.extend(without);
                Ending::Passed(summary.to_string())
            }
            Err(error) => {
                println!("{step} failed: {error:#}");
                failure = Some((step, error));
                Ending::Failed
            }
        };
        rows.push(Row { step, ending, took });
    }
    print_table(&rows);
    let total = started.elapsed().as_secs_f64();
    if let Some((step, error)) = failure {
        bail!(
            "step `{step}` failed after {total:.0} s: {error:#}\nrun it alone: cargo xtask test --only {step}"
        );
    }
    println!("ok in {total:.0} s");
    for (name, why) in &skipped {
        println!("skipped: {name}: {why}");
    }
    println!("tests: {} passed, {} failed, {} skipped", tests.passed, tests.failed, tests.skipped);
    Ok(())
}

fn print_table(rows: &[Row]) {
    println!("\n{:<10} {:<8} {:>8}", "step", "result", "seconds");
    for row in rows {
        let (result, note) = match &row.ending {
            Ending::Passed(note) => ("ok", note.as_str()),
            Ending::Skipped(why) => ("skipped", why.as_str()),
            Ending::Failed => ("FAILED", ""),
            Ending::NotRun => ("not run", ""),
        };
        let line =
            format!("{:<10} {result:<8} {:>8.1}  {note}", row.step.to_string(), row.took.as_secs_f64());
        println!("{}", line.trim_end());
    }
    println!();
}
