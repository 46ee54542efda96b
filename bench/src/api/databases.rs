//! The databases that servers read: a file, or a PostgreSQL of our own on a free port.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use programs::workspace;

/// The name of the database and of its user.
const NAME: &str = "titanic";

/// The database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Store {
    Sqlite,
    Postgres,
}

impl Store {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// A database that is there until it is dropped, and empty at first.
pub(super) struct Database {
    pub(super) store: Store,
    pub(super) url: String,
    /// Its files, and those of the servers that read it.
    pub(super) folder: TempDir,
    server: Option<Child>,
}

impl Database {
    pub(super) fn start(store: Store) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix("titanic-bench-").tempdir().context("making a folder")?;
        let mut database = Self { store, url: String::new(), folder, server: None };
        match store {
            Store::Sqlite => {
                database.url = format!("sqlite://{}", database.folder.path().join("titanic.db").display());
            }
            Store::Postgres => database.start_postgres()?,
        }
        Ok(database)
    }

    fn start_postgres(&mut self) -> Result<()> {
        let data = self.folder.path().join("cluster");
        std::fs::create_dir(&data).with_context(|| format!("making {}", data.display()))?;
        if is_root()? {
            // Its own folder is for PostgreSQL alone; through ours it must be able to pass.
            workspace::must_succeed(Command::new("chmod").arg("711").arg(self.folder.path()))?;
            workspace::must_succeed(Command::new("chown").arg("postgres").arg(&data))?;
        }
        let mut initdb = program("initdb")?;
        initdb.args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]);
        initdb.args(["--username", NAME, "--pgdata"]).arg(&data).stdout(Stdio::null());
        workspace::must_succeed(&mut initdb)?;
        let port = super::servers::free_port()?;
        let log = self.folder.path().join("postgres.log");
        let mut postgres = program("postgres")?;
        postgres.arg("-D").arg(&data).args(["-p", &port.to_string()]);
        // Vacuuming in the middle of a measurement would be somebody's bad luck.
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=100",
            "autovacuum=off",
        ] {
            postgres.args(["-c", setting]);
        }
        postgres.stdout(Stdio::null());
        postgres.stderr(File::create(&log).with_context(|| format!("making {}", log.display()))?);
        self.server = Some(postgres.spawn().context("starting PostgreSQL")?);
        self.url = format!("postgres://{NAME}@127.0.0.1:{port}/{NAME}");
        let mut ready = program("pg_isready")?;
        ready.args(["-q", "-t", "1", "-h", "127.0.0.1", "-p", &port.to_string()]);
        let tries = 100;
        let came = (0..tries).any(|_| {
            let came = ready.status().is_ok_and(|status| status.success());
            if !came {
                // Nothing else runs yet: this may block.
                let _tick = Command::new("sleep").arg("0.1").status();
            }
            came
        });
        ensure!(came, "PostgreSQL did not start: {}", std::fs::read_to_string(&log).unwrap_or_default());
        let mut createdb = program("createdb")?;
        createdb.args(["-h", "127.0.0.1", "-U", NAME, "-p", &port.to_string(), NAME]);
        workspace::must_succeed(&mut createdb)
    }

    /// After it was filled: leaves nothing to tidy up for those who are measured.
    pub(super) fn settle(&self) -> Result<()> {
        if self.server.is_none() {
            return Ok(());
        }
        let mut vacuum = program("vacuumdb")?;
        vacuum.args(["--quiet", "--analyze", "--dbname"]).arg(&self.url);
        workspace::must_succeed(&mut vacuum)
    }

    /// Time on processors of the processes of its own, if it has any.
    pub(super) fn cpu(&self) -> Result<Duration> {
        self.server.as_ref().map_or(Ok(Duration::ZERO), |server| crate::cost::cpu_of(server.id()))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some(server) = &mut self.server else { return };
        let told = Command::new("kill").args(["-s", "INT", &server.id().to_string()]).status();
        if !told.is_ok_and(|told| told.success()) {
            let _already_gone = server.kill();
        }
        let _status = server.wait();
    }
}

fn is_root() -> Result<bool> {
    Ok(std::fs::metadata("/proc/self").context("looking at /proc/self")?.uid() == 0)
}

/// A program of the newest PostgreSQL there is. It ends when we do; and as it refuses to be run by root, root lends it the
/// user that its package made.
fn program(name: &str) -> Result<Command> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if is_root()? {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.arg("--").arg(installed(name)?).env_clear().env("LC_ALL", "C");
    command.current_dir("/").stdin(Stdio::null());
    Ok(command)
}

fn installed(name: &str) -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = versions.map(|entry| entry.path()).max_by_key(|path| number(path));
    let path = newest.map(|version| version.join("bin").join(name)).filter(|path| path.is_file());
    path.with_context(|| format!("`{name}` is missing: install the Debian package postgresql"))
}
