//! Container files, compose files, and what the containers of `compose.yaml` are configured with.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::tool::content;
use crate::tree::Tree;
use programs::on_path;
use programs::python::{Set, program};

const PROMETHEUS: &str = "deploy/compose/prometheus.yml";
const ALERTMANAGER: &str = "deploy/compose/alertmanager.yaml";

/// Runs hadolint and our own rules over every container file.
pub fn images(tree: &Tree) -> Result<String> {
    let is_container_file = |file: &&Path| {
        file.file_name().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with("Dockerfile") || name.ends_with(".Dockerfile")
        })
    };
    let files: Vec<&Path> = tree.files_in("", &[""]).filter(is_container_file).collect();
    if files.is_empty() {
        bail!("there is no container file");
    }
    let mut hadolint = Command::new(program(Set::Checks, "hadolint")?);
    hadolint.args(["--config", ".hadolint.yaml", "--failure-threshold", "style"]).args(&files);
    content(hadolint.current_dir(tree.root()))?;
    let mut broken =
        manifest_faults(&tree.read(Path::new("Cargo.toml"))?, &tree.read(Path::new(".dockerignore"))?);
    for file in &files {
        let faults = image_faults(&tree.read(file)?);
        broken.extend(faults.into_iter().map(|fault| format!("{}: {fault}", file.display())));
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("\n"));
    }
    Ok(format!("{} container files", files.len()))
}

/// Finds members of the workspace whose manifest does not reach a build: cargo refuses to begin without it.
fn manifest_faults(workspace: &str, ignored: &str) -> Vec<String> {
    let list = workspace.split_once("members = [").and_then(|(_, rest)| rest.split_once(']'));
    let members =
        list.map_or("", |(members, _)| members).split(',').map(|member| member.trim().trim_matches('"'));
    let reaches = |member: &str| {
        let top = member.split('/').next().unwrap_or_default();
        ignored.lines().any(|line| line == format!("!{top}") || line == format!("!{member}/Cargo.toml"))
    };
    let missing = members.filter(|member| !member.is_empty() && !reaches(member));
    missing.map(|member| format!(".dockerignore: a build does not see {member}/Cargo.toml")).collect()
}

/// Holds every compose file against the published schema and our own rules.
pub fn services(tree: &Tree) -> Result<String> {
    let composed: Vec<&Path> = tree.files_in("", &["compose.yaml"]).collect();
    if composed.is_empty() {
        bail!("there is no compose.yaml");
    }
    let mut schema = Command::new(program(Set::Checks, "check-jsonschema")?);
    schema
        .args(["--builtin-schema", "vendor.compose-spec"])
        .args(&composed)
        .args(tree.files_in("deploy/compose", &["paging.yaml"]));
    content(schema.current_dir(tree.root()))?;
    let mut broken = Vec::new();
    for file in &composed {
        let composed: Value = serde_saphyr::from_str(&tree.read(file)?)
            .with_context(|| format!("{} is no YAML", file.display()))?;
        let faults = compose_faults(&composed);
        broken.extend(faults.into_iter().map(|fault| format!("{}: {fault}", file.display())));
    }
    if !broken.is_empty() {
        bail!("{}", broken.join("\n"));
    }
    Ok(format!("{} compose files", composed.len()))
}

/// Lets promtool and amtool read the configurations of the containers. The paths in them are relative and the containers
/// see the same folders, so they are read as they stand.
pub fn configurations(tree: &Tree) -> Result<String> {
    let how = "on Debian or Ubuntu: apt-get install prometheus prometheus-alertmanager";
    let mut promtool = Command::new(on_path(&["promtool"], how)?);
    content(promtool.args(["check", "config", PROMETHEUS]).current_dir(tree.root()))?;
    let mut amtool = Command::new(on_path(&["amtool"], how)?);
    content(amtool.args(["check-config", ALERTMANAGER]).current_dir(tree.root()))?;
    Ok("2 configurations".to_owned())
}

/// Applies our own rules to the final image of a container file. Hadolint minds a `USER root`, not a missing one.
fn image_faults(text: &str) -> Vec<String> {
    let mut user = None;
    let mut healthy = false;
    for line in text.lines() {
        let (instruction, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match instruction {
            "FROM" => (user, healthy) = (None, false),
            "USER" => user = Some(rest.trim()),
            "HEALTHCHECK" => healthy = rest.trim() != "NONE",
            _ => {}
        }
    }
    let mut faults = Vec::new();
    match user {
        None => faults.push("the final stage has no `USER`: it runs as root".to_owned()),
        Some(user) if !is_unprivileged(user) => {
            faults.push(format!(
                "`USER {user}` is not a number other than 0, by which a cluster can tell that it is not root"
            ));
        }
        Some(_) => {}
    }
    if !healthy {
        faults.push("the final stage has no `HEALTHCHECK`".to_owned());
    }
    faults
}

/// A user, perhaps with its group, that is a number and not root's.
fn is_unprivileged(user: &str) -> bool {
    let id = user.split_once(':').map_or(user, |(user, _)| user);
    id.parse::<u32>().is_ok_and(|id| id != 0)
}

/// Applies our own rules to every service of a compose file.
fn compose_faults(composed: &Value) -> Vec<String> {
    let Some(services) = composed.get("services").and_then(Value::as_object) else {
        return vec!["there are no services".to_owned()];
    };
    let has = |value: Option<&Value>, wanted: &str| {
        value.and_then(Value::as_array).is_some_and(|list| list.iter().any(|item| item == wanted))
    };
    let mut faults = Vec::new();
    for (name, service) in services {
        let rules = [
            (service.get("read_only") == Some(&Value::Bool(true)), "`read_only: true`"),
            (has(service.get("cap_drop"), "ALL"), "`cap_drop: [ALL]`"),
            (has(service.get("security_opt"), "no-new-privileges:true"), "`no-new-privileges:true`"),
            (
                service.get("user").and_then(Value::as_str).is_some_and(is_unprivileged),
                "`user`, a number other than 0",
            ),
            (service.get("mem_limit").is_some(), "`mem_limit`"),
            (service.get("cpus").is_some(), "`cpus`"),
            (service.get("healthcheck").is_some(), "`healthcheck`"),
        ];
        let missing = rules.iter().filter(|(kept, _)| !kept);
        faults.extend(missing.map(|(_, rule)| format!("the service `{name}` lacks {rule}")));
        let image = service.get("image").and_then(Value::as_str).unwrap_or_default();
        let image = image.rsplit_once(":-").map_or(image, |(_, default)| default.trim_end_matches('}'));
        if image.rsplit_once(':').is_none_or(|(_, tag)| tag == "latest" || tag.contains('/')) {
            faults.push(format!("the service `{name}` has the image `{image}`, which is whatever is latest"));
        }
        for port in service.get("ports").and_then(Value::as_array).into_iter().flatten() {
            if !port.as_str().is_some_and(|port| port.starts_with("127.0.0.1:")) {
                faults.push(format!("the service `{name}` publishes {port} beyond this machine"));
            }
        }
        let variables = service.get("environment").and_then(Value::as_object).into_iter().flatten();
        for (variable, _) in variables.filter(|(variable, _)| is_secret(variable)) {
            faults.push(format!(
                "the service `{name}` has the secret {variable} in its environment, not in a file"
            ));
        }
    }
    faults
}

fn is_secret(variable: &str) -> bool {
    ["PASSWORD", "TOKEN", "SECRET", "API_KEYS"].iter().any(|ending| variable.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_reaches_a_build() {
        let workspace = "members = [\"agent\", \"agent/engine\", \"bench\"]";
        assert_eq!(manifest_faults(workspace, "*\n!agent\n!bench/Cargo.toml\n"), Vec::<String>::new());
        assert_eq!(
            manifest_faults(workspace, "*\n!agent\n"),
            [".dockerignore: a build does not see bench/Cargo.toml"]
        );
    }

    #[test]
    fn what_counts_is_the_user_of_the_final_stage() {
        let fine = "FROM a AS b\nFROM scratch\nUSER 65532:65532\nHEALTHCHECK CMD [\"/x\"]\n";
        assert_eq!(image_faults(fine), Vec::<String>::new());
        assert_eq!(image_faults("FROM a\nUSER 1\nHEALTHCHECK CMD x\nFROM scratch\n").len(), 2);
        let zero = image_faults("FROM scratch\nUSER 0:0\nHEALTHCHECK CMD x\n");
        assert!(matches!(zero.as_slice(), [fault] if fault.contains("`USER 0:0`")), "{zero:?}");
    }

    #[test]
    fn an_image_without_a_tag_is_noticed_behind_a_registry_with_a_port_as_well() {
        for (image, fine) in
            [("a:1", true), ("${A:-a:1}", true), ("h:5000/a", false), ("a", false), ("a:latest", false)]
        {
            let faults = compose_faults(&serde_json::json!({ "services": { "a": { "image": image } } }));
            assert_eq!(!faults.iter().any(|fault| fault.contains("latest")), fine, "{image}: {faults:?}");
        }
    }
}
