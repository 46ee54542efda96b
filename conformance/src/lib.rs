//! Checks of what ships the two programs: containers, manifests, infrastructure, workflows, dashboards and pages.
//!
//! A check is a function from a [`tree::Tree`] to a note of what it covered, or to the faults it found. So the tests run
//! it over the repository, and over copies with a mistake that it must name. A check never changes the tree and never
//! needs a cluster, an account or a registry. The tests give each check its name: `cargo nextest run -p conformance`.

pub mod agents;
pub mod agreement;
pub mod alerts;
pub mod circles;
pub mod compose;
pub mod containers;
pub mod dashboards;
pub mod dependencies;
pub mod kubernetes;
pub mod links;
pub mod routes;
pub mod signatures;
pub mod terraform;
pub mod terraform_pages;
pub mod text;
mod tool;
pub mod tree;
pub mod workflows;
