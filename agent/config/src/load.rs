//! Files to model.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::config::{ConfigFile, Pattern, read_config};
use super::down::add_down_slos;
use super::inputs::{SPEC_LIMIT, matches};
use super::mask::mask;
use super::rates::RealRates;
use super::reader::{At, Reader};
use super::secret::{Environment, Secrets};
use super::up::add_up_slos;
use super::urls::{UrlOptions, config_of_urls};
use super::yaml::{FILE_LIMIT, Node, parse};
use super::{Diagnostic, Diagnostics, Level};
use crate::foreign::is_spec;
use crate::known::Known;
use crate::model::Config;
use crate::parsed_file::ParsedFile;
use crate::specs::{Specs, read_specs};

/// The name of the agent's own file in a folder.
const CONFIG_FILE: &str = "lookout.yaml";

/// Reads a `lookout.yaml`, or the one in a folder, and the SLO specs it names.
///
/// Returns the model together with warnings, or, when anything is an error, only the diagnostics.
///
/// # Errors
/// Every finding, when at least one is an error.
pub fn load(file: &Path) -> Result<(Config, Diagnostics), Diagnostics> {
    load_with(file, &|name| std::env::var(name).ok())
}

/// As [`load`], with variables from elsewhere than the process's environment.
///
/// # Errors
/// As [`load`].
pub fn load_with(file: &Path, environment: Environment<'_>) -> Result<(Config, Diagnostics), Diagnostics> {
    load_needing(file, environment, Secrets::Needed)
}

/// As [`load`], for generating files: destinations and headers are left without their secrets, so that a pipeline that
/// compares outputs needs none.
///
/// # Errors
/// As [`load`].
pub fn load_without_secrets(file: &Path) -> Result<(Config, Diagnostics), Diagnostics> {
    load_needing(file, &|name| std::env::var(name).ok(), Secrets::Unneeded)
}

fn load_needing(
    file: &Path,
    environment: Environment<'_>,
    needs: Secrets,
) -> Result<(Config, Diagnostics), Diagnostics> {
    let file = if file.is_dir() { file.join(CONFIG_FILE) } else { file.to_owned() };
    let mut run = Run::new(environment, needs);
    let config = run.open(&file).and_then(|file| run.config(file).0);
    run.found.sort();
    match config {
        Some(config) if !run.found.has_errors() => Ok((config, run.found)),
        _ => Err(run.found),
    }
}

/// Reads what a simulation or a backtest needs, from a `lookout.yaml`, a folder with one, or an SLO spec on its own, whose targets and
/// sources are not known then. No secret is needed.
///
/// # Errors
/// As [`load`].
pub fn load_specs(path: &Path) -> Result<(Config, Diagnostics), Diagnostics> {
    let environment = |name: &str| std::env::var(name).ok();
    // a simulation may try what no agent would run
    let mut run = Run { real_rates: None, ..Run::new(&environment, Secrets::Unneeded) };
    let files = run.expand(path);
    let mut files: Vec<Opened> = files.iter().filter_map(|file| run.open(file)).collect();
    let alone = |file: &Opened| file.documents.iter().any(is_spec);
    let config = match files.as_slice() {
        [file] if !alone(file) => run.config(files.remove(0)).0,
        _ => {
            let specs = run.specs(&files, &Known::default());
            let mut config = config_of_urls(&[], &UrlOptions::default());
            specs.put_into(&mut config);
            Some(config)
        }
    };
    run.found.sort();
    match config {
        Some(config) if !run.found.has_errors() => Ok((config, run.found)),
        _ => Err(run.found),
    }
}

/// Checks files and folders: a `lookout.yaml` with all it names, a folder that has one, or SLO specs on their own,
/// whose references to targets and sources cannot be checked then.
///
/// Returns whether a total outage pages in time is checked at the real rates, as far as they are known.
#[must_use]
pub fn check(paths: &[PathBuf], real_rates: &RealRates) -> Checked {
    check_at(paths, &|name| std::env::var(name).ok(), real_rates)
}

/// As [`check`], with variables from elsewhere than the process's environment.
#[must_use]
pub fn check_with(paths: &[PathBuf], environment: Environment<'_>) -> Diagnostics {
    check_at(paths, environment, &RealRates::default()).diagnostics
}

/// The result of a check.
#[derive(Debug)]
pub struct Checked {
    /// Every finding.
    pub diagnostics: Diagnostics,
    /// The configurations that could be read, and one of the specs that stand alone.
    pub configs: Vec<Config>,
    /// A warning if the incidents of a `lookout.yaml` would reach nobody.
    pub unheard: Option<&'static str>,
}

fn check_at(paths: &[PathBuf], environment: Environment<'_>, real_rates: &RealRates) -> Checked {
    let mut run = Run { real_rates: Some(real_rates.clone()), ..Run::new(environment, Secrets::Needed) };
    let mut configs = Vec::new();
    let mut seen = BTreeSet::new();
    let mut specs = Vec::new();
    let mut unheard = None;
    let files: Vec<PathBuf> = paths.iter().flat_map(|path| run.expand(path)).collect();
    for file in files {
        let Some(file) = run.open(&file) else { continue };
        // a spec says what it is; everything else is taken for a lookout.yaml, misspelt keys and all
        if file.documents.iter().any(is_spec) {
            specs.push(file);
        } else {
            let (config, read) = run.config(file);
            unheard = unheard.or_else(|| config.as_ref().and_then(Config::unheard));
            configs.extend(config);
            seen.extend(read.iter().map(|file| identity(file)));
        }
    }
    specs.retain(|file| seen.insert(identity(&file.file)));
    let mut alone = config_of_urls(&[], &UrlOptions::default());
    run.specs(&specs, &Known::default()).put_into(&mut alone);
    configs.push(alone);
    run.found.sort();
    Checked { diagnostics: run.found, configs, unheard }
}

/// One file whichever way it was named.
fn identity(file: &Path) -> PathBuf {
    std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned())
}

/// A file that was read.
struct Opened {
    file: PathBuf,
    text: String,
    documents: Vec<Node>,
}

/// One run over files, and what it found.
struct Run<'e> {
    environment: Environment<'e>,
    needs: Secrets,
    /// Rates that a total outage must page at; `None` for no such check.
    real_rates: Option<RealRates>,
    found: Diagnostics,
}

impl<'e> Run<'e> {
    fn new(environment: Environment<'e>, needs: Secrets) -> Self {
        Self { environment, needs, real_rates: Some(RealRates::default()), found: Diagnostics::default() }
    }

    /// Returns the files that a path on the command line stands for.
    fn expand(&mut self, path: &Path) -> Vec<PathBuf> {
        if !path.is_dir() {
            return vec![path.to_owned()];
        }
        let config = path.join(CONFIG_FILE);
        if config.is_file() {
            return vec![config];
        }
        let named = |pattern: &str| matches(path, pattern).unwrap_or_default();
        let mut specs = named("*.slo.yaml");
        if specs.is_empty() {
            // other tools have no ending for theirs
            specs = [named("*.yaml"), named("*.yml")].concat();
        }
        if specs.is_empty() {
            let message = "this folder has neither a lookout.yaml nor SLO specs".to_owned();
            let help = "name the folder or the files that have the configuration";
            self.found.list.push(Diagnostic::whole_file(path, message, help));
        }
        specs
    }

    /// Reads and parses a file. A file that is not YAML is kept for the snippet.
    fn open(&mut self, file: &Path) -> Option<Opened> {
        self.found.inputs.add_file(file);
        let text = match read_text(file) {
            Ok(text) => text,
            Err((message, help)) => {
                self.found.list.push(Diagnostic::whole_file(file, message, help));
                return None;
            }
        };
        match parse(file, &text) {
            Ok(documents) => Some(Opened { file: file.to_owned(), text, documents }),
            Err(finding) => {
                self.found.list.push(*finding);
                self.found.sources.push((file.to_owned(), mask(&text, &[])));
                None
            }
        }
    }

    /// Keeps what a reader found, and the text without its secrets.
    fn close(&mut self, reader: Reader<'_>) {
        self.found.sources.push((reader.file.to_owned(), mask(reader.text, &reader.secrets)));
        reader.inputs.iter().for_each(|file| self.found.inputs.add_file(file));
        self.found.list.extend(reader.findings);
    }

    /// Returns a `lookout.yaml` with its SLO specs, and the files it named.
    fn config(&mut self, Opened { file, text, documents }: Opened) -> (Option<Config>, Vec<PathBuf>) {
        let folder = file.parent().unwrap_or(Path::new(""));
        let mut reader = Reader::new(&file, &text, self.environment, self.needs);
        let read = match documents.as_slice() {
            [root] => read_config(&mut reader, &At::root(root), folder),
            [_, second, ..] => {
                let help = "SLO specs go into files of their own, named under `slos`";
                reader.error(&At::root(second), "a lookout.yaml is one document", help);
                None
            }
            [] => {
                let message = "this file is empty".to_owned();
                let help = "declare at least `targets` or `scrapes`";
                reader.findings.push(Diagnostic::whole_file(&file, message, help));
                None
            }
        };
        // the tree takes several times the memory of the text, and the specs have trees of their own
        drop(documents);
        let files = read.as_ref().map(|read| find_specs(&mut reader, folder, &read.patterns));
        let specs = read.iter().flat_map(|read| &read.patterns).map(|pattern| &pattern.text);
        for pattern in specs.chain(&reader.input_patterns) {
            self.found.inputs.add_pattern(folder, pattern);
        }
        self.close(reader);
        let (Some(ConfigFile { mut config, known, routes, .. }), Some(files)) = (read, files) else {
            return (None, Vec::new());
        };
        let opened: Vec<Opened> = files.iter().filter_map(|file| self.open(file)).collect();
        let specs = self.specs(&opened, &known);
        specs.put_into(&mut config);
        add_up_slos(&mut config);
        self.found.list.extend(add_down_slos(&file, &mut config));
        // an SLO that could not be read is selected by nobody
        if !self.found.has_errors() {
            self.found.list.extend(routes.findings(&file, &config));
        }
        (Some(config), files)
    }

    /// SLO specs that belong together.
    fn specs(&mut self, opened: &[Opened], known: &Known) -> Specs {
        let mut files: Vec<ParsedFile<'_>> = opened
            .iter()
            .map(|file| ParsedFile {
                reader: Reader::new(&file.file, &file.text, self.environment, self.needs),
                documents: &file.documents,
            })
            .collect();
        let known = Known { real_rates: self.real_rates.clone(), ..known.clone() };
        let specs = read_specs(&mut files, &known);
        for file in files {
            self.close(file.reader);
        }
        specs
    }
}

/// Reads a file that is text and not too long.
pub(super) fn read_text(file: &Path) -> Result<String, (String, &'static str)> {
    let mut bytes = Vec::new();
    let read = File::open(file).and_then(|file| file.take(FILE_LIMIT + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err((
            format!("this file cannot be read: {error}"),
            "name a file that exists and may be read",
        ));
    }
    if bytes.len() as u64 > FILE_LIMIT {
        return Err(("this file has more than 1 MiB".to_owned(), "split it into several files"));
    }
    String::from_utf8(bytes).map_err(|_| ("this file is not UTF-8 text".to_owned(), "save it as UTF-8"))
}

/// Returns the files of all patterns, each once, in order.
fn find_specs(reader: &mut Reader<'_>, folder: &Path, patterns: &[Pattern]) -> Vec<PathBuf> {
    let mut files = BTreeSet::new();
    for pattern in patterns {
        let (message, help) = match matches(folder, &pattern.text) {
            Ok(found) if found.is_empty() => {
                let message = format!("no SLO spec matches `{}`", pattern.text);
                (message, format!("patterns are relative to {}", shown(folder)))
            }
            Ok(found) if files.len() + found.len() > SPEC_LIMIT => {
                (format!("more than {SPEC_LIMIT} files match"), "write a narrower pattern".to_owned())
            }
            Ok(found) => {
                files.extend(found);
                continue;
            }
            Err(error) => {
                (format!("this is not a pattern: {error}"), "write one like `*.slo.yaml`".to_owned())
            }
        };
        match &pattern.place {
            Some((place, key)) => reader.note(Level::Error, place, key, message, Some(help)),
            None => reader.findings.push(Diagnostic::whole_file(reader.file, message, &help)),
        }
    }
    files.into_iter().collect()
}

fn shown(folder: &Path) -> String {
    match folder.as_os_str().is_empty() {
        true => "the folder of this file".to_owned(),
        false => format!("{}", folder.display()),
    }
}
