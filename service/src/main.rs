//! Reads the environment, does what it is told, and ends with 0 after an orderly end, 1 when it could not be done, 2 when
//! the environment or the command line cannot be used.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use titanic::api;
use titanic::clock::SystemClock;
use titanic::config::ProcessVariables;
use titanic::database::Opening;
use titanic::shutdown::Shutdown;
use titanic::telemetry::Telemetry;
use titanic::{Config, Titanic};

/// musl's own has one lock for all threads, which half of a request's time would be spent on.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Before anything that could open a connection: TLS has no provider of its own choice.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let verb = match Verb::of(std::env::args_os().skip(1)) {
        Ok(verb) => verb,
        Err(error) => {
            tell(&error);
            return ExitCode::from(2);
        }
    };
    if matches!(verb, Verb::Help) {
        let mut out = std::io::stdout().lock();
        let _written = write!(
            out,
            "{USAGE}\n\nIt is configured by environment variables:\n\n{}",
            titanic::config::text()
        );
        return ExitCode::SUCCESS;
    }
    let config = match Config::from_variables(&ProcessVariables, api::SCOPES) {
        Ok(config) => config,
        Err(errors) => {
            tell(&errors.to_string());
            return ExitCode::from(2);
        }
    };
    let done = match verb {
        Verb::CheckConfig | Verb::Help => {
            check(&config);
            Ok(())
        }
        Verb::Healthcheck => return ready(&config),
        Verb::Serve => live(config),
        Verb::Backup(path) => transfer(&config, &path, true),
        Verb::Restore(path) => transfer(&config, &path, false),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The ways to call the program.
const USAGE: &str = "use it as `titanic`, `titanic --help`, `titanic --check-config`, `titanic healthcheck`, \
     `titanic backup FILE` or `titanic restore FILE`";

/// The command of this invocation.
enum Verb {
    Help,
    Serve,
    CheckConfig,
    Healthcheck,
    Backup(PathBuf),
    Restore(PathBuf),
}

impl Verb {
    fn of(mut words: impl Iterator<Item = OsString>) -> Result<Self, String> {
        let usage = USAGE;
        let (verb, path, more) = (words.next(), words.next().map(PathBuf::from), words.next());
        match (verb.as_ref().map(|verb| verb.to_string_lossy()).as_deref(), path, more) {
            (None | Some("serve"), None, None) => Ok(Self::Serve),
            (Some("--check-config" | "check-config"), None, None) => Ok(Self::CheckConfig),
            (Some("--help" | "-h" | "help"), None, None) => Ok(Self::Help),
            (Some("healthcheck"), None, None) => Ok(Self::Healthcheck),
            (Some("backup"), Some(path), None) => Ok(Self::Backup(path)),
            (Some("restore"), Some(path), None) => Ok(Self::Restore(path)),
            (Some(verb @ ("backup" | "restore")), None, None) => Err(format!("{verb} needs a file; {usage}")),
            (Some(verb), _, _) => Err(format!("cannot do `{}`; {usage}", verb.escape_debug())),
            (None, _, _) => Err(usage.to_owned()),
        }
    }
}

/// 0 when the service beside us is ready, 1 when it is not, 4 when there is none.
fn ready(config: &Config) -> ExitCode {
    match titanic::healthcheck::ask(config.admin_address) {
        Ok(200) => ExitCode::SUCCESS,
        Ok(status) => {
            tell(&format!("not ready: /readyz answered {status}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            tell(&format!("no answer from {}: {error}", config.admin_address));
            ExitCode::from(4)
        }
    }
}

/// Writes all records to a file, or reads them from one. A service may be running on the same database.
fn transfer(config: &Config, path: &Path, out: bool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("starting the runtime")?.block_on(async {
        let opening = if out { Opening::Read } else { Opening::Fill };
        let database = api::open(opening, config, 1).await?;
        let counts =
            if out { api::backup(&database, path).await? } else { api::restore(&database, path).await? };
        database.close().await;
        let counts: Vec<_> = counts.iter().map(|(table, count)| format!("{count} {table}")).collect();
        let done = if out { "backed up to" } else { "restored from" };
        tell(&format!("{} of {} {done} {}", counts.join(", "), config.database_url, path.display()));
        Ok(())
    })
}

/// Prints the effective configuration. Nothing was opened.
fn check(config: &Config) {
    let mut out = std::io::stdout().lock();
    let _written = writeln!(out, "the environment can be used:\n{config}");
    for warning in config.warnings() {
        let _written = writeln!(out, "  warning            {warning}");
    }
}

fn live(config: Config) -> anyhow::Result<()> {
    let telemetry = Telemetry::install(&config)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let ended = runtime.block_on(async {
        let shutdown = Shutdown::on_signals().context("listening for signals")?;
        let ended = match Titanic::build(config, Arc::new(SystemClock)).await {
            Ok(service) => service.run(shutdown.clone()).await,
            Err(error) => Err(error),
        };
        tokio::select! {
            () = telemetry.flush() => {}
            () = shutdown.forced() => {}
        }
        ended.context("the service cannot start")
    });
    // Requests that outlived their grace must not keep the process.
    runtime.shutdown_background();
    ended
}

/// The one place that writes to stderr, where a person looks for what was done, or why it was not.
fn tell(text: &str) {
    let _written = writeln!(std::io::stderr(), "titanic: {text}");
}
