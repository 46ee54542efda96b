//! `targets` and `scrapes` of `lookout.yaml`.
//!
//! A target has one protocol, and the protocol's own keys stand under its name:
//!
//! ```yaml
//! targets:
//!   - name: api
//!     interval: 10s                       # the grid's by default
//!     timeout: 2s                         # one deadline over all phases
//!     ip: auto                            # auto | 4 | 6
//!     resolver: 10.0.0.2:53               # asked for names instead of the system's
//!     http:                               # http.rs
//!       url: https://example.org/health
//!       expect: { status: 2xx, latency: 500ms, json: { "$.status": ok }, assert: ["body.size < 64KiB"] }
//!   - { name: mail, tcp: { address: mail.example.org:25, starttls: smtp } }          # tcp.rs
//!   - { name: certificate, tls: { address: example.org:443 } }                       # tcp.rs
//!   - { name: name, dns: { server: 10.0.0.2:53, query: example.org } }               # dns.rs
//!   - { name: router, icmp: { host: 10.0.0.1 } }
//!   - { name: rpc, grpc: { address: rpc.example.org:443, tls: {} } }                 # grpc.rs
//!   - { name: client, journey: { steps: [] } }                                       # journey.rs
//!   - { name: events, websocket: { url: wss://example.org/events } }                 # websocket.rs
//! ```

mod address;
mod direct;
mod dns;
mod expect;
mod grpc;
mod http;
mod icmp;
mod journey;
mod protocol;
mod tcp;
mod tls;
mod websocket;

use core::time::Duration;
use std::net::SocketAddr;
use std::path::Path;

use lookout_engine::{Grid, Severity};

pub use address::HostPort;
pub use direct::SCHEMES;
pub use dns::{DnsCheck, DnsTransport, RecordType};
pub use grpc::GrpcCheck;
pub use http::{Authorization, HttpCheck, HttpVersion, Redirects};
pub use icmp::IcmpCheck;
pub use journey::{JourneyCheck, JourneyStep, Variable};
pub use tcp::{Send, StartTls, Step, TcpCheck};
pub use tls::TlsOptions;
pub use websocket::WebSocketCheck;

pub(super) use http::read_headers;
pub(super) use journey::has_placeholder;

use super::assertion::Assertion;
use super::model::Scrape;
use super::objective::read_severity;
use super::reader::{At, Fields, Reader};
use crate::keys::agent::scrape;
use crate::keys::target;
use protocol::Protocol;

/// The deadline of a probe or scrape unless told otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Something that is probed.
#[derive(Debug, Clone)]
pub struct Target {
    /// Unique name; the label `target`.
    pub name: String,
    /// Time between probes; a multiple of a second.
    pub interval: Duration,
    /// One deadline over all phases, shorter than the interval.
    pub timeout: Duration,
    /// Addresses that are tried.
    pub family: Family,
    /// DNS server that is asked for names instead of the system's resolver.
    pub resolver: Option<SocketAddr>,
    /// The protocol and its options.
    pub check: Check,
    /// All of them must hold.
    pub expect: Vec<Assertion>,
}

/// Families of addresses that are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// Both, in the resolver's order.
    #[default]
    Auto,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// A protocol and its options.
#[derive(Debug, Clone)]
pub enum Check {
    /// A request over HTTP.
    Http(Box<HttpCheck>),
    /// A connection, an optional dialogue, optional TLS.
    Tcp(Box<TcpCheck>),
    /// A query to a name server.
    Dns(Box<DnsCheck>),
    /// An echo request.
    Icmp(IcmpCheck),
    /// A call of the health service of gRPC.
    Grpc(Box<GrpcCheck>),
    /// An upgrade and an optional message.
    WebSocket(Box<WebSocketCheck>),
    /// Several requests that share variables.
    Journey(Box<JourneyCheck>),
}

impl Check {
    /// The protocol, as the configuration names it.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Tcp(tcp) if tcp.is_tls() => "tls",
            Self::Tcp(_) => "tcp",
            Self::Dns(_) => "dns",
            Self::Icmp(_) => "icmp",
            Self::Grpc(_) => "grpc",
            Self::WebSocket(_) => "websocket",
            Self::Journey(_) => "journey",
        }
    }
}

/// The deadline of a check that runs every `interval`, when none is written.
pub(super) fn default_timeout(interval: Duration) -> Duration {
    TIMEOUT.min(interval / 2)
}

/// Reads one of `targets`.
pub(super) fn read_target(
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
        Protocol::Grpc => grpc::read(reader, fields, folder).map(Box::new).map(Check::Grpc),
        Protocol::WebSocket => websocket::read(reader, fields, folder).map(Box::new).map(Check::WebSocket),
        Protocol::Journey => journey::read(reader, fields, folder).map(Box::new).map(Check::Journey),
    }
}

fn read_family(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Family> {
    use super::yaml::Value;
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

fn read_timeout(
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

/// Reads one of `scrapes`. They are read once per slot of the grid.
pub(super) fn read_scrape(reader: &mut Reader<'_>, at: &At<'_>, grid: Option<Grid>) -> Option<Scrape> {
    let fields = reader.fields(at, scrape::OBJECT)?;
    let name = reader.required(&fields, scrape::NAME, "give the source a name that SLOs refer to");
    let name = name.and_then(|at| reader.name(&at));
    let url = reader.required(
        &fields,
        scrape::URL,
        "say where the metrics are, like `http://127.0.0.1:8081/metrics`",
    );
    let url = url.and_then(|at| reader.url(&at));
    let interval = grid.map(|grid| Duration::from_secs(u64::from(grid.width_seconds())));
    let timeout = read_timeout(reader, &fields, interval);
    let job =
        fields.get(scrape::JOB).map_or(Some(None), |at| reader.text(&at).map(|job| Some(job.to_owned())));
    let up = fields.get(scrape::UP).map_or(Some(Some(Severity::Page)), |at| read_severity(reader, &at));
    Some(Scrape { name: name?.to_owned(), url: url?, timeout: timeout?, job: job?, up: up? })
}
