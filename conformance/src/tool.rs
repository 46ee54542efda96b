//! Runs the tool that knows a kind of file.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use programs::workspace::shown;

/// Runs a tool and returns its output. Fails with its complaint.
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
