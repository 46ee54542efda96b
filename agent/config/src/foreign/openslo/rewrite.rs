//! OpenSLO's `SLO` in the form that `openslo.rs` reads: what that does not know is replaced where it stands, and all the
//! rest is left to it, mistakes included.
//!
//! Replaced are indicators that are no plain counts, alert policies (by the tiers that follow from them), several
//! objectives with one indicator (by an SLO each), rolling months, and labels that no rule can have.

use lookout_engine::{Objective, Tier, Window};
use lookout_model::parse_duration;

use super::alerting::{Reference, data_alert, read_policy, reference};
use super::definitions::{Definitions, Purpose};
use super::indicator::read_sli;
use super::kinds::{Policy, Sli, is_own, list_metadata};
use crate::foreign::output::{print_page_within, print_tiers, quote};
use crate::keys::Key;
use crate::keys::alerting::policy_reference;
use crate::keys::document::{document, metadata};
use crate::keys::openslo::{inline_sli, objective, slo, slo_annotations, window};
use crate::metadata::PREFIX;
use crate::reader::{At, Fields, Reader};
use crate::yaml::{Node, Value};

/// Units of a period beyond seconds, with their average days.
const CALENDAR_UNITS: [(char, u64); 3] = [('M', 30), ('Q', 90), ('Y', 365)];

/// The indicator of an SLO or of one of its objectives.
enum Source {
    /// Nothing is said.
    Absent,
    /// As lookout has it, right or wrong.
    AsItStands,
    /// To be replaced.
    Converted(Sli),
}

/// An objective without the keys of its indicator.
struct Goal {
    node: Node,
    objective: Option<Objective>,
    /// The indicator that it shares with others, with its bound.
    indicator: Option<Node>,
}

/// Rewrites an SLO into one, or into one per objective; `None` when its meaning cannot be kept.
pub(crate) fn rewrite(
    reader: &mut Reader<'_>,
    node: &Node,
    definitions: &mut Definitions,
) -> Option<Vec<Node>> {
    let root = reader.within(&At::root(node));
    let mut part = |key: Key| root.as_ref()?.get(key).and_then(|at| reader.within(&at));
    let (Some(metadata), Some(spec)) = (part(document::METADATA), part(document::SPEC)) else {
        return Some(vec![node.clone()]);
    };
    let (metadata, spec) = (metadata.declared(metadata::OBJECT), spec.declared(slo::OBJECT));
    let list = spec.get(slo::OBJECTIVES);
    let objectives = list.as_ref().map(|at| reader.items_within(at)).unwrap_or_default();
    let policies = read_policies(reader, &spec, definitions);
    let shared = read_source(reader, &spec, definitions)?;
    let goals: Vec<Option<Goal>> =
        objectives.iter().map(|at| read_goal(reader, at, &shared, definitions)).collect();
    let goals = goals.into_iter().collect::<Option<Vec<Goal>>>()?;
    let converted = matches!(shared, Source::Converted(_)) || goals.iter().any(|goal| goal.converted());
    let foreign = definitions.purpose == Purpose::File || converted || !policies.is_empty();
    let mut frame = node.clone();
    if foreign && let Some(labels) = metadata.get(metadata::LABELS).and_then(|at| carry_labels(reader, &at)) {
        let metadata = frame.get_mut("metadata")?;
        metadata.put("labels", labels);
        if metadata.get(metadata::LABELS.name).is_some_and(|labels| labels.value == Value::Map(Vec::new())) {
            metadata.leave_out("labels");
        }
    }
    if let Some(annotations) = frame.get_mut("metadata").and_then(|metadata| metadata.get_mut("annotations"))
    {
        annotations.keep_texts(|name| !name.starts_with(PREFIX));
    }
    let period = rewrite_window(reader, &spec, &mut frame);
    frame.get_mut("spec")?.leave_out("alertPolicies");
    let many = goals.len() > 1 && !matches!(shared, Source::Absent);
    if let Some(at) = list.filter(|_| many) {
        let what = format!("its {} objectives are SLOs of their own", goals.len());
        reader.changed(&at, what, "each has its number at the end of its name");
    }
    let changed = goals.iter().zip(&objectives).any(|(goal, at)| goal.node != *at.node);
    let joined = goals.len() > 1 && !many && (changed || definitions.purpose == Purpose::File);
    let goals = if joined { join(reader, &spec, &mut frame, goals) } else { goals };
    let groups: Vec<Vec<Goal>> =
        if many { goals.into_iter().map(|goal| vec![goal]).collect() } else { vec![goals] };
    let alerting = Alerting { period, policies, foreign, metadata, spec };
    let mut rewritten = Vec::new();
    for (n, goals) in groups.into_iter().enumerate() {
        let mut slo = frame.clone();
        alerting.write(reader, &mut slo, &goals)?;
        if many
            && let Some(name) = slo.get_mut("metadata").and_then(|metadata| metadata.get_mut("name"))
            && let Value::Text(text) = &mut name.value
        {
            *text = format!("{text}-{}", n + 1);
        }
        write_goals(&mut slo, goals, definitions);
        rewritten.push(slo);
    }
    Some(rewritten)
}

/// Returns the components of a composite of others: judged slice by slice, and with names, which their counts are
/// stored under.
fn join(reader: &mut Reader<'_>, spec: &Fields<'_>, slo: &mut Node, mut goals: Vec<Goal>) -> Vec<Goal> {
    if let Some(at) =
        spec.get(slo::BUDGETING_METHOD).filter(|at| at.node.value == Value::Text("Occurrences".into()))
        && let Some(spec) = slo.get_mut("spec")
    {
        let help = "the traffic of components differs, so they are joined minute by minute";
        reader.changed(&at, "the composite is judged by RatioTimeslices", help);
        spec.put("budgetingMethod", Node::text("RatioTimeslices", &at.node.place));
    }
    for (n, goal) in goals.iter_mut().enumerate() {
        let unnamed = |indicator: &&mut Node| indicator.get("metadata").is_none();
        if let Some(indicator) = goal.node.get_mut("indicator").filter(unnamed) {
            let place = indicator.place.clone();
            let name = Node::text(format!("component-{}", n + 1), &place);
            let metadata = Node::mapping([("name", name)], &place);
            let spec = indicator.get("spec").cloned().map(|spec| ("spec", spec));
            *indicator = Node::mapping([("metadata", metadata)].into_iter().chain(spec), &place);
        }
    }
    goals
}

fn write_goals(slo: &mut Node, goals: Vec<Goal>, definitions: &Definitions) {
    let own_name = |slo: &Node| {
        let text = |part: &str, name: &str| match &slo.get(part)?.get(name)?.value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        Some(format!("{}-{}", text("spec", "service")?, text("metadata", "name")?))
    };
    let own_name = own_name(slo).filter(|_| definitions.purpose == Purpose::File);
    let Some(spec) = slo.get_mut("spec") else { return };
    let mut nodes = Vec::new();
    for goal in goals {
        if let Some(mut indicator) = goal.indicator {
            if let Some(name) = own_name.as_ref().filter(|_| indicator.get("metadata").is_none()) {
                let place = indicator.place.clone();
                let name = Node::mapping([("name", Node::text(name, &place))], &place);
                let spec = indicator.get("spec").cloned();
                indicator = Node::mapping(
                    [("metadata", name)].into_iter().chain(spec.map(|spec| ("spec", spec))),
                    &place,
                );
            }
            let key = if spec.get("indicatorRef").is_some() { "indicatorRef" } else { "indicator" };
            spec.rename(key, "indicator", indicator);
        }
        nodes.push(goal.node);
    }
    if let Some(objectives) = spec.get_mut("objectives").filter(|list| matches!(list.value, Value::List(_))) {
        objectives.value = Value::List(nodes);
    }
}

/// Reads the indicator beside or within objectives. `None` after something was said about it.
fn read_source(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    definitions: &mut Definitions,
) -> Option<Source> {
    match (fields.get(slo::INDICATOR), fields.get(slo::INDICATOR_REF)) {
        (None, None) => Some(Source::Absent),
        (None, Some(at)) => {
            let Value::Text(name) = &at.node.value else { return Some(Source::AsItStands) };
            if definitions.purpose == Purpose::Model && !definitions.has_sli(name) {
                return Some(Source::AsItStands);
            }
            let sli = definitions.find_sli(reader, &at, name)?;
            let stays = sli.is_own() && definitions.purpose == Purpose::Model;
            Some(if stays { Source::AsItStands } else { Source::Converted(sli) })
        }
        (Some(at), None) => {
            let Some(spec) = at.node.get("spec").filter(|spec| !is_own(spec)) else {
                return Some(Source::AsItStands);
            };
            let inline = reader.fields(&at, inline_sli::OBJECT)?;
            let metadata =
                inline.get(inline_sli::METADATA).and_then(|at| reader.fields(&at, metadata::OBJECT));
            let name = metadata.as_ref().and_then(|metadata| reader.text_under(metadata, metadata::NAME));
            if let Some(metadata) = &metadata {
                list_metadata(reader, metadata, "SLI");
            }
            let at = inline.get(inline_sli::SPEC).filter(|at| at.node == spec)?;
            Some(Source::Converted(read_sli(reader, &at, definitions)?.named(name)))
        }
        // which of the two is meant, nobody can say
        (Some(_), Some(_)) => Some(Source::AsItStands),
    }
}

fn read_goal(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    shared: &Source,
    definitions: &mut Definitions,
) -> Option<Goal> {
    let mut goal = Goal { node: at.node.clone(), objective: objective_of(at.node), indicator: None };
    let Some(fields) = reader.within(at) else { return Some(goal) };
    let fields = fields.declared(objective::OBJECT);
    if let Source::Converted(sli) = shared {
        goal.indicator = Some(convert(reader, at, sli, &mut goal.node)?);
    } else if matches!(shared, Source::Absent)
        && let Source::Converted(sli) = read_source(reader, &fields, definitions)?
    {
        let indicator = convert(reader, at, &sli, &mut goal.node)?;
        let key = if fields.get(objective::INDICATOR_REF).is_some() { "indicatorRef" } else { "indicator" };
        goal.node.rename(key, "indicator", indicator);
    }
    Some(goal)
}

impl Goal {
    fn converted(&self) -> bool {
        self.indicator.is_some()
    }
}

/// Returns the indicator for one objective, of which a threshold takes operator and bound.
fn convert(reader: &mut Reader<'_>, at: &At<'_>, sli: &Sli, objective: &mut Node) -> Option<Node> {
    let fields = reader.within(at)?.declared(objective::OBJECT);
    let operators = [("lte", "<="), ("lt", "<"), ("gte", ">="), ("gt", ">")];
    let bound = match (fields.get(objective::OP), fields.get(objective::VALUE)) {
        (Some(op), Some(value)) => Some((reader.choice(&op, &operators)?, reader.number(&value)?)),
        (None, None) => None,
        _ => {
            reader.error(at, "not converted: `op` and `value` go together", "write both or none");
            return None;
        }
    };
    let spec = sli.node(reader, at, bound)?;
    objective.leave_out("op");
    objective.leave_out("value");
    let place = spec.place.clone();
    let name = sli
        .name
        .as_ref()
        .map(|name| ("metadata", Node::mapping([("name", Node::text(name, &place))], &place)));
    Some(Node::mapping(name.into_iter().chain([("spec", spec)]), &place))
}

/// Returns the objective, where it is one.
fn objective_of(node: &Node) -> Option<Objective> {
    let number = |name: &str| match node.get(name)?.value {
        Value::Int(number) => Some(number as f64),
        Value::Float(number) => Some(number),
        _ => None,
    };
    let percent = number("targetPercent").or_else(|| Some(number("target")? * 100.0))?;
    Objective::try_from_percent(percent).ok()
}

/// Returns the length of the period, where it is one; a rolling one becomes days.
fn rewrite_window(reader: &mut Reader<'_>, spec: &Fields<'_>, slo: &mut Node) -> Option<Window> {
    let item = spec.get(slo::TIME_WINDOW).map(|at| reader.items_within(&at))?.into_iter().next()?;
    let fields = reader.within(&item)?.declared(window::OBJECT);
    let at = fields.get(window::DURATION)?;
    let Value::Text(text) = &at.node.value else { return None };
    let unit = text.chars().last().and_then(|unit| CALENDAR_UNITS.iter().find(|(name, _)| *name == unit));
    let Some((unit, days)) = unit else {
        return parse_duration(text).ok().map(|duration| Window::seconds(duration.as_secs()));
    };
    let count = text.trim_end_matches(*unit).parse::<u64>().ok().filter(|count| (1..=100).contains(count))?;
    let period = Window::days(count * days);
    if fields.get(window::IS_ROLLING).is_some_and(|at| at.node.value == Value::Bool(true)) {
        let help = "months, quarters and years differ in length; a rolling period does not";
        reader.changed(&at, format!("the period is {period}"), help);
        let list = slo.get_mut("spec").and_then(|spec| spec.get_mut("timeWindow"))?;
        if let Value::List(items) = &mut list.value {
            items.first_mut()?.put("duration", Node::text(period.to_string(), &at.node.place));
        }
    }
    Some(period)
}

/// Keeps the labels that rules can have.
fn carry_labels(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Node> {
    let fields = reader.within(at)?;
    let mut entries = Vec::new();
    for (key, value) in fields.all() {
        let mut carried = std::collections::BTreeMap::new();
        reader.carry_label(&key.name, &value, &mut carried);
        let label = carried.remove(&key.name).map(|text| Node::text(text, &value.node.place));
        entries.extend(label.map(|label| (key.clone(), label)));
    }
    Some(Node { value: Value::Map(entries), place: at.node.place.clone(), written: None })
}

fn read_policies(reader: &mut Reader<'_>, spec: &Fields<'_>, definitions: &mut Definitions) -> Vec<Policy> {
    let Some(at) = spec.get(slo::ALERT_POLICIES) else { return Vec::new() };
    let items = reader.list(&at).unwrap_or_default();
    let read = items.iter().filter_map(|at| {
        match reference(reader, at, policy_reference::OBJECT, policy_reference::ALERT_POLICY_REF)? {
            Reference::Named(at, name) => definitions.find_policy(reader, &at, &name),
            Reference::Inline(spec) => read_policy(reader, &spec, definitions),
        }
    });
    read.collect()
}

/// The alerting of an SLO.
struct Alerting<'n> {
    period: Option<Window>,
    policies: Vec<Policy>,
    /// True if it is in a form that is not lookout's own, in which nobody could have known its tiers.
    foreign: bool,
    metadata: Fields<'n>,
    spec: Fields<'n>,
}

impl Alerting<'_> {
    /// Writes the annotations that follow from the policies. `None` when no tier is left.
    fn write(&self, reader: &mut Reader<'_>, slo: &mut Node, goals: &[Goal]) -> Option<()> {
        let annotations = self.metadata.get(metadata::ANNOTATIONS);
        let said = |key: Key| annotations.as_ref().is_some_and(|at| at.node.get(key.name).is_some());
        let tiers: Vec<Tier> = self.policies.iter().flat_map(|policy| policy.tiers.iter().copied()).collect();
        let policies = self.spec.get(slo::ALERT_POLICIES);
        let at = policies.or_else(|| self.spec.get(slo::OBJECTIVES)).unwrap_or_else(|| self.spec.at.clone());
        let mut written = Vec::new();
        if said(slo_annotations::TIERS) {
            if !tiers.is_empty() {
                let tiers = slo_annotations::TIERS.name;
                let what = format!("the alert policies, because the annotation `{tiers}` sets the tiers");
                reader.lost(&at, what, "leave one of the two out");
            }
        } else if !tiers.is_empty() || self.foreign {
            let chosen = self.choose(reader, &at, tiers, goals)?;
            written.extend(chosen.into_iter().filter(|(key, _)| !said(*key)));
        }
        if let Some(word) = data_alert(self.policies.iter()).filter(|_| !said(slo_annotations::DATA_ALERT)) {
            written.push((slo_annotations::DATA_ALERT, word.to_owned()));
        }
        if !written.is_empty() {
            let metadata = slo.get_mut("metadata")?;
            if metadata.get(metadata::ANNOTATIONS.name).is_none() {
                metadata.put("annotations", Node::mapping([], &at.node.place));
            }
            let annotations = metadata.get_mut("annotations")?;
            for (key, text) in written {
                annotations.put(key.name, Node::text(text, &at.node.place));
            }
        }
        Some(())
    }

    /// The annotations of tiers that can work; none for the default tiers, or when it is for others to say what is
    /// wrong.
    fn choose(
        &self,
        reader: &mut Reader<'_>,
        at: &At<'_>,
        tiers: Vec<Tier>,
        goals: &[Goal],
    ) -> Option<Vec<(Key, String)>> {
        let strictest =
            goals.iter().filter_map(|goal| goal.objective).min_by_key(|objective| objective.budget_ppb());
        let (Some(objective), Some(period)) = (strictest, self.period) else {
            let written = (!tiers.is_empty()).then(|| (slo_annotations::TIERS, print_tiers(&tiers)));
            return Some(written.into_iter().collect());
        };
        if tiers.is_empty() {
            let help = format!(
                "an SLO of lookout always has tiers; set them with `{}`",
                slo_annotations::TIERS.name
            );
            reader.changed(at, "it has no alert policy and gets the default tiers", help);
            return Some(Vec::new());
        }
        let tiers = reader.usable_tiers(at, tiers, objective, period)?;
        let within = print_page_within(&tiers, objective).map(|time| (slo_annotations::PAGE_WITHIN, time));
        Some([(slo_annotations::TIERS, print_tiers(&tiers))].into_iter().chain(within).collect())
    }
}

/// Returns the name of an SLO for messages.
pub(crate) fn stem(slo: &Node) -> String {
    let text = |part: &str, name: &str| match &slo.get(part)?.get(name)?.value {
        Value::Text(text) => Some(quote(text)),
        _ => None,
    };
    let name = text("metadata", "name").unwrap_or_default();
    match text("spec", "service") {
        Some(service) => format!("{service}-{name}"),
        None => name,
    }
}
