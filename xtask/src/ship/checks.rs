//! The checks, one name each.

use std::fmt;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::tree::Tree;
use super::{
    agreement, alerts, compose, containers, dashboards, kubernetes, links, terraform, text, workflows,
};
use crate::workspace::shown;

/// A kind of file, held against the tool that knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Check {
    Yaml,
    Shell,
    Secrets,
    Links,
    Alerts,
    Dashboards,
    Workflows,
    Containers,
    Compose,
    Kubernetes,
    Helm,
    Terraform,
    Agreement,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl Check {
    pub(crate) const ALL: &[Self] = &[
        Self::Yaml,
        Self::Shell,
        Self::Secrets,
        Self::Links,
        Self::Alerts,
        Self::Dashboards,
        Self::Workflows,
        Self::Containers,
        Self::Compose,
        Self::Kubernetes,
        Self::Helm,
        Self::Terraform,
        Self::Agreement,
    ];

    /// Runs the check over a tree and says what it looked at.
    ///
    /// # Errors
    /// When something is wrong, with what the tool said; or when the tool is missing, with how to get it.
    pub(crate) fn run(self, tree: &Tree) -> Result<String> {
        match self {
            Self::Yaml => text::yaml(tree),
            Self::Shell => text::shell(tree),
            Self::Secrets => text::secrets(tree),
            Self::Links => links::check(tree),
            Self::Alerts => alerts::check(tree),
            Self::Dashboards => dashboards::check(tree),
            Self::Workflows => workflows::check(tree),
            Self::Containers => containers::check(tree),
            Self::Compose => compose::check(tree),
            Self::Kubernetes => kubernetes::check(tree),
            Self::Helm => kubernetes::helm(tree),
            Self::Terraform => terraform::check(tree),
            Self::Agreement => agreement::check(tree),
        }
    }
}

/// Runs a tool and fails with what it said when it is not content.
pub(crate) fn content(command: &mut Command) -> Result<String> {
    let name = shown(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("starting `{name}`"))?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        let said = [out.trim(), err.trim()].into_iter().filter(|said| !said.is_empty());
        let program = name.split(' ').next().unwrap_or_default();
        bail!("{program} is not content ({}):\n{}", output.status, said.collect::<Vec<_>>().join("\n"));
    }
    Ok(out.into_owned())
}
