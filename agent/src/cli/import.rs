//! `lookout import`: converts specs and targets of other tools, and lists everything that could not be converted.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use lookout_engine::Window;

use super::exit::Exit;
use super::output;
use lookout_config::{Format, ImportOptions, Imported, Prober, SpecFile};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Tool that the specs are written for
    from: Tool,
    /// The files, or folders with YAML files; what they refer to must be among them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write one file per SLO, or a lookout.yaml of targets, into this folder instead of all to stdout
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Replace files that are there and differ
    #[arg(long, requires = "out")]
    force: bool,
    /// The period of Sloth's SLOs, which their specs do not say [default: 30d]
    #[arg(long, value_name = "DURATION", value_parser = period)]
    period: Option<Window>,
    /// The service of Pyrra's SLOs, which know none
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The Prometheus in lookout.yaml that is asked
    #[arg(long, value_name = "NAME", default_value = "prometheus")]
    source: String,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tool {
    /// prometheus/v1, PrometheusServiceLevel and AlertWindows
    Sloth,
    /// OpenSLO v1, all kinds
    Openslo,
    /// ServiceLevelObjective
    Pyrra,
    /// Modules, and the scrape jobs of Prometheus that use them: becomes targets
    Blackbox,
    /// Endpoints: becomes targets
    Gatus,
}

fn period(text: &str) -> Result<Window, String> {
    let duration = lookout_model::parse_duration(text).map_err(|expected| format!("expected {expected}"))?;
    if duration.subsec_nanos() != 0 || duration.is_zero() {
        return Err("expected whole seconds".to_owned());
    }
    Ok(Window::seconds(duration.as_secs()))
}

pub(super) fn run(options: &Options) -> anyhow::Result<Exit> {
    if options.period.is_some() && !matches!(options.from, Tool::Sloth) {
        bail!("`--period` goes with Sloth: the other specs say their period themselves");
    }
    if options.service.is_some() && !matches!(options.from, Tool::Pyrra) {
        bail!("`--service` goes with Pyrra: the other specs name their service themselves");
    }
    let specs = |format| {
        let (period, service, source) = (options.period, options.service.clone(), options.source.clone());
        lookout_config::import(&options.files, &ImportOptions { format, period, service, source })
    };
    let Imported { files, findings } = match options.from {
        Tool::Sloth => specs(Format::Sloth),
        Tool::Openslo => specs(Format::OpenSlo),
        Tool::Pyrra => specs(Format::Pyrra),
        Tool::Blackbox => lookout_config::import_targets(&options.files, Prober::Blackbox),
        Tool::Gatus => lookout_config::import_targets(&options.files, Prober::Gatus),
    };
    match &options.out {
        Some(folder) => write_all(folder, &files, options.force)?,
        None => output::data(&stream(&files)),
    }
    if !findings.list.is_empty() {
        output::problem(&findings.render(output::colour()));
    }
    let (errors, warnings) = findings.counts();
    let written = files.len();
    output::problem(&match (errors, warnings) {
        (0, 0) => format!("{}; everything was carried over", counted(written, "file")),
        (0, _) => {
            format!("{}; {} to read, also in the files", counted(written, "file"), counted(warnings, "note"))
        }
        _ => format!(
            "{}; {} kept something from being converted; {} to read, also in the files",
            counted(written, "file"),
            counted(errors, "error"),
            counted(warnings, "note")
        ),
    });
    Ok(if errors > 0 { Exit::No } else { Exit::Fine })
}

fn counted(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// Returns all files as one stream of documents.
fn stream(files: &[SpecFile]) -> String {
    files.iter().map(|file| file.text.as_str()).collect::<Vec<_>>().join("---\n")
}

fn write_all(folder: &Path, files: &[SpecFile], force: bool) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making the folder {}", folder.display()))?;
    // nothing is written when something would be lost
    let differs = |file: &&SpecFile| {
        let held = std::fs::read(folder.join(&file.name));
        held.is_ok_and(|held| held != file.text.as_bytes())
    };
    if !force && let Some(file) = files.iter().find(differs) {
        bail!("{} is there and differs; write `--force` to replace it", folder.join(&file.name).display());
    }
    for file in files {
        let path = folder.join(&file.name);
        std::fs::write(&path, &file.text).with_context(|| format!("writing {}", path.display()))?;
        output::line(&format!("wrote {}", path.display()));
    }
    Ok(())
}
