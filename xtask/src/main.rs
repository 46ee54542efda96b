//! The chores of this workspace, the same on every machine that has a Rust toolchain.
//!
//! It holds the demo, and the entries of the tests, the benchmarks and the drills. It never checks anything itself.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore is there to be watched: printing is its job"
)]

mod demo;
#[cfg(test)]
#[path = "../tests/it/fences.rs"]
mod fences;
mod images;
mod test;

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};
use programs::workspace::{self, CONFIG};

/// Chores of the lookout workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, about)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Everything that must hold before a change is merged.
    Test(test::Arguments),
    /// Watch an API, break it, see the page, the closed gate and the recovery.
    Demo(demo::Arguments),
    /// Rehearse what must work on the worst day.
    Drill {
        #[command(subcommand)]
        drill: drills::Drill,
    },
    /// Build the images of both programs, run them as they are shipped, and weigh them.
    Images(images::Arguments),
    /// Measure the agent and the service it watches beside their targets.
    Bench {
        #[command(subcommand)]
        benchmark: bench::Benchmark,
    },
    /// Write alerts/, dashboards/ and the heads of runbooks/ from slo/.
    Generate,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.chore {
        Chore::Test(arguments) => test::run(&arguments),
        Chore::Demo(arguments) => demo::run(&arguments),
        Chore::Drill { drill } => drills::run(&drill),
        Chore::Images(arguments) => images::run(&arguments),
        Chore::Bench { benchmark } => bench::run(&benchmark),
        Chore::Generate => generate(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs `lookout generate` over the specs of this system. The whole workspace is selected, so that features are the same
/// as in every other build.
fn generate() -> Result<()> {
    let mut lookout: Command = workspace::cargo();
    lookout.args(["run", "--quiet", "--bin", "lookout", "--", "generate", "-c", CONFIG]);
    workspace::must_succeed(&mut lookout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chore_in_the_pages_is_one_that_there_is() {
        let calls = fences::calls("cargo xtask");
        assert!(calls.len() > 5, "{calls:?}");
        let refusal = |call: &fences::Call| {
            let words = ["cargo xtask"].into_iter().chain(call.words.iter().map(String::as_str));
            let error = Arguments::try_parse_from(words).err().filter(clap::Error::use_stderr)?;
            Some(format!("{call}: {}", error.to_string().lines().next().unwrap_or_default()))
        };
        let wrong: Vec<String> = calls.iter().filter_map(refusal).collect();
        assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
        let made_up = fences::Call::at("here", vec!["drill".to_owned(), "everything".to_owned()]);
        assert!(refusal(&made_up).is_some());
    }
}
