//! `expect` of a protocol: what makes an answer good.

use std::sync::{Arc, LazyLock};

use super::super::assertion::parser::parse_statuses;
use super::super::assertion::path::parse_path;
use super::super::assertion::{Assertion, Condition, Subject};
use super::super::reader::{At, Fields, Reader};
use super::super::yaml::Value;
use super::http::json;
use super::protocol::Protocol;
use crate::keys::target;

/// Reads all assertions of a check. An answer over HTTP has a good status, unless an assertion speaks of the status.
pub(super) fn read(
    reader: &mut Reader<'_>,
    protocol: Protocol,
    fields: &Fields<'_>,
) -> Option<Arc<[Assertion]>> {
    if protocol == Protocol::Heartbeat {
        // a call has nothing to look at
        return Some(Arc::default());
    }
    let Some(at) = fields.get(target::http::EXPECT) else { return Some(with_defaults(protocol, Vec::new())) };
    let http = protocol == Protocol::Http;
    let object = if http { target::http_expect::OBJECT } else { target::expect::OBJECT };
    let fields = reader.fields(&at, object)?;
    let of_http = |key| if http { fields.get(key) } else { None };
    let status =
        of_http(target::http_expect::STATUS).map_or(Some(None), |at| read_statuses(reader, &at).map(Some));
    let latency =
        fields.get(target::expect::LATENCY).map_or(Some(None), |at| read_latency(reader, &at).map(Some));
    let values = of_http(target::http_expect::JSON).map_or(Some(Vec::new()), |at| read_values(reader, &at));
    let written = fields
        .get(target::expect::ASSERT)
        .map_or(Some(Vec::new()), |at| read_assertions(reader, &at, protocol));
    let mut all = Vec::new();
    all.extend(status?.map(Assertion::status));
    all.extend(latency?);
    all.extend(values?);
    all.extend(written?);
    Some(with_defaults(protocol, all))
}

/// Assertions of most targets over HTTP, which thousands of them share.
static GOOD_STATUS: LazyLock<Arc<[Assertion]>> =
    LazyLock::new(|| [Assertion::status(vec![(200, 299)])].into());

/// Adds what a protocol expects of every answer.
pub(super) fn with_defaults(protocol: Protocol, assertions: Vec<Assertion>) -> Arc<[Assertion]> {
    if assertions.is_empty() && protocol == Protocol::Http {
        return Arc::clone(&GOOD_STATUS);
    }
    let speaks_of =
        |wanted: fn(&Subject) -> bool| assertions.iter().any(|assertion| assertion.root.looks_at(&wanted));
    let default = match protocol {
        Protocol::Http if !speaks_of(|subject| matches!(subject, Subject::Status)) => {
            Some(Assertion::status(vec![(200, 299)]))
        }
        Protocol::Dns if !speaks_of(|subject| matches!(subject, Subject::DnsCode)) => {
            Assertion::parse("dns.code == \"NOERROR\"").ok()
        }
        Protocol::Grpc if !speaks_of(|subject| matches!(subject, Subject::GrpcStatus)) => {
            Assertion::parse("grpc.status == \"SERVING\"").ok()
        }
        _ => None,
    };
    default.into_iter().chain(assertions).collect()
}

fn read_statuses(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Vec<(u16, u16)>> {
    let Value::List(_) = &at.node.value else { return read_status(reader, at).map(|range| vec![range]) };
    let items = reader.list(at)?;
    if items.is_empty() {
        reader.error(at, "this list has no status", "leave it out for 2xx");
        return None;
    }
    let ranges: Vec<_> = items.iter().map(|at| read_status(reader, at)).collect();
    ranges.into_iter().collect()
}

fn read_status(reader: &mut Reader<'_>, at: &At<'_>) -> Option<(u16, u16)> {
    let range = match &at.node.value {
        Value::Int(code) => parse_statuses(&code.to_string()),
        Value::Text(text) => parse_statuses(text),
        _ => None,
    };
    if range.is_none() {
        let message = "expected a status, a class or a range of them";
        reader.error(at, message, "write `200`, `2xx` or `\"200-299\"`, from 100 to 599");
    }
    range
}

fn read_latency(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Assertion> {
    let latency = reader.duration(at)?;
    if latency.is_zero() {
        reader.error(at, "a latency is above zero", "write a longer time, like `500ms`");
        return None;
    }
    Some(Assertion::latency(latency))
}

fn read_values(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Vec<Assertion>> {
    let fields = reader.open_fields(at, "from paths to values: `{ \"$.status\": ok }`")?;
    let read: Vec<_> = fields.all().map(|(key, value)| read_value(reader, &key.name, &value)).collect();
    read.into_iter().collect()
}

fn read_value(reader: &mut Reader<'_>, path: &str, at: &At<'_>) -> Option<Assertion> {
    match parse_path(path) {
        Ok(parsed) => Some(Assertion::json(path.to_owned(), parsed, json(&at.node.value))),
        Err((message, help)) => {
            reader.error(at, format!("`{path}` is {message}"), help);
            None
        }
    }
}

fn read_assertions(reader: &mut Reader<'_>, at: &At<'_>, protocol: Protocol) -> Option<Vec<Assertion>> {
    let items = match &at.node.value {
        Value::List(_) => reader.list(at)?,
        _ => vec![at.clone()],
    };
    let read: Vec<_> = items.iter().map(|at| read_assertion(reader, at, protocol)).collect();
    read.into_iter().collect()
}

fn read_assertion(reader: &mut Reader<'_>, at: &At<'_>, protocol: Protocol) -> Option<Assertion> {
    let text = reader.text(at)?;
    match Assertion::parse(text) {
        Err(bad) => {
            reader.error_in(at, text, bad.span, bad.message, &bad.help);
            None
        }
        Ok(assertion) => fits(reader, at, &assertion.root, protocol).then_some(assertion),
    }
}

/// Returns whether an answer of the protocol has every value that is asserted.
fn fits(reader: &mut Reader<'_>, at: &At<'_>, root: &Condition, protocol: Protocol) -> bool {
    let stranger = root.subjects().into_iter().find(|subject| !protocols_of(subject).contains(&protocol));
    let Some(subject) = stranger else { return true };
    let owners: Vec<&str> = protocols_of(subject).iter().map(|owner| owner.as_str()).collect();
    let message = format!("an answer of `{}` has no `{subject}`", protocol.as_str());
    reader.error(at, message, format!("it belongs to {}", super::super::reader::quoted_list(&owners)));
    false
}

const fn protocols_of(subject: &Subject) -> &'static [Protocol] {
    use Protocol::{Dns, Grpc, Http, Icmp, Journey, Tcp, Tls, WebSocket};
    match subject {
        Subject::Latency(_) => &[Http, Tcp, Tls, Dns, Icmp, Grpc, WebSocket, Journey],
        Subject::Status | Subject::Header(_) => &[Http, WebSocket],
        Subject::Json { .. } | Subject::Redirects => &[Http],
        Subject::Body | Subject::BodySize => &[Http, Tcp, Tls, WebSocket],
        Subject::Protocol => &[Http, Tls, Tcp],
        Subject::TlsVersion | Subject::Certificate(_) => &[Http, Tcp, Tls, Dns, Grpc, WebSocket],
        Subject::DnsCode | Subject::DnsAnswers | Subject::DnsTtl => &[Dns],
        Subject::GrpcStatus => &[Grpc],
    }
}
