//! Terraform: format, the schema of the provider, the modules' own tests, and policies.
//!
//! No account and no registry is needed: a stand-in for the provider (`xtask/tools/terraform/provider.py`) answers from
//! the schema beside it, and tests run with mocks.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::tool::content;
use crate::tree::Tree;
use programs::fetched::{self, TERRAFORM};
use programs::python::{Set, program};

const FOLDER: &str = "terraform";
const STAND_IN: &str = "xtask/tools/terraform/provider.py";
const SCHEMA: &str = "xtask/tools/terraform/aws.json";
const REFRESH: &str = "the head of xtask/tools/terraform/extract.py says how to refresh the schema";
/// The number of modules that are validated side by side.
const WORKERS: usize = 2;

fn sources(tree: &Tree) -> Result<Vec<&Path>> {
    let sources: Vec<&Path> = tree.files_in(FOLDER, &[".tf"]).collect();
    if sources.is_empty() {
        bail!("{FOLDER}/ holds no module");
    }
    Ok(sources)
}

/// Applies our own rules to every file.
pub fn rules(tree: &Tree) -> Result<String> {
    let sources = sources(tree)?;
    let schema: Value = serde_json::from_str(&tree.read(Path::new(SCHEMA))?)
        .with_context(|| format!("{SCHEMA} is no JSON; {REFRESH}"))?;
    let mut faults = Vec::new();
    for file in &sources {
        let found = faults_of(file, &tree.read(file)?, &schema);
        faults.extend(found.into_iter().map(|(line, fault)| format!("{}:{line}: {fault}", file.display())));
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(format!("{} files", sources.len()))
}

/// Compares every file with its formatted form.
pub fn format(tree: &Tree) -> Result<String> {
    let terraform = fetched::program(&TERRAFORM)?;
    content(
        Command::new(&terraform)
            .args(["fmt", "-check", "-diff", "-recursive", "-no-color", FOLDER])
            .current_dir(tree.root()),
    )?;
    Ok(format!("{} files", sources(tree)?.len()))
}

/// Validates every module against the schema of the provider, and runs its tests.
pub fn modules(tree: &Tree) -> Result<String> {
    let terraform = fetched::program(&TERRAFORM)?;
    let sources = sources(tree)?;
    let scratch = Scratch::copy_of(tree, &terraform)?;
    let folders = folders(&sources);
    let passed = scratch.examine_all(&folders)?;
    Ok(format!("{} modules, {passed} test runs", folders.len()))
}

/// Runs checkov. A skipped policy is explained where it is skipped.
pub fn policies(tree: &Tree) -> Result<String> {
    let mut checkov = Command::new(program(Set::Policy, "checkov")?);
    checkov.args([
        "--directory",
        FOLDER,
        "--framework",
        "terraform",
        "--skip-download",
        "--compact",
        "--quiet",
    ]);
    content(checkov.current_dir(tree.root()))?;
    Ok(format!("{} files", sources(tree)?.len()))
}

/// The one place where the internet comes in: ports 80 and 443, which its tests see to.
const OPEN: (&str, &str) = ("terraform/modules/edge/main.tf", "aws_vpc_security_group_ingress_rule.public");

/// Finds faults in one file: types that the schema does not hold, ports that are open, skips that nobody
/// explains.
fn faults_of(file: &Path, text: &str, schema: &Value) -> Vec<(usize, String)> {
    let (mut faults, mut inside) = (Vec::new(), String::new());
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split_whitespace();
        if let (Some(kind @ ("resource" | "data")), Some(quoted)) = (words.next(), words.next()) {
            let name = quoted.trim_matches('"');
            inside = format!("{name}.{}", words.next().unwrap_or_default().trim_matches('"'));
            if schema.get(kind).is_none_or(|known| known.get(name).is_none()) {
                faults.push((
                    number + 1,
                    format!("{kind} `{name}` is not in {SCHEMA}: it is misspelt, or new: {REFRESH}"),
                ));
            }
        }
        let door = inside.contains("ingress_rule.") || inside.starts_with("aws_security_group");
        let to_all = line.contains("\"0.0.0.0/0\"") || line.contains("\"::/0\"");
        if door && to_all && (file, inside.as_str()) != (Path::new(OPEN.0), OPEN.1) {
            faults.push((number + 1, format!("`{inside}` is open to the internet; only {} may be", OPEN.1)));
        }
        if let Some((_, skip)) = line.split_once("checkov:skip=") {
            let why = skip.split_once(':').map_or("", |(_, why)| why).trim();
            if why.split_whitespace().count() < 4 {
                faults.push((number + 1, "a skipped check wants its reason after a colon".to_owned()));
            }
        }
    }
    faults
}

/// Returns the folders of modules, small ones first, so that a mistake is named where it was made.
fn folders(sources: &[&Path]) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        sources.iter().filter_map(|file| file.parent()).map(Path::to_owned).collect();
    folders.sort_by_key(|folder| (folder.starts_with("terraform/environment"), folder.clone()));
    folders.dedup();
    folders
}

/// A copy that Terraform may write into, and the provider's stand-in.
struct Scratch<'t> {
    folder: TempDir,
    terraform: &'t Path,
    provider: Provider,
}

impl<'t> Scratch<'t> {
    fn copy_of(tree: &Tree, terraform: &'t Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("tf-").tempdir().context("making a folder")?;
        for file in tree.files_in(FOLDER, &[""]) {
            // the real provider's hashes are not the stand-in's
            if file.ends_with(".terraform.lock.hcl") {
                continue;
            }
            let to = folder.path().join(file);
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
            }
            fs::copy(tree.root().join(file), &to).with_context(|| format!("copying {}", file.display()))?;
        }
        let provider = Provider::start(tree.root(), &folder.path().join("provider.sock"))?;
        Ok(Self { folder, terraform, provider })
    }

    /// Every folder, a few at once, until one fails; how many test runs passed.
    fn examine_all(&self, folders: &[PathBuf]) -> Result<usize> {
        let waiting: Mutex<VecDeque<&PathBuf>> = Mutex::new(folders.iter().collect());
        let work = || -> Result<usize> {
            let mut passed = 0;
            loop {
                let next = waiting.lock().ok().and_then(|mut waiting| waiting.pop_front());
                let Some(folder) = next else { return Ok(passed) };
                match self.examine(folder) {
                    Ok(more) => passed += more,
                    Err(error) => {
                        if let Ok(mut waiting) = waiting.lock() {
                            waiting.clear();
                        }
                        return Err(error.context(folder.display().to_string()));
                    }
                }
            }
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
            let results = workers.into_iter().map(|worker| {
                worker.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a worker stopped in the middle")))
            });
            results.collect::<Vec<_>>().into_iter().sum()
        })
    }

    /// Validates one folder and runs its tests.
    fn examine(&self, folder: &Path) -> Result<usize> {
        content(self.command(folder).args(["init", "-backend=false", "-input=false", "-no-color"]))?;
        content(self.command(folder).args(["validate", "-no-color"]))?;
        if !self.folder.path().join(folder).join("tests").is_dir() {
            return Ok(0);
        }
        let mut passed = 0;
        for values in self.values(folder)? {
            let mut test = self.command(folder);
            test.args(["test", "-no-color"]).args(values.iter().map(|file| format!("-var-file={file}")));
            let said = content(&mut test)?;
            let runs =
                said.lines().filter(|line| line.starts_with("  run ") && line.ends_with("pass")).count();
            if runs == 0 {
                bail!("its tests run nothing");
            }
            passed += runs;
        }
        Ok(passed)
    }

    /// The files of values that a folder is tested with, one after the other; without any when there are none.
    fn values(&self, folder: &Path) -> Result<Vec<Option<String>>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.folder.path().join(folder)).context("reading a folder")? {
            let name = entry.context("reading a folder")?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".tfvars") {
                found.push(Some(name));
            }
        }
        found.sort();
        Ok(if found.is_empty() { vec![None] } else { found })
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(self.terraform);
        command.current_dir(self.folder.path().join(folder));
        command.env("TF_REATTACH_PROVIDERS", &self.provider.address).env("CHECKPOINT_DISABLE", "1");
        command.env("TF_IN_AUTOMATION", "1").env_remove("TF_CLI_CONFIG_FILE").env_remove("TF_DATA_DIR");
        command
    }
}

/// The stand-in, which ends with its input.
struct Provider {
    process: Child,
    /// The address by which Terraform finds it.
    address: String,
}

impl Provider {
    fn start(root: &Path, socket: &Path) -> Result<Self> {
        let mut command = Command::new(program(Set::Checks, "python")?);
        command.arg(STAND_IN).arg(socket).arg(SCHEMA).current_dir(root);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let process = command.spawn().context("starting the provider's stand-in")?;
        let mut provider = Self { process, address: String::new() };
        let output = provider.process.stdout.take().context("the provider's stand-in has no output")?;
        BufReader::new(output).read_line(&mut provider.address).context("reading where it listens")?;
        if provider.address.trim().is_empty() {
            bail!("{STAND_IN} ended before it listened: see what it said above");
        }
        Ok(provider)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // whether it ended well no longer matters
        drop(self.process.wait());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults_in(file: &str, text: &str) -> Vec<(usize, String)> {
        let known = ["aws_vpc", "aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule"];
        let resources: serde_json::Map<String, Value> =
            known.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
        faults_of(Path::new(file), text, &json!({ "resource": resources, "data": { "aws_region": {} } }))
    }

    #[test]
    fn unknown_types_and_unexplained_skips_are_named_with_their_lines() {
        let good = "resource \"aws_vpc\" \"this\" {\n  #checkov:skip=A_1:it is seen to elsewhere\n}";
        assert_eq!(faults_in("a.tf", good), []);
        let bad = "resource \"aws_vcp\" \"this\" {\n  #checkov:skip=A_1\n  #checkov:skip=A_2:no\n}\n\
            data \"aws_vpc\" \"this\" {}";
        let faults = faults_in("a.tf", bad);
        assert_eq!(faults.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 3, 5]);
        assert!(faults[0].1.starts_with("resource `aws_vcp` is not in"), "{faults:?}");
    }

    #[test]
    fn the_internet_comes_in_at_one_place_and_may_be_gone_to() {
        let rule = |kind: &str| {
            format!(
                "resource \"aws_vpc_security_group_{kind}_rule\" \"public\" {{\n  cidr_ipv4 = \"0.0.0.0/0\"\n}}"
            )
        };
        assert_eq!(faults_in(OPEN.0, &rule("ingress")), []);
        assert_eq!(faults_in("terraform/modules/database/access.tf", &rule("egress")), []);
        let faults = faults_in("terraform/modules/database/access.tf", &rule("ingress"));
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].1.contains("is open to the internet"), "{faults:?}");
    }

    #[test]
    fn environments_come_after_what_they_are_made_of() {
        let files =
            ["terraform/environment/main.tf", "terraform/modules/a/main.tf", "terraform/modules/a/b.tf"];
        let sources: Vec<&Path> = files.iter().map(Path::new).collect();
        assert_eq!(folders(&sources), [Path::new("terraform/modules/a"), Path::new("terraform/environment")]);
    }
}
