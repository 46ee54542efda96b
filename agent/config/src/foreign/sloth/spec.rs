//! Sloth: `prometheus/v1`, the same as a `PrometheusServiceLevel` of Kubernetes, and `AlertWindows`.
//!
//! Its alerts come from a catalogue of windows for the period, and the period from its command line, so both are
//! options here. Labels of rules become labels of the SLO. Names, labels and annotations of its two alerts have no
//! place in lookout, which has one alert per SLO and writes its texts itself: they are listed, with their values.

use std::collections::BTreeMap;

use lookout_engine::{Objective, Severity, Tier};
use lookout_promql::query::Query;

use super::defaults::{Defaults, read_defaults};
use crate::diagnostic::Diagnostic;
use crate::foreign::document::{Document, ratio};
use crate::foreign::format::ImportOptions;
use crate::foreign::output::{
    Content, Origin, Output, SloOutput, object_metadata, object_name, print_page_within, quote, scalar_text,
};
use crate::foreign::query::{check_events, parse_query, split_quotient};
use crate::keys::kubernetes::{kubernetes_object, object_metadata};
use crate::keys::sloth::Spelling;
use crate::keys::{Key, sloth};
use crate::parsed_file::{ParsedFile, scalar};
use crate::reader::{At, Fields, Reader};
use crate::yaml::Node;

/// The part of a document that all of its SLOs share.
struct Head<'h> {
    spelling: &'static Spelling,
    was: String,
    service: Option<String>,
    labels: BTreeMap<String, String>,
    notes: Vec<Diagnostic>,
    whole: bool,
    defaults: &'h Defaults<'h>,
}

/// Reads those documents of all files that are wanted.
pub(crate) fn read(
    files: &mut [ParsedFile<'_>],
    options: &ImportOptions,
    wanted: impl Fn(&Node) -> bool,
) -> Vec<Output> {
    let defaults = read_defaults(files, options);
    let mut outputs = Vec::new();
    for file in files {
        for node in file.documents.iter().filter(|node| wanted(node)) {
            let root = At::root(node);
            match (scalar(node, "version"), scalar(node, "apiVersion"), scalar(node, "kind")) {
                (Some("prometheus/v1"), ..) => read_file(&mut file.reader, &root, &defaults, &mut outputs),
                (_, Some("sloth.slok.dev/v1"), Some("PrometheusServiceLevel")) => {
                    read_object(&mut file.reader, &root, &defaults, &mut outputs);
                }
                (_, Some("sloth.slok.dev/v1"), Some("AlertWindows")) => {}
                _ => {
                    let help =
                        "Sloth's begin with `version: prometheus/v1` or `apiVersion: sloth.slok.dev/v1`";
                    file.reader.error(&root, "not converted: this is no spec of Sloth", help);
                }
            }
        }
    }
    outputs
}

fn read_file(reader: &mut Reader<'_>, root: &At<'_>, defaults: &Defaults<'_>, outputs: &mut Vec<Output>) {
    let mark = reader.findings.len();
    let Some(fields) = reader.fields(root, sloth::sloth_file::OBJECT) else { return };
    let what = (&sloth::snake::SPELLING, "Sloth prometheus/v1".to_owned());
    read_body(reader, &fields, what, defaults, mark, outputs);
}

fn read_object(reader: &mut Reader<'_>, root: &At<'_>, defaults: &Defaults<'_>, outputs: &mut Vec<Output>) {
    let mark = reader.findings.len();
    let Some(fields) = reader.fields(root, kubernetes_object::OBJECT) else {
        return;
    };
    let metadata = object_metadata(reader, &fields);
    if let Some(metadata) = &metadata {
        for (key, what) in [
            (object_metadata::LABELS, "the labels of the object, which Sloth does not give to rules either"),
            (object_metadata::ANNOTATIONS, "the annotations of the object"),
        ] {
            if let Some(at) = metadata.get(key) {
                reader.lost(&at, what, "labels of rules stand under `spec.labels`");
            }
        }
    }
    let Some(spec) =
        reader.required(&fields, kubernetes_object::SPEC, "write `service` and `slos` under `spec:`")
    else {
        return;
    };
    let Some(fields) = reader.fields(&spec, sloth::object_spec::OBJECT) else { return };
    let what = (&sloth::camel::SPELLING, object_name("Sloth PrometheusServiceLevel", metadata.as_ref()));
    read_body(reader, &fields, what, defaults, mark, outputs);
}

fn read_body(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    (spelling, was): (&'static Spelling, String),
    defaults: &Defaults<'_>,
    mark: usize,
    outputs: &mut Vec<Output>,
) {
    let service = reader
        .required(fields, sloth::sloth_file::SERVICE, "name the service")
        .and_then(|at| reader.name(&at));
    let service = service.map(str::to_owned);
    let mut labels = BTreeMap::new();
    if let Some(at) = fields.get(sloth::sloth_file::LABELS) {
        reader.carry_labels(&at, &mut labels);
    }
    list_plugins(reader, fields, spelling.slo_plugins);
    if defaults.scaled {
        let help = "name a file with `AlertWindows` for this period to use others";
        let what = format!("Sloth has no windows for {}; those of 30 days are scaled", defaults.period);
        reader.changed(&fields.at, what, help);
    }
    let slos = reader
        .required(fields, sloth::sloth_file::SLOS, "list at least one SLO")
        .and_then(|at| reader.list(&at));
    if slos.as_ref().is_some_and(Vec::is_empty) {
        reader.error(&fields.at, "not converted: this document has no SLO", "list at least one under `slos`");
    }
    let (notes, whole) = reader.since(mark);
    let head = Head { spelling, was, service, labels, notes, whole, defaults };
    for at in slos.into_iter().flatten() {
        let mark = reader.findings.len();
        let slo = read_slo(reader, &at, &head);
        let (notes, whole) = reader.since(mark);
        if let Some(slo) = slo.filter(|_| whole && head.whole) {
            let origin =
                Origin { file: reader.file.to_owned(), place: at.node.place.clone(), was: head.was.clone() };
            let notes = head.notes.iter().cloned().chain(notes).collect();
            outputs.push(Output { content: Content::Slo(Box::new(slo)), origin, notes });
        }
    }
}

fn read_slo(reader: &mut Reader<'_>, at: &At<'_>, head: &Head<'_>) -> Option<SloOutput> {
    let fields = reader.fields(at, head.spelling.slo)?;
    let name = reader.required(&fields, sloth::snake::slo::NAME, "give the SLO a name");
    let name = name.and_then(|at| Some((reader.name(&at)?.to_owned(), at.node.place.clone())));
    let description = reader.text_under(&fields, sloth::snake::slo::DESCRIPTION).unwrap_or_default();
    let mut labels = head.labels.clone();
    if let Some(at) = fields.get(sloth::snake::slo::LABELS) {
        reader.carry_labels(&at, &mut labels);
    }
    list_plugins(reader, &fields, sloth::snake::slo::PLUGINS);
    let objective =
        reader.required(&fields, sloth::snake::slo::OBJECTIVE, "write a percentage, like `objective: 99.9`");
    let objective = objective.and_then(|at| {
        let percent = reader.number(&at)?;
        Some((Document::number_at(&at, percent), reader.objective_percent(&at, percent)?))
    });
    let sli =
        reader.required(&fields, sloth::snake::slo::SLI, "write `events`, `raw` or `plugin` under `sli:`");
    let indicator = sli.and_then(|at| read_sli(reader, &at, head));
    let alerts = read_alerting(reader, &fields, head.spelling, &mut labels);
    let (percent, objective) = objective?;
    let tiers = choose_tiers(reader, at, &alerts, objective, head.defaults)?;
    let (name, name_at) = name?;
    Some(SloOutput {
        name,
        name_at,
        service: head.service.clone()?,
        description,
        labels,
        page_within: print_page_within(&tiers, objective),
        tiers,
        data_alert: None,
        indicator: indicator?,
        period: head.defaults.period,
        percent,
    })
}

/// Plugins run Go code of Sloth: each is named.
fn list_plugins(reader: &mut Reader<'_>, fields: &Fields<'_>, key: Key) {
    let Some(at) = fields.get(key) else { return };
    let Some(plugins) = reader.fields(&at, sloth::plugins::OBJECT) else { return };
    let chain = plugins.get(sloth::plugins::CHAIN).and_then(|at| reader.list(&at)).unwrap_or_default();
    for at in chain {
        let Some(plugin) = reader.fields(&at, sloth::plugin::OBJECT) else { continue };
        let id =
            reader.required(&plugin, sloth::plugin::ID, "name the plugin").and_then(|at| reader.text(&at));
        let what = format!("the SLO plugin `{}`", quote(id.unwrap_or_default()));
        reader.lost(&at, what, "it runs within Sloth; what it added to the rules is not in this spec");
    }
}

fn read_sli(reader: &mut Reader<'_>, at: &At<'_>, head: &Head<'_>) -> Option<Document> {
    let fields = reader.fields(at, head.spelling.sli)?;
    let spelling = head.spelling;
    let source = &head.defaults.options.source;
    match (
        fields.get(sloth::snake::sli::EVENTS),
        fields.get(sloth::snake::sli::RAW),
        fields.get(sloth::snake::sli::PLUGIN),
    ) {
        (Some(at), None, None) => {
            let fields = reader.fields(&at, head.spelling.events)?;
            let mut query = |key: Key| {
                let at = reader.required(&fields, key, "write a query with `[{{.window}}]`")?;
                let query = read_query(reader, &at)?;
                check_events(reader, &at, &query)?;
                Some((query, at))
            };
            let (error, total) = (query(spelling.error_query), query(spelling.total_query));
            let ((error, error_at), (total, total_at)) = (error?, total?);
            if error.to_string() == total.to_string() {
                let help = "the errors are a part of the total";
                reader.error(&at, "not converted: both queries are the same", help);
                return None;
            }
            Some(ratio(
                source,
                ("bad", Document::text_at(&error_at, error.to_string())),
                Document::text_at(&total_at, total.to_string()),
            ))
        }
        (None, Some(at), None) => {
            let fields = reader.fields(&at, head.spelling.raw)?;
            let key = spelling.error_ratio_query;
            let at = reader.required(&fields, key, "write a query with `[{{.window}}]`")?;
            let query = read_query(reader, &at)?;
            let quotient = split_quotient(reader, &at, &query, true)?;
            let (part, total) = (
                Document::text_at(&at, quotient.part.to_string()),
                Document::text_at(&at, quotient.total.to_string()),
            );
            Some(ratio(source, (quotient.side, part), total))
        }
        (None, None, Some(at)) => {
            let fields = reader.fields(&at, sloth::sli_plugin::OBJECT)?;
            let id = reader
                .required(&fields, sloth::sli_plugin::ID, "name the plugin")
                .and_then(|at| reader.text(&at))?;
            let message = format!("not converted: the SLI plugin `{}` makes its queries in Go", quote(id));
            let help = "let Sloth generate its rules, and write their queries as `events`";
            reader.error(&at, message, help);
            None
        }
        _ => {
            let help = "write `events`, `raw` or `plugin` under `sli:`";
            reader.error(at, "not converted: an SLI is exactly one of three kinds", help);
            None
        }
    }
}

/// Reads a query that names the window.
fn read_query(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Query> {
    let text = reader.text(at)?;
    let query = parse_query(reader, at, text)?;
    if !query.is_windowed() {
        let message = "not converted: this query does not name the window";
        reader.error(at, message, "write its ranges as `[{{.window}}]`");
        return None;
    }
    Some(query)
}

/// The alerts that there are, of two.
struct Alerts {
    page: bool,
    ticket: bool,
}

fn read_alerting(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    spelling: &Spelling,
    labels: &mut BTreeMap<String, String>,
) -> Alerts {
    let both = Alerts { page: true, ticket: true };
    let Some(at) = fields.get(sloth::snake::slo::ALERTING) else { return both };
    let Some(fields) = reader.fields(&at, spelling.alerting) else { return both };
    if let Some(at) = fields.get(sloth::snake::alerting::NAME)
        && let Some(name) = reader.text(&at)
    {
        let help = "lookout makes it of service and SLO, the same for page and ticket";
        reader.lost(&at, format!("the name `{}` of the alert", quote(name)), help);
    }
    if let Some(at) = fields.get(sloth::snake::alerting::LABELS) {
        read_alert_labels(reader, &at, labels);
    }
    list_texts(
        reader,
        &fields,
        sloth::snake::alerting::ANNOTATIONS,
        "the annotation",
        "lookout writes the texts of alerts itself",
    );
    let mut enabled = |key: Key| {
        let name = key.name;
        let Some(at) = fields.get(key) else { return true };
        let Some(alert) = reader.fields(&at, sloth::alert::OBJECT) else { return true };
        let help = "lookout's alerts differ in the label `severity` alone: critical or warning";
        list_texts(reader, &alert, sloth::alert::LABELS, &format!("of {name} the label"), help);
        let help = "lookout writes the texts of alerts itself";
        list_texts(reader, &alert, sloth::alert::ANNOTATIONS, &format!("of {name} the annotation"), help);
        !alert.get(sloth::alert::DISABLE).and_then(|at| reader.switch(&at)).unwrap_or(false)
    };
    Alerts { page: enabled(spelling.page_alert), ticket: enabled(spelling.ticket_alert) }
}

/// Labels of both alerts: an SLO's labels are on them too.
fn read_alert_labels(reader: &mut Reader<'_>, at: &At<'_>, labels: &mut BTreeMap<String, String>) {
    let Some(fields) = reader.open_fields(at, "from names to values") else { return };
    for (key, value) in fields.all() {
        let shown = quote(&key.name);
        let text = scalar_text(value.node).unwrap_or_default();
        match labels.get(&key.name) {
            Some(held) if *held == text => {}
            Some(held) => {
                let help = format!("the SLO has it with the value `{}`, and so have its alerts", quote(held));
                reader.lost(&value, format!("the label `{shown}` of the alerts"), help);
            }
            None => {
                reader.carry_label(&key.name, &value, labels);
                if labels.contains_key(&key.name) {
                    let what = format!("the label `{shown}` of the alerts is a label of the SLO");
                    reader.changed(&value, what, "recorded series have it too");
                }
            }
        }
    }
}

/// Lists each entry of a mapping of texts, with its value.
fn list_texts(reader: &mut Reader<'_>, fields: &Fields<'_>, key: Key, what: &str, help: &str) {
    let Some(at) = fields.get(key) else { return };
    let Some(entries) = reader.open_fields(&at, "from names to texts") else { return };
    for (key, value) in entries.all() {
        let text = quote(&scalar_text(value.node).unwrap_or_default());
        reader.lost(&value, format!("{what} `{}`: {text}", quote(&key.name)), help);
    }
}

fn choose_tiers(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    alerts: &Alerts,
    objective: Objective,
    defaults: &Defaults<'_>,
) -> Option<Vec<Tier>> {
    let silent = !alerts.page && !alerts.ticket;
    if silent {
        let help = "an SLO of lookout always alerts: give its destinations `minimum: page` to drop tickets";
        reader.changed(at, "both alerts are disabled; it has the tiers of the ticket alert", help);
    }
    let wanted = defaults.tiers.iter().filter(|tier| match tier.severity {
        Severity::Page => alerts.page,
        Severity::Ticket => alerts.ticket || silent,
    });
    let wanted = wanted.copied().collect();
    reader.usable_tiers(at, wanted, objective, defaults.period)
}
