//! The images of both programs: built from their container files, run as they are shipped, and weighed.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use programs::workspace;

/// Arguments of `cargo xtask images`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Run the images `lookout` and `titanic` that are there already.
    #[arg(long)]
    no_build: bool,
}

/// The builders and runners that understand the same words. Docker first: whoever has its daemon running uses it.
const ENGINES: [&str; 2] = ["docker", "podman"];
/// Options with which each of our platforms runs them. We ask for health ourselves.
const CONFINED: [&str; 6] =
    ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--no-healthcheck"];
const USER: &str = "65532:65532";
/// The longest a container may take until its health check passes, and until it has ended.
const TIMEOUT: Duration = Duration::from_secs(30);

struct Image {
    name: &'static str,
    file: &'static str,
    megabytes: f64,
}

const TITANIC: Image = Image { name: "titanic", file: "service/Dockerfile", megabytes: 25.0 };
const LOOKOUT: Image = Image { name: "lookout", file: "agent/Dockerfile", megabytes: 20.0 };

/// Measurements of an image.
struct ImageResult {
    image: &'static Image,
    megabytes: f64,
    healthy: Duration,
    ended: Duration,
}

/// Builds both images, runs the agent beside the API as a sidecar, asks both for their health and the agent for a
/// verdict, and ends them as an orchestrator would.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let engine = Engine::find()?;
    println!("with {}", engine.0);
    if !arguments.no_build {
        for image in [&TITANIC, &LOOKOUT] {
            println!("building {} from {} (a few minutes)", image.name, image.file);
            let version = concat!("VERSION=", env!("CARGO_PKG_VERSION"));
            // podman's own format has no place for a health check; docker knows no other than its own
            let format: &[&str] = if engine.0 == "podman" { &["--format", "docker"] } else { &[] };
            let mut build = engine.command(&["build", "--file", image.file, "--build-arg", version]);
            workspace::must_succeed(build.args(format).args(["--tag", image.name, "."]))?;
        }
    }
    for image in [&TITANIC, &LOOKOUT] {
        holds(&engine, image)?;
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().context("starting a runtime")?;
    print_table(&runtime.block_on(together(&engine))?);
    Ok(())
}

/// A program that builds and runs containers.
struct Engine(&'static str);

impl Engine {
    fn find() -> Result<Self> {
        // the client of docker is often there without its daemon
        let works =
            |name: &&str| Command::new(name).arg("info").output().is_ok_and(|said| said.status.success());
        let found = ENGINES.into_iter().find(works);
        found.map(Self).context(
            "neither docker (with its daemon) nor podman works here; on Debian or Ubuntu: apt-get install podman buildah",
        )
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.0);
        command.args(arguments).current_dir(workspace::root());
        command
    }

    fn output(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.command(arguments);
        command.output().with_context(|| format!("starting `{}`", workspace::shown(&command)))
    }

    /// Returns the output of the engine. Fails with its complaint.
    fn ask(&self, arguments: &[&str]) -> Result<String> {
        let output = self.output(arguments)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`{} {}` ended with {}: {}", self.0, arguments.join(" "), output.status, said.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// An unprivileged user, a health check, and nothing that an intruder could start.
fn holds(engine: &Engine, image: &Image) -> Result<()> {
    let name = image.name;
    let said = engine.ask(&["image", "inspect", name])?;
    let said: Value = serde_json::from_str(&said).context("reading what the engine says about an image")?;
    let config = said.pointer("/0/Config").unwrap_or(&Value::Null);
    let user = config.get("User").and_then(Value::as_str).unwrap_or_default();
    ensure!(user == USER, "{name} runs as `{user}`, not as {USER}");
    // podman tells it beside the configuration
    let health = [config.get("Healthcheck"), said.pointer("/0/Healthcheck")];
    ensure!(health.iter().flatten().any(|check| check.get("Test").is_some()), "{name} has no health check");
    let shell = engine.output(&[
        "run",
        "--rm",
        "--network",
        "none",
        "--entrypoint",
        "/bin/sh",
        name,
        "-c",
        "true",
    ])?;
    ensure!(!shell.status.success(), "{name} has a shell");
    Ok(())
}

/// Both, the agent in the network of the API and with the specs of this repository, each until its health check passes.
async fn together(engine: &Engine) -> Result<[ImageResult; 2]> {
    let size = |image: &Image| -> Result<f64> {
        let bytes = engine.ask(&["image", "inspect", "--format", "{{.Size}}", image.name])?;
        Ok(bytes.parse::<f64>().with_context(|| format!("`{bytes}` is no size"))? / 1_000_000.0)
    };
    // the user of the image reads it, and whoever clones with a strict umask owns it alone
    let specs = tempfile::Builder::new().prefix("lookout-images-").tempdir().context("making a folder")?;
    for folder in ["slo", "runbooks"] {
        readable_copy(&workspace::root().join(folder), &specs.path().join(folder))?;
    }
    std::fs::set_permissions(specs.path(), Permissions::from_mode(0o755))
        .context("opening the folder of specs")?;
    let specs = format!("{}:/etc/lookout:ro", specs.path().display());

    let api = Container::start(engine, &TITANIC, &["--publish", "127.0.0.1::8080"], &[])?;
    let api_healthy = api.healthy().await?;
    let network = format!("container:{}", api.id);
    let ledger = "LOOKOUT_LEDGER=/var/lib/lookout/lookout.db";
    let options = ["--network", &network, "--volume", &specs, "--env", ledger];
    let agent =
        Container::start(engine, &LOOKOUT, &options, &["run", "-c", "/etc/lookout/slo/lookout.yaml"])?;
    let agent_healthy = agent.healthy().await?;
    let status = agent.exec(&["status"])?;
    println!("the agent beside the API says:\n{status}");
    let agent_ended = agent.stop()?;
    let api_ended = api.stop()?;
    Ok([
        ImageResult { image: &TITANIC, megabytes: size(&TITANIC)?, healthy: api_healthy, ended: api_ended },
        ImageResult {
            image: &LOOKOUT,
            megabytes: size(&LOOKOUT)?,
            healthy: agent_healthy,
            ended: agent_ended,
        },
    ])
}

/// Copies the files of one folder, readable by everyone.
fn readable_copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("making {}", to.display()))?;
    std::fs::set_permissions(to, Permissions::from_mode(0o755))
        .with_context(|| format!("opening {}", to.display()))?;
    for entry in std::fs::read_dir(from).with_context(|| format!("reading {}", from.display()))? {
        let entry = entry.with_context(|| format!("reading {}", from.display()))?;
        if entry.path().is_file() {
            let copy = to.join(entry.file_name());
            std::fs::copy(entry.path(), &copy)
                .with_context(|| format!("copying {}", entry.path().display()))?;
            std::fs::set_permissions(&copy, Permissions::from_mode(0o644))
                .with_context(|| format!("opening {}", copy.display()))?;
        }
    }
    Ok(())
}

/// A running container. Dropping it removes it with what it wrote.
struct Container<'a> {
    engine: &'a Engine,
    image: &'static Image,
    id: String,
    since: Instant,
}

impl<'a> Container<'a> {
    fn start(
        engine: &'a Engine,
        image: &'static Image,
        options: &[&str],
        arguments: &[&str],
    ) -> Result<Self> {
        let since = Instant::now();
        let run = [&["run", "--detach"], &CONFINED[..], options, &[image.name], arguments].concat();
        Ok(Self { engine, image, id: engine.ask(&run)?, since })
    }

    fn exec(&self, arguments: &[&str]) -> Result<String> {
        let program = format!("/{}", self.image.name);
        self.engine.ask(&[&["exec", &self.id, &program], arguments].concat())
    }

    /// Waits until the program in it says of itself that it is healthy. Returns how long that took.
    async fn healthy(&self) -> Result<Duration> {
        loop {
            let Err(error) = self.exec(&["healthcheck"]) else { return Ok(self.since.elapsed()) };
            if self.since.elapsed() > TIMEOUT || self.state("{{.State.Running}}")? != "true" {
                let logs = self.engine.output(&["logs", &self.id])?;
                let (out, err) =
                    (String::from_utf8_lossy(&logs.stdout), String::from_utf8_lossy(&logs.stderr));
                bail!("{} is not healthy: {error:#}\n{out}{err}", self.image.name);
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    fn state(&self, format: &str) -> Result<String> {
        self.engine.ask(&["inspect", "--format", format, &self.id])
    }

    /// Asks it to end. Returns how long that took; being killed, or ending with an error, is a failure.
    fn stop(self) -> Result<Duration> {
        let since = Instant::now();
        self.engine.ask(&["stop", "--time", &TIMEOUT.as_secs().to_string(), &self.id])?;
        let code = self.state("{{.State.ExitCode}}")?;
        ensure!(code == "0", "{} ended with {code}", self.image.name);
        Ok(since.elapsed())
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // gone already, or past help
        let _ = self.engine.output(&["rm", "--force", "--volumes", &self.id]);
    }
}

fn print_table(seen: &[ImageResult]) {
    println!(
        "\n{:<10} {:>10} {:>10}  {:<6} {:>10} {:>10}",
        "image", "size", "target", "", "healthy", "ended"
    );
    for ImageResult { image, megabytes, healthy, ended } in seen {
        let met = if *megabytes <= image.megabytes { "met" } else { "MISSED" };
        println!(
            "{:<10} {megabytes:>7.1} MB {:>7.0} MB  {met:<6} {:>8.2} s {:>8.2} s",
            image.name,
            image.megabytes,
            healthy.as_secs_f64(),
            ended.as_secs_f64()
        );
    }
}
