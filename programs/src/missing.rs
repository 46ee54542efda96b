//! The one failure that is not a mistake in the tree.

use std::path::PathBuf;

use anyhow::Result;

use crate::packages::find;

/// A tool that this machine lacks and that could not be fetched.
#[derive(Debug, thiserror::Error)]
#[error("{tool} is missing: {why}")]
pub struct MissingTool {
    pub tool: String,
    pub why: String,
}

impl MissingTool {
    pub fn new(tool: impl Into<String>, why: impl Into<String>) -> Self {
        Self { tool: tool.into(), why: why.into() }
    }

    /// Returns the missing tool behind an error, if that is its cause.
    pub fn behind(error: &anyhow::Error) -> Option<&Self> {
        error.chain().find_map(|cause| cause.downcast_ref())
    }
}

/// Returns the first program of these names on the `PATH`.
///
/// # Errors
/// [`MissingTool`], with how to get it.
pub fn on_path(names: &[&str], how: &str) -> Result<PathBuf> {
    find(names).ok_or_else(|| MissingTool::new(names.join(" or "), how).into())
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_missing_tool_is_found_behind_what_was_attempted() {
        let error =
            on_path(&["no-such-program-anywhere"], "build it").context("building k8s/base").unwrap_err();
        assert_eq!(
            MissingTool::behind(&error).map(ToString::to_string).as_deref(),
            Some("no-such-program-anywhere is missing: build it")
        );
        assert!(MissingTool::behind(&anyhow::anyhow!("a mistake")).is_none());
    }
}
