//! Definitions by name, each with the findings about it.

use std::collections::{BTreeMap, BTreeSet};

use super::kinds::{Condition, Policy, Sli, is, is_own, name_of};
use super::servers::Servers;
use crate::diagnostic::{Diagnostic, Level};
use crate::parsed_file::{KINDS, ParsedFile, scalar};
use crate::reader::{At, Reader, did_you_mean, quoted_list, suggestion};

/// A definition and what was said about it.
#[derive(Debug, Clone)]
pub(crate) struct Named<T> {
    pub(crate) value: T,
    pub(crate) notes: Vec<Diagnostic>,
}

/// Definitions by name; `None` for one that is declared and wrong.
pub(crate) type ByName<T> = BTreeMap<String, Option<Named<T>>>;

/// The use of the SLOs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Each is written to a file, which has to say everything itself.
    File,
    /// They are read at once, beside what they refer to.
    Model,
}

/// Definitions that others refer to.
pub(crate) struct Definitions {
    pub(crate) purpose: Purpose,
    /// The Prometheus that is asked where none is named.
    pub(crate) source: String,
    /// Names of destinations in lookout.yaml.
    pub(crate) destinations: Vec<String>,
    /// Servers that data sources declare.
    pub(crate) servers: Servers,
    /// The types of data sources.
    pub(crate) data_sources: ByName<String>,
    pub(crate) slis: ByName<Sli>,
    pub(crate) conditions: ByName<Condition>,
    pub(crate) targets: ByName<String>,
    pub(crate) policies: ByName<Policy>,
    pub(crate) references: References,
}

/// References to definitions.
#[derive(Default)]
pub(crate) struct References {
    /// Kind and name of what was referred to.
    pub(crate) used: BTreeSet<(&'static str, String)>,
    /// Findings about the definitions that the current document refers to.
    pub(crate) notes: Vec<Diagnostic>,
}

/// A document that defines something.
pub(crate) struct Definition<'n> {
    pub(crate) at: At<'n>,
    /// Number of findings before it.
    pub(crate) mark: usize,
    pub(crate) name: String,
}

/// Keeps a definition together with what was said about it and about what it refers to.
pub(crate) fn define<T>(
    reader: &mut Reader<'_>,
    Definition { at, mark, name }: Definition<'_>,
    value: Option<T>,
    by_name: &mut ByName<T>,
    references: &mut References,
) {
    let (own, whole) = reader.since(mark);
    let mut notes = core::mem::take(&mut references.notes);
    notes.extend(own);
    let named = value.filter(|_| whole).map(|value| Named { value, notes });
    if by_name.contains_key(&name) {
        let message = format!("two of this kind have the name `{name}`");
        reader.error(&at, message, "give one of them another name");
    }
    by_name.insert(name, named);
}

/// Returns a definition by name; its notes become those of what refers to it.
fn find<T: Clone>(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    kind: &'static str,
    name: &str,
    by_name: &ByName<T>,
    references: &mut References,
) -> Option<T> {
    references.used.insert((kind, name.to_owned()));
    match by_name.get(name) {
        Some(Some(named)) => {
            let notes = named.notes.iter().filter(|note| note.level == Level::Warning);
            references.notes.extend(notes.cloned());
            Some(named.value.clone())
        }
        Some(None) => {
            reader.error(at, format!("the {kind} `{name}` is wrong"), "correct the findings about it");
            None
        }
        None => {
            let names: Vec<&String> = by_name.keys().collect();
            let help = suggestion(name, &names).map(|name| did_you_mean(&name));
            let help = help.unwrap_or_else(|| format!("declared are {}", quoted_list(&names)));
            reader.error(at, format!("the {kind} `{name}` does not exist"), help);
            None
        }
    }
}

impl Definitions {
    pub(crate) fn new(purpose: Purpose, source: String, destinations: Vec<String>, servers: Servers) -> Self {
        Self {
            purpose,
            source,
            destinations,
            servers,
            data_sources: ByName::new(),
            slis: ByName::new(),
            conditions: ByName::new(),
            targets: ByName::new(),
            policies: ByName::new(),
            references: References::default(),
        }
    }

    /// Lists definitions that no SLO refers to.
    pub(crate) fn list_unused(&self, files: &mut [ParsedFile<'_>]) {
        for file in files {
            for node in file.documents {
                let (Some(kind), Some(name)) = (scalar(node, "kind"), name_of(node)) else { continue };
                let used = self.references.used.iter().any(|(known, used)| *known == kind && used == name);
                if used || matches!(kind, "SLO" | "Service") || !KINDS.contains(&kind) || !is(node, kind) {
                    continue;
                }
                // lookout's own are read all the same, and a server may be there for others
                let read = kind == "DataSource" || kind == "SLI" && node.get("spec").is_none_or(is_own);
                if self.purpose == Purpose::Model && read {
                    continue;
                }
                let what = format!("the {kind} `{name}`, which nothing refers to");
                file.reader.lost(&At::root(node), what, "refer to it, or leave it out");
            }
        }
    }

    pub(crate) fn find_data_source(
        &mut self,
        reader: &mut Reader<'_>,
        at: &At<'_>,
        name: &str,
    ) -> Option<String> {
        if !self.data_sources.contains_key(name) && self.servers.is_declared(name) {
            return Some("prometheus".to_owned());
        }
        find(reader, at, "DataSource", name, &self.data_sources, &mut self.references)
    }

    /// Returns whether an indicator of that name was declared, rightly or wrongly.
    pub(crate) fn has_sli(&self, name: &str) -> bool {
        self.slis.contains_key(name)
    }

    pub(crate) fn find_sli(&mut self, reader: &mut Reader<'_>, at: &At<'_>, name: &str) -> Option<Sli> {
        find(reader, at, "SLI", name, &self.slis, &mut self.references)
    }

    pub(crate) fn find_condition(
        &mut self,
        reader: &mut Reader<'_>,
        at: &At<'_>,
        name: &str,
    ) -> Option<Condition> {
        find(reader, at, "AlertCondition", name, &self.conditions, &mut self.references)
    }

    pub(crate) fn find_target(&mut self, reader: &mut Reader<'_>, at: &At<'_>, name: &str) -> Option<String> {
        find(reader, at, "AlertNotificationTarget", name, &self.targets, &mut self.references)
    }

    pub(crate) fn find_policy(&mut self, reader: &mut Reader<'_>, at: &At<'_>, name: &str) -> Option<Policy> {
        find(reader, at, "AlertPolicy", name, &self.policies, &mut self.references)
    }
}
