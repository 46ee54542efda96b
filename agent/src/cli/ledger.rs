//! `lookout ledger`: backups of the ledger's file. They need no running agent, and a restore needs it stopped.

mod repair;
mod stream;

use lookout_model::format;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::exit::Exit;
use super::run::stop_signal;
use super::{output, runtime};
use lookout_config::LedgerLocation;
use lookout_ledger::{BackupError, Faults, Recovered, Report, backup, recover, restore, verify};
use lookout_model::parse_duration;
use lookout_runtime::clock::{Clock as _, SystemClock};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Copy the ledger into a new file; the agent may run
    Backup(BackupOptions),
    /// Put a backup in the place of the ledger, which is kept beside it; the agent must not run
    Restore(RestoreOptions),
    /// Save what can be read of a damaged ledger into a new file; the damaged one stays as it is
    Recover(RecoverOptions),
    /// Exclude wrong counts from the budget, with a reason; the agent must not run, else use `correction add`
    Repair(repair::RepairOptions),
    /// Check a backup, or the ledger itself, and show what is in it; the agent may run
    Verify(VerifyOptions),
}

#[derive(Debug, Clone, Args)]
struct Shared {
    /// The config of the agent, which names its ledger; no secret is needed
    #[arg(short, long, default_value = "lookout.yaml", value_name = "FILE")]
    config: PathBuf,
    /// The ledger, when there is no config at hand
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    ledger: Option<PathBuf>,
    /// Longest time it may take
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = patience)]
    timeout: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct BackupOptions {
    /// File to write, `-` for the standard output; a file that exists is never overwritten
    file: PathBuf,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Debug, Args)]
pub(super) struct RestoreOptions {
    /// The backup, `-` for the standard input
    file: PathBuf,
    /// Restore it even if it contradicts itself, as `verify` tells: there is no better one
    #[arg(long)]
    with_faults: bool,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Debug, Args)]
pub(super) struct VerifyOptions {
    /// The backup; the ledger itself, unless one is named
    file: Option<PathBuf>,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Debug, Args)]
pub(super) struct RecoverOptions {
    /// The damaged ledger
    damaged: PathBuf,
    /// File to write; one that exists is never overwritten
    file: PathBuf,
    /// Longest time it may take
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = patience)]
    timeout: Duration,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn patience(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|what| format!("expected {what}"))
}

pub(super) fn run(verb: &Verb) -> anyhow::Result<Exit> {
    match verb {
        Verb::Backup(BackupOptions { file, shared }) => {
            let Some(ledger) = shared.ledger_file()? else { return Ok(Exit::Usage) };
            if file.as_os_str() == "-" {
                let done = shared.wait(async { stream::out(&ledger).await })?;
                // the requested data are on stdout already
                return print_report(
                    &Shared { json: false, ..shared.clone() },
                    done,
                    output::problem,
                    |report| (ledger.clone(), report, None),
                );
            }
            let done = shared.wait(async { backup(&ledger, file).await });
            print_report(shared, done?, output::data, |report| (file.clone(), report, None))
        }
        Verb::Restore(RestoreOptions { file, with_faults, shared }) => {
            let Some(ledger) = shared.ledger_file()? else { return Ok(Exit::Usage) };
            let now = SystemClock.now();
            let faults = if *with_faults { Faults::Accept } else { Faults::Refuse };
            let done = shared.wait(async {
                if file.as_os_str() == "-" {
                    let file = stream::receive(&ledger).await?;
                    return restore(file.path(), &ledger, faults, now).await;
                }
                restore(file, &ledger, faults, now).await
            });
            print_report(shared, done?, output::data, |restored| {
                (ledger.clone(), restored.report, restored.kept)
            })
        }
        Verb::Recover(options) => run_recover(options),
        Verb::Repair(options) => repair::run(options),
        Verb::Verify(VerifyOptions { file: Some(file), shared }) => {
            let done = shared.wait(async { verify(file).await })?;
            print_report(shared, done, output::data, |report| (file.clone(), report, None))
        }
        Verb::Verify(VerifyOptions { file: None, shared }) => {
            let Some(ledger) = shared.ledger_file()? else { return Ok(Exit::Usage) };
            let done = shared.wait(async { verify(&ledger).await });
            print_report(shared, done?, output::data, |report| (ledger.clone(), report, None))
        }
    }
}

/// Saves a damaged ledger. The exit code is that of a no when a part of it could not be read.
fn run_recover(options: &RecoverOptions) -> anyhow::Result<Exit> {
    let runtime = runtime()?;
    let work =
        async { tokio::time::timeout(options.timeout, recover(&options.damaged, &options.file)).await };
    let tables = match runtime.block_on(work) {
        Ok(Ok(tables)) => tables,
        Ok(Err(error)) => {
            let exit = exit(&error);
            output::problem(&format!(
                "error: {}",
                format::printable(&format!("{:#}", anyhow::Error::new(error)))
            ));
            return Ok(exit);
        }
        Err(_) => {
            output::problem(&format!(
                "error: not done within {} (--timeout)",
                format::elapsed(options.timeout)
            ));
            return Ok(Exit::Inconclusive);
        }
    };
    if options.json {
        output::line(&serde_json::to_string(&tables)?);
    } else {
        let read = |whole| if whole { "all of it" } else { "damaged, as far as it can be read" };
        let row = |table: &Recovered| {
            vec![table.table.to_owned(), table.rows.to_string(), read(table.whole).to_owned()]
        };
        output::data(&output::table(&["table", "rows", "read"], &tables.iter().map(row).collect::<Vec<_>>()));
    }
    Ok(if tables.iter().all(|table| table.whole) { Exit::Fine } else { Exit::No })
}

impl Shared {
    /// Returns the file of the ledger; `None` when the config cannot be used, which was reported.
    fn ledger_file(&self) -> anyhow::Result<Option<PathBuf>> {
        if let Some(ledger) = &self.ledger {
            return Ok(Some(ledger.clone()));
        }
        match lookout_config::load_without_secrets(&self.config) {
            Ok((config, _)) => match config.ledger {
                LedgerLocation::Sqlite(path) => Ok(Some(path)),
                LedgerLocation::Memory => anyhow::bail!(
                    "the ledger of {} is in memory and ends with the agent: name a file there (`ledger: lookout.db`)",
                    self.config.display()
                ),
            },
            Err(diagnostics) => {
                output::problem(&diagnostics.render(output::colour()));
                output::problem("the ledger can be named without a config: --ledger FILE");
                Ok(None)
            }
        }
    }

    /// Returns the result, or `None` after the timeout or a signal; a partial result is deleted then.
    fn wait<T>(
        &self,
        work: impl Future<Output = Result<T, BackupError>>,
    ) -> anyhow::Result<Option<Result<T, BackupError>>> {
        let runtime = runtime()?;
        let done = runtime.block_on(async {
            tokio::select! {
                done = work => Some(done),
                () = tokio::time::sleep(self.timeout) => {
                    output::problem(&format!("error: not done within {} (--timeout); nothing was changed", format::elapsed(self.timeout)));
                    None
                }
                () = stop_signal() => {
                    output::problem("error: interrupted; nothing was changed");
                    None
                }
            }
        });
        // a read of a standard input that never ends must not block the exit
        runtime.shutdown_background();
        Ok(done)
    }
}

fn print_report<T>(
    shared: &Shared,
    done: Option<Result<T, BackupError>>,
    write: impl FnOnce(&str),
    parts: impl FnOnce(T) -> (PathBuf, Report, Option<PathBuf>),
) -> anyhow::Result<Exit> {
    match done {
        None => Ok(Exit::Inconclusive),
        Some(Ok(done)) => {
            let (file, report, kept) = parts(done);
            if shared.json {
                write(&format!("{}\n", as_json(&file, &report, kept.as_deref())?));
            } else {
                write(&as_text(&file, &report, kept.as_deref()));
            }
            for fault in &report.faults {
                output::problem(&format!("it contradicts itself: {}", format::printable(fault)));
            }
            Ok(if report.faults.is_empty() { Exit::Fine } else { Exit::No })
        }
        Some(Err(error)) => {
            let exit = exit(&error);
            let error = anyhow::Error::new(error);
            output::problem(&format!("error: {}", format::printable(&format!("{error:#}"))));
            Ok(exit)
        }
    }
}

fn exit(error: &BackupError) -> Exit {
    match error {
        BackupError::Damaged { .. } | BackupError::Faulty { .. } => Exit::No,
        BackupError::Newer { .. } => Exit::Inconclusive,
        BackupError::InUse { .. } | BackupError::Read { .. } => Exit::Hold,
        BackupError::File { .. }
        | BackupError::Database { .. }
        | BackupError::Exists { .. }
        | BackupError::SameFile { .. } => Exit::Usage,
    }
}

fn as_json(file: &Path, report: &Report, kept: Option<&Path>) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(report)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert("file".to_owned(), json!(file.display().to_string()));
        fields.insert("replaced".to_owned(), json!(kept.map(|kept| kept.display().to_string())));
    }
    Ok(value)
}

fn as_text(file: &Path, report: &Report, kept: Option<&Path>) -> String {
    let until = report.counted_until_s.and_then(|until_s| jiff::Timestamp::from_second(until_s).ok());
    let until = until.map_or_else(|| "no counts".to_owned(), |until| format!("counts until {until}"));
    let seal = if report.sealed { "the seal fits" } else { "no seal" };
    let whole = if report.faults.is_empty() { "whole" } else { "it contradicts itself" };
    let chain = match &report.decisions_hash {
        Some(hash) if report.faults.is_empty() => {
            format!(", unbroken up to {}", hash.get(..16).unwrap_or(hash))
        }
        _ => String::new(),
    };
    let mut text = format!(
        "{}: {whole}\n  {until}, schema {}, {} bytes, {seal}\n  incidents {} ({} open), deliveries {} ({} waiting), \
         deploys {}, corrections {}, decisions {}{chain}\n",
        format::printable(&file.display().to_string()),
        report.schema_version,
        report.bytes,
        report.incidents,
        report.open_incidents,
        report.deliveries,
        report.waiting_deliveries,
        report.deploys,
        report.corrections,
        report.decisions,
    );
    let rows: Vec<Vec<String>> = report
        .slos
        .iter()
        .map(|slo| {
            let [rows, good, bad] = [slo.rows, slo.good, slo.bad].map(|number| number.to_string());
            vec![format::printable(&slo.id), rows, good, bad]
        })
        .collect();
    if !rows.is_empty() {
        text += &output::table(&["slo", "rows", "good", "bad"], &rows);
    }
    if let Some(kept) = kept {
        text +=
            &format!("the ledger of before is kept as {}\n", format::printable(&kept.display().to_string()));
    }
    text
}
