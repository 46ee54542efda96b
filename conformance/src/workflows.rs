//! GitHub workflows: syntax, schema, security, and the house rules that no public linter has.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::tool::content;
use crate::tree::Tree;
use programs::python::{Set, program};

const FOLDER: &str = ".github/workflows";

fn files(tree: &Tree) -> Result<Vec<&Path>> {
    let files: Vec<&Path> = tree.files_in(FOLDER, &[".yaml", ".yml"]).collect();
    if files.is_empty() {
        bail!("{FOLDER} holds no workflow");
    }
    Ok(files)
}

/// Applies our own rules to every workflow.
pub fn rules(tree: &Tree) -> Result<String> {
    let files = files(tree)?;
    let mut broken = Vec::new();
    for file in &files {
        let workflow: Value = serde_saphyr::from_str(&tree.read(file)?)
            .with_context(|| format!("{} is no YAML", file.display()))?;
        broken.extend(
            platform_faults(&workflow)
                .into_iter()
                .chain(faults(&workflow))
                .map(|fault| format!("{}: {fault}", file.display())),
        );
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("\n"));
    }
    Ok(format!("{} workflows", files.len()))
}

/// Runs actionlint, with shellcheck for the scripts inside.
pub fn syntax(tree: &Tree) -> Result<String> {
    let files = files(tree)?;
    let shellcheck = program(Set::Checks, "shellcheck")?;
    let mut actionlint = Command::new(program(Set::Checks, "actionlint")?);
    actionlint.arg("-shellcheck").arg(shellcheck).arg("-no-color").args(&files);
    content(actionlint.current_dir(tree.root()))?;
    Ok(format!("{} workflows", files.len()))
}

/// Holds workflows, actions and the configuration of Dependabot against their published schemas.
pub fn schemas(tree: &Tree) -> Result<String> {
    let files = files(tree)?;
    against(tree, "vendor.github-workflows", &files)?;
    let actions: Vec<&Path> = tree.files_in("", &["action.yml", "action.yaml"]).collect();
    against(tree, "vendor.github-actions", &actions)?;
    let updates: Vec<&Path> = tree.files_in(".github", &["dependabot.yml"]).collect();
    against(tree, "vendor.dependabot", &updates)?;
    Ok(format!("{} workflows, {} actions", files.len(), actions.len()))
}

/// Runs zizmor, which knows how workflows are attacked.
pub fn security(tree: &Tree) -> Result<String> {
    let mut zizmor = Command::new(program(Set::Checks, "zizmor")?);
    zizmor.args(["--offline", "--no-progress", "--color", "never", "--persona", "pedantic"]);
    zizmor.args(["--config", ".github/zizmor.yml", ".github"]);
    content(zizmor.current_dir(tree.root()))?;
    Ok(format!("{} workflows", files(tree)?.len()))
}

fn against(tree: &Tree, schema: &str, files: &[&Path]) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let mut check = Command::new(program(Set::Checks, "check-jsonschema")?);
    check.args(["--builtin-schema", schema]).args(files);
    content(check.current_dir(tree.root())).map(|_| ())
}

/// Applies our own rules to a workflow, beyond those of linters.
fn faults(workflow: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    if workflow.get("permissions").and_then(Value::as_object).is_none_or(|granted| !granted.is_empty()) {
        faults.push("`permissions: {}` is missing at the top; each job asks for what it needs".to_owned());
    }
    // a reusable workflow lives in its caller's group
    let only_called = match workflow.get("on") {
        Some(Value::Object(events)) => events.keys().all(|event| event == "workflow_call"),
        Some(Value::String(event)) => event == "workflow_call",
        _ => false,
    };
    if !only_called && workflow.get("concurrency").is_none() {
        faults.push("`concurrency` is missing at the top".to_owned());
    }
    for (name, job) in workflow.get("jobs").and_then(Value::as_object).into_iter().flatten() {
        // a job that calls a workflow has no time of its own
        if job.get("uses").is_none() && job.get("timeout-minutes").is_none() {
            faults.push(format!("the job `{name}` has no `timeout-minutes`"));
        }
        if job.get("permissions").is_none() {
            faults.push(format!("the job `{name}` does not say its `permissions`"));
        }
        let steps = job.get("steps").and_then(Value::as_array).into_iter().flatten();
        if steps.clone().any(leaves_credentials) {
            faults.push(format!("a checkout in the job `{name}` does not say `persist-credentials: false`"));
        }
        let used = steps.chain([job]).filter_map(|step| step.get("uses").and_then(Value::as_str));
        faults.extend(used.filter(|action| !is_pinned(action)).map(|action| {
            format!(
                "`{action}` in the job `{name}` is not pinned; write the 40 digits of a commit after the @"
            )
        }));
    }
    faults
}

/// Applies the rule that a workflow which deploys to an environment on ECS reaches the same one on Kubernetes, by `PLATFORM`.
fn platform_faults(workflow: &Value) -> Option<String> {
    let text = |job: &Value, pointer: &str| {
        job.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let jobs = || workflow.get("jobs").and_then(Value::as_object).into_iter().flatten().map(|(_, job)| job);
    let reached = |file: &str, condition: &str| -> BTreeSet<String> {
        let calls = jobs().filter(|job| text(job, "/uses").ends_with(file) && text(job, "/if") == condition);
        calls.map(|job| text(job, "/with/environment")).collect()
    };
    let on_ecs = reached("/deploy.yml", "vars.PLATFORM != 'kubernetes'");
    let on_kubernetes = reached("/gitops.yml", "vars.PLATFORM == 'kubernetes'");
    (on_ecs != on_kubernetes).then(|| {
        format!("by `PLATFORM` it deploys {on_ecs:?} on ECS and {on_kubernetes:?} on Kubernetes: expected the same")
    })
}

/// A checkout writes its token where every later step can read it, unless it is told not to.
fn leaves_credentials(step: &Value) -> bool {
    let is_checkout = step
        .get("uses")
        .and_then(Value::as_str)
        .is_some_and(|action| action.starts_with("actions/checkout@"));
    is_checkout && step.pointer("/with/persist-credentials") != Some(&Value::Bool(false))
}

/// Ours (`$/` is this repository at the commit of the workflow), or pinned to a commit.
fn is_pinned(action: &str) -> bool {
    let commit = |text: &str| text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    ["./", "$/"].iter().any(|here| action.starts_with(here))
        || action.rsplit_once('@').is_some_and(|(_, version)| commit(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(text: &str) -> Vec<String> {
        faults(&serde_saphyr::from_str(text).unwrap())
    }

    const GOOD: &str = "
on: { push: {} }
permissions: {}
concurrency: { group: ci }
jobs:
  test:
    permissions: { contents: read }
    timeout-minutes: 10
    steps:
      - uses: actions/checkout@0123456789012345678901234567890123456789
        with: { persist-credentials: false }
      - uses: ./.github/actions/here
      - uses: $/.github/actions/here
  call:
    permissions: {}
    uses: ./.github/workflows/other.yml
";

    #[test]
    fn a_careful_workflow_has_no_faults() {
        assert_eq!(faults_of(GOOD), Vec::<String>::new());
        assert_eq!(faults_of("on: { workflow_call: {} }\npermissions: {}\njobs: {}"), Vec::<String>::new());
    }

    #[test]
    fn each_rule_can_fail() {
        for (part, broken, fault) in [
            (
                "permissions: {}\nconcurrency",
                "permissions: write-all\nconcurrency",
                "`permissions: {}` is missing",
            ),
            ("concurrency: { group: ci }\n", "", "`concurrency` is missing"),
            ("    timeout-minutes: 10\n", "", "the job `test` has no `timeout-minutes`"),
            ("    permissions: { contents: read }\n", "", "the job `test` does not say its `permissions`"),
            ("credentials: false", "credentials: true", "a checkout in the job `test` does not say"),
            ("@0123456789012345678901234567890123456789", "@v4", "`actions/checkout@v4` in the job `test`"),
        ] {
            let found = faults_of(&GOOD.replacen(part, broken, 1));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(fault), "{found:?}");
        }
    }
}
