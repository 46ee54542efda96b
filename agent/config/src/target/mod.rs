//! `targets` of `lookout.yaml`. A target has one protocol, and the options of the protocol stand under its name.

mod address;
mod aim;
mod definition;
mod direct;
mod discover;
mod dns;
mod expect;
mod grpc;
mod heartbeat;
mod host_name;
mod http;
mod icmp;
mod journey;
mod maintenance;
mod no_proxy;
mod oauth2;
mod protocol;
mod proxy;
mod read;
mod tcp;
mod tls;
mod websocket;

pub use address::HostPort;
pub use definition::{Check, Family, Target};
pub use direct::SCHEMES;
pub use discover::{AddressSource, Discovery, DnsAddresses, EndpointSlices, FileAddresses, FoundAddress};
pub use dns::{DnsCheck, DnsTransport, RecordType};
pub use grpc::GrpcCheck;
pub use heartbeat::HeartbeatCheck;
pub use http::{HttpCheck, HttpVersion, Redirects};
pub use icmp::IcmpCheck;
pub use journey::{JourneyCheck, JourneyStep, Variable};
pub use maintenance::{MaintenanceWindow, WindowTimes};
pub use no_proxy::ProxyException;
pub use oauth2::{ClientAuth, OAuth2};
pub use proxy::Proxy;
pub use tcp::{Send, StartTls, Step, TcpCheck};
pub use tls::TlsOptions;
pub use websocket::WebSocketCheck;

pub(super) use definition::default_timeout;
pub(super) use discover::{ReadTargets, read_targets};
pub(super) use http::read_whole;
pub(crate) use http::{BODY_LIMIT_LIMIT, KEPT_BODY_LIMIT};
pub(super) use read::{read_target, read_timeout};
