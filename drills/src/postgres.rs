//! A PostgreSQL of the drill's own, from the programs of the newest one that is installed.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use programs::running::Running;

/// The folder of the programs on Debian and its relatives, by version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The longest the server may take to answer, and each of its tools to end.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A running server. Dropping it kills it and takes its files away.
pub(super) struct Postgres {
    server: Running,
    port: u16,
    // after the server, so that nothing writes there any more
    _folder: TempDir,
}

impl Postgres {
    /// Makes a cluster and starts it; what it commits is on the disk, as in production.
    pub(super) async fn start(port: u16) -> Result<Self> {
        // a folder that no other encloses: the server's user must get there
        let folder = tempfile::Builder::new().prefix("lookout-drill-postgres-").tempdir();
        let folder = folder.context("making a folder for PostgreSQL")?;
        if is_root()? {
            let mut chown = Command::new("chown");
            must(chown.arg("postgres").arg(folder.path())).await?;
        }
        let data = folder.path().join("data");
        let mut initdb = Command::from(program("initdb")?);
        initdb.args(["--auth=trust", "--username=titanic", "--encoding=UTF8", "--locale=C.UTF-8"]);
        initdb.args(["--no-sync", "--no-instructions", "--pgdata"]).arg(&data);
        must(&mut initdb).await?;
        let postgres = program("postgres")?;
        let server = Running::start("postgres", postgres.get_program(), |command| {
            command.args(postgres.get_args()).arg("-D").arg(&data).args(["-p", &port.to_string()]);
            command.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
            command.args(["-c", "shared_buffers=32MB"]).current_dir("/").env("LC_ALL", "C");
        })?;
        let mut postgres = Self { server, port, _folder: folder };
        let deadline = Instant::now() + TIMEOUT;
        while must(&mut postgres.tool("pg_isready")?).await.is_err() {
            postgres.server.must_be_running()?;
            ensure!(Instant::now() < deadline, "PostgreSQL does not answer{}", postgres.server.last_lines());
            sleep(Duration::from_millis(50)).await;
        }
        Ok(postgres)
    }

    /// Returns the URL for the service.
    pub(super) fn url(&self, database: &str) -> String {
        format!("postgres://titanic@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// An empty database.
    pub(super) async fn create(&self, database: &str) -> Result<()> {
        must(self.tool("createdb")?.arg(database)).await.map(drop)
    }

    /// Takes a database away from whoever uses it.
    pub(super) async fn drop_database(&self, database: &str) -> Result<()> {
        must(self.tool("dropdb")?.args(["--force", database])).await.map(drop)
    }

    /// Ends it in order.
    pub(super) async fn stop(self) {
        self.server.stop().await;
    }

    fn tool(&self, name: &str) -> Result<Command> {
        let mut command = Command::new(installed(name)?);
        command.args(["--host=127.0.0.1", "--username=titanic"]).arg(format!("--port={}", self.port));
        Ok(command)
    }
}

/// Runs a program to its end; returns what it wrote, or quotes it when it fails.
pub(super) async fn must(command: &mut Command) -> Result<String> {
    let name = format!("{:?}", command.as_std());
    let output = tokio::time::timeout(TIMEOUT, command.kill_on_drop(true).output()).await;
    let output = output.with_context(|| format!("{name} did not end within {TIMEOUT:?}"))?;
    let output = output.with_context(|| format!("starting {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name}: {}: {}", output.status, said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn is_root() -> Result<bool> {
    Ok(std::fs::metadata("/proc/self").context("looking who we are")?.uid() == 0)
}

/// A server program. It refuses to run as root, who lends it the user of the package; it ends with us.
fn program(name: &str) -> Result<std::process::Command> {
    let mut command = std::process::Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if is_root()? {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.arg("--").arg(installed(name)?).current_dir("/");
    Ok(command)
}

fn installed(name: &str) -> Result<PathBuf> {
    let versions = std::fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = versions.map(|entry| entry.path()).max_by_key(|path| number(path));
    let path = newest.map(|version| version.join("bin").join(name)).filter(|path| path.is_file());
    path.with_context(|| {
        format!("there is no `{name}` below {VERSIONS}: install PostgreSQL (Debian: the package postgresql)")
    })
}
