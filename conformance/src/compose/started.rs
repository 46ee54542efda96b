//! Prometheus and Alertmanager as plain processes, with the flags and the files of their containers: what a linter of
//! files cannot see is a flag that the program does not know, or a path that is not where the flag says.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::Method;
use serde_json::Value;
use tokio::time::Instant;

use super::{Composed, FILE, list, mount, with_defaults};
use crate::tree::Tree;
use programs::http::{ask, client};
use programs::on_path;
use programs::running::{Running, field};

/// The longest a program may take from listening to being healthy, and the pause between two questions.
const READY: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);
const HOW: &str = "on Debian or Ubuntu: apt-get install prometheus prometheus-alertmanager";

/// Starts both on a port of the system's choice and asks them what they have read.
pub(super) fn check(tree: &Tree, composed: &Composed) -> Result<String> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("starting the runtime")?.block_on(async {
        let scratch = tempfile::Builder::new().prefix("started-").tempdir().context("making a folder")?;
        let (prometheus, alertmanager) = tokio::try_join!(
            prometheus(tree, composed, scratch.path()),
            alertmanager(tree, composed, scratch.path())
        )?;
        Ok(format!("{prometheus}; {alertmanager}"))
    })
}

/// Every rule file is read.
async fn prometheus(tree: &Tree, composed: &Composed, scratch: &Path) -> Result<String> {
    let (program, address) = start(tree, composed, scratch, "prometheus", &["prometheus"]).await?;
    let rules = answer(&address, "/api/v1/rules").await?;
    program.stop().await;
    let groups = rules.pointer("/data/groups").and_then(Value::as_array).map_or(0, Vec::len);
    let mut wanted = 0;
    for file in tree.files_in("alerts", &[".rules.yaml"]) {
        let read: Value =
            serde_saphyr::from_str(&tree.read(file)?).with_context(|| file.display().to_string())?;
        wanted += read.get("groups").and_then(Value::as_array).map_or(0, Vec::len);
    }
    if groups != wanted || wanted == 0 {
        bail!("{FILE}: Prometheus read {groups} groups of rules, of {wanted} in alerts/");
    }
    Ok(format!("Prometheus started with {groups} groups of rules"))
}

/// The configuration in use names the receiver of its route.
async fn alertmanager(tree: &Tree, composed: &Composed, scratch: &Path) -> Result<String> {
    let names = ["prometheus-alertmanager", "alertmanager"];
    let (program, address) = start(tree, composed, scratch, "alertmanager", &names).await?;
    let receivers = answer(&address, "/api/v2/receivers").await?;
    program.stop().await;
    let receivers = receivers.as_array().map_or(0, Vec::len);
    if receivers == 0 {
        bail!("{FILE}: Alertmanager has no receiver");
    }
    Ok(format!("Alertmanager with {receivers} receiver"))
}

async fn answer(address: &str, path: &str) -> Result<Value> {
    let text = ask(&client()?, Method::GET, &format!("http://{address}{path}"), None, None).await?;
    serde_json::from_str(&text).with_context(|| format!("reading {path}"))
}

/// The program of a service, where it says that it listens.
async fn start(
    tree: &Tree,
    composed: &Composed,
    scratch: &Path,
    service: &str,
    names: &[&str],
) -> Result<(Running, String)> {
    let below = scratch.join(service);
    let mounts = mounted(tree, composed, service, &below)?;
    let value = composed.service(service).with_context(|| format!("{FILE} has no {service}"))?;
    let flags: Vec<String> = list(value, "command").map(|flag| outside(flag, &mounts, &below)).collect();
    if flags.is_empty() {
        bail!("{FILE}: the service `{service}` has no `command`");
    }
    let mut program = Running::start(service, on_path(names, HOW)?, |command| {
        command.args(&flags).args(["--web.listen-address=127.0.0.1:0", "--log.format=json"]);
        for (name, value) in composed.environment(service) {
            command.env(name, value);
        }
        command.current_dir(scratch);
    })?;
    let line = program.listening().await.with_context(|| format!("{FILE}: {service} does not start"))?;
    let address = field(&line, "address")?.to_owned();
    let health = list(value.get("healthcheck").unwrap_or(&Value::Null), "test").last().unwrap_or_default();
    let path = health.rsplit_once(':').and_then(|(_, port)| port.find('/').and_then(|at| port.get(at..)));
    let path = path.with_context(|| format!("{FILE}: the health check of {service} asks no address"))?;
    healthy(&mut program, &format!("http://{address}{path}"))
        .await
        .with_context(|| format!("{FILE}: {service} does not become healthy"))?;
    Ok((program, address))
}

/// Asks what the health check asks until it is content.
async fn healthy(program: &mut Running, url: &str) -> Result<()> {
    let (client, deadline) = (client()?, Instant::now() + READY);
    loop {
        program.must_be_running()?;
        match ask(&client, Method::GET, url, None, None).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Links the mounts of a service into a folder, so that its program sees the files of its container.
fn mounted(tree: &Tree, composed: &Composed, service: &str, below: &Path) -> Result<Vec<String>> {
    let mut folders = Vec::new();
    let mounts = composed.service(service).map(|service| list(service, "volumes").filter_map(mount));
    for (from, inside) in mounts.into_iter().flatten() {
        let to = below.join(inside.trim_start_matches('/'));
        let parent = to.parent().context("nothing can be mounted at /")?;
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        let made = match from.strip_prefix("./") {
            Some(path) => symlink(tree.root().join(path), &to),
            None => fs::create_dir(&to),
        };
        made.with_context(|| format!("{FILE}: mounting {from} at {inside} for {service}"))?;
        folders.push(inside.to_owned());
    }
    Ok(folders)
}

/// A flag whose path is below a mount, with the path that it has here.
fn outside(flag: &str, mounts: &[String], below: &Path) -> String {
    let flag = with_defaults(flag);
    let Some((name, value)) = flag.split_once('=') else { return flag };
    if !mounts.iter().any(|inside| Path::new(value).starts_with(inside)) {
        return flag;
    }
    format!("{name}={}{value}", below.display())
}
