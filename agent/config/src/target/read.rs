//! Reads one of `targets`.

use core::time::Duration;
use std::path::Path;

use lookout_engine::Grid;

use super::definition::{Check, Family, Target, default_timeout};
use super::protocol::{self, Protocol};
use super::{address, dns, expect, grpc, heartbeat, http, icmp, journey, tcp, websocket};
use crate::keys::target;
use crate::reader::{At, Fields, Reader};
use crate::yaml::Value;

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
    let protocol = protocol::find_protocol(reader, &fields);
    let options =
        protocol.and_then(|(protocol, at)| Some((protocol, protocol::read_fields(reader, &at, protocol)?)));
    let read = options.map(|(protocol, fields)| {
        (read_check(reader, protocol, &fields, folder), expect::read(reader, protocol, &fields))
    });
    let (check, expect) = read?;
    Some(Target {
        name: name?.to_owned(),
        interval: interval?,
        timeout: timeout?,
        family: family?,
        resolver: resolver?,
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

fn read_family(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Family> {
    match &at.node.value {
        Value::Int(4) => Some(Family::V4),
        Value::Int(6) => Some(Family::V6),
        Value::Text(text) if text == "auto" => Some(Family::Auto),
        Value::Text(text) if text == "4" => Some(Family::V4),
        Value::Text(text) if text == "6" => Some(Family::V6),
        _ => {
            reader.error(
                at,
                "expected `auto`, `4` or `6`",
                "leave it out to try all addresses in their order",
            );
            None
        }
    }
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
