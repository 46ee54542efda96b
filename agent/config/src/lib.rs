//! Reads `lookout.yaml` and SLO specs into one valid model, or into diagnostics. It never contacts a server: whatever
//! needs a connection is another crate's.

mod address;
mod allow_list;
mod assertion;
mod blackbox;
mod calendar;
mod composite;
mod conditions;
mod config;
mod coverage;
mod credentials;
mod destination;
mod diagnostic;
mod down;
mod entries;

mod foreign;
#[cfg(test)]
mod golden_tests;
mod import;
mod indicator;
mod inputs;
mod keys;
mod known;
mod load;
mod mask;
mod metadata;
mod method;
mod model;
mod names;
mod objective;
mod openslo;
mod operator_objects;
mod own_alerts;
mod parsed_file;
mod period;
mod placeholder;
#[cfg(test)]
mod pointer_tests;
mod prometheus;
mod rates;
mod reader;
mod reference;
mod schema;
#[cfg(test)]
mod schema_tests;
mod scrape;
mod secret;
mod specs;
mod streams;
mod target;
mod tiers;
mod traffic;
mod up;
mod urls;
mod yaml;

pub use address::parse_http_url;
pub use allow_list::AllowList;
pub use assertion::{
    Assertion, BadAssertion, CertificateFact, Comparison, Condition, Expected, Extraction, Operator, Phase,
    Subject,
};
pub use blackbox::Blackbox;
pub use calendar::{Calendar, OutOfTime, Unit};
pub use credentials::Credentials;
pub use destination::{BodyTemplate, PLACEHOLDERS};
pub use diagnostic::{Diagnostic, Diagnostics, Level};

pub use foreign::{Format, ImportOptions};
pub use import::{Imported, Prober, SpecFile, import, import_targets};
pub use inputs::{Fingerprint, Inputs};
pub use load::{Checked, check, check_with, load, load_specs, load_with, load_without_secrets};
pub use model::*;
pub use own_alerts::OWN_ALERTS;
pub use rates::{RealRates, read_rate};
pub use reference::key_reference;
pub use schema::{config_schema, slo_schema};
pub use secret::{Environment, Secret};
pub use streams::Stream;
pub use target::{
    AddressSource, Check, ClientAuth, Discovery, DnsAddresses, DnsCheck, DnsTransport, Down, EndpointSlices,
    Family, FileAddresses, FoundAddress, GrpcCheck, HeartbeatCheck, HostPort, HttpCheck, HttpVersion,
    IcmpCheck, JourneyCheck, JourneyStep, MaintenanceWindow, OAuth2, Proxy, ProxyException, RecordType,
    Redirects, SCHEMES, Send, StartTls, Step, Target, TcpCheck, TlsOptions, Variable, WebSocketCheck,
    WindowTimes,
};
pub use tiers::read_tiers;
pub use urls::{UrlOptions, config_of_urls};
