//! `Service`, `SLI` and `SLO` of OpenSLO v1 in lookout's own form; they may stand in any number of files and refer to
//! each other. Other kinds and the specs of other tools are brought into that form first (`foreign/`).

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::composite::{is_composite, read_composite, refuse_annotations};
use super::indicator::{Indicators, read_indicator, read_named_indicator};
use super::known::Known;
use super::metadata::{Metadata, read_metadata, text};
use super::model::{Service, Slo};
use super::objective::{Evaluation, read_objective_fields, read_policy};
use super::parsed_file::{KINDS, ParsedFile, scalar};
use super::reader::{At, Reader, did_you_mean, quoted_list, suggestion};
use super::yaml::Node;
use crate::keys::Object;
use crate::keys::document::document;
use crate::keys::openslo::{service, service_annotations, slo, slo_annotations};

/// Reads the services and SLOs of all files, whose documents are in lookout's own form.
pub(super) fn read_documents(
    files: &mut [ParsedFile<'_>],
    documents: &[Vec<Cow<'_, Node>>],
    known: &Known,
) -> (BTreeMap<String, Service>, Vec<Slo>) {
    let (mut services, mut slos) = (BTreeMap::new(), Vec::new());
    let mut indicators = Indicators::new();
    for (file, documents) in files.iter_mut().zip(documents) {
        for node in documents {
            match kind_of(&mut file.reader, node) {
                Some("Service") => read_service(&mut file.reader, node, &mut services),
                Some("SLI") => read_sli(&mut file.reader, node, known, &mut indicators),
                _ => {}
            }
        }
    }
    // SLOs come second: what they refer to may stand in a later file. Their kinds were judged above.
    for (file, documents) in files.iter_mut().zip(documents) {
        for node in documents.iter().filter(|node| scalar(node, "kind") == Some("SLO")) {
            let slo = read_slo(&mut file.reader, node, known, &indicators, &slos);
            slos.extend(slo);
        }
    }
    (services, slos)
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

fn read_service(reader: &mut Reader<'_>, node: &Node, services: &mut BTreeMap<String, Service>) {
    let Some((metadata, spec)) = open(reader, node, Some(service_annotations::OBJECT)) else {
        return;
    };
    let description =
        reader.fields(&spec, service::OBJECT).and_then(|fields| text(reader, &fields, service::DESCRIPTION));
    let owner =
        metadata.annotation(service_annotations::OWNER).and_then(|at| reader.text(at)).map(str::to_owned);
    let Some((name, at)) = metadata.name else { return };
    if services.contains_key(&name) {
        reader.error(&at, format!("two services have the name `{name}`"), "keep one of them");
        return;
    }
    let description = description.unwrap_or_default();
    let service = Service { name: name.clone(), display_name: metadata.display_name, description, owner };
    services.insert(name, service);
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
    let read = if is_composite(&fields, &metadata) {
        read_composite(reader, &fields, &metadata, known, indicators)
    } else {
        refuse_annotations(reader, &metadata);
        let what = "an SLO has either an indicator or a reference to one";
        let (_, indicator) = read_named_indicator(reader, &fields, what, known, indicators);
        read_objective_fields(reader, &fields, indicator, known)
    };
    let id = metadata.name.as_ref().zip(service).map(|((name, _), service)| format!("{service}-{name}"));
    let source = (known, id.as_deref().unwrap_or_default());
    let evaluation = read_policy(reader, &fields, &metadata, &read, source);
    let (name, name_at) = metadata.name?;
    let (service, indicator) = (service?.to_owned(), read.indicator?);
    let Evaluation { policy, calendar, traffic, page_within, gate, time_zone } = evaluation?;
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
        gate,
        time_zone,
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
