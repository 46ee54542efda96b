//! OpenSLO v1, all kinds, with references across files.
//!
//! Everything that is referred to is read first and kept by name, each with what was said about it; so an SLO's file
//! tells what is missing from it even where that was written elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::super::openslo::{KINDS, Sheet, scalar};
use super::super::reader::{At, Fields, Reader, did_you_mean, quoted_list, suggestion};
use super::super::yaml::Node;
use super::super::{Diagnostic, Level};
use super::ImportOptions;
use super::adapt::{adapt, stem};
use super::alerting::{Condition, Policy, list_description, read_condition, read_policy, read_target};
use super::draft::{Content, Draft, Origin};
use super::indicator::{Sli, is_own, read_sli};
use super::servers::{Servers, hide};
use crate::keys::alerting::data_source;
use crate::keys::openslo::{document, metadata};

/// A definition and what was said about it.
#[derive(Debug, Clone)]
pub(super) struct Named<T> {
    pub(super) value: T,
    pub(super) notes: Vec<Diagnostic>,
}

/// Definitions by name; `None` for one that is declared and wrong.
type Shelf<T> = BTreeMap<String, Option<Named<T>>>;

/// What becomes of the SLOs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Each is written to a file, which has to say everything itself.
    File,
    /// They are read at once, beside what they refer to.
    Model,
}

/// Everything that can be referred to.
pub(super) struct Library {
    pub(super) purpose: Purpose,
    /// The Prometheus that is asked where none is named.
    pub(super) source: String,
    /// Names of destinations in lookout.yaml.
    pub(super) destinations: Vec<String>,
    /// Servers that data sources declare.
    pub(super) servers: Servers,
    /// The types of data sources.
    data_sources: Shelf<String>,
    slis: Shelf<Sli>,
    conditions: Shelf<Condition>,
    targets: Shelf<String>,
    policies: Shelf<Policy>,
    desk: Desk,
}

/// What was taken from the shelves.
#[derive(Default)]
struct Desk {
    /// Kind and name of what was referred to.
    used: BTreeSet<(&'static str, String)>,
    /// What was said about the definitions that the one being read refers to.
    borrowed: Vec<Diagnostic>,
}

/// Reads all documents of all files.
pub(super) fn read(sheets: &mut [Sheet<'_>], options: &ImportOptions) -> Vec<Draft> {
    for sheet in sheets.iter_mut() {
        sheet.documents.iter().for_each(|node| check_head(&mut sheet.reader, node));
    }
    let servers = Servers::default();
    let mut library = Library::new(Purpose::File, options.source.clone(), Vec::new(), servers);
    library.read_definitions(sheets);
    let mut drafts = Vec::new();
    for kind in ["Service", "SLO"] {
        for sheet in sheets.iter_mut() {
            let reader = &mut sheet.reader;
            for node in sheet.documents.iter().filter(|node| is(node, kind)) {
                match kind {
                    "Service" => drafts.extend(read_service(reader, node)),
                    _ => drafts.extend(read_slos(reader, node, &mut library)),
                }
            }
        }
    }
    library.list_unused(sheets);
    drafts
}

/// Whether a document is of that kind.
pub(super) fn is(node: &Node, kind: &str) -> bool {
    scalar(node, "apiVersion") == Some("openslo/v1") && scalar(node, "kind") == Some(kind)
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

/// Name and `spec` of a document.
pub(super) struct Opened<'n> {
    pub(super) name: String,
    pub(super) metadata: Fields<'n>,
    pub(super) spec: At<'n>,
}

pub(super) fn open<'n>(reader: &mut Reader<'_>, node: &'n Node) -> Option<Opened<'n>> {
    let root = At::root(node);
    let fields = reader.fields(&root, document::OBJECT)?;
    let metadata = reader.required(&fields, document::METADATA, "give it a name: `metadata: { name: … }`");
    let metadata = metadata.and_then(|at| reader.fields(&at, metadata::OBJECT));
    let spec = reader.required(&fields, document::SPEC, "write what it says under `spec:`");
    let metadata = metadata?;
    let name =
        reader.required(&metadata, metadata::NAME, "give it a name").and_then(|at| reader.name(&at))?;
    Some(Opened { name: name.to_owned(), metadata, spec: spec? })
}

fn read_definition(reader: &mut Reader<'_>, node: &Node, kind: &'static str, library: &mut Library) {
    if kind == "SLI" && library.purpose == Purpose::Model && node.get("spec").is_none_or(is_own) {
        // others read it where it stands; here it is known by name
        let sli = node.get("spec").and_then(|spec| read_sli(reader, &At::root(spec), library));
        let named = sli.map(|value| Named { value, notes: Vec::new() });
        library.slis.extend(name_of(node).map(|name| (name.to_owned(), named)));
        return;
    }
    let mark = reader.findings.len();
    let opened = open(reader, node);
    let Some(name) = opened.as_ref().map(|opened| opened.name.clone()) else { return };
    let at = At::root(node);
    let spec = opened.map(|opened| {
        list_metadata(reader, &opened.metadata, kind);
        opened.spec
    });
    let doc = Definition { at, mark, name };
    match kind {
        "DataSource" => {
            let value = spec.and_then(|spec| read_data_source(reader, &spec, &doc.name, library));
            shelve(reader, doc, value, &mut library.data_sources, &mut library.desk);
        }
        "AlertCondition" => {
            let value = spec.and_then(|spec| read_condition(reader, &spec));
            shelve(reader, doc, value, &mut library.conditions, &mut library.desk);
        }
        "AlertNotificationTarget" => {
            let value = spec.and_then(|spec| read_target(reader, &spec));
            shelve(reader, doc, value, &mut library.targets, &mut library.desk);
        }
        "SLI" => {
            let value = spec.and_then(|spec| read_sli(reader, &spec, library));
            let value = value.map(|sli| sli.named(Some(doc.name.clone())));
            shelve(reader, doc, value, &mut library.slis, &mut library.desk);
        }
        _ => {
            let value = spec.and_then(|spec| read_policy(reader, &spec, library));
            shelve(reader, doc, value, &mut library.policies, &mut library.desk);
        }
    }
}

/// What is said about a definition is not in the files of those that refer to it.
pub(super) fn list_metadata(reader: &mut Reader<'_>, metadata: &Fields<'_>, kind: &str) {
    for key in [metadata::DISPLAY_NAME, metadata::LABELS, metadata::ANNOTATIONS] {
        if let Some(at) = metadata.get(key) {
            reader.lost(
                &at,
                format!("`{}` of the {kind}", key.name),
                "only those of SLOs and services are kept",
            );
        }
    }
}

/// A document that defines something.
struct Definition<'n> {
    at: At<'n>,
    /// Where the findings about it begin.
    mark: usize,
    name: String,
}

/// Keeps a definition together with what was said about it and about what it refers to.
fn shelve<T>(
    reader: &mut Reader<'_>,
    Definition { at, mark, name }: Definition<'_>,
    value: Option<T>,
    shelf: &mut Shelf<T>,
    desk: &mut Desk,
) {
    let (own, whole) = reader.since(mark);
    let mut notes = core::mem::take(&mut desk.borrowed);
    notes.extend(own);
    let named = value.filter(|_| whole).map(|value| Named { value, notes });
    if shelf.contains_key(&name) {
        let message = format!("two of this kind have the name `{name}`");
        reader.error(&at, message, "give one of them another name");
    }
    shelf.insert(name, named);
}

fn read_data_source(
    reader: &mut Reader<'_>,
    spec: &At<'_>,
    name: &str,
    library: &mut Library,
) -> Option<String> {
    let fields = reader.fields(spec, data_source::OBJECT)?;
    list_description(reader, &fields);
    let kind = reader
        .required(&fields, data_source::TYPE, "write `type: Prometheus`")
        .and_then(|at| reader.text(&at));
    if let Some(at) = fields.get(data_source::CONNECTION_DETAILS) {
        let prometheus = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("prometheus"));
        if library.purpose == Purpose::Model && prometheus {
            library.servers.read(reader, &at, name);
        } else {
            let help =
                "declare it under `prometheus` in lookout.yaml, with its URL and where its secret comes from";
            reader.lost(&at, "how the data source is reached", help);
            hide(reader, at.node);
        }
    }
    kind.map(str::to_owned)
}

fn read_service(reader: &mut Reader<'_>, node: &Node) -> Option<Draft> {
    let mark = reader.findings.len();
    let document = without_labels(reader, node);
    let (notes, whole) = reader.since(mark);
    let stem = name_of(node).unwrap_or_default().to_owned();
    let content = Content::Document(stem, document);
    whole.then(|| Draft { content, origin: origin(reader, node), notes })
}

/// A document that no rule is made of, without its labels.
pub(super) fn without_labels(reader: &mut Reader<'_>, node: &Node) -> Node {
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

fn read_slos(reader: &mut Reader<'_>, node: &Node, library: &mut Library) -> Vec<Draft> {
    let mark = reader.findings.len();
    let slos = adapt(reader, node, library).unwrap_or_default();
    let (own, whole) = reader.since(mark);
    let mut notes = core::mem::take(&mut library.desk.borrowed);
    notes.extend(own);
    if !whole {
        return Vec::new();
    }
    let origin = origin(reader, node);
    let draft = |slo: Node| {
        let content = Content::Document(stem(&slo), slo);
        Draft { content, origin: origin.clone(), notes: notes.clone() }
    };
    slos.into_iter().map(draft).collect()
}

fn name_of(node: &Node) -> Option<&str> {
    use super::super::yaml::Value;
    let Value::Map(entries) = &node.value else { return None };
    scalar(&entries.iter().find(|(key, _)| key.name == "metadata")?.1, "name")
}

impl Library {
    pub(super) fn new(purpose: Purpose, source: String, destinations: Vec<String>, servers: Servers) -> Self {
        Self {
            purpose,
            source,
            destinations,
            servers,
            data_sources: Shelf::new(),
            slis: Shelf::new(),
            conditions: Shelf::new(),
            targets: Shelf::new(),
            policies: Shelf::new(),
            desk: Desk::default(),
        }
    }

    /// Reads what can be referred to; what refers to others comes after those.
    pub(super) fn read_definitions(&mut self, sheets: &mut [Sheet<'_>]) {
        for kind in ["DataSource", "AlertCondition", "AlertNotificationTarget", "SLI", "AlertPolicy"] {
            for sheet in sheets.iter_mut() {
                for node in sheet.documents.iter().filter(|node| is(node, kind)) {
                    read_definition(&mut sheet.reader, node, kind, self);
                }
            }
        }
    }

    /// What no SLO refers to comes to nothing.
    pub(super) fn list_unused(&self, sheets: &mut [Sheet<'_>]) {
        for sheet in sheets {
            for node in sheet.documents {
                let (Some(kind), Some(name)) = (scalar(node, "kind"), name_of(node)) else { continue };
                let used = self.desk.used.iter().any(|(known, used)| *known == kind && used == name);
                if used || matches!(kind, "SLO" | "Service") || !KINDS.contains(&kind) || !is(node, kind) {
                    continue;
                }
                // lookout's own are read all the same, and a server may be there for others
                let read = kind == "DataSource" || kind == "SLI" && node.get("spec").is_none_or(is_own);
                if self.purpose == Purpose::Model && read {
                    continue;
                }
                let what = format!("the {kind} `{name}`, which nothing refers to");
                sheet.reader.lost(&At::root(node), what, "refer to it, or leave it out");
            }
        }
    }

    pub(super) fn find_data_source(
        &mut self,
        reader: &mut Reader<'_>,
        at: &At<'_>,
        name: &str,
    ) -> Option<String> {
        if !self.data_sources.contains_key(name) && self.servers.is_declared(name) {
            return Some("prometheus".to_owned());
        }
        find(reader, at, "DataSource", name, &self.data_sources, &mut self.desk)
    }

    /// Whether an indicator of that name was declared, rightly or wrongly.
    pub(super) fn has_sli(&self, name: &str) -> bool {
        self.slis.contains_key(name)
    }

    pub(super) fn find_sli(&mut self, reader: &mut Reader<'_>, at: &At<'_>, name: &str) -> Option<Sli> {
        find(reader, at, "SLI", name, &self.slis, &mut self.desk)
    }

    pub(super) fn find_condition(
        &mut self,
        reader: &mut Reader<'_>,
        at: &At<'_>,
        name: &str,
    ) -> Option<Condition> {
        find(reader, at, "AlertCondition", name, &self.conditions, &mut self.desk)
    }

    pub(super) fn find_target(&mut self, reader: &mut Reader<'_>, at: &At<'_>, name: &str) -> Option<String> {
        find(reader, at, "AlertNotificationTarget", name, &self.targets, &mut self.desk)
    }

    pub(super) fn find_policy(&mut self, reader: &mut Reader<'_>, at: &At<'_>, name: &str) -> Option<Policy> {
        find(reader, at, "AlertPolicy", name, &self.policies, &mut self.desk)
    }
}

/// A definition by name; its notes become those of what refers to it.
fn find<T: Clone>(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    kind: &'static str,
    name: &str,
    shelf: &Shelf<T>,
    desk: &mut Desk,
) -> Option<T> {
    desk.used.insert((kind, name.to_owned()));
    match shelf.get(name) {
        Some(Some(named)) => {
            let notes = named.notes.iter().filter(|note| note.level == Level::Warning);
            desk.borrowed.extend(notes.cloned());
            Some(named.value.clone())
        }
        Some(None) => {
            reader.error(at, format!("the {kind} `{name}` is wrong"), "mend what is said about it");
            None
        }
        None => {
            let names: Vec<&String> = shelf.keys().collect();
            let help = suggestion(name, &names).map(|name| did_you_mean(&name));
            let help = help.unwrap_or_else(|| format!("declared are {}", quoted_list(&names)));
            reader.error(at, format!("the {kind} `{name}` does not exist"), help);
            None
        }
    }
}
