//! Finds, installs, starts and ends the programs that the chores, the checks, the benchmarks and the drills run.
//!
//! A program is taken from this machine, from the Python package index, or from its official host, pinned by version and
//! hash. It never knows what a program is for, and nothing that is shipped depends on it.
#![expect(clippy::print_stdout, reason = "an installation takes minutes, and people watch")]

pub mod api_key;
pub mod binaries;
pub mod fetched;
pub mod http;
pub mod load;
mod missing;
pub mod operator;
pub mod packages;
pub mod python;
pub mod refused_writes;
pub mod running;
pub mod skipped;
pub mod workspace;

pub use missing::{MissingTool, on_path};
