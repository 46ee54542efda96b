//! Converts the specs of other tools in memory, as `import` does. Findings point into the files as they were written.

use core::time::Duration;
use std::borrow::Cow;
use std::path::PathBuf;

use super::format::{Format, ImportOptions, format};
use super::openslo::{Definitions, Purpose, Servers, is, is_own, read_definitions, rewrite, without_labels};
use super::{pyrra, sloth};
use crate::known::{Known, QueryTiming};
use crate::model::Prometheus;
use crate::parsed_file::ParsedFile;
use crate::reader::Reader;
use crate::yaml::{Node, Value};

/// The name of a Prometheus that is asked unless another is named.
const SOURCE: &str = "prometheus";

/// The documents of all files, in lookout's own form.
pub(crate) struct Converted<'a> {
    /// Documents in lookout's own form, file by file.
    pub(crate) documents: Vec<Vec<Cow<'a, Node>>>,
    /// Servers that data sources declare.
    pub(crate) servers: Vec<Prometheus>,
    /// Names and timings that SLO specs may refer to, those servers included.
    pub(crate) known: Known,
}

/// Converts documents of all kinds into the form that `openslo.rs` reads.
pub(crate) fn convert_in_memory<'a>(files: &mut [ParsedFile<'a>], known: &Known) -> Converted<'a> {
    let source = known_source(known);
    let mut documents = convert_foreign(files, &source);
    let destinations = known.destinations.clone().unwrap_or_default();
    let mut definitions = Definitions::new(Purpose::Model, source, destinations, Servers::beside(known));
    read_definitions(&mut definitions, files);
    for (file, converted) in files.iter_mut().zip(&mut documents) {
        for node in file.documents.iter().filter(|node| format(node).is_none()) {
            convert_document(&mut file.reader, node, &mut definitions, converted);
        }
    }
    definitions.list_unused(files);
    let known = with_servers(known, &definitions.servers);
    Converted { documents, servers: definitions.servers.read, known }
}

fn convert_document<'a>(
    reader: &mut Reader<'_>,
    node: &'a Node,
    definitions: &mut Definitions,
    converted: &mut Vec<Cow<'a, Node>>,
) {
    if is(node, "SLO") {
        converted.extend(rewrite(reader, node, definitions).into_iter().flatten().map(Cow::Owned));
    } else if is(node, "SLI") && !node.get("spec").is_none_or(is_own) {
        // it was read with what refers to it
    } else if is(node, "Service") && has_foreign_labels(node) {
        converted.push(Cow::Owned(without_labels(reader, node)));
    } else {
        converted.push(Cow::Borrowed(node));
    }
}

/// Returns labels as OpenSLO allows them and rules do not.
fn has_foreign_labels(node: &Node) -> bool {
    let labels = node.get("metadata").and_then(|metadata| metadata.get("labels"));
    let Some(Value::Map(entries)) = labels.map(|labels| &labels.value) else { return false };
    let foreign = |name: &str| name.contains(['.', '/', '-']);
    entries.iter().any(|(key, value)| foreign(&key.name) || matches!(value.value, Value::List(_)))
}

/// Returns the documents of Sloth and Pyrra, converted.
fn convert_foreign<'a>(files: &mut [ParsedFile<'_>], source: &str) -> Vec<Vec<Cow<'a, Node>>> {
    let mut converted: Vec<Vec<Cow<'a, Node>>> = files.iter().map(|_| Vec::new()).collect();
    for wanted in [Format::Sloth, Format::Pyrra] {
        let is_wanted = |node: &Node| format(node) == Some(wanted);
        if !files.iter().any(|file| file.documents.iter().any(is_wanted)) {
            continue;
        }
        let options =
            ImportOptions { format: wanted, period: None, service: None, source: source.to_owned() };
        let outputs = match wanted {
            Format::Sloth => sloth::read(files, &options, is_wanted),
            _ => pyrra::read(files, &options, is_wanted),
        };
        let files: Vec<PathBuf> = files.iter().map(|file| file.reader.file.to_owned()).collect();
        for output in outputs {
            let of = files.iter().zip(&mut converted).find(|(file, _)| **file == output.origin.file);
            of.into_iter().for_each(|(_, documents)| documents.push(Cow::Owned(output.node())));
        }
    }
    converted
}

/// Returns the default server: the only one, or the one of the default name.
fn known_source(known: &Known) -> String {
    match known.prometheus.as_deref() {
        Some([(only, _)]) => only.clone(),
        _ => SOURCE.to_owned(),
    }
}

fn with_servers(known: &Known, servers: &Servers) -> Known {
    let mut known = known.clone();
    if let Some(all) = &mut known.prometheus {
        let timing = |server: &Prometheus| QueryTiming {
            scrape_interval: server.scrape_interval,
            window: Duration::from_secs(server.window.as_seconds()),
            delay: server.delay,
            timeout: server.timeout,
            dialect: server.dialect,
        };
        all.extend(servers.read.iter().map(|server| (server.name.clone(), Some(timing(server)))));
        all.extend(servers.wrong.iter().map(|name| (name.clone(), None)));
    }
    known
}
