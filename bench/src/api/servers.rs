//! Servers that are measured: ours in three configurations, the bare one, and FastAPI.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use super::databases::Database;
use super::sink::Sink;
use super::wire::{self, Wire};
use super::{Arguments, Work};
use programs::{python, workspace};

const PASSENGERS: &str = "/api/v1/passengers";
const LIST: &str = "/api/v1/passengers?limit=20";
/// The longest a server may take until it answers.
const START: Duration = Duration::from_secs(30);

/// The server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Kind {
    /// Ours, with a log that holds errors only; it measures all the same.
    Quiet,
    /// Ours as it comes: a line for each request, and metrics.
    Logs,
    /// That, and every request traced and sent to a collector, as are the metrics.
    Traced,
    /// The example `bare`.
    Bare,
    Fastapi,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Quiet => "titanic, errors logged",
            Self::Logs => "titanic, logs and metrics",
            Self::Traced => "titanic, all traced",
            Self::Bare => "bare axum + sqlx",
            Self::Fastapi => "FastAPI + uvicorn",
        }
    }
}

/// The binaries that ours are started from.
pub(super) struct Binaries {
    titanic: PathBuf,
    bare: PathBuf,
}

impl Binaries {
    /// Takes those in a folder, or builds both with the same profile.
    pub(super) fn find(Arguments { binaries, profile, target, .. }: &Arguments) -> Result<Self> {
        if let Some(folder) = binaries {
            let found = |name: &str| {
                let file = folder.join(name);
                file.canonicalize().with_context(|| format!("looking for {}", file.display()))
            };
            return Ok(Self { titanic: found("titanic")?, bare: found("bare")? });
        }
        println!("building titanic and bare (profile `{profile}`)");
        let build = |what: [&str; 2], target: Option<&String>| {
            let mut cargo = workspace::cargo();
            cargo.args(["build", "--profile", profile, "--package", "titanic"]).args(what);
            cargo.args(target.iter().flat_map(|target| ["--target", target]));
            workspace::must_succeed(&mut cargo)?;
            let folder = workspace::target_directory()?.join(target.map_or("", String::as_str));
            anyhow::Ok(folder.join(if profile == "dev" { "debug" } else { profile }))
        };
        let titanic = build(["--bin", "titanic"], target.as_ref())?.join("titanic");
        Ok(Self { titanic, bare: build(["--example", "bare"], None)?.join("examples/bare") })
    }
}

/// A running server. Dropping it kills it.
pub(super) struct Server {
    pub(super) kind: Kind,
    pub(super) address: SocketAddr,
    child: Child,
}

impl Server {
    fn start(kind: Kind, binaries: &Binaries, database: &Database, sink: &Sink) -> Result<Self> {
        let port = free_port()?;
        let mut command = match kind {
            Kind::Quiet | Kind::Logs | Kind::Traced => Command::new(&binaries.titanic),
            Kind::Bare => Command::new(&binaries.bare),
            Kind::Fastapi => fastapi(port)?,
        };
        command.env_clear().env("PORT", port.to_string()).env("DATABASE_URL", &database.url);
        command.envs([("ADMIN_PORT", "0"), ("DRAIN_SECONDS", "0"), ("PYTHONDONTWRITEBYTECODE", "1")]);
        match kind {
            Kind::Quiet => command.env("LOG_LEVEL", "error"),
            Kind::Traced => command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint),
            Kind::Logs | Kind::Bare | Kind::Fastapi => &mut command,
        };
        // Into a file, not a pipe: who reads a pipe would take part in what is measured.
        let log = log_of(kind, database);
        let out = File::create(&log).with_context(|| format!("making {}", log.display()))?;
        command.stderr(out.try_clone().context("sharing the log")?).stdout(out).stdin(Stdio::null());
        command.current_dir(database.folder.path()).process_group(0).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("starting {}", kind.name()))?;
        Ok(Self { kind, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), child })
    }

    /// Its process.
    pub(super) fn id(&self) -> Result<u32> {
        self.child.id().with_context(|| format!("{} has ended", self.kind.name()))
    }

    async fn answers(&mut self, database: &Database) -> Result<()> {
        let since = Instant::now();
        while self.body(LIST).await.is_err() {
            let ended = self.child.try_wait().context("looking after a server")?;
            if ended.is_some() || since.elapsed() > START {
                let log = std::fs::read_to_string(log_of(self.kind, database)).unwrap_or_default();
                bail!("{} does not answer; it says:\n{log}", self.kind.name());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    async fn body(&self, path: &str) -> Result<Value> {
        let (status, body) = Wire::open(self.address).await?.ask_for_body(&wire::request(path)).await?;
        ensure!(status == 200, "{} answered {path} with {status}", self.kind.name());
        serde_json::from_slice(&body).with_context(|| format!("reading {path} of {}", self.kind.name()))
    }
}

fn log_of(kind: Kind, database: &Database) -> PathBuf {
    database.folder.path().join(format!("{kind:?}.log").to_ascii_lowercase())
}

/// The peer at its cheapest: one process, the event loop and the parser in C, no access log.
fn fastapi(port: u16) -> Result<Command> {
    let mut command = Command::new(python::program(python::Set::Peers, "uvicorn")?);
    command.arg("--app-dir").arg(workspace::root().join("xtask/tools/peers"));
    command.args(["fastapi_passengers:app", "--port", &port.to_string(), "--no-access-log"]);
    command.args(["--log-level", "warning", "--loop", "uvloop", "--http", "httptools"]);
    Ok(command)
}

/// A port that nobody uses at the moment.
pub(super) fn free_port() -> Result<u16> {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
    Ok(socket.local_addr().context("reading the port")?.port())
}

/// Starts servers on a database, which one of ours fills, and makes sure that they say the same.
pub(super) async fn start(
    kinds: &[Kind],
    binaries: &Binaries,
    database: &Database,
    sink: &Sink,
) -> Result<Vec<Server>> {
    let mut filler = Server::start(Kind::Quiet, binaries, database, sink)?;
    filler.answers(database).await?;
    let list = filler.body(LIST).await?;
    let id = list.pointer("/items/0/id").and_then(Value::as_str).context("there are no passengers")?;
    let first = format!("{PASSENGERS}/{id}");
    let one = filler.body(&first).await?;
    let mut servers = Vec::new();
    for kind in kinds {
        let mut server = Server::start(*kind, binaries, database, sink)?;
        server.answers(database).await?;
        for (path, expected) in [(LIST, &list), (&first, &one)] {
            let said = server.body(path).await?;
            ensure!(
                is_same(&said, expected),
                "{} answers {path} with\n{said}\ninstead of\n{expected}",
                kind.name()
            );
        }
        servers.push(server);
    }
    Ok(servers)
}

/// Equal as JSON; a number is the same with a point and without.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| is_same(one, other)))
        }
        (one, other) => one == other,
    }
}

/// Paths that are requested.
pub(super) struct Paths {
    one: Vec<String>,
    list: Vec<String>,
}

impl Paths {
    pub(super) fn of(&self, work: Work) -> &[String] {
        match work {
            Work::One => &self.one,
            Work::List => &self.list,
        }
    }
}

/// A hundred passengers, one after the other; and the first page.
pub(super) async fn paths(servers: &[Server]) -> Result<Paths> {
    let server = servers.first().context("no servers to measure")?;
    let page = server.body(&format!("{PASSENGERS}?limit=100")).await?;
    let items = page.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let ids = items.iter().filter_map(|item| item.get("id")?.as_str());
    let one: Vec<String> = ids.map(|id| format!("{PASSENGERS}/{id}")).collect();
    ensure!(one.len() == 100, "expected a page of 100 passengers, got {}", one.len());
    Ok(Paths { one, list: vec![LIST.to_owned()] })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn bodies_are_compared_by_what_they_say() {
        let ours = json!({"items": [{"age": 30, "name": "A"}], "next_cursor": null});
        assert!(is_same(&ours, &json!({"next_cursor": null, "items": [{"name": "A", "age": 30.0}]})));
        for other in [
            json!({"items": [{"age": 30, "name": "A"}]}),
            json!({"items": [], "next_cursor": null}),
            json!({"items": [{"age": 30.5, "name": "A"}], "next_cursor": null}),
            json!({"items": [{"age": "30", "name": "A"}], "next_cursor": null}),
        ] {
            assert!(!is_same(&ours, &other), "{other}");
        }
    }
}
