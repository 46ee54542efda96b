//! Specs of other tools beside our own, read at once: the same conversion as on import, in memory, with findings that
//! point into the files as they were written.

use core::time::Duration;
use std::borrow::Cow;
use std::path::PathBuf;

use super::format::{Format, ImportOptions, format};
use super::openslo::{Library, Purpose, Servers, is, is_own, read_definitions, rewrite, without_labels};
use super::{pyrra, sloth};
use crate::known::Known;
use crate::known::QueryTiming;
use crate::model::Prometheus;
use crate::reader::Reader;
use crate::sheet::Sheet;
use crate::yaml::{Node, Value};

/// The name of a Prometheus that is asked unless another is named.
const SOURCE: &str = "prometheus";

/// What files of all kinds come to.
pub(crate) struct Adopted<'a> {
    /// Documents in lookout's own form, sheet by sheet.
    pub(crate) documents: Vec<Vec<Cow<'a, Node>>>,
    /// Servers that data sources declare.
    pub(crate) servers: Vec<Prometheus>,
    /// What SLOs may refer to, those included.
    pub(crate) known: Known,
}

/// Brings documents of all kinds into the form that `openslo.rs` reads.
pub(crate) fn adopt<'a>(sheets: &mut [Sheet<'a>], known: &Known) -> Adopted<'a> {
    let source = known_source(known);
    let mut documents = adopt_drafts(sheets, &source);
    let destinations = known.destinations.clone().unwrap_or_default();
    let mut library = Library::new(Purpose::Model, source, destinations, Servers::beside(known));
    read_definitions(&mut library, sheets);
    for (sheet, adopted) in sheets.iter_mut().zip(&mut documents) {
        for node in sheet.documents.iter().filter(|node| format(node).is_none()) {
            adopt_document(&mut sheet.reader, node, &mut library, adopted);
        }
    }
    library.list_unused(sheets);
    let known = with_servers(known, &library.servers);
    Adopted { documents, servers: library.servers.read, known }
}

fn adopt_document<'a>(
    reader: &mut Reader<'_>,
    node: &'a Node,
    library: &mut Library,
    adopted: &mut Vec<Cow<'a, Node>>,
) {
    if is(node, "SLO") {
        adopted.extend(rewrite(reader, node, library).into_iter().flatten().map(Cow::Owned));
    } else if is(node, "SLI") && !node.get("spec").is_none_or(is_own) {
        // it was read with what refers to it
    } else if is(node, "Service") && has_foreign_labels(node) {
        adopted.push(Cow::Owned(without_labels(reader, node)));
    } else {
        adopted.push(Cow::Borrowed(node));
    }
}

/// Labels as OpenSLO allows them and rules do not.
fn has_foreign_labels(node: &Node) -> bool {
    let labels = node.get("metadata").and_then(|metadata| metadata.get("labels"));
    let Some(Value::Map(entries)) = labels.map(|labels| &labels.value) else { return false };
    let foreign = |name: &str| name.contains(['.', '/', '-']);
    entries.iter().any(|(key, value)| foreign(&key.name) || matches!(value.value, Value::List(_)))
}

/// The documents of Sloth and Pyrra, converted.
fn adopt_drafts<'a>(sheets: &mut [Sheet<'_>], source: &str) -> Vec<Vec<Cow<'a, Node>>> {
    let mut adopted: Vec<Vec<Cow<'a, Node>>> = sheets.iter().map(|_| Vec::new()).collect();
    for wanted in [Format::Sloth, Format::Pyrra] {
        let is_wanted = |node: &Node| format(node) == Some(wanted);
        if !sheets.iter().any(|sheet| sheet.documents.iter().any(is_wanted)) {
            continue;
        }
        let options =
            ImportOptions { format: wanted, period: None, service: None, source: source.to_owned() };
        let drafts = match wanted {
            Format::Sloth => sloth::read(sheets, &options, is_wanted),
            _ => pyrra::read(sheets, &options, is_wanted),
        };
        let files: Vec<PathBuf> = sheets.iter().map(|sheet| sheet.reader.file.to_owned()).collect();
        for draft in drafts {
            let of = files.iter().zip(&mut adopted).find(|(file, _)| **file == draft.origin.file);
            of.into_iter().for_each(|(_, documents)| documents.push(Cow::Owned(draft.node())));
        }
    }
    adopted
}

/// The Prometheus that is asked where none is named: the one of that name, or the only one.
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
