//! Reads one of `targets`.

use core::time::Duration;
use std::path::Path;

use lookout_engine::Grid;

use super::definition::{Check, Family, Target, default_timeout};
use super::protocol::{self, Protocol};
use super::{address, dns, down, expect, grpc, heartbeat, http, icmp, journey, maintenance, tcp, websocket};
use crate::keys::target;
use crate::reader::{At, Fields, Reader};
use crate::secret::Secrets;
use crate::yaml::Value;

/// Most labels of a target.
pub(super) const MOST_LABELS: usize = 32;

/// Reads one of `targets`.
pub(crate) fn read_target(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    grid: Option<Grid>,
    folder: &Path,
) -> Option<Target> {
    let fields = reader.fields(at, target::target::OBJECT)?;
    let name = reader.required(&fields, target::target::NAME, "give the target a name that SLOs refer to");
    let name = name.and_then(|at| reader.name(&at));
    let interval = match fields.get(target::target::INTERVAL) {
        Some(at) => whole_seconds(reader, &at),
        None => grid.map(|grid| Duration::from_secs(u64::from(grid.width_seconds()))),
    };
    let timeout = read_timeout(reader, &fields, interval);
    let family = fields.get(target::target::IP).map_or(Some(Family::Auto), |at| read_family(reader, &at));
    let resolver = fields
        .get(target::target::RESOLVER)
        .map_or(Some(None), |at| address::read_server(reader, &at, 53).map(Some));
    let labels = fields.get(target::target::LABELS).map_or(Some(Vec::new()), |at| read_labels(reader, &at));
    let off = fields.get(target::target::OFF_WITHOUT).map_or(Some(None), |at| read_off(reader, &at));
    let maintenance =
        fields.get(target::target::MAINTENANCE).map_or(Some(Vec::new()), |at| maintenance::read(reader, &at));
    let down = fields.get(target::target::DOWN).map_or(Some(None), |at| down::read(reader, &at).map(Some));
    let protocol = protocol::find_protocol(reader, &fields);
    let options =
        protocol.and_then(|(protocol, at)| Some((protocol, protocol::read_fields(reader, &at, protocol)?)));
    let read = options.map(|(protocol, fields)| {
        (read_check(reader, protocol, &fields, folder), expect::read(reader, protocol, &fields))
    });
    let (check, expect) = read?;
    if let (Some(at), Some(family), Some(check)) = (fields.get(target::target::IP), family, &check) {
        check_family(reader, &at, family, check)?;
    }
    Some(Target {
        name: name?.to_owned(),
        group: None,
        down: down?,
        interval: interval?,
        timeout: timeout?,
        family: family?,
        resolver: resolver?,
        labels: labels?,
        off: off?,
        maintenance: maintenance?,
        allowed: None,
        check: check?,
        expect: expect?,
    })
}

fn read_check(
    reader: &mut Reader<'_>,
    protocol: Protocol,
    fields: &Fields<'_>,
    folder: &Path,
) -> Option<Check> {
    match protocol {
        Protocol::Http => http::read(reader, fields, folder).map(Box::new).map(Check::Http),
        Protocol::Tcp => tcp::read_tcp(reader, fields, folder).map(Box::new).map(Check::Tcp),
        Protocol::Tls => tcp::read_tls(reader, fields, folder).map(Box::new).map(Check::Tcp),
        Protocol::Dns => dns::read(reader, fields, folder).map(Box::new).map(Check::Dns),
        Protocol::Icmp => icmp::read(reader, fields).map(Check::Icmp),
        Protocol::Heartbeat => heartbeat::read(reader, fields).map(Check::Heartbeat),
        Protocol::Grpc => grpc::read(reader, fields, folder).map(Box::new).map(Check::Grpc),
        Protocol::WebSocket => websocket::read(reader, fields, folder).map(Box::new).map(Check::WebSocket),
        Protocol::Journey => journey::read(reader, fields, folder).map(Box::new).map(Check::Journey),
    }
}

/// Reads `off_without`. Returns the reason for which the target is off.
fn read_off(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Option<String>> {
    if reader.needs == Secrets::Unneeded {
        return Some(None);
    }
    let written = reader.text(at)?.to_owned();
    if !reader.secret_text(at, true, true)?.is_empty() {
        return Some(None);
    }
    let reason = format!("`{}` is empty here", written.trim());
    let help = "set its variable to probe the target; leave it empty to leave the target out";
    reader.warn(at, format!("this target is off: {reason}"), help);
    Some(Some(reason))
}

/// Returns whether a text can be the name of a label.
pub(super) fn is_label(name: &str) -> bool {
    const TAKEN: [&str; 2] = ["target", "protocol"];
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let named = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(fits);
    named && !TAKEN.contains(&name)
}

fn read_labels(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Vec<(String, String)>> {
    let fields = reader.open_fields(at, "from names to values")?;
    let mut labels = Vec::new();
    let mut whole = true;
    for (key, value) in fields.all() {
        let name = key.name.as_str();
        if !is_label(name) {
            let help = "use letters, digits and `_`; `target` and `protocol` are taken";
            reader.error(&value, format!("`{name}` cannot be the name of a label"), help);
            whole = false;
        }
        match reader.text(&value) {
            Some(text) => labels.push((name.to_owned(), text.to_owned())),
            None => whole = false,
        }
    }
    if labels.len() > MOST_LABELS {
        reader.error(at, format!("a target has at most {MOST_LABELS} labels"), "");
        return None;
    }
    whole.then_some(labels)
}

fn read_family(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Family> {
    match &at.node.value {
        Value::Int(4) => Some(Family::V4),
        Value::Int(6) => Some(Family::V6),
        Value::Text(text) if text == "auto" => Some(Family::Auto),
        Value::Text(text) if text == "4" => Some(Family::V4),
        Value::Text(text) if text == "6" => Some(Family::V6),
        Value::Text(text) if text == "both" => Some(Family::Both),
        Value::Text(text) if text == "all" => Some(Family::All),
        _ => {
            reader.error(
                at,
                "expected `auto`, `4`, `6`, `both` or `all`",
                "leave it out to try all addresses in their order",
            );
            None
        }
    }
}

/// Refuses several addresses where a check cannot choose one.
fn check_family(reader: &mut Reader<'_>, at: &At<'_>, family: Family, check: &Check) -> Option<()> {
    let message = match check {
        _ if !family.is_several() => return Some(()),
        Check::Dns(_) | Check::Heartbeat(_) | Check::Journey(_) => {
            format!("`{}` does not try several addresses", check.protocol())
        }
        Check::Http(http) if http.proxy.is_some() => {
            "a proxy chooses the address, so that a probe cannot try several".to_owned()
        }
        _ => return Some(()),
    };
    reader.error(at, message, "write `auto`, `4` or `6`, or make a target of each family");
    None
}

fn whole_seconds(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Duration> {
    let interval = reader.duration(at)?;
    if interval.subsec_nanos() == 0 && !interval.is_zero() {
        return Some(interval);
    }
    reader.error(at, "an interval is a whole number of seconds", "write at least `1s`");
    None
}

pub(crate) fn read_timeout(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    interval: Option<Duration>,
) -> Option<Duration> {
    let Some(at) = fields.get(target::target::TIMEOUT) else { return interval.map(default_timeout) };
    let timeout = reader.duration(&at)?;
    let interval = interval?;
    if timeout.is_zero() || timeout >= interval {
        let every = lookout_model::print_duration(interval);
        let message =
            format!("a timeout must be shorter than the interval of {every}, so that checks never overlap");
        let help = format!("leave it out for {}", lookout_model::print_duration(default_timeout(interval)));
        reader.error(&at, message, help);
        return None;
    }
    Some(timeout)
}
