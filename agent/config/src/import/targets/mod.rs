//! Targets of other probers as targets of ours: blackbox_exporter's modules with the jobs that use them, Gatus' endpoints.
//!
//! A part without a counterpart is listed. Where a check would be weaker or reach another peer without it, its target is
//! not written. Everything that is written was read back by the reader that `check` uses.

mod blackbox;
mod client;
mod conditions;
mod gatus;
mod parts;
#[cfg(test)]
mod tests;
mod written;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lookout_engine::Grid;

use super::{Imported, Source, SpecFile, open_all};
use crate::diagnostic::{Diagnostic, Diagnostics, Level};
use crate::foreign::{Document, map};
use crate::known::GRID_SECONDS;
use crate::mask::mask;
use crate::reader::{At, Reader};
use crate::secret::Secrets;
use crate::target::read_targets;
use crate::yaml::{parse, print};
use written::TargetOutput;

/// A prober whose targets are converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prober {
    /// blackbox_exporter: files of modules, and Prometheus' scrape jobs.
    Blackbox,
    /// Gatus: endpoints.
    Gatus,
}

/// Converts files, and the YAML files of folders, into one `lookout.yaml` of targets.
#[must_use]
pub fn import_targets(paths: &[PathBuf], prober: Prober) -> Imported {
    let mut findings = Diagnostics::default();
    let sources = open_all(paths, &mut findings);
    let mut readers: Vec<Reader<'_>> = sources.iter().map(reader_of).collect();
    let written = match prober {
        Prober::Blackbox => blackbox::read(&mut readers, &sources),
        Prober::Gatus => gatus::read(&mut readers, &sources),
    };
    for reader in readers {
        findings.sources.push((reader.file.to_owned(), mask(reader.text, &reader.secrets)));
        findings.list.extend(reader.findings);
    }
    let mut names = BTreeSet::new();
    let mut targets = Vec::new();
    for target in written {
        if refused(&target, &mut findings) {
            continue;
        }
        if !names.insert(target.name.clone()) {
            note(
                &target,
                format!("not converted: two targets have the name `{}`", target.name),
                &mut findings,
            );
            continue;
        }
        targets.push(target.document);
    }
    let files = if targets.is_empty() {
        Vec::new()
    } else {
        let text = print(&map([("targets", Document::List(targets))]));
        vec![SpecFile { name: "lookout.yaml".to_owned(), text }]
    };
    findings.sort();
    Imported { files, findings }
}

fn reader_of(source: &Source) -> Reader<'_> {
    Reader::new(&source.file, &source.text, &|_| None, Secrets::Unneeded)
}

/// Reads a target back. What the reader says against it points to where it came from.
fn refused(target: &TargetOutput, findings: &mut Diagnostics) -> bool {
    let text = print(&target.document);
    let path = Path::new("lookout.yaml");
    let Ok(documents) = parse(path, &text) else {
        note(target, "not converted: the target cannot be written".to_owned(), findings);
        return true;
    };
    let environment = |_: &str| Some("x".to_owned());
    let mut reader = Reader::new(path, &text, &environment, Secrets::Unneeded);
    for node in &documents {
        let _ = read_targets(&mut reader, &At::root(node), Grid::try_new(GRID_SECONDS).ok(), Path::new(""));
    }
    let errors: Vec<_> = reader.findings.into_iter().filter(|found| found.level == Level::Error).collect();
    for error in &errors {
        note(target, format!("not converted: lookout would refuse it: {}", error.message), findings);
    }
    !errors.is_empty()
}

fn note(target: &TargetOutput, message: String, findings: &mut Diagnostics) {
    findings.list.push(Diagnostic {
        level: Level::Error,
        file: target.file.clone(),
        position: Some((target.place.line, target.place.column)),
        span: Some(target.place.span.clone()),
        key: target.name.clone(),
        message,
        help: None,
    });
}
