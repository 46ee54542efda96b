//! Converts OpenSLO v1, all kinds, with references across files.
//!
//! Everything that is referred to is read first and kept by name, each with what was said about it; so an SLO's file
//! tells what is missing from it even where that was written elsewhere.

use super::definitions::{Definitions, Purpose};
use super::kinds::{is, name_of};
use super::read::read_definitions;
use super::rewrite::{rewrite, stem};
use super::servers::Servers;
use crate::foreign::format::ImportOptions;
use crate::foreign::output::{Content, Origin, Output};
use crate::keys::document::{document, metadata};
use crate::parsed_file::{KINDS, ParsedFile, scalar};
use crate::reader::{At, Reader, did_you_mean, quoted_list, suggestion};
use crate::yaml::Node;

/// Reads all documents of all files.
pub(crate) fn read(files: &mut [ParsedFile<'_>], options: &ImportOptions) -> Vec<Output> {
    for file in files.iter_mut() {
        file.documents.iter().for_each(|node| check_head(&mut file.reader, node));
    }
    let servers = Servers::default();
    let mut definitions = Definitions::new(Purpose::File, options.source.clone(), Vec::new(), servers);
    read_definitions(&mut definitions, files);
    let mut outputs = Vec::new();
    for kind in ["Service", "SLO"] {
        for file in files.iter_mut() {
            let reader = &mut file.reader;
            for node in file.documents.iter().filter(|node| is(node, kind)) {
                match kind {
                    "Service" => outputs.extend(read_service(reader, node)),
                    _ => outputs.extend(read_slos(reader, node, &mut definitions)),
                }
            }
        }
    }
    definitions.list_unused(files);
    outputs
}

fn check_head(reader: &mut Reader<'_>, node: &Node) {
    let root = At::root(node);
    let version = scalar(node, "apiVersion");
    if version != Some("openslo/v1") {
        let message = match version {
            Some(version) if version.starts_with("openslo") => {
                format!("not converted: {version} is not read")
            }
            _ => "not converted: this is no OpenSLO document".to_owned(),
        };
        reader.error(&root, message, "convert it to `apiVersion: openslo/v1` first");
        return;
    }
    let kind = scalar(node, "kind").unwrap_or_default();
    if !KINDS.contains(&kind) {
        let help = suggestion(kind, &KINDS).map_or_else(|| quoted_list(&KINDS), |kind| did_you_mean(&kind));
        reader.error(&root, format!("not converted: OpenSLO has no kind `{kind}`"), help);
    }
}

fn read_service(reader: &mut Reader<'_>, node: &Node) -> Option<Output> {
    let mark = reader.findings.len();
    let document = without_labels(reader, node);
    let (notes, whole) = reader.since(mark);
    let stem = name_of(node).unwrap_or_default().to_owned();
    let content = Content::Document(stem, document);
    whole.then(|| Output { content, origin: origin(reader, node), notes })
}

/// Returns a document without its labels, which no rule takes.
pub(crate) fn without_labels(reader: &mut Reader<'_>, node: &Node) -> Node {
    let mut document = node.clone();
    let metadata = reader.within(&At::root(node)).and_then(|fields| fields.get(document::METADATA));
    if let Some(at) =
        metadata.and_then(|at| reader.within(&at)).and_then(|fields| fields.get(metadata::LABELS))
    {
        let kind = scalar(node, "kind").unwrap_or_default();
        reader.lost(&at, format!("the labels of the {kind}"), "labels of rules stand in the SLOs");
        document.get_mut("metadata").into_iter().for_each(|metadata| metadata.leave_out("labels"));
    }
    document
}

fn origin(reader: &Reader<'_>, node: &Node) -> Origin {
    Origin { file: reader.file.to_owned(), place: node.place.clone(), was: "OpenSLO v1".to_owned() }
}

fn read_slos(reader: &mut Reader<'_>, node: &Node, definitions: &mut Definitions) -> Vec<Output> {
    let mark = reader.findings.len();
    let slos = rewrite(reader, node, definitions).unwrap_or_default();
    let (own, whole) = reader.since(mark);
    let mut notes = core::mem::take(&mut definitions.references.notes);
    notes.extend(own);
    if !whole {
        return Vec::new();
    }
    let origin = origin(reader, node);
    let output = |slo: Node| {
        let content = Content::Document(stem(&slo), slo);
        Output { content, origin: origin.clone(), notes: notes.clone() }
    };
    slos.into_iter().map(output).collect()
}
