//! The class of a change, which Argo Rollouts and Flagger tell the gate. One that passes more easily than a feature holds for
//! the manifests that it was written for, and for no later ones.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::object::text;
use crate::tool::content;
use crate::tree::Tree;

const DIGEST: &str = ".github/scripts/deploy-class.sh";

/// The class that any change may have: the gate asks most of it.
const FEATURE: &str = "feature";

pub(super) fn check(tree: &Tree) -> Result<String> {
    let mut faults = Vec::new();
    let sites: Vec<&Path> = tree.files_in("k8s/overlays", &["/site.yaml"]).collect();
    for file in &sites {
        let site: Value =
            serde_saphyr::from_str(&tree.read(file)?).with_context(|| file.display().to_string())?;
        let environment = text(&site, "/data/ENVIRONMENT");
        let (class, written_for) = (text(&site, "/data/DEPLOY_CLASS"), text(&site, "/data/DEPLOY_CLASS_OF"));
        if class == FEATURE {
            continue;
        }
        let said = content(Command::new("bash").args([DIGEST, environment]).current_dir(tree.root()))?;
        if written_for != said.trim() {
            faults.push(format!(
                "{}: DEPLOY_CLASS {class} was written for other manifests: `.github/scripts/bump.sh {environment} CLASS` writes that of this change",
                file.display()
            ));
        }
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(format!("{} environments", sites.len()))
}
