//! `match`, `active_times`, `repeat_interval`, `escalate` and `standby` of a destination.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use lookout_model::Matcher;

use crate::calendar::zone_like;
use crate::keys::agent::{active_time, destination, escalation, selection};
use crate::model::{ActiveTime, DAY_MINUTES, Escalation, Route};
use crate::reader::{At, Fields, Reader, did_you_mean, suggestion};
use crate::yaml::Value;

/// Least time between two messages about the same open page.
const SHORTEST_REPEAT: Duration = Duration::from_secs(5 * 60);

/// Days of the week, Monday first.
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Reads the route of a destination. `others` are the names of the other destinations.
pub(super) fn read_route(reader: &mut Reader<'_>, fields: &Fields<'_>, others: &[&str]) -> Option<Route> {
    let standby = fields.get(destination::STANDBY).map_or(Some(false), |at| reader.switch(&at));
    let matcher =
        fields.get(destination::MATCH).map_or(Some(Matcher::default()), |at| read_matcher(reader, &at));
    let active_times =
        fields.get(destination::ACTIVE_TIMES).map_or(Some(Vec::new()), |at| read_times(reader, &at));
    let repeat_interval = fields
        .get(destination::REPEAT_INTERVAL)
        .map_or(Some(None), |at| read_repeat(reader, fields, &at).map(Some));
    let escalate = fields
        .get(destination::ESCALATE)
        .map_or(Some(None), |at| read_escalation(reader, &at, others).map(Some));
    let route = Route {
        standby: standby?,
        matcher: matcher?,
        active_times: active_times?,
        repeat_interval: repeat_interval?,
        escalate: escalate?,
    };
    let unused = [destination::MATCH, destination::ACTIVE_TIMES].into_iter().find_map(|key| fields.get(key));
    if let (true, Some(at)) = (route.standby, unused) {
        let help = "leave it out, or leave out `standby`";
        reader.error(&at, "a destination on standby takes whatever another one hands over", help);
        return None;
    }
    Some(route)
}

fn read_matcher(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Matcher> {
    let fields = reader.fields(at, selection::OBJECT)?;
    let services = fields.get(selection::SERVICES).map_or(Some(Vec::new()), |at| read_values(reader, &at));
    let slos = fields.get(selection::SLOS).map_or(Some(Vec::new()), |at| read_values(reader, &at));
    let labels = fields.get(selection::LABELS).map_or(Some(BTreeMap::new()), |at| read_labels(reader, &at));
    let matcher = Matcher { services: services?, slos: slos?, labels: labels? };
    if matcher.is_empty() {
        reader.error(at, "this selects every SLO", "name services, SLOs or labels, or leave it out");
        return None;
    }
    Some(matcher)
}

fn read_labels(reader: &mut Reader<'_>, at: &At<'_>) -> Option<BTreeMap<String, Vec<String>>> {
    let fields = reader.open_fields(at, "from names of labels to values")?;
    let read: Vec<_> = fields
        .all()
        .map(|(key, at)| {
            let values = match &at.node.value {
                Value::List(_) => read_values(reader, &at),
                _ => reader.scalar(&at).map(|value| vec![value]),
            };
            Some((key.name.clone(), values?))
        })
        .collect();
    read.into_iter().collect()
}

/// Reads a list of values with at least one item.
fn read_values(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Vec<String>> {
    let items = reader.list(at)?;
    if items.is_empty() {
        reader.error(at, "an empty list selects nothing", "name at least one value, or leave it out");
        return None;
    }
    let read: Vec<_> = items.iter().map(|at| reader.scalar(at)).collect();
    read.into_iter().collect()
}

fn read_times(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Vec<ActiveTime>> {
    let items = reader.list(at)?;
    if items.is_empty() {
        reader.error(at, "nothing would be sent at any hour", "list at least one part of the week");
        return None;
    }
    let read: Vec<_> = items.iter().map(|at| read_time(reader, at)).collect();
    read.into_iter().collect()
}

fn read_time(reader: &mut Reader<'_>, at: &At<'_>) -> Option<ActiveTime> {
    let fields = reader.fields(at, active_time::OBJECT)?;
    let days = fields.get(active_time::WEEKDAYS).map_or(Some([true; 7]), |at| read_days(reader, &at));
    let start_minute =
        fields.get(active_time::START_TIME).map_or(Some(0), |at| read_minute(reader, &at, DAY_MINUTES - 1));
    let end_minute = fields
        .get(active_time::END_TIME)
        .map_or(Some(DAY_MINUTES), |at| read_minute(reader, &at, DAY_MINUTES));
    let zone = fields.get(active_time::TIME_ZONE).map_or(Some(TimeZone::UTC), |at| read_zone(reader, &at));
    let (days, start_minute, end_minute, zone) = (days?, start_minute?, end_minute?, zone?);
    if start_minute == end_minute {
        let help = "leave both out for the whole day";
        reader.error(at, "this part of the day is empty: it ends when it begins", help);
        return None;
    }
    Some(ActiveTime { days, start_minute, end_minute, zone })
}

/// Reads days and ranges of days: `monday`, `monday:friday`, `saturday:monday`.
fn read_days(reader: &mut Reader<'_>, at: &At<'_>) -> Option<[bool; 7]> {
    let items = reader.list(at)?;
    let mut days = [false; 7];
    let mut whole = !items.is_empty();
    if items.is_empty() {
        reader.error(at, "no day is named", "write days like `monday` or `monday:friday`");
    }
    for item in &items {
        let Some(text) = reader.text(item) else {
            whole = false;
            continue;
        };
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        let number = |name: &str| DAYS.iter().position(|day| *day == name);
        let (Some(first), Some(last)) = (number(first), number(last)) else {
            let wrong = if number(first).is_none() { first } else { last };
            let help = suggestion(wrong, &DAYS).map(|day| did_you_mean(&day));
            let help = help.unwrap_or_else(|| "write days like `monday` or `monday:friday`".to_owned());
            reader.error(item, format!("`{wrong}` is no day of the week"), help);
            whole = false;
            continue;
        };
        let length = (last + 7 - first) % 7;
        for (day, named) in days.iter_mut().enumerate() {
            *named |= (day + 7 - first) % 7 <= length;
        }
    }
    whole.then_some(days)
}

/// Reads `HH:MM` as a minute of the day.
fn read_minute(reader: &mut Reader<'_>, at: &At<'_>, most: u16) -> Option<u16> {
    let text = reader.text(at)?;
    let two = |part: &str| (part.len() == 2).then(|| part.parse::<u16>().ok()).flatten();
    let minute = text.split_once(':').and_then(|(hour, minute)| Some((two(hour)?, two(minute)?)));
    let minute = minute.filter(|(_, minute)| *minute < 60).map(|(hour, minute)| hour * 60 + minute);
    let minute = minute.filter(|minute| *minute <= most);
    if minute.is_none() {
        reader.error(
            at,
            "this is no time of the day",
            "write it like `\"08:30\"`; only an end can be `\"24:00\"`",
        );
    }
    minute
}

fn read_zone(reader: &mut Reader<'_>, at: &At<'_>) -> Option<TimeZone> {
    let name = reader.text(at)?;
    let zone = TimeZone::get(name).ok();
    if zone.is_none() {
        let help = zone_like(name).map(|zone| did_you_mean(&zone));
        let help =
            help.unwrap_or_else(|| "write the name of an IANA time zone, like `Europe/Zurich`".to_owned());
        reader.error(at, format!("there is no time zone `{name}`"), help);
    }
    zone
}

fn read_repeat(reader: &mut Reader<'_>, fields: &Fields<'_>, at: &At<'_>) -> Option<Duration> {
    let interval = reader.duration(at)?;
    let repeats_itself = [destination::ALERTMANAGER, destination::PAGERDUTY]
        .into_iter()
        .find(|key| fields.get(*key).is_some());
    if let Some(key) = repeats_itself {
        let message = format!("`{}` reminds people of an open alert by itself", key.name);
        reader.error(at, message, "set the interval there, and leave this out");
        return None;
    }
    if interval < SHORTEST_REPEAT {
        reader.error(at, "a page is repeated after 5 min at the earliest", "write a time like `4h`");
        return None;
    }
    Some(interval)
}

fn read_escalation(reader: &mut Reader<'_>, at: &At<'_>, others: &[&str]) -> Option<Escalation> {
    let fields = reader.fields(at, escalation::OBJECT)?;
    let after = reader.required(&fields, escalation::AFTER, "give people time to acknowledge: `after: 15m`");
    let after = after.and_then(|at| {
        let after = reader.duration(&at)?;
        if after < Duration::from_secs(10) {
            reader.error(&at, "nobody can acknowledge a page within 10 s", "write a time like `15m`");
            return None;
        }
        Some(after)
    });
    let to = reader.required(&fields, escalation::TO, "name the destination that hears of it: `to: manager`");
    let to = to.and_then(|at| read_other(reader, &at, others));
    Some(Escalation { after: after?, to: to? })
}

/// Reads the name of another destination.
pub(super) fn read_other(reader: &mut Reader<'_>, at: &At<'_>, others: &[&str]) -> Option<String> {
    let name = reader.name(at)?;
    if !others.contains(&name) {
        let help = suggestion(name, others)
            .map_or_else(|| "name another entry of `destinations`".to_owned(), |known| did_you_mean(&known));
        reader.error(at, format!("there is no other destination `{name}`"), help);
        return None;
    }
    Some(name.to_owned())
}
