//! Composite SLOs: several objectives, each with an indicator of its own, and one budget.
//!
//! ```yaml
//! metadata:
//!   name: journey
//!   annotations:
//!     lookout.dev/composite: worst-of         # or `weights`, which is the default
//!     lookout.dev/objective: "99.5"           # without it, targets are the yardstick: see docs/composites.md
//! spec:
//!   budgetingMethod: RatioTimeslices
//!   objectives:
//!     - { displayName: Search, targetPercent: 99.5, indicatorRef: search, timeSliceWindow: 1m }
//!     - { displayName: Booking, targetPercent: 99.9, indicatorRef: booking }
//! ```

use lookout_engine::{
    COMPONENT_LIMIT, Component as Part, Composite, Grid, Join, Method, Objective, SliceTarget, Weight,
};

use super::method::{BudgetingMethod, read_budgeting, read_target, read_window};
use super::model::Indicator;
use super::objective::{ObjectiveFields, objective_fault, read_objective, refuse_threshold};
use super::reader::{At, Fields, Reader};
use super::yaml::Value;
use crate::indicator::{Indicators, read_named_indicator};
use crate::keys::openslo::{objective, slo, slo_annotations};
use crate::known::Known;
use crate::metadata::Metadata;
use crate::model::Component;

/// Returns whether an SLO is a composite.
pub(super) fn is_composite(fields: &Fields<'_>, metadata: &Metadata<'_>) -> bool {
    let has_one = fields.get(slo::INDICATOR).or_else(|| fields.get(slo::INDICATOR_REF)).is_some();
    let of_its_own = |item: &super::yaml::Node| match &item.value {
        Value::Map(entries) => entries.iter().any(|(key, _)| {
            objective::INDICATOR.name == key.name || objective::INDICATOR_REF.name == key.name
        }),
        _ => false,
    };
    let list = fields.get(slo::OBJECTIVES);
    let several = match list.as_ref().map(|at| &at.node.value) {
        Some(Value::List(items)) => items.iter().any(of_its_own),
        _ => false,
    };
    metadata.annotation(slo_annotations::COMPOSITE).is_some() || !has_one && several
}

/// Annotations that only a composite has.
pub(super) fn refuse_annotations(reader: &mut Reader<'_>, metadata: &Metadata<'_>) {
    if let Some(at) = metadata.annotation(slo_annotations::OBJECTIVE) {
        let help = "leave it out and write `targetPercent` under `objectives`";
        reader.error(at, "only a composite has an objective beside those of its components", help);
    }
}

/// A component as it was read, and where its objective stands.
struct Read<'n> {
    component: Component,
    weight: Weight,
    slice_target: Option<SliceTarget>,
    at: At<'n>,
}

/// Reads the objective, the method and the components of a composite.
pub(super) fn read_composite<'n>(
    reader: &mut Reader<'_>,
    fields: &Fields<'n>,
    metadata: &Metadata<'n>,
    known: &Known,
    indicators: &Indicators,
) -> ObjectiveFields<'n> {
    for at in [slo::INDICATOR, slo::INDICATOR_REF].into_iter().filter_map(|key| fields.get(key)) {
        let help = "leave it out and give every objective its indicator";
        reader.error(&at, "a composite has no indicator of its own", help);
    }
    let join = metadata.annotation(slo_annotations::COMPOSITE).map_or(Some(Join::Weights), |at| {
        reader.choice(at, &[("worst-of", Join::WorstOf), ("weights", Join::Weights)])
    });
    let budgeting = read_budgeting(reader, fields);
    if budgeting == Some(BudgetingMethod::Occurrences)
        && let Some(at) = fields.get(slo::BUDGETING_METHOD)
    {
        let message = "a composite is judged in slices of time, since the traffic of its components differs";
        reader.warn(&at, message, "write `budgetingMethod: RatioTimeslices`, which is what is done");
    }
    let list = reader.required(fields, slo::OBJECTIVES, "write an objective for every component");
    let items = list.as_ref().and_then(|at| Some((at, reader.list(at)?)));
    let slices = items.as_ref().and_then(|(_, items)| read_slices(reader, items, known.grid));
    let source = (known, indicators);
    let read = items.and_then(|(at, items)| read_components(reader, at, &items, (join?, budgeting?), source));
    let own = metadata.annotation(slo_annotations::OBJECTIVE);
    let objective = match (own, &read) {
        (Some(at), _) => read_own_objective(reader, at),
        (None, Some(read)) => strictest(read),
        (None, None) => None,
    };
    let (Some(read), Some((whole, at)), Some(join)) = (read, objective, join) else {
        return ObjectiveFields::default();
    };
    if own.is_some() {
        lint(reader, &at, whole, join, &read);
    }
    let parts = read.iter().map(|read| {
        let part = Part::default().with_weight(read.weight);
        let part = read.slice_target.map_or(part, |target| part.with_slice_target(target));
        // without an objective of its own the budget of the whole burns as fast as those of its components
        if own.is_some() { part } else { part.with_objective(read.component.objective, whole) }
    });
    let method =
        slices.and_then(|slices| Composite::try_new(slices, join, parts).ok()).map(Method::Composite);
    let components = read.iter().map(|read| read.component.clone()).collect();
    ObjectiveFields {
        objective: Some((whole, at)),
        method,
        indicator: Some(Indicator::Composite(components)),
    }
}

/// Reads the objective beside those of the components, in percent.
fn read_own_objective<'n>(reader: &mut Reader<'_>, at: &At<'n>) -> Option<(Objective, At<'n>)> {
    let percent = match &at.node.value {
        Value::Text(text) => text.trim().trim_end_matches('%').trim_end().parse().ok(),
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    };
    let Some(percent) = percent else {
        reader.error(at, "expected a percentage", "write it like `\"99.9\"`");
        return None;
    };
    match Objective::try_from_percent(percent) {
        Ok(objective) => Some((objective, at.clone())),
        Err(_) => {
            let (message, help) = objective_fault(percent);
            reader.error(at, message, help);
            None
        }
    }
}

fn strictest<'n>(read: &[Read<'n>]) -> Option<(Objective, At<'n>)> {
    let strictest = read.iter().min_by_key(|read| read.component.objective.budget_ppb())?;
    Some((strictest.component.objective, strictest.at.clone()))
}

/// Warns of an objective that is missed while every component meets its own.
fn lint(reader: &mut Reader<'_>, at: &At<'_>, whole: Objective, join: Join, read: &[Read<'_>]) {
    let targets = || read.iter().map(|read| read.component.objective.ratio());
    let percent = |ratio: f64| (ratio * 1e6 + 1e-6).floor() / 1e4;
    let (ceiling, why) = match join {
        Join::WorstOf => {
            let least = percent(targets().fold(1.0, f64::min));
            let product = targets().product();
            let why = format!(
                "{} % is the product of their targets, kept when they fail independently; {least} % is the lowest, kept \
                 when they only fail together",
                percent(product)
            );
            (product, why)
        }
        Join::Weights => {
            let weights: f64 = read.iter().map(|read| read.weight.value()).sum();
            let sum: f64 =
                read.iter().zip(targets()).map(|(read, target)| read.weight.value() * target).sum();
            let mean = sum / weights;
            (mean, format!("{} % is the weighted mean of their targets", percent(mean)))
        }
    };
    // a tiny noise is no difference
    if whole.ratio() > ceiling + 1e-9 {
        let message = format!("an objective of {whole} asks for more than the components promise");
        reader.warn(at, message, format!("{why}; lower it, or raise theirs"));
    }
}

/// Reads the width of a slice, which all components share. It is a minute when no component names one.
fn read_slices(reader: &mut Reader<'_>, items: &[At<'_>], grid: Option<Grid>) -> Option<Grid> {
    let usual =
        grid.filter(|grid| grid.width_seconds() > Grid::MINUTE.width_seconds()).unwrap_or(Grid::MINUTE);
    let mut slices: Option<Grid> = None;
    for item in items {
        // what is no mapping is reported where it is read
        let Value::Map(_) = &item.node.value else { continue };
        let Some(at) =
            reader.open_fields(item, "").and_then(|fields| fields.get(objective::TIME_SLICE_WINDOW))
        else {
            continue;
        };
        let read = read_window(reader, &at, grid)?;
        if slices.is_some_and(|slices| slices != read) {
            reader.error(
                &at,
                "the components of a composite share their slices",
                "write one `timeSliceWindow`",
            );
            return None;
        }
        slices = Some(read);
    }
    Some(slices.unwrap_or(usual))
}

fn read_components<'n>(
    reader: &mut Reader<'_>,
    at: &At<'n>,
    items: &[At<'n>],
    how: (Join, BudgetingMethod),
    source: (&Known, &Indicators),
) -> Option<Vec<Read<'n>>> {
    if !(2..=COMPONENT_LIMIT).contains(&items.len()) {
        let message = format!("a composite has 2 to {COMPONENT_LIMIT} components, not {}", items.len());
        reader.error(
            at,
            message,
            "write an objective with an `indicatorRef` for each; a single one needs no composite",
        );
        return None;
    }
    let mut list: Vec<Read<'n>> = Vec::with_capacity(items.len());
    let mut whole = true;
    for (place, item) in items.iter().enumerate() {
        match read_component(reader, item, place, how, source) {
            Some(read) if list.iter().any(|other| other.component.name == read.component.name) => {
                let message = format!("two components have the name `{}`", read.component.name);
                reader.error(item, message, "name the indicator of one of them otherwise");
                whole = false;
            }
            Some(read) => list.push(read),
            None => whole = false,
        }
    }
    whole.then_some(list)
}

fn read_component<'n>(
    reader: &mut Reader<'_>,
    item: &At<'n>,
    place: usize,
    (join, budgeting): (Join, BudgetingMethod),
    (known, indicators): (&Known, &Indicators),
) -> Option<Read<'n>> {
    let fields = reader.fields(item, objective::OBJECT)?;
    refuse_threshold(reader, &fields);
    let what = "a component has either an indicator or a reference to one";
    let (named, indicator) = read_named_indicator(reader, &fields, what, known, indicators);
    let display_name = fields.get(objective::DISPLAY_NAME).and_then(|at| reader.text(&at)).map(str::to_owned);
    let name = named.or_else(|| display_name.as_deref().and_then(name_from));
    if name.is_none() && indicator.is_some() {
        let message =
            format!("this component has no name: its counts are stored under `{}`", by_place(place));
        let help = "write `displayName`, or `metadata: { name: … }` in its indicator, and the order is free to change";
        reader.warn(item, message, help);
    }
    let name = name.unwrap_or_else(|| by_place(place));
    let objective = read_objective(reader, &fields);
    let slice_target = read_slice_target(reader, &fields, budgeting);
    let weight = match fields.get(objective::COMPOSITE_WEIGHT) {
        Some(at) if join == Join::WorstOf => {
            reader.error(&at, "worst-of does not look at weights", "leave it out, or write `weights`");
            None
        }
        Some(at) => read_weight(reader, &at),
        None => Some(Weight::ONE),
    };
    let (objective, at) = objective?;
    let component = Component { name, display_name, objective, indicator: indicator? };
    Some(Read { component, weight: weight?, slice_target: slice_target?, at })
}

/// Slices of Timeslices are good or bad as a whole; other methods have no target for them.
fn read_slice_target(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    budgeting: BudgetingMethod,
) -> Option<Option<SliceTarget>> {
    if budgeting == BudgetingMethod::Timeslices {
        let how = "write `timeSliceTarget: 0.95`, the share of its events that makes a slice good";
        let at = reader.required(fields, objective::TIME_SLICE_TARGET, how)?;
        return read_target(reader, &at).map(Some);
    }
    if let Some(at) = fields.get(objective::TIME_SLICE_TARGET) {
        let help = "leave it out, or write `budgetingMethod: Timeslices`";
        reader.error(&at, "only budgeting by Timeslices judges a slice by a target", help);
        return None;
    }
    Some(None)
}

fn read_weight(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Weight> {
    let number = reader.number(at)?;
    let weight = Weight::try_new(number).ok();
    if weight.is_none() {
        reader.error(at, "a weight is above 0 and at most 1000", "write `compositeWeight: 2`; one is usual");
    }
    weight
}

fn by_place(place: usize) -> String {
    format!("component-{}", place + 1)
}

/// Returns a name for labels and the ledger, from one for people.
fn name_from(title: &str) -> Option<String> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let words: String = title.chars().map(plain).collect();
    let words: Vec<&str> = words.split('-').filter(|word| !word.is_empty()).collect();
    let name: String = words.join("-").chars().take(63).collect();
    (!name.is_empty()).then_some(name)
}
