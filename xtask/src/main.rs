//! The project's own chores, as a program instead of scripts: the same on every machine that has a Rust toolchain.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore is there to be watched: printing is its job"
)]

mod bench;
mod child;
mod demo;
#[cfg(test)]
mod documented;
mod drill;
#[cfg(test)]
mod fences;
mod images;
mod layers;
mod packages;
mod ship;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
        what: drill::What,
    },
    /// Build the images of both programs, run them as they are shipped, and weigh them.
    Images(images::Arguments),
    /// Measure the agent and the service it watches beside their targets.
    Bench {
        #[command(subcommand)]
        what: bench::What,
    },
    /// Write alerts/, dashboards/ and the heads of runbooks/ from slo/, and the copies that k8s/ needs.
    Generate,
    /// Hold what ships the programs (containers, manifests, workflows, pages) against the tools that know it.
    Ship(ship::Arguments),
    /// Break what ships the programs as people do, and see that every mistake is caught.
    Mutations,
    /// Fail when a room of the agent imports one that stands after it, or the engine stops being pure.
    Layers,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.chore {
        Chore::Test(arguments) => test::run(&arguments),
        Chore::Demo(arguments) => demo::run(&arguments),
        Chore::Drill { what } => drill::run(&what),
        Chore::Images(arguments) => images::run(&arguments),
        Chore::Bench { what } => bench::run(&what),
        Chore::Generate => workspace::generate(),
        Chore::Ship(arguments) => ship::run(&arguments),
        Chore::Mutations => ship::mutations(),
        Chore::Layers => layers::run(&workspace::root()).map(|said| println!("{said}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
