//! Reads the environment, does what it is told, and ends with 0 after an orderly end, 1 when it could not be done, 2 when
//! the environment or the command line cannot be used.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use titanic::api;
use titanic::clock::SystemClock;
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
    let arguments = Arguments::parse();
    let config = match Config::from_environment(api::SCOPES) {
        Ok(config) => config,
        Err(errors) => {
            tell(&errors.to_string());
            return ExitCode::from(2);
        }
    };
    if arguments.check_config {
        let _written = writeln!(std::io::stdout(), "the environment can be used:\n{config}");
        return ExitCode::SUCCESS;
    }
    let done = match arguments.verb.unwrap_or(Verb::Serve) {
        Verb::Serve => live(config),
        Verb::Healthcheck => return ready(&config),
        Verb::Backup { file } => transfer(&config, &file, true),
        Verb::Restore { file } => transfer(&config, &file, false),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The command line.
#[derive(Parser)]
#[command(
    version,
    about,
    args_conflicts_with_subcommands = true,
    after_help = format!("Environment variables:\n\n{}", titanic::config::text()),
    term_width = 0
)]
struct Arguments {
    /// Check the environment and print the settings in effect; nothing is opened
    #[arg(long)]
    check_config: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Serve until told to stop; the default
    Serve,
    /// Ask the service beside this one whether it is ready: 0 if it is, 1 if it is not, 4 if nobody answers
    Healthcheck,
    /// Write all records to a file, also while the service runs
    Backup { file: PathBuf },
    /// Read all records of a file into the database
    Restore { file: PathBuf },
}

/// 0 when the service beside us is ready, 1 when it is not, 4 when there is none.
fn ready(config: &Config) -> ExitCode {
    match titanic::healthcheck::ask(config.admin_address()) {
        Ok(200) => ExitCode::SUCCESS,
        Ok(status) => {
            tell(&format!("not ready: /readyz answered {status}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            tell(&format!("no answer from {}: {error}", config.admin_address()));
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
