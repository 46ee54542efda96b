//! The configuration, read once from the environment and checked whole: every wrong variable is reported, not just the first.
//!
//! - `reader` reads variables and notes what is wrong; `secret` is for those that are never shown; `reference` lists all.
//! - `client_policy`, `database`, `environment` and `hosts` are the settings that have rules of their own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::http::Uri;
use clap::{ArgAction, Parser};
use tracing::Level;

mod client_policy;
mod database;
mod environment;
mod hosts;
mod reader;
mod reference;
mod secret;

pub use self::client_policy::{ApiKey, ClientPolicy, Keys, Network, Scope};
pub use self::database::{DatabaseUrl, Pooling};
use self::database::{POOLINGS, Pieces};
pub use self::environment::Environment;
pub use self::hosts::HostPattern;
pub use self::reader::{ConfigError, ConfigErrors};
use self::reader::{Reader, number, parsed, rule, seconds, word};
pub use self::reference::{Setting, reference, text};
pub use self::secret::{Secret, SecretFile};

/// Everything the service can be told from outside. The comment of a field is the meaning of its setting in the reference,
/// `hide_env_values` marks a secret, and what is skipped follows from other fields.
#[derive(Debug, Clone, Parser)]
#[command(no_binary_name = true)]
pub struct Config {
    /// The purpose of this installation. `dev…` and `local…` need no API key; `prod…` refuses fault injection.
    #[arg(long = "ENVIRONMENT", default_value = "development")]
    pub environment: Environment,
    /// The address of both ports.
    #[arg(long = "BIND", default_value = "127.0.0.1", value_parser = parsed::<IpAddr>(AN_ADDRESS))]
    bind: IpAddr,
    /// The port of the API. 0 picks a free one.
    #[arg(long = "PORT", default_value = "8080", value_parser = parsed::<u16>(A_PORT))]
    port: u16,
    /// The port of metrics, probes and fault injection.
    #[arg(long = "ADMIN_PORT", default_value = "8081", value_parser = parsed::<u16>(A_PORT))]
    admin_port: u16,
    /// The URL that clients use, for links.
    #[arg(long = "API_BASE_URL", default_value = "", value_parser = rule(A_URL, http_url))]
    pub base_url: String,
    /// The version that the service reports; that of the package by default.
    #[arg(long = "APP_VERSION", default_value = env!("CARGO_PKG_VERSION"), hide_default_value = true)]
    pub version: String,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    #[arg(long = "LOG_LEVEL", default_value = "info", value_parser = parsed::<Level>(LEVELS))]
    pub log_level: Level,
    /// A SQLite or PostgreSQL URL, unless there is `DB_HOST`.
    #[arg(long = "DATABASE_URL", default_value = database::DEFAULT, hide_env_values = true)]
    pub database_url: DatabaseUrl,
    #[command(flatten)]
    pieces: Pieces,
    /// `session`; `transaction` behind PgBouncer in transaction mode or RDS Proxy.
    #[arg(long = "DB_POOLING", default_value = "session", value_parser = word(&POOLINGS))]
    pub pooling: Pooling,
    /// Database connections. PostgreSQL gets one more for health checks.
    #[arg(long = "MAX_CONNECTIONS", default_value = "10", value_parser = number(1..=1000_u32))]
    pub max_connections: u32,
    /// Time for which a start waits for its database.
    #[arg(long = "START_SECONDS", default_value = "30", value_parser = seconds(0..=600))]
    pub start: Duration,
    /// Time between the end of readiness and the end of accepting.
    #[arg(long = "DRAIN_SECONDS", default_value = "2", value_parser = seconds(0..=300))]
    pub drain: Duration,
    /// The policy for clients.
    #[command(flatten)]
    pub clients: ClientPolicy,
    /// The token for fault injection; off without it.
    #[arg(long = "ADMIN_TOKEN", hide_env_values = true)]
    pub admin_token: Option<Secret>,
    /// The OTLP collector; nothing is exported without it.
    #[arg(long = "OTEL_EXPORTER_OTLP_ENDPOINT", value_parser = rule(A_URL, http_url))]
    pub otlp_endpoint: Option<String>,
    /// `otlp` or `none`.
    #[arg(
        long = "OTEL_TRACES_EXPORTER",
        default_value = "otlp",
        value_parser = word(&[("otlp", true), ("none", false)]),
        action = ArgAction::Set
    )]
    exports_traces: bool,
    /// The service name in exported telemetry.
    #[arg(long = "OTEL_SERVICE_NAME", default_value = env!("CARGO_PKG_NAME"))]
    pub service_name: String,
    /// Further resource attributes, as OpenTelemetry defines them.
    #[arg(long = "OTEL_RESOURCE_ATTRIBUTES")]
    _read_by_the_library: Option<String>,
    /// The files of secrets, which may change while the service runs.
    #[arg(skip)]
    pub secret_files: Vec<SecretFile>,
    /// Settings that are suspicious and yet usable.
    #[arg(skip)]
    pub warnings: Vec<String>,
    /// The settings that are set, by their variable, with the value as people may see it.
    #[arg(skip)]
    given: BTreeMap<String, String>,
}

const AN_ADDRESS: &str = "an IP address such as 127.0.0.1 or ::";
const A_PORT: &str = "a port between 0 and 65535 (0 picks a free one)";
const LEVELS: &str = "error, warn, info, debug or trace";
const A_URL: &str = "an http:// or https:// URL without user and query, such as http://localhost:4318";

/// The database and one setting per line, for people. No secret is among them.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {:27} {}", "database", self.database_url)?;
        for Setting { name, default, .. } in reference() {
            let file = format!("{name}_FILE");
            match self.given.get_key_value(&name).or_else(|| self.given.get_key_value(&file)) {
                Some((variable, value)) => write!(f, "\n  {variable:27} {value}")?,
                None if default.is_empty() => write!(f, "\n  {name:27} not set")?,
                None => write!(f, "\n  {name:27} {default} (default)")?,
            }
        }
        self.warnings.iter().try_for_each(|warning| write!(f, "\nwarning: {warning}"))
    }
}

impl Config {
    /// Reads the environment of this process, with keys of these scopes. Nothing is opened or bound; only `*_FILE` secrets
    /// are read.
    pub fn from_environment(scopes: &'static [Scope]) -> Result<Self, ConfigErrors> {
        let text = |text: OsString| text.to_string_lossy().into_owned();
        Self::from_variables(std::env::vars_os().map(|(name, value)| (text(name), text(value))), scopes)
    }

    /// Reads these variables as if they were the environment.
    pub fn from_variables(
        variables: impl IntoIterator<Item = (impl ToString, impl ToString)>,
        scopes: &'static [Scope],
    ) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(variables);
        let mut config = reader.read::<Self>()?;
        if config.port == config.admin_port && config.port != 0 {
            let port = config.port.to_string();
            reader.errors.refuse("ADMIN_PORT", Some(&port), "another port than PORT");
        }
        config.join_pieces(&mut reader);
        config.clients.read_keys(&config.environment, scopes, &mut reader.errors);
        config.otlp_endpoint = config.otlp_endpoint.filter(|_| config.exports_traces);
        let Reader { given, secret_files, errors, .. } = reader;
        if errors.0.is_empty() { Ok(Self { given, secret_files, ..config }) } else { Err(errors) }
    }

    /// Returns the address of the API.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.port)
    }

    /// Returns the address of metrics, probes and faults.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.admin_port)
    }
}

/// Reads a URL without the slash at its end. An empty one is the default where there is none.
fn http_url(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    let uri = text.parse::<Uri>().ok()?;
    let is_usable = matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.host().is_some_and(|host| !host.is_empty())
        && uri.query().is_none()
        && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    is_usable.then(|| text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const WRITE: Scope = Scope::changing("things:write");
    pub(crate) const IMPORT: Scope = Scope::changing("things:import");

    impl Config {
        /// Reads the configuration of a service that has things.
        pub(crate) fn of_test(
            variables: impl IntoIterator<Item = (impl ToString, impl ToString)>,
        ) -> Result<Self, ConfigErrors> {
            const READ: [Scope; 2] = [Scope::reading("things:read"), Scope::reading("others:read")];
            Self::from_variables(variables, &[READ[0], READ[1], WRITE, IMPORT])
        }
    }

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        Config::of_test(variables.iter().copied())
    }

    #[test]
    fn nothing_set_gives_the_documented_defaults() {
        let config = read(&[]).unwrap();
        assert_eq!(config.address().to_string(), "127.0.0.1:8080");
        assert_eq!(config.admin_address().to_string(), "127.0.0.1:8081");
        assert_eq!(config.database_url.expose(), "sqlite://titanic.db");
        assert_eq!(config.drain, Duration::from_secs(2));
        assert_eq!(config.version, env!("CARGO_PKG_VERSION"));
        assert!(config.admin_token.is_none());
    }

    #[test]
    fn every_wrong_variable_is_named_with_its_value_and_what_was_expected() {
        let errors = read(&[
            ("PORT", "70000"),
            ("LOG_LEVEL", "loud"),
            ("MAX_CONNECTIONS", "0"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ])
        .unwrap_err()
        .to_string();
        assert_eq!(
            errors.lines().skip(1).collect::<Vec<_>>(),
            [
                "  PORT is `70000`: expected a port between 0 and 65535 (0 picks a free one)",
                "  LOG_LEVEL is `loud`: expected error, warn, info, debug or trace",
                "  MAX_CONNECTIONS is `0`: expected a whole number from 1 to 1000",
                "  OTEL_EXPORTER_OTLP_ENDPOINT is `collector:4318`: expected an http:// or https:// URL without user and \
                 query, such as http://localhost:4318",
            ]
        );
    }

    #[test]
    fn both_ports_must_differ_unless_they_are_picked() {
        assert!(read(&[("PORT", "0"), ("ADMIN_PORT", "0")]).is_ok());
        let errors = read(&[("PORT", "9000"), ("ADMIN_PORT", "9000")]).unwrap_err();
        assert_eq!(errors.0[0].variable, "ADMIN_PORT");
    }
}
