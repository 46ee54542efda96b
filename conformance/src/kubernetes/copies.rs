//! Files that kustomize and Helm need inside of their own folder: copies, made together with what they are copied from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::tree::Tree;

/// From which folder, files with which ending, to which folder.
const COPIES: [(&str, &str, &str); 3] = [
    ("slo", ".yaml", "k8s/chart/files/sidecar"),
    ("alerts/kubernetes", ".prometheusrule.yaml", "k8s/chart/files/monitoring"),
    ("dashboards", ".json", "k8s/chart/files/monitoring"),
];

/// Copies, over what is there.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write(root: &Path) -> Result<()> {
    for (from, ending, to) in COPIES {
        let folder = root.join(from);
        let found = fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?;
        for entry in found {
            let file = entry.with_context(|| format!("reading {}", folder.display()))?.path();
            let name = file.file_name().unwrap_or_default();
            if name.to_string_lossy().ends_with(ending) {
                let copy = root.join(to).join(name);
                fs::copy(&file, &copy).with_context(|| format!("writing {}", copy.display()))?;
            }
        }
    }
    Ok(())
}

/// Compares each copy with its source.
pub fn current(tree: &Tree) -> Result<String> {
    let (mut stale, mut copies): (Vec<PathBuf>, u32) = (Vec::new(), 0);
    for (from, ending, to) in COPIES {
        for file in tree.files_in(from, &[ending]).filter(|file| file.parent() == Some(Path::new(from))) {
            copies += 1;
            let copy = Path::new(to).join(file.file_name().unwrap_or_default());
            if tree.read(&copy).ok() != Some(tree.read(file)?) {
                stale.push(copy);
            }
        }
    }
    if stale.is_empty() {
        return Ok(format!("{copies} copies"));
    }
    let names: Vec<String> = stale.iter().map(|file| file.display().to_string()).collect();
    bail!("not what it is a copy of (`cargo xtask generate` writes it): {}", names.join(", "))
}
