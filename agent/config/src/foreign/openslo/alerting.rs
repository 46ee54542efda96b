//! OpenSLO's alerting: policies, conditions and targets, and the tiers that follow from them.
//!
//! A condition looks at one window. OpenSLO allows one condition per policy, so that two windows cannot be said; two
//! conditions in one policy, with the same severity, are read as what everybody means by them: both must hold.

use std::collections::BTreeMap;

use lookout_engine::{BurnFactor, Severity, Tier, Window};

use super::definitions::Definitions;
use super::kinds::{Condition, Policy, list_metadata};
use crate::foreign::output::{quote, scalar_text};
use crate::keys::alerting::{
    burn_rate, condition, condition_reference, notification_target, policy, reference, target_reference,
};
use crate::keys::document::metadata;
use crate::keys::{Key, Object};
use crate::reader::{At, Fields, Reader};
use crate::yaml::Value;

/// Severities as people name them, in lower case.
const PAGES: [&str; 8] = ["page", "critical", "high", "urgent", "emergency", "p1", "sev1", "error"];
const TICKETS: [&str; 10] =
    ["ticket", "warning", "warn", "medium", "low", "info", "minor", "p2", "sev2", "p3"];

/// Reads the `spec` of an `AlertCondition`.
pub(crate) fn read_condition(reader: &mut Reader<'_>, spec: &At<'_>) -> Option<Condition> {
    let fields = reader.fields(spec, condition::OBJECT)?;
    list_description(reader, &fields);
    let severity = reader.required(&fields, condition::SEVERITY, "write `severity: page` or `ticket`");
    let severity = severity.and_then(|at| severity_of(reader, &at));
    let at =
        reader.required(&fields, condition::CONDITION, "write `kind: burnrate` and a threshold under it")?;
    let fields = reader.fields(&at, burn_rate::OBJECT)?;
    if let Some(at) = reader.required(&fields, burn_rate::KIND, "write `kind: burnrate`") {
        reader.choice(&at, &[("burnrate", ()), ("burnRate", ())]);
    }
    if let Some(at) = fields.get(burn_rate::OP)
        && let Some(inverted) =
            reader.choice(&at, &[("gt", false), ("gte", false), ("lt", true), ("lte", true)])
        && inverted
    {
        let help = "a low burn rate is no reason to alert; OpenSLO's examples have the same mistake";
        reader.changed(&at, "the operator is inverted: the condition fires above the threshold", help);
    }
    let factor =
        reader.required(&fields, burn_rate::THRESHOLD, "write a burn rate, like 14.4").and_then(|at| {
            let factor = BurnFactor::try_new(reader.number(&at)?).ok();
            if factor.is_none() {
                reader.error(&at, "a burn rate is above 0", "write one like 14.4");
            }
            factor
        });
    let window = reader.required(&fields, burn_rate::LOOKBACK_WINDOW, "write a window, like `1h`");
    let window = window.and_then(|at| reader.window(&at));
    let hold = fields.get(burn_rate::ALERT_AFTER).map_or(Some(0), |at| Some(reader.duration(&at)?.as_secs()));
    Some(Condition { severity: severity?, factor: factor?, window: window?, hold_seconds: hold? })
}

/// Returns the severity of ours for a free text.
fn severity_of(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Severity> {
    let Some(text) = scalar_text(at.node) else {
        reader.error(at, "expected a severity", "write `page` or `ticket`");
        return None;
    };
    let word = text.to_ascii_lowercase();
    if PAGES.contains(&word.as_str()) {
        return Some(Severity::Page);
    }
    if !TICKETS.contains(&word.as_str()) {
        let what = format!("the severity `{}` is a page", quote(&text));
        reader.changed(at, what, "lookout knows `page` and `ticket`");
        return Some(Severity::Page);
    }
    Some(Severity::Ticket)
}

/// Lists what people wrote for one another.
pub(crate) fn list_description(reader: &mut Reader<'_>, fields: &Fields<'_>) {
    if let Some(at) = fields.get(policy::DESCRIPTION)
        && let Some(text) = reader.text(&at)
        && !text.trim().is_empty()
    {
        let what = format!("a description: {}", quote(text));
        reader.lost(&at, what, "write it into the runbook");
    }
}

/// Reads the `spec` of an `AlertPolicy`.
pub(crate) fn read_policy(
    reader: &mut Reader<'_>,
    spec: &At<'_>,
    definitions: &mut Definitions,
) -> Option<Policy> {
    let fields = reader.fields(spec, policy::OBJECT)?;
    list_description(reader, &fields);
    let no_data = fields.get(policy::ALERT_WHEN_NO_DATA).and_then(|at| reader.switch(&at));
    let breaching =
        fields.get(policy::ALERT_WHEN_BREACHING).and_then(|at| reader.switch(&at)).unwrap_or(true);
    if let Some(at) = fields.get(policy::ALERT_WHEN_RESOLVED)
        && reader.switch(&at) == Some(false)
    {
        let what = "`alertWhenResolved: false`";
        reader.lost(
            &at,
            what,
            "lookout always sends the end of an incident to the receivers of its beginning",
        );
    }
    list_targets(reader, &fields, definitions);
    let conditions =
        reader.required(&fields, policy::CONDITIONS, "list one condition, or a long and a short one")?;
    let items = reader.list(&conditions)?;
    let read: Vec<Option<Condition>> =
        items.iter().map(|at| find_condition(reader, at, definitions)).collect();
    let read = read.into_iter().collect::<Option<Vec<Condition>>>()?;
    if read.is_empty() {
        reader.error(&conditions, "this list is empty", "list at least one condition");
        return None;
    }
    let loudest = read.iter().map(|condition| condition.severity).max();
    let no_data = no_data.map(|wanted| loudest.filter(|_| wanted));
    if !breaching {
        let help = "the SLO keeps the tiers of its other policies, or the default ones";
        reader.lost(&conditions, "conditions without an alert (`alertWhenBreaching: false`)", help);
        return Some(Policy { tiers: Vec::new(), no_data });
    }
    Some(Policy { tiers: tiers_of(reader, &conditions, read), no_data })
}

/// Destinations are the agent's, not the SLO's: each is named.
fn list_targets(reader: &mut Reader<'_>, fields: &Fields<'_>, definitions: &mut Definitions) {
    let Some(list) = fields.get(policy::NOTIFICATION_TARGETS) else { return };
    for at in reader.list(&list).unwrap_or_default() {
        let (name, target) =
            match reference(reader, &at, target_reference::OBJECT, target_reference::TARGET_REF) {
                Some(Reference::Named(name_at, name)) => {
                    let target = definitions.find_target(reader, &name_at, &name);
                    (Some(name), target)
                }
                Some(Reference::Inline(spec)) => (inline_name(&at), read_target(reader, &spec)),
                None => continue,
            };
        let Some(target) = target else { continue };
        // a destination is told of every SLO: nothing else has to be said
        let told =
            definitions.destinations.iter().any(|known| Some(known) == name.as_ref() || *known == target);
        if !told {
            let what = format!("the notification target `{}`", quote(&target));
            let help = "declare a destination of that name in lookout.yaml; it gets the messages of all SLOs";
            reader.lost(&at, what, help);
        }
    }
}

/// Returns the name in the head of what stands in the place of a reference.
fn inline_name(at: &At<'_>) -> Option<String> {
    scalar_text(at.node.get("metadata")?.get("name")?)
}

/// Reads the `spec` of an `AlertNotificationTarget`.
pub(crate) fn read_target(reader: &mut Reader<'_>, spec: &At<'_>) -> Option<String> {
    let fields = reader.fields(spec, notification_target::OBJECT)?;
    list_description(reader, &fields);
    let at = reader.required(&fields, notification_target::TARGET, "say what it is, like `slack`")?;
    reader.text(&at).map(str::to_owned)
}

fn find_condition(reader: &mut Reader<'_>, at: &At<'_>, definitions: &mut Definitions) -> Option<Condition> {
    match reference(reader, at, condition_reference::OBJECT, condition_reference::CONDITION_REF)? {
        Reference::Named(at, name) => definitions.find_condition(reader, &at, &name),
        Reference::Inline(spec) => read_condition(reader, &spec),
    }
}

/// An item of a list of OpenSLO: a name or a definition.
pub(crate) enum Reference<'n> {
    Named(At<'n>, String),
    Inline(At<'n>),
}

pub(crate) fn reference<'n>(
    reader: &mut Reader<'_>,
    at: &At<'n>,
    object: &'static Object,
    key: Key,
) -> Option<Reference<'n>> {
    if let Value::Text(name) = &at.node.value {
        return Some(Reference::Named(at.clone(), name.clone()));
    }
    let fields = reader.fields(at, object)?;
    let metadata = fields.get(reference::METADATA);
    if let Some(metadata) = metadata.and_then(|at| reader.fields(&at, metadata::OBJECT)) {
        let kind = fields
            .get(reference::KIND)
            .and_then(|at| reader.text(&at))
            .map_or_else(|| "definition".to_owned(), quote);
        list_metadata(reader, &metadata, &kind);
    }
    match (fields.get(key), fields.get(reference::SPEC)) {
        (Some(at), None) => {
            let name = reader.text(&at)?.to_owned();
            Some(Reference::Named(at, name))
        }
        (None, Some(spec)) => Some(Reference::Inline(spec)),
        _ => {
            reader.error(at, format!("expected either `{}` or a `spec`", key.name), "write one of them");
            None
        }
    }
}

/// Returns the tiers of a policy.
fn tiers_of(reader: &mut Reader<'_>, at: &At<'_>, conditions: Vec<Condition>) -> Vec<Tier> {
    let mut by_severity: BTreeMap<Severity, Vec<Condition>> = BTreeMap::new();
    for condition in conditions {
        by_severity.entry(condition.severity).or_default().push(condition);
    }
    let mut tiers = Vec::new();
    for (severity, mut conditions) in by_severity.into_iter().rev() {
        conditions.sort_by_key(|condition| core::cmp::Reverse(condition.window));
        match conditions.as_slice() {
            [long, short] if long.window > short.window => {
                if long.factor != short.factor {
                    let what = format!("both windows of a tier have one threshold: x{}", long.factor);
                    reader.changed(at, what, format!("the short window had x{}", short.factor));
                }
                let hold_seconds = long.hold_seconds.max(short.hold_seconds);
                let (long, short, factor) = (long.window, short.window, long.factor);
                tiers.push(Tier::new(severity, long, short, factor).holding(hold_seconds));
            }
            several => tiers.extend(several.iter().map(|condition| {
                let short = Window::seconds((condition.window.as_seconds() / 12).max(1));
                let what = format!("a short window of {short} is added to that of {}", condition.window);
                let help = "with it the alert resolves soon after the failure ends";
                reader.changed(at, what, help);
                let Condition { factor, window: long, hold_seconds, .. } = *condition;
                Tier::new(severity, long, short, factor).holding(hold_seconds)
            })),
        }
    }
    tiers
}

/// Returns the word of the annotation `lookout.dev/data-alert` that follows from all policies of an SLO.
pub(crate) fn data_alert<'p>(policies: impl Iterator<Item = &'p Policy>) -> Option<&'static str> {
    let said: Vec<Option<Severity>> = policies.filter_map(|policy| policy.no_data).collect();
    let loudest = said.iter().flatten().max();
    match loudest {
        Some(severity) => Some(severity.as_str()),
        None => (!said.is_empty()).then_some("off"),
    }
}
