//! Reads the environment, starts the service, and ends with 0 after an orderly stop, 1 when it could not start, 2 when
//! the environment cannot be used.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use titanic::clock::SystemClock;
use titanic::config::ProcessVariables;
use titanic::shutdown::Shutdown;
use titanic::telemetry::Telemetry;
use titanic::{Config, Titanic};

fn main() -> ExitCode {
    // Before anything that could open a connection: TLS has no provider of its own choice.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let config = match Config::from_variables(&ProcessVariables) {
        Ok(config) => config,
        Err(errors) => {
            complain(&errors.to_string());
            return ExitCode::from(2);
        }
    };
    match live(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn live(config: Config) -> anyhow::Result<()> {
    let telemetry = Telemetry::install(&config)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let ended = runtime.block_on(async {
        let shutdown = Shutdown::on_signals().context("listening for signals")?;
        let service = Titanic::build(config, Arc::new(SystemClock)).await.context("the service cannot start");
        let ended = match service {
            Ok(service) => {
                service.run(shutdown.clone()).await;
                Ok(())
            }
            Err(error) => Err(error),
        };
        tokio::select! {
            () = telemetry.flush() => {}
            () = shutdown.forced() => {}
        }
        ended
    });
    // Requests that outlived their grace must not keep the process.
    runtime.shutdown_background();
    ended
}

/// The one place that writes to stderr: the service could not start, and a person wants to know why.
fn complain(text: &str) {
    let _written = writeln!(std::io::stderr(), "titanic: {text}");
}
