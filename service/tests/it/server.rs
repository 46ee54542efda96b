//! A PostgreSQL of our own: a plain process on a free port, with its files in a temporary folder.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use tempfile::TempDir;

use crate::app::App;
use crate::program::until;

/// The database that others are copied from: its tables are made and the list is loaded.
const TEMPLATE: &str = "crew";

pub(crate) struct Postgres {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Postgres {
    /// A running server with the template in it.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        if is_root() {
            let owner = Command::new("chown").arg("postgres").arg(folder.path()).status().unwrap();
            assert!(owner.success(), "the user `postgres` of the package postgresql is missing");
        }
        // Sorted as in English, not byte by byte: what depends on the order of a cluster shall show itself.
        let made = program("initdb")
            .args(["--auth=trust", "--username=titanic", "--encoding=UTF8", "--no-sync", "--no-instructions"])
            .args(["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"])
            .arg("--pgdata")
            .arg(folder.path().join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { folder, port, process: None };
        server.resume().await;
        server.execute(&format!("create database {TEMPLATE}")).await;
        App::on(&server.url(TEMPLATE)).await.database.close().await;
        server
    }

    /// Starts the process and waits until it answers.
    pub(crate) async fn resume(&mut self) {
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let process = program("postgres")
            .arg("-D")
            .arg(self.folder.path().join("data"))
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            // Commits are handed to the system at once, so that they outlive a crash of the server, as in production; that
            // the machine itself crashes is not tested.
            .args(["-c", "fsync=off", "-c", "full_page_writes=off"])
            .args(["-c", "max_connections=150", "-c", "shared_buffers=16MB"])
            .stderr(log)
            .stdout(Stdio::null())
            .spawn();
        self.process = Some(process.unwrap());
        let options = self.options("postgres");
        let log = self.log();
        until(&format!("PostgreSQL answers, see {}", log.display()), async || options.connect().await.ok())
            .await;
    }

    /// Stops the process as an operator would who does not wait for clients: connections are cut.
    pub(crate) fn stop(&mut self) {
        self.speak();
        let Some(mut process) = self.process.take() else { return };
        let told = Command::new("kill").args(["-s", "INT", &process.id().to_string()]).status();
        if !told.is_ok_and(|told| told.success()) {
            let _already_gone = process.kill();
        }
        let _status = process.wait();
    }

    /// Keeps it from doing anything, even from hanging up.
    pub(crate) fn fall_silent(&self) {
        self.tell_all("STOP");
    }

    /// Lets it go on.
    pub(crate) fn speak(&self) {
        self.tell_all("CONT");
    }

    fn tell_all(&self, signal: &str) {
        let Some(process) = &self.process else { return };
        let id = process.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let told = Command::new("kill")
            .args(["-s", signal, &id.to_string()])
            .args(children.split_whitespace())
            .status();
        // One that ended by itself meanwhile need not be told.
        let _some_may_be_gone = told;
    }

    /// Stops the process with its own tool: `fast` cuts clients off and ends in good order, `immediate` is a crash.
    pub(crate) fn stop_by(&mut self, mode: &str) {
        let mut process = self.process.take().expect("it runs");
        let data = self.folder.path().join("data");
        let told = program("pg_ctl").args(["stop", "--wait", "--mode", mode, "--pgdata"]).arg(data).output();
        let told = told.unwrap();
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        process.wait().unwrap();
    }

    /// A new database, loaded with the list.
    pub(crate) async fn database(&self, name: &str) -> String {
        self.execute(&format!("create database {name} template {TEMPLATE}")).await;
        self.url(name)
    }

    pub(crate) async fn execute(&self, sql: &str) {
        let mut connection = self.options("postgres").connect().await.unwrap();
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Adds a superuser who needs a password, which the others of this server do not.
    pub(crate) async fn add_login(&self, name: &str, password: &str) {
        let rules = self.folder.path().join("data/pg_hba.conf");
        let others = std::fs::read_to_string(&rules).unwrap();
        std::fs::write(&rules, format!("host all {name} 127.0.0.1/32 scram-sha-256\n{others}")).unwrap();
        self.execute(&format!("create role {name} superuser login password '{password}'")).await;
        self.execute("select pg_reload_conf()").await;
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://titanic@127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) fn options(&self, database: &str) -> PgConnectOptions {
        self.url(database).parse().unwrap()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// One of the programs of the newest PostgreSQL there is. Root lends it the user of the package, since it refuses to run as
/// root. It ends with the thread that started it, so that a test that is killed leaves nothing behind.
fn program(name: &str) -> Command {
    as_postgres(&installed(name))
}

/// A program that refuses to run as root, with the user of the package.
pub(crate) fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT"]);
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.arg("--").arg(program).env_clear().env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
    command
}

fn installed(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = versions.map(|entry| entry.path()).max_by_key(|path| number(path));
    let path = newest.map(|version| version.join("bin").join(name)).filter(|path| path.is_file());
    path.unwrap_or_else(|| panic!("`{name}` is missing: install the Debian package postgresql"))
}
