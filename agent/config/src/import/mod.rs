//! Specs of other tools as SLO specs of ours.
//!
//! One file in gives one file per SLO out, in OpenSLO v1 with the annotations that `openslo.rs` reads. Three promises:
//!
//! - What cannot be carried over is said: as a located finding, and as a comment in the file it is missing from.
//! - What is written was read back by the very reader that `check` uses. An SLO that it refuses is not written.
//! - An SLO that would mean something else than before is not written either; the others of its file are.

#[cfg(test)]
mod direct_tests;
mod targets;
#[cfg(test)]
mod tests;

pub use targets::{Prober, import_targets};

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::foreign::{Format, ImportOptions, Output, formats};
use super::load::read_text;
use super::mask::mask;
use super::reader::Reader;
use super::secret::Secrets;
use super::yaml::{Node, parse};
use super::{Diagnostic, Diagnostics, Level};
use crate::known::Known;
use crate::parsed_file::ParsedFile;
use crate::specs::read_specs;

/// Most files of one import.
const FILE_COUNT_LIMIT: usize = 1000;

/// Most SLOs of one import, as of one agent.
const SLO_COUNT_LIMIT: usize = 1000;

/// The result of an import.
#[derive(Debug)]
pub struct Imported {
    /// One file per SLO, and one per service that was described.
    pub files: Vec<SpecFile>,
    /// Warnings for what was carried over with a change or not at all, errors for what was not converted.
    pub findings: Diagnostics,
}

/// A file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecFile {
    /// `<service>-<slo>.slo.yaml`
    pub name: String,
    /// Its content.
    pub text: String,
}

/// A file that was read.
struct Source {
    file: PathBuf,
    text: String,
    documents: Vec<Node>,
}

/// Converts files, and the YAML files of folders.
#[must_use]
pub fn import(paths: &[PathBuf], options: &ImportOptions) -> Imported {
    let mut findings = Diagnostics::default();
    let sources = open_all(paths, &mut findings);
    let mut files: Vec<ParsedFile<'_>> = sources
        .iter()
        .map(|source| ParsedFile {
            reader: Reader::new(&source.file, &source.text, &|_| None, Secrets::Unneeded),
            documents: &source.documents,
        })
        .collect();
    let mut outputs = match options.format {
        Format::Sloth => formats::sloth(&mut files, options, |_| true),
        Format::Pyrra => formats::pyrra(&mut files, options, |_| true),
        Format::OpenSlo => formats::openslo(&mut files, options),
    };
    for file in files {
        let Reader { file, text, findings: found, secrets, .. } = file.reader;
        findings.sources.push((file.to_owned(), mask(text, &secrets)));
        findings.list.extend(found);
    }
    if let Some(output) = outputs.get(SLO_COUNT_LIMIT) {
        let message = format!("not converted: more than {SLO_COUNT_LIMIT} SLOs, of which this is the next");
        findings.list.push(output.finding(message, Some("convert them in several runs".to_owned())));
        outputs.truncate(SLO_COUNT_LIMIT);
    }
    outputs.retain(|output| reads(output, &sources, &mut findings));
    let files = verified(outputs, &mut findings);
    findings.sort();
    Imported { files, findings }
}

/// Reads and parses every file; what cannot be read is said.
fn open_all(paths: &[PathBuf], findings: &mut Diagnostics) -> Vec<Source> {
    let mut sources = Vec::new();
    for file in expand(paths, findings) {
        match read_text(&file) {
            Ok(text) => match parse(&file, &text) {
                Ok(documents) if documents.is_empty() => {
                    let help = "name a file that has specs";
                    findings.list.push(Diagnostic::whole_file(&file, "this file is empty".to_owned(), help));
                }
                Ok(documents) => sources.push(Source { file, text, documents }),
                Err(finding) => {
                    findings.list.push(*finding);
                    findings.sources.push((file, mask(&text, &[])));
                }
            },
            Err((message, help)) => findings.list.push(Diagnostic::whole_file(&file, message, help)),
        }
    }
    sources
}

/// The files that paths stand for, each once.
fn expand(paths: &[PathBuf], findings: &mut Diagnostics) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    for path in paths {
        let mut inside = match std::fs::read_dir(path) {
            Ok(entries) => {
                let entries = entries.filter_map(Result::ok).map(|entry| entry.path());
                entries.filter(|path| is_yaml(path)).take(FILE_COUNT_LIMIT + 1).collect()
            }
            Err(_) => vec![path.clone()],
        };
        if inside.is_empty() {
            let message = "this folder has no YAML file".to_owned();
            findings.list.push(Diagnostic::whole_file(path, message, "name the files that have specs"));
        }
        inside.sort();
        files.extend(
            inside
                .into_iter()
                .filter(|file| seen.insert(std::fs::canonicalize(file).unwrap_or_else(|_| file.clone()))),
        );
    }
    if files.len() > FILE_COUNT_LIMIT {
        let message = format!("more than {FILE_COUNT_LIMIT} files are named");
        let file = files.get(FILE_COUNT_LIMIT).cloned().unwrap_or_default();
        findings.list.push(Diagnostic::whole_file(&file, message, "convert them in several runs"));
        files.truncate(FILE_COUNT_LIMIT);
    }
    files
}

fn is_yaml(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Returns whether `check` accepts a output; what it says against it points to where that was written.
fn reads(output: &Output, sources: &[Source], findings: &mut Diagnostics) -> bool {
    let Some(source) = sources.iter().find(|source| source.file == output.origin.file) else { return true };
    let node = output.node();
    let reader = Reader::new(&source.file, &source.text, &|_| None, Secrets::Unneeded);
    let mut files = [ParsedFile { reader, documents: core::slice::from_ref(&node) }];
    read_specs(&mut files, &Known::default());
    let found = files.into_iter().flat_map(|file| file.reader.findings);
    let before = findings.list.len();
    findings.list.extend(found.filter(|finding| finding.level == Level::Error).map(|finding| {
        let message = format!("not converted: {}", finding.message);
        Diagnostic { message, ..finding }
    }));
    findings.list.len() == before
}

/// The files of the outputs that `check` accepts; for the others an error is noted.
fn verified(outputs: Vec<Output>, findings: &mut Diagnostics) -> Vec<SpecFile> {
    let mut names = BTreeSet::new();
    let mut written: Vec<(Output, SpecFile)> = Vec::new();
    for output in outputs {
        let name = output.file_name();
        if !names.insert(name.to_ascii_lowercase()) {
            let message = format!("not converted: two SLOs would be written to {name}");
            findings.list.push(output.finding(message, Some("give one of them another name".to_owned())));
            continue;
        }
        let text = output.text();
        written.push((output, SpecFile { name, text }));
    }
    let mut refused = BTreeSet::new();
    for finding in read_back(&written).into_iter().filter(|finding| finding.level == Level::Error) {
        let Some((output, file)) = written.iter().find(|(_, file)| Path::new(&file.name) == finding.file)
        else {
            continue;
        };
        let message = format!("not converted: lookout would refuse it: {}", finding.message);
        findings.list.push(output.finding(message, finding.help));
        refused.insert(file.name.clone());
    }
    written.into_iter().map(|(_, file)| file).filter(|file| !refused.contains(&file.name)).collect()
}

/// Checks files that are not written yet.
fn read_back(written: &[(Output, SpecFile)]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut parsed = Vec::new();
    for (_, file) in written {
        let path = Path::new(&file.name);
        match parse(path, &file.text) {
            Ok(documents) => parsed.push((path, &file.text, documents)),
            Err(finding) => found.push(*finding),
        }
    }
    let mut files: Vec<ParsedFile<'_>> = parsed
        .iter()
        .map(|(path, text, documents)| ParsedFile {
            reader: Reader::new(path, text, &|_| None, Secrets::Unneeded),
            documents,
        })
        .collect();
    read_specs(&mut files, &Known::default());
    found.extend(files.into_iter().flat_map(|file| file.reader.findings));
    found
}
