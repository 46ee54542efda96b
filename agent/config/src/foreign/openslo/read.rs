//! Reads the documents that others refer to.

use super::alerting::{list_description, read_condition, read_policy, read_target};
use super::definitions::{Definition, Definitions, Named, Purpose, define};
use super::indicator::read_sli;
use super::kinds::{is, is_own, list_metadata, name_of, open};
use super::servers::hide;
use crate::keys::alerting::data_source;
use crate::parsed_file::ParsedFile;
use crate::reader::{At, Reader};
use crate::yaml::Node;

/// Reads what can be referred to; what refers to others comes after those.
pub(crate) fn read_definitions(definitions: &mut Definitions, files: &mut [ParsedFile<'_>]) {
    for kind in ["DataSource", "AlertCondition", "AlertNotificationTarget", "SLI", "AlertPolicy"] {
        for file in files.iter_mut() {
            for node in file.documents.iter().filter(|node| is(node, kind)) {
                read_definition(&mut file.reader, node, kind, definitions);
            }
        }
    }
}

fn read_definition(reader: &mut Reader<'_>, node: &Node, kind: &'static str, definitions: &mut Definitions) {
    if kind == "SLI" && definitions.purpose == Purpose::Model && node.get("spec").is_none_or(is_own) {
        // others read it where it stands; here it is known by name
        let sli = node.get("spec").and_then(|spec| read_sli(reader, &At::root(spec), definitions));
        let named = sli.map(|value| Named { value, notes: Vec::new() });
        definitions.slis.extend(name_of(node).map(|name| (name.to_owned(), named)));
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
            let value = spec.and_then(|spec| read_data_source(reader, &spec, &doc.name, definitions));
            define(reader, doc, value, &mut definitions.data_sources, &mut definitions.references);
        }
        "AlertCondition" => {
            let value = spec.and_then(|spec| read_condition(reader, &spec));
            define(reader, doc, value, &mut definitions.conditions, &mut definitions.references);
        }
        "AlertNotificationTarget" => {
            let value = spec.and_then(|spec| read_target(reader, &spec));
            define(reader, doc, value, &mut definitions.targets, &mut definitions.references);
        }
        "SLI" => {
            let value = spec.and_then(|spec| read_sli(reader, &spec, definitions));
            let value = value.map(|sli| sli.named(Some(doc.name.clone())));
            define(reader, doc, value, &mut definitions.slis, &mut definitions.references);
        }
        _ => {
            let value = spec.and_then(|spec| read_policy(reader, &spec, definitions));
            define(reader, doc, value, &mut definitions.policies, &mut definitions.references);
        }
    }
}

fn read_data_source(
    reader: &mut Reader<'_>,
    spec: &At<'_>,
    name: &str,
    definitions: &mut Definitions,
) -> Option<String> {
    let fields = reader.fields(spec, data_source::OBJECT)?;
    list_description(reader, &fields);
    let kind = reader
        .required(&fields, data_source::TYPE, "write `type: Prometheus`")
        .and_then(|at| reader.text(&at));
    if let Some(at) = fields.get(data_source::CONNECTION_DETAILS) {
        let prometheus = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("prometheus"));
        if definitions.purpose == Purpose::Model && prometheus {
            definitions.servers.read(reader, &at, name);
        } else {
            let help =
                "declare it under `prometheus` in lookout.yaml, with its URL and where its secret comes from";
            reader.lost(&at, "how the data source is reached", help);
            hide(reader, at.node);
        }
    }
    kind.map(str::to_owned)
}
