//! OpenSLO v1 documents, which may stand in any number of files and refer to each other.
//!
//! Read here are `Service`, `SLI` and `SLO` in lookout's own form. The other kinds, SLOs that use them, and specs of
//! other tools are brought into that form first, in memory and each part at its place (`import/adopt.rs`).
//!
//! What lookout needs beyond OpenSLO stands in annotations: on an SLO `lookout.dev/tiers`, `conditions`,
//! `minimum-events`, `minimum-bad`, `minimum-slots`, `confidence`, `stale-after`, `data-alert` (`page`, `ticket` or `off`),
//! `composite`, `objective`, `expected-rate` and `page-within` (`5m` or `off`), on a Service `lookout.dev/owner`.

use std::collections::BTreeMap;

use super::composite::{is_meant, read_composite, refuse_annotations};
use super::config::Known;
use super::diagnostic::Level;
use super::import::{Adopted, adopt};
use super::indicator::read_indicator;
use super::model::{Config, Indicator, Prometheus, Service, Slo};
use super::objective::{Evaluation, read_policy, read_promise};
use super::reader::{At, Fields, Reader, did_you_mean, quoted_list, suggestion};
use super::yaml::{Node, Value};
use crate::keys::openslo::{
    document, inline_sli, metadata, service, service_annotations, slo, slo_annotations,
};
use crate::keys::{Key, Object};

/// The prefix of lookout's own annotations.
pub(super) const PREFIX: &str = "lookout.dev/";

/// Labels that rules get from lookout itself.
pub(super) const OWN_LABELS: [&str; 5] = ["alertname", "env", "service", "severity", "slo"];

/// Kinds of OpenSLO that are read, and those that are not used yet.
pub(super) const KINDS: [&str; 7] =
    ["SLO", "SLI", "Service", "DataSource", "AlertPolicy", "AlertCondition", "AlertNotificationTarget"];

/// What all files together say.
#[derive(Default)]
pub(super) struct Specs {
    pub(super) services: BTreeMap<String, Service>,
    pub(super) slos: Vec<Slo>,
    /// Servers that data sources declare.
    pub(super) servers: Vec<Prometheus>,
}

impl Specs {
    /// Adds them to what `lookout.yaml` says.
    pub(super) fn put_into(self, config: &mut Config) {
        (config.services, config.slos) = (self.services, self.slos);
        config.prometheus.extend(self.servers);
    }
}

/// A file and its documents.
pub(super) struct Sheet<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) documents: &'a [Node],
}

/// What `metadata` says.
pub(super) struct Metadata<'n> {
    name: Option<(String, At<'n>)>,
    display_name: Option<String>,
    labels: BTreeMap<String, String>,
    /// The annotations that are declared for this kind of document.
    known: Option<&'static Object>,
    annotations: BTreeMap<String, At<'n>>,
}

impl<'n> Metadata<'n> {
    /// One of lookout's own annotations.
    pub(super) fn annotation(&self, key: Key) -> Option<&At<'n>> {
        self.known.into_iter().for_each(|known| known.expect_key(key));
        self.annotations.get(key.name)
    }
}

/// Indicators by name; `None` for one that is declared and wrong.
pub(super) type Indicators = BTreeMap<String, Option<Indicator>>;

/// Reads all documents of all files.
pub(super) fn read_specs(sheets: &mut [Sheet<'_>], known: &Known) -> Specs {
    let Adopted { documents, servers, known } = adopt(sheets, known);
    let mut specs = Specs { servers, ..Specs::default() };
    let mut indicators = Indicators::new();
    for (sheet, documents) in sheets.iter_mut().zip(&documents) {
        for node in documents {
            match kind_of(&mut sheet.reader, node) {
                Some("Service") => read_service(&mut sheet.reader, node, &mut specs),
                Some("SLI") => read_sli(&mut sheet.reader, node, &known, &mut indicators),
                _ => {}
            }
        }
    }
    // SLOs come second: what they refer to may stand in a later file. Their kinds were judged above.
    for (sheet, documents) in sheets.iter_mut().zip(&documents) {
        for node in documents.iter().filter(|node| scalar(node, "kind") == Some("SLO")) {
            let slo = read_slo(&mut sheet.reader, node, &known, &indicators, &specs.slos);
            specs.slos.extend(slo);
        }
    }
    specs
}

/// The text under a key, without judging anything.
pub(super) fn scalar<'n>(node: &'n Node, name: &str) -> Option<&'n str> {
    let Value::Map(entries) = &node.value else { return None };
    let (_, found) = entries.iter().find(|(key, _)| key.name == name)?;
    match &found.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// Checks the head of a document and returns its kind.
fn kind_of<'n>(reader: &mut Reader<'_>, node: &'n Node) -> Option<&'n str> {
    let root = At::root(node);
    let fields = reader.fields(&root, document::OBJECT)?;
    if let Some(at) = reader.required(&fields, document::API_VERSION, "write `apiVersion: openslo/v1`")
        && let Some(version) = reader.text(&at)
        && version != "openslo/v1"
    {
        let message = match version.starts_with("openslo") {
            true => format!("not supported yet: {version}"),
            false => "this is not an OpenSLO document".to_owned(),
        };
        reader.error(&at, message, "write `apiVersion: openslo/v1`");
    }
    let at = reader.required(&fields, document::KIND, "write `kind: SLO`")?;
    let kind = reader.text(&at)?;
    if !KINDS.contains(&kind) {
        let help = suggestion(kind, &KINDS).map_or_else(|| quoted_list(&KINDS), |kind| did_you_mean(&kind));
        reader.error(&at, format!("OpenSLO has no kind `{kind}`"), help);
    }
    Some(kind)
}

/// Head and `spec` of a document whose kind is known.
fn open<'n>(
    reader: &mut Reader<'_>,
    node: &'n Node,
    annotations: Option<&'static Object>,
) -> Option<(Metadata<'n>, At<'n>)> {
    let root = At::root(node);
    // its keys were judged with its kind
    let fields = reader.open_fields(&root, "")?;
    let metadata = reader.required(&fields, document::METADATA, "give it a name: `metadata: { name: … }`");
    let metadata = metadata.and_then(|at| read_metadata(reader, &at, annotations));
    let spec = reader.required(&fields, document::SPEC, "write what it says under `spec:`");
    Some((metadata?, spec?))
}

fn read_metadata<'n>(
    reader: &mut Reader<'_>,
    at: &At<'n>,
    known: Option<&'static Object>,
) -> Option<Metadata<'n>> {
    let fields = reader.fields(at, metadata::OBJECT)?;
    let name = reader.required(&fields, metadata::NAME, "give it a name");
    let name = name.and_then(|at| reader.name(&at).map(|name| (name.to_owned(), at)));
    let display_name = text(reader, &fields, metadata::DISPLAY_NAME);
    let labels = fields.get(metadata::LABELS).map(|at| read_labels(reader, &at)).unwrap_or_default();
    let annotations = fields.get(metadata::ANNOTATIONS).map(|at| read_annotations(reader, &at, known));
    Some(Metadata { name, display_name, labels, known, annotations: annotations.unwrap_or_default() })
}

fn text(reader: &mut Reader<'_>, fields: &Fields<'_>, key: Key) -> Option<String> {
    fields.get(key).and_then(|at| reader.text(&at)).map(|text| text.trim_end().to_owned())
}

fn read_labels(reader: &mut Reader<'_>, at: &At<'_>) -> BTreeMap<String, String> {
    let Some(fields) = reader.open_fields(at, "from names to values") else { return BTreeMap::new() };
    let mut labels = BTreeMap::new();
    for (key, value) in fields.all() {
        let name = key.name.as_str();
        let shape = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.is_empty();
        if !shape || name.starts_with("__") {
            let help = "use letters, digits and `_`, beginning with a letter";
            reader.note(
                Level::Error,
                &key.place,
                &value.key,
                format!("`{name}` cannot be the name of a label"),
                Some(help.to_owned()),
            );
        } else if OWN_LABELS.contains(&name) || name.starts_with("sloth_") {
            let help =
                format!("lookout sets {} and `sloth_*` itself; use another name", quoted_list(&OWN_LABELS));
            reader.note(
                Level::Error,
                &key.place,
                &value.key,
                format!("the label `{name}` is taken"),
                Some(help),
            );
        } else if matches!(value.node.value, Value::List(_)) {
            reader.error(&value, "not supported yet: labels with several values", "write one value");
        } else if let Some(text) = reader.scalar(&value) {
            labels.insert(name.to_owned(), text);
        }
    }
    labels
}

/// Lookout's own annotations; those of others are none of our business.
fn read_annotations<'n>(
    reader: &mut Reader<'_>,
    at: &At<'n>,
    known: Option<&'static Object>,
) -> BTreeMap<String, At<'n>> {
    let known = known.map(Object::names).unwrap_or_default();
    let Some(fields) = reader.open_fields(at, "from names to texts") else { return BTreeMap::new() };
    let mut annotations = BTreeMap::new();
    for (key, value) in fields.all().filter(|(key, _)| key.name.starts_with(PREFIX)) {
        if known.contains(&key.name.as_str()) {
            annotations.insert(key.name.clone(), value);
            continue;
        }
        let help = suggestion(&key.name, &known).map(|name| did_you_mean(&name));
        let help = help.unwrap_or_else(|| match known.is_empty() {
            true => "an SLI has no annotations of lookout's own".to_owned(),
            false => format!("known here: {}", quoted_list(&known)),
        });
        let message = format!("unknown annotation `{}`", key.name);
        reader.note(Level::Error, &key.place, &value.key, message, Some(help));
    }
    annotations
}

fn read_service(reader: &mut Reader<'_>, node: &Node, specs: &mut Specs) {
    let Some((metadata, spec)) = open(reader, node, Some(service_annotations::OBJECT)) else {
        return;
    };
    let description =
        reader.fields(&spec, service::OBJECT).and_then(|fields| text(reader, &fields, service::DESCRIPTION));
    let owner =
        metadata.annotation(service_annotations::OWNER).and_then(|at| reader.text(at)).map(str::to_owned);
    let Some((name, at)) = metadata.name else { return };
    if specs.services.contains_key(&name) {
        reader.error(&at, format!("two services have the name `{name}`"), "keep one of them");
        return;
    }
    let description = description.unwrap_or_default();
    let service = Service { name: name.clone(), display_name: metadata.display_name, description, owner };
    specs.services.insert(name, service);
}

fn read_sli(reader: &mut Reader<'_>, node: &Node, known: &Known, indicators: &mut Indicators) {
    let Some((metadata, spec)) = open(reader, node, None) else { return };
    let indicator = read_indicator(reader, &spec, known);
    let Some((name, at)) = metadata.name else { return };
    if indicators.insert(name.clone(), indicator).is_some() {
        reader.error(&at, format!("two SLIs have the name `{name}`"), "give one of them another name");
    }
}

fn read_slo(
    reader: &mut Reader<'_>,
    node: &Node,
    known: &Known,
    indicators: &Indicators,
    earlier: &[Slo],
) -> Option<Slo> {
    let (metadata, spec) = open(reader, node, Some(slo_annotations::OBJECT))?;
    let fields = reader.fields(&spec, slo::OBJECT)?;
    let service = reader.required(&fields, slo::SERVICE, "name the service it belongs to");
    let service = service.and_then(|at| reader.name(&at));
    let description = text(reader, &fields, slo::DESCRIPTION).unwrap_or_default();
    let promise = if is_meant(&fields, &metadata) {
        read_composite(reader, &fields, &metadata, known, indicators)
    } else {
        refuse_annotations(reader, &metadata);
        let what = "an SLO has either an indicator or a reference to one";
        let (_, indicator) = read_named_indicator(reader, &fields, what, known, indicators);
        read_promise(reader, &fields, indicator, known)
    };
    let id = metadata.name.as_ref().zip(service).map(|((name, _), service)| format!("{service}-{name}"));
    let source = (known, id.as_deref().unwrap_or_default());
    let evaluation = read_policy(reader, &fields, &metadata, &promise, source);
    let (name, name_at) = metadata.name?;
    let (service, indicator) = (service?.to_owned(), promise.indicator?);
    let Evaluation { policy, calendar, traffic, page_within } = evaluation?;
    let slo = Slo {
        name,
        service,
        display_name: metadata.display_name,
        description,
        file: reader.file.to_owned(),
        indicator,
        policy,
        calendar,
        labels: metadata.labels,
        traffic,
        page_within,
    };
    check_unique(reader, &slo, &name_at, earlier);
    Some(slo)
}

/// Names must differ, and so must what is made of them: ids and the names of alerts.
fn check_unique(reader: &mut Reader<'_>, slo: &Slo, at: &At<'_>, earlier: &[Slo]) {
    let same =
        |other: &&Slo| other.id() == slo.id() || other.alert_name().eq_ignore_ascii_case(&slo.alert_name());
    let Some(other) = earlier.iter().find(same) else { return };
    let file = other.file.display();
    let message = if (&other.service, &other.name) == (&slo.service, &slo.name) {
        format!("two SLOs of the service `{}` have the name `{}`", slo.service, slo.name)
    } else {
        format!(
            "`{}` of `{}` and `{}` of `{}` would have one id or one alert name",
            slo.name, slo.service, other.name, other.service
        )
    };
    reader.error(at, message, format!("the other one is in {file}; give one of them another name"));
}

/// An indicator that stands here or is referred to, and its name, if it has one; `what` says that it must.
pub(super) fn read_named_indicator(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    what: &str,
    known: &Known,
    indicators: &Indicators,
) -> (Option<String>, Option<Indicator>) {
    match (fields.get(slo::INDICATOR), fields.get(slo::INDICATOR_REF)) {
        (Some(at), None) => {
            let Some(inline) = reader.fields(&at, inline_sli::OBJECT) else { return (None, None) };
            let metadata = inline.get(inline_sli::METADATA).and_then(|at| read_metadata(reader, &at, None));
            let spec = reader.required(&inline, inline_sli::SPEC, "write `ratioMetric` under `spec:`");
            let indicator = spec.and_then(|spec| read_indicator(reader, &spec, known));
            (metadata.and_then(|metadata| metadata.name).map(|(name, _)| name), indicator)
        }
        (None, Some(at)) => {
            let Some(name) = reader.text(&at) else { return (None, None) };
            // a declared one that is wrong was reported where it stands
            if let Some(declared) = indicators.get(name) {
                return (Some(name.to_owned()), declared.clone());
            }
            let names: Vec<&String> = indicators.keys().collect();
            let help = suggestion(name, &names)
                .map_or_else(|| format!("declared are {}", quoted_list(&names)), |name| did_you_mean(&name));
            reader.error(&at, format!("the SLI `{name}` does not exist"), help);
            (None, None)
        }
        _ => {
            let help = "write `indicator` with a `spec`, or `indicatorRef` with the name of an SLI";
            reader.error(&fields.at, what, help);
            (None, None)
        }
    }
}
