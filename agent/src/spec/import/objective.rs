//! OpenSLO's `SLO`: one file per objective, or one for all where each has an indicator of its own.

use std::collections::BTreeMap;

use lookout_engine::{Objective, Tier, Window};

use super::super::parse_duration;
use super::super::reader::{At, Fields, Reader};
use super::super::yaml::Node;
use super::alerting::{Policy, Reference, data_alert, read_policy, reference};
use super::draft::{Doc, SloDraft, map, quote};
use super::indicator::{Sli, read_sli};
use super::openslo::{Library, list_metadata, open};

/// What a period is measured in beyond seconds, and how long it is on average.
const CALENDAR_UNITS: [(char, u64); 3] = [('M', 30), ('Q', 90), ('Y', 365)];

/// Everything but the objectives.
struct Frame {
    name: String,
    service: String,
    display_name: Option<String>,
    description: String,
    labels: BTreeMap<String, String>,
    annotations: Vec<(String, Doc)>,
    method: String,
    window: Doc,
    period: Window,
    policies: Vec<Policy>,
    /// Whether the annotations say when it calls.
    own_tiers: bool,
}

/// An SLO: one draft per objective that shares the indicator, one for all that have their own.
pub(super) fn read_slo(reader: &mut Reader<'_>, node: &Node, library: &mut Library) -> Option<Vec<SloDraft>> {
    let opened = open(reader, node)?;
    let known = [
        "description",
        "service",
        "indicator",
        "indicatorRef",
        "timeWindow",
        "budgetingMethod",
        "objectives",
        "alertPolicies",
    ];
    let fields = reader.fields(&opened.spec, &known)?;
    let shared = read_shared_sli(reader, &fields, library);
    let frame = read_frame(reader, opened.name, &opened.metadata, &fields, library);
    let objectives = reader.required(&fields, "objectives", "write `objectives: [{ target: 0.999 }]`")?;
    let items = reader.list(&objectives)?;
    if items.is_empty() {
        reader.error(&objectives, "this list is empty", "write at least one objective");
        return None;
    }
    let goals: Vec<Option<Goal>> = items.iter().map(|at| read_goal(reader, at)).collect();
    let (frame, goals) = (frame?, goals.into_iter().collect::<Option<Vec<Goal>>>()?);
    match shared? {
        Some(sli) => {
            if goals.len() > 1 {
                let what = format!("its {} objectives are SLOs of their own", goals.len());
                reader.changed(&objectives, what, "each has its number at the end of its name");
            }
            let many = goals.len() > 1;
            let drafts = items.iter().zip(&goals).enumerate().map(|(n, (at, goal))| {
                let indicator = Some((sli.name.clone(), sli.document(reader, at, goal.bound)?));
                let name = if many { format!("{}-{}", frame.name, n + 1) } else { frame.name.clone() };
                let objectives = vec![goal.document.clone()];
                let body = Body { name, indicator, objectives, strictest: goal.objective };
                draft(reader, at, &frame, body)
            });
            drafts.collect()
        }
        None => {
            let mut frame = frame;
            if frame.method == "Occurrences" {
                let help = "the traffic of components differs, so they are joined minute by minute";
                reader.changed(&objectives, "the composite is judged by RatioTimeslices", help);
                "RatioTimeslices".clone_into(&mut frame.method);
            }
            read_composite(reader, &objectives, &frame, items.iter().zip(goals), library)
        }
    }
}

/// The indicator of the whole SLO: `None` when it is wrong, `Some(None)` when each objective has its own.
fn read_shared_sli(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    library: &mut Library,
) -> Option<Option<Sli>> {
    match (fields.get("indicator"), fields.get("indicatorRef")) {
        (None, None) => Some(None),
        (Some(_), Some(at)) => {
            reader.error(&at, "not converted: an SLO has one indicator", "keep one of the two");
            None
        }
        _ => read_sli_under(reader, fields, library).map(Some),
    }
}

fn read_sli_under(reader: &mut Reader<'_>, fields: &Fields<'_>, library: &mut Library) -> Option<Sli> {
    if let Some(at) = fields.get("indicatorRef") {
        let name = reader.text(&at)?.to_owned();
        return library.find_sli(reader, &at, &name);
    }
    let at = fields.get("indicator")?;
    let inline = reader.fields(&at, &["apiVersion", "kind", "metadata", "spec"])?;
    let known = ["name", "displayName", "labels", "annotations"];
    let metadata = inline.get("metadata").and_then(|at| reader.fields(&at, &known));
    let name = metadata.as_ref().and_then(|metadata| reader.text_under(metadata, "name"));
    if let Some(metadata) = &metadata {
        list_metadata(reader, metadata, "SLI");
    }
    let spec = reader.required(&inline, "spec", "write `ratioMetric` under `spec:`")?;
    read_sli(reader, &spec, library).map(|sli| sli.named(name))
}

fn read_frame(
    reader: &mut Reader<'_>,
    name: String,
    metadata: &Fields<'_>,
    fields: &Fields<'_>,
    library: &mut Library,
) -> Option<Frame> {
    let mut labels = BTreeMap::new();
    if let Some(at) = metadata.get("labels") {
        reader.carry_labels(&at, &mut labels);
    }
    let annotations = match metadata.get("annotations").map(|at| Doc::of(at.node)) {
        Some(Doc::Map(entries)) => entries,
        _ => Vec::new(),
    };
    let service = reader.required(fields, "service", "name the service").and_then(|at| reader.name(&at));
    let method = reader.required(fields, "budgetingMethod", "write `budgetingMethod: Occurrences`");
    let method = method.and_then(|at| reader.text(&at)).map(str::to_owned);
    let window =
        reader.required(fields, "timeWindow", "write `timeWindow: [{ duration: 30d, isRolling: true }]`");
    let window = window.and_then(|at| read_window(reader, &at));
    let policies = read_policies(reader, fields, library);
    let own_tiers = annotations.iter().any(|(name, _)| name == "lookout.dev/tiers");
    let (window, period) = window?;
    Some(Frame {
        name,
        service: service?.to_owned(),
        display_name: reader.text_under(metadata, "displayName"),
        description: reader.text_under(fields, "description").unwrap_or_default(),
        labels,
        annotations,
        method: method?,
        window,
        period,
        policies: policies?,
        own_tiers,
    })
}

/// The time window as it is written, and its length.
fn read_window(reader: &mut Reader<'_>, at: &At<'_>) -> Option<(Doc, Window)> {
    let items = reader.list(at)?;
    let [item] = items.as_slice() else {
        reader.error(at, "not converted: an SLO has one time window", "keep one of them");
        return None;
    };
    let fields = reader.fields(item, &["duration", "isRolling", "calendar"])?;
    let duration = reader.required(&fields, "duration", "write `duration: 30d`")?;
    let text = reader.text(&duration)?;
    let unit = text.chars().last().and_then(|unit| CALENDAR_UNITS.iter().find(|(name, _)| *name == unit));
    let period = match unit {
        Some((unit, days)) => {
            let count =
                text.trim_end_matches(*unit).parse::<u64>().ok().filter(|count| (1..=100).contains(count));
            count.map(|count| Window::days(count * days))
        }
        None => parse_duration(text).ok().map(|duration| Window::seconds(duration.as_secs())),
    };
    let Some(period) = period else {
        reader.error(&duration, "expected a duration", "write a number and a unit, like `30d`, `4w` or `1M`");
        return None;
    };
    let rolling = match fields.get("isRolling") {
        Some(at) => reader.switch(&at)?,
        None => fields.get("calendar").is_none(),
    };
    if rolling && unit.is_some() {
        let help = "months, quarters and years differ in length; a rolling period does not";
        reader.changed(&duration, format!("the period is {period}"), help);
    }
    let length = if rolling && unit.is_some() { period.to_string() } else { text.to_owned() };
    let mut window = vec![("duration", Doc::text(length)), ("isRolling", Doc::Switch(rolling))];
    window.extend(fields.get("calendar").map(|at| ("calendar", Doc::of(at.node))));
    Some((Doc::List(vec![map(window)]), period))
}

fn read_policies(reader: &mut Reader<'_>, fields: &Fields<'_>, library: &mut Library) -> Option<Vec<Policy>> {
    let Some(at) = fields.get("alertPolicies") else { return Some(Vec::new()) };
    let items = reader.list(&at)?;
    let read = items.iter().map(|at| match reference(reader, at, "alertPolicyRef")? {
        Reference::Named(at, name) => library.find_policy(reader, &at, &name),
        Reference::Inline(spec) => read_policy(reader, &spec, library),
    });
    // each is read, so that each has its say
    read.collect::<Vec<_>>().into_iter().collect()
}

/// One objective.
struct Goal {
    document: Doc,
    objective: Objective,
    bound: Option<(&'static str, f64)>,
    own_indicator: bool,
}

fn read_goal(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Goal> {
    let known = [
        "displayName",
        "op",
        "value",
        "target",
        "targetPercent",
        "timeSliceTarget",
        "timeSliceWindow",
        "indicator",
        "indicatorRef",
        "compositeWeight",
    ];
    let fields = reader.fields(at, &known)?;
    let (key, percent_at, scale) = match (fields.get("target"), fields.get("targetPercent")) {
        (Some(at), None) => ("target", at, 100.0),
        (None, Some(at)) => ("targetPercent", at, 1.0),
        _ => {
            let help = "write `target: 0.999` or `targetPercent: 99.9`";
            reader.error(at, "not converted: an objective has either `target` or `targetPercent`", help);
            return None;
        }
    };
    let number = reader.number(&percent_at)?;
    let objective = reader.objective_percent(&percent_at, number * scale)?;
    let operators = [("lte", "<="), ("lt", "<"), ("gte", ">="), ("gt", ">")];
    let bound = match (fields.get("op"), fields.get("value")) {
        (Some(op), Some(value)) => Some((reader.choice(&op, &operators)?, reader.number(&value)?)),
        (None, None) => None,
        _ => {
            reader.error(at, "not converted: `op` and `value` go together", "write both or none");
            return None;
        }
    };
    let mut document = vec![(key, Doc::Number(number))];
    for name in ["displayName", "timeSliceTarget", "timeSliceWindow", "compositeWeight"] {
        document.extend(fields.get(name).map(|at| (name, Doc::of(at.node))));
    }
    let own_indicator = fields.get("indicator").is_some() || fields.get("indicatorRef").is_some();
    Some(Goal { document: map(document), objective, bound, own_indicator })
}

/// An SLO whose objectives have indicators of their own.
fn read_composite<'n>(
    reader: &mut Reader<'_>,
    at: &At<'n>,
    frame: &Frame,
    goals: impl Iterator<Item = (&'n At<'n>, Goal)>,
    library: &mut Library,
) -> Option<Vec<SloDraft>> {
    let mut documents = Vec::new();
    let mut strictest: Option<Objective> = None;
    for (at, goal) in goals {
        if !goal.own_indicator {
            let help = "write `indicator` or `indicatorRef`";
            reader.error(at, "not converted: this objective has no indicator", help);
            return None;
        }
        let fields = reader.open_fields(at, "")?;
        let sli = read_sli_under(reader, &fields, library)?;
        let spec = sli.document(reader, at, goal.bound)?;
        // counts of a component are stored under its name
        let name = sli.name.unwrap_or_else(|| format!("component-{}", documents.len() + 1));
        let metadata = map([("name", Doc::text(name))]);
        let Doc::Map(mut entries) = goal.document else { return None };
        entries.push(("indicator".to_owned(), map([("metadata", metadata), ("spec", spec)])));
        documents.push(Doc::Map(entries));
        strictest =
            strictest.into_iter().chain([goal.objective]).min_by_key(|objective| objective.budget_ppb());
    }
    let name = frame.name.clone();
    let body = Body { name, indicator: None, objectives: documents, strictest: strictest? };
    draft(reader, at, frame, body).map(|draft| vec![draft])
}

/// What an SLO has of its own beside what its document says for all.
struct Body {
    name: String,
    /// Its SLI with the name of that, when all objectives share one.
    indicator: Option<(Option<String>, Doc)>,
    objectives: Vec<Doc>,
    /// The objective with the least budget.
    strictest: Objective,
}

fn draft(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    frame: &Frame,
    Body { name, indicator, objectives, strictest }: Body,
) -> Option<SloDraft> {
    let tiers = choose_tiers(reader, at, frame, strictest)?;
    let said = frame.annotations.iter().any(|(name, _)| name == "lookout.dev/data-alert");
    Some(SloDraft {
        name,
        service: frame.service.clone(),
        display_name: frame.display_name.clone(),
        description: frame.description.clone(),
        labels: frame.labels.clone(),
        annotations: frame.annotations.clone(),
        tiers,
        data_alert: data_alert(frame.policies.iter()).filter(|_| !said),
        indicator_name: indicator.as_ref().and_then(|(name, _)| name.clone()),
        indicator: indicator.map(|(_, document)| document),
        window: frame.window.clone(),
        method: frame.method.clone(),
        objectives,
    })
}

/// The tiers of its policies; `Some(None)` where the annotation or the default ones stand.
fn choose_tiers(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    frame: &Frame,
    objective: Objective,
) -> Option<Option<Vec<Tier>>> {
    let tiers: Vec<Tier> = frame.policies.iter().flat_map(|policy| policy.tiers.iter().copied()).collect();
    if frame.own_tiers {
        if !tiers.is_empty() {
            let name = quote(&frame.name);
            let what = format!("the alert policies of `{name}`, whose own annotation says when it calls");
            reader.lost(at, what, "leave one of the two out");
        }
        return Some(None);
    }
    if tiers.is_empty() {
        let help = "an SLO of lookout always calls; its tiers can be set with `lookout.dev/tiers`";
        reader.changed(at, "no alert policy says when it calls: it has the default tiers", help);
        return reader.usable_tiers(at, Tier::defaults(frame.period), objective, frame.period).map(Some);
    }
    reader.usable_tiers(at, tiers, objective, frame.period).map(Some)
}
