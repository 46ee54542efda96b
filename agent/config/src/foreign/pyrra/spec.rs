//! Pyrra: `ServiceLevelObjective`.
//!
//! Its indicators are selectors, from which it makes the queries; here the same is made of them. It has no services,
//! so the name of one is taken from an option, from labels of the object, or from its namespace.

use std::collections::BTreeMap;

use lookout_engine::{Severity, Window};
use lookout_promql::query::WINDOW;
use lookout_promql::selector::{MatchOp, Matcher, Selector};

use super::tiers::{PyrraAlert, tiers};
use crate::foreign::document::{Document, ratio};
use crate::foreign::format::ImportOptions;
use crate::foreign::output::{
    Content, Origin, Output, SloOutput, object_metadata, object_name, print_page_within, quote, scalar_text,
};
use crate::indicator::query_error;
use crate::keys::Key;
use crate::keys::kubernetes::{kubernetes_object, object_metadata};
use crate::keys::pyrra::{alerting, gauge, indicator, latency, metric, native, ratio, severities, spec};
use crate::parsed_file::{ParsedFile, scalar};
use crate::reader::{At, Fields, Reader};
use crate::yaml::{Node, Place};

/// The prefix of labels that Pyrra gives to rules.
const PREFIX: &str = "pyrra.dev/";

/// Labels of an object that name its service, the first that is there.
const SERVICE_LABELS: [&str; 2] = ["pyrra.dev/service", "app.kubernetes.io/name"];

/// The shortest period whose shortest window does not round to zero minutes.
const SHORTEST_PERIOD: Window = Window::seconds(8064 * 30);

/// Reads those documents of all files that are wanted.
pub(crate) fn read(
    files: &mut [ParsedFile<'_>],
    options: &ImportOptions,
    wanted: impl Fn(&Node) -> bool,
) -> Vec<Output> {
    let mut outputs = Vec::new();
    for file in files {
        let reader = &mut file.reader;
        for node in file.documents.iter().filter(|node| wanted(node)) {
            let root = At::root(node);
            let head = (scalar(node, "apiVersion"), scalar(node, "kind"));
            if head != (Some("pyrra.dev/v1alpha1"), Some("ServiceLevelObjective")) {
                let help =
                    "Pyrra's begin with `apiVersion: pyrra.dev/v1alpha1` and `kind: ServiceLevelObjective`";
                reader.error(&root, "not converted: this is no spec of Pyrra", help);
                continue;
            }
            let mark = reader.findings.len();
            let slo = read_object(reader, &root, options);
            let (notes, whole) = reader.since(mark);
            if let Some((slo, was)) = slo.filter(|_| whole) {
                let origin = Origin { file: reader.file.to_owned(), place: node.place.clone(), was };
                outputs.push(Output { content: Content::Slo(Box::new(slo)), origin, notes });
            }
        }
    }
    outputs
}

/// Name, service and labels of an object.
struct Identity {
    name: Option<(String, Place)>,
    service: String,
    labels: BTreeMap<String, String>,
    /// Its former kind, for the written file.
    was: String,
}

fn read_object(
    reader: &mut Reader<'_>,
    root: &At<'_>,
    options: &ImportOptions,
) -> Option<(SloOutput, String)> {
    let fields = reader.fields(root, kubernetes_object::OBJECT)?;
    let identity = read_identity(reader, &fields, options);
    let spec = reader.required(
        &fields,
        kubernetes_object::SPEC,
        "write `target`, `window` and `indicator` under `spec:`",
    )?;
    let fields = reader.fields(&spec, spec::OBJECT)?;
    let description = reader.text_under(&fields, spec::DESCRIPTION).unwrap_or_default();
    list_settings(reader, &fields);
    let target = reader.required(&fields, spec::TARGET, "write a percentage in quotes, like `\"99.9\"`");
    let target = target.and_then(|at| read_target(reader, &at));
    let window = reader.required(&fields, spec::WINDOW, "write a period, like `4w`");
    let period = window.and_then(|at| {
        let period = reader.window(&at)?;
        if period < SHORTEST_PERIOD {
            let help = "Pyrra rounds its shortest window to nothing for so short a period";
            reader.changed(&at, "the shortest window is a minute", help);
        }
        Some(period)
    });
    let indicator = reader.required(&fields, spec::INDICATOR, "write `ratio`, `latency`, … under it");
    let indicator = indicator.and_then(|at| read_indicator(reader, &at, &options.source));
    let alerts = read_alerting(reader, &fields);
    let ((percent, objective), period, identity) = (target?, period?, identity?);
    let tiers = tiers(period, |alert| alerts.severity(alert));
    let tiers = reader.usable_tiers(&spec, tiers, objective, period)?;
    let (name, name_at) = identity.name?;
    let slo = SloOutput {
        name,
        name_at,
        service: identity.service,
        description,
        labels: identity.labels,
        page_within: print_page_within(&tiers, objective),
        tiers,
        data_alert: Some(alerts.absent),
        indicator: indicator?,
        period,
        percent,
    };
    Some((slo, identity.was))
}

fn read_identity(reader: &mut Reader<'_>, fields: &Fields<'_>, options: &ImportOptions) -> Option<Identity> {
    let metadata = object_metadata(reader, fields)?;
    let name = reader.required(&metadata, object_metadata::NAME, "give it a name");
    let name = name.and_then(|at| Some((reader.name(&at)?.to_owned(), at.node.place.clone())));
    let mut labels = BTreeMap::new();
    let mut declared: BTreeMap<&str, String> = BTreeMap::new();
    let written =
        metadata.get(object_metadata::LABELS).and_then(|at| reader.open_fields(&at, "from names to values"));
    for (key, value) in written.iter().flat_map(Fields::all) {
        if let Some(known) = SERVICE_LABELS.iter().find(|known| **known == key.name) {
            declared.extend(scalar_text(value.node).map(|text| (*known, text)));
        } else if let Some(name) = key.name.strip_prefix(PREFIX) {
            reader.carry_label(name, &value, &mut labels);
        } else {
            let what = format!("the label `{}` of the object", quote(&key.name));
            reader.lost(&value, what, "Pyrra gives only those under `pyrra.dev/` to rules");
        }
    }
    let annotations =
        metadata.get(object_metadata::ANNOTATIONS).and_then(|at| reader.open_fields(&at, "of texts"));
    for (key, value) in annotations.iter().flat_map(Fields::all) {
        let text = quote(&scalar_text(value.node).unwrap_or_default());
        let what = format!("the annotation `{}`: {text}", quote(&key.name));
        reader.lost(&value, what, "lookout writes the texts of alerts itself");
    }
    let namespace =
        metadata.get(object_metadata::NAMESPACE).and_then(|at| reader.text(&at)).map(str::to_owned);
    let labelled = SERVICE_LABELS.iter().find_map(|name| declared.get(name).cloned());
    let service = options.service.clone().or(labelled).or(namespace).unwrap_or_else(|| "default".to_owned());
    if options.service.is_none() && !declared.contains_key("pyrra.dev/service") {
        let help = "Pyrra has no services; name one with the label `pyrra.dev/service`, or to `import` with `--service`";
        reader.changed(&metadata.at, format!("it belongs to the service `{}`", quote(&service)), help);
    }
    let was = object_name("Pyrra ServiceLevelObjective", Some(&metadata));
    Some(Identity { name, service, labels, was })
}

/// Lists settings of Pyrra's rules that do not change their meaning.
fn list_settings(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    for (key, help) in [
        (spec::PERFORMANCE_OVER_ACCURACY, "lookout counts exactly at no such price"),
        (spec::RULE_OUTPUT, "lookout's rules have its own labels; add more under `metadata.labels`"),
        (spec::PARTIAL_RESPONSE_STRATEGY, "this is a setting of Thanos Ruler"),
    ] {
        if let Some(at) = fields.get(key) {
            reader.lost(&at, format!("`{}`", key.name), help);
        }
    }
}

fn read_target(reader: &mut Reader<'_>, at: &At<'_>) -> Option<(Document, lookout_engine::Objective)> {
    let text = scalar_text(at.node)?;
    let Ok(percent) = text.trim().parse::<f64>() else {
        reader.error(at, "not converted: expected a percentage", "write one like `\"99.9\"`");
        return None;
    };
    Some((Document::number_at(at, percent), reader.objective_percent(at, percent)?))
}

fn read_indicator(reader: &mut Reader<'_>, at: &At<'_>, source: &str) -> Option<Document> {
    let fields = reader.fields(at, indicator::OBJECT)?;
    let kinds = indicator::OBJECT.keys.iter();
    let mut found = kinds.filter_map(|key| fields.get(*key).map(|at| (key.name, at)));
    let (Some((name, at)), None) = (found.next(), found.next()) else {
        let help = "write one of `ratio`, `latency`, `latencyNative` and `bool_gauge`";
        reader.error(at, "not converted: an indicator is exactly one of four kinds", help);
        return None;
    };
    match name {
        _ if name == indicator::RATIO.name => {
            let fields = reader.fields(&at, ratio::OBJECT)?;
            list_grouping(reader, &fields);
            let (errors, total) =
                (metric(reader, &fields, ratio::ERRORS), metric(reader, &fields, ratio::TOTAL));
            Some(ratio(source, ("bad", errors?.document()), total?.document()))
        }
        _ if name == indicator::LATENCY.name => {
            let fields = reader.fields(&at, latency::OBJECT)?;
            list_grouping(reader, &fields);
            let (success, total) =
                (metric(reader, &fields, latency::SUCCESS), metric(reader, &fields, latency::TOTAL));
            let (success, total) = (success?, total?);
            let success = Metric { selector: either_bound(success.selector), ..success };
            Some(ratio(source, ("good", success.document()), total.document()))
        }
        _ if name == indicator::LATENCY_NATIVE.name => read_native(reader, &at, source),
        _ => {
            let fields = reader.fields(&at, gauge::OBJECT)?;
            list_grouping(reader, &fields);
            let at = reader.required(&fields, gauge::METRIC, "name the gauge")?;
            let gauge = selector(reader, &at)?;
            let good = format!("sum(sum_over_time({gauge}[{WINDOW}]))");
            let total = format!("sum(count_over_time({gauge}[{WINDOW}]))");
            Some(ratio(source, ("good", Document::text_at(&at, good)), Document::text_at(&at, total)))
        }
    }
}

/// Reads a native histogram, cut at the bound between good and slow.
fn read_native(reader: &mut Reader<'_>, at: &At<'_>, source: &str) -> Option<Document> {
    let fields = reader.fields(at, native::OBJECT)?;
    list_grouping(reader, &fields);
    let latency = reader.required(&fields, native::LATENCY, "write the bound, like `1s`");
    let latency = latency.and_then(|at| reader.duration(&at)).map(|latency| latency.as_secs_f64());
    let Metric { selector, at } = metric(reader, &fields, native::TOTAL)?;
    let events = format!("sum(increase({selector}[{WINDOW}]))");
    let good = format!("histogram_fraction(0, {}, {events}) * histogram_count({events})", latency?);
    let total = format!("histogram_count({events})");
    Some(ratio(source, ("good", Document::text_at(&at, good)), Document::text_at(&at, total)))
}

/// One SLO per value is what Pyrra makes of it.
fn list_grouping(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    let Some(at) = fields.get(ratio::GROUPING) else { return };
    let Some(items) = reader.list(&at).filter(|items| !items.is_empty()) else { return };
    let names: Vec<String> = items.iter().filter_map(|at| reader.text(at)).map(quote).collect();
    let help = "this SLO counts all of them together; write one SLO per value where that matters";
    reader.lost(&at, format!("the grouping by {}", names.join(", ")), help);
}

/// A selector, and where it stands.
struct Metric<'n> {
    selector: Selector,
    at: At<'n>,
}

impl Metric<'_> {
    fn document(&self) -> Document {
        Document::text_at(&self.at, self.selector.to_string())
    }
}

fn metric<'n>(reader: &mut Reader<'_>, fields: &Fields<'n>, key: Key) -> Option<Metric<'n>> {
    let at = reader.required(fields, key, "write `metric` under it")?;
    let fields = reader.fields(&at, metric::OBJECT)?;
    let at =
        reader.required(&fields, metric::METRIC, "write a selector, like `requests_total{code=~\"5..\"}`")?;
    Some(Metric { selector: selector(reader, &at)?, at })
}

fn selector(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Selector> {
    let text = reader.text(at)?;
    match text.parse::<Selector>() {
        Ok(selector) => Some(selector),
        Err(mut error) => {
            error.message = format!("not converted: {}", error.message);
            query_error(reader, at, text, error);
            None
        }
    }
}

/// Prometheus 3 writes the bound `1` as `1.0`: a whole one matches both.
fn either_bound(mut selector: Selector) -> Selector {
    for matcher in &mut selector.matchers {
        let whole = !matcher.value.is_empty() && matcher.value.chars().all(|c| c.is_ascii_digit());
        if matcher.label != "le" || matcher.op != MatchOp::Equal || !whole {
            continue;
        }
        let value = format!("{}(\\.0)?", matcher.value);
        if let Ok(either) = Matcher::try_new("le".to_owned(), MatchOp::Regex, value) {
            *matcher = either;
        }
    }
    selector
}

/// The content of `alerting`.
struct Alerts {
    /// The word of the annotation `lookout.dev/data-alert`.
    absent: &'static str,
    severities: Vec<(PyrraAlert, Severity)>,
}

impl Alerts {
    fn severity(&self, alert: PyrraAlert) -> Severity {
        let said = self.severities.iter().find(|(known, _)| *known == alert).map(|(_, severity)| *severity);
        said.unwrap_or(match alert {
            PyrraAlert::Fast | PyrraAlert::Medium => Severity::Page,
            PyrraAlert::Slow | PyrraAlert::Long => Severity::Ticket,
        })
    }
}

fn read_alerting(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Alerts {
    let mut alerts = Alerts { absent: "page", severities: Vec::new() };
    let Some(at) = fields.get(spec::ALERTING) else { return alerts };
    let Some(fields) = reader.fields(&at, alerting::OBJECT) else { return alerts };
    for key in [alerting::NAME, alerting::ABSENT_NAME] {
        if let Some(at) = fields.get(key)
            && let Some(text) = reader.text(&at)
        {
            let help = "lookout makes it of service and SLO";
            reader.lost(&at, format!("the name `{}` of the alert", quote(text)), help);
        }
    }
    let mut switch = |key: Key| fields.get(key).and_then(|at| Some((reader.switch(&at)?, at)));
    let (disabled, burnrates) = (switch(alerting::DISABLED), switch(alerting::BURNRATES));
    let absent = switch(alerting::ABSENT);
    if let Some(at) = fields.get(alerting::SEVERITIES) {
        read_severities(reader, &at, &mut alerts);
    }
    let off = disabled.filter(|(off, _)| *off).map(|(_, at)| at);
    let silent = off.clone().or_else(|| burnrates.filter(|(on, _)| !on).map(|(_, at)| at));
    if let Some(at) = silent {
        let help = "an SLO of lookout always alerts: give its destinations `minimum: page` to drop tickets";
        reader.changed(&at, "the alerts are disabled; all its tiers are tickets", help);
        alerts.severities = [PyrraAlert::Fast, PyrraAlert::Medium, PyrraAlert::Slow, PyrraAlert::Long]
            .map(|alert| (alert, Severity::Ticket))
            .to_vec();
    }
    if off.is_some() || absent.is_some_and(|(on, _)| !on) {
        alerts.absent = "off";
    }
    alerts
}

fn read_severities(reader: &mut Reader<'_>, at: &At<'_>, alerts: &mut Alerts) {
    let Some(fields) = reader.fields(at, severities::OBJECT) else { return };
    let mut severity = |key: Key| {
        let at = fields.get(key)?;
        let text = reader.text(&at)?;
        let found = Severity::from_name(&text.to_ascii_lowercase());
        if found.is_none() {
            let what = format!("the severity `{}` is a ticket", quote(text));
            reader.changed(&at, what, "lookout knows `page` (critical) and `ticket` (warning)");
        }
        Some(found.unwrap_or(Severity::Ticket))
    };
    if let Some(absent) = severity(severities::ABSENT) {
        alerts.absent = absent.as_str();
    }
    for (alert, key) in [
        (PyrraAlert::Fast, severities::FAST_BURN),
        (PyrraAlert::Medium, severities::MEDIUM_BURN),
        (PyrraAlert::Slow, severities::SLOW_BURN),
        (PyrraAlert::Long, severities::LONG_TERM_BURN),
    ] {
        alerts.severities.extend(severity(key).map(|severity| (alert, severity)));
    }
}
