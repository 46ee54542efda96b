//! The configuration, read once from the environment and checked whole: every wrong variable is reported, not just the first.
//!
//! - `reader` reads variables and notes what is wrong; `secret` reads those that are never shown.
//! - `client_policy`, `database`, `environment` and `hosts` are the settings that have rules of their own.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

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
pub use self::environment::Environment;
pub use self::hosts::HostPattern;
use self::reader::Reader;
pub use self::reader::{ConfigError, ConfigErrors};
pub use self::reference::{SETTINGS, Setting, markdown, text};
pub use self::secret::{AdminToken, SecretFile};

/// A source of variables: the process in production, a map in tests.
pub trait Variables {
    /// The value of a variable, if it is set.
    fn get(&self, name: &str) -> Option<String>;
}

/// The variables of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessVariables;

impl Variables for ProcessVariables {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }
}

impl Variables for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<String> {
        BTreeMap::get(self, name).cloned()
    }
}

impl Variables for HashMap<&str, &str> {
    fn get(&self, name: &str) -> Option<String> {
        HashMap::get(self, name).map(|value| (*value).to_owned())
    }
}

/// Everything the service can be told from outside.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address of the API (`BIND`, `PORT`).
    pub address: SocketAddr,
    /// The address of metrics, probes and faults (`BIND`, `ADMIN_PORT`).
    pub admin_address: SocketAddr,
    /// The database (`DATABASE_URL`, or `DB_HOST` and its companions).
    pub database_url: DatabaseUrl,
    /// True if a password is set although the database is a file.
    pub has_unused_password: bool,
    /// The lifetime of a server connection behind the pool (`DB_POOLING`).
    pub pooling: Pooling,
    /// The most verbose level that is logged (`LOG_LEVEL`).
    pub log_level: Level,
    /// The limit of database connections (`MAX_CONNECTIONS`).
    pub max_connections: u32,
    /// The purpose of this installation (`ENVIRONMENT`).
    pub environment: Environment,
    /// The version this service says it is (`APP_VERSION`).
    pub version: String,
    /// The URL that clients use, without a slash at the end (`API_BASE_URL`).
    pub base_url: String,
    /// The token for fault injection (`ADMIN_TOKEN`); nobody may inject faults when unset.
    pub admin_token: Option<AdminToken>,
    /// Time between the end of readiness and the end of accepting (`DRAIN_SECONDS`).
    pub drain: Duration,
    /// The OTLP endpoint, without a slash at the end (`OTEL_EXPORTER_OTLP_ENDPOINT`); nothing is exported when unset.
    pub otlp_endpoint: Option<String>,
    /// The policy for clients.
    pub clients: ClientPolicy,
    /// True unless spans stay here although there is a collector (`OTEL_TRACES_EXPORTER`).
    pub exports_traces: bool,
    /// Time for which a start waits for its database (`START_SECONDS`).
    pub start: Duration,
    /// The files of secrets, which may change while the service runs.
    pub secret_files: Vec<SecretFile>,
}

/// One setting per line, for people. No secret is among them.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |set: bool| if set { "set" } else { "not set" };
        writeln!(f, "  API                {}", self.address)?;
        writeln!(f, "  metrics, faults    {}", self.admin_address)?;
        writeln!(f, "  database           {}", self.database_url)?;
        writeln!(f, "  connections        {}", self.max_connections)?;
        writeln!(f, "  pooling            {}", self.pooling)?;
        writeln!(f, "  environment        {}", self.environment)?;
        writeln!(f, "  version            {}", self.version)?;
        writeln!(f, "  log level          {}", self.log_level)?;
        writeln!(f, "  admin token        {}", set(self.admin_token.is_some()))?;
        let reads = if self.clients.anonymous_reads { "anyone" } else { "a key with a read scope" };
        writeln!(f, "  reads              {reads}")?;
        writeln!(f, "  drain              {} s", self.drain.as_secs())?;
        writeln!(f, "  wait for database  {} s", self.start.as_secs())?;
        match self.otlp_endpoint.as_ref().filter(|_| self.exports_traces) {
            Some(endpoint) => write!(f, "  traces             {endpoint}"),
            None => write!(f, "  traces             not exported"),
        }
    }
}

impl Config {
    /// Returns what is suspicious and yet usable.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let unused = self
            .has_unused_password
            .then(|| format!("DB_PASSWORD is set without DB_HOST: the database is {}", self.database_url));
        unused.into_iter().collect()
    }

    /// Reads the configuration, with keys of these scopes. Nothing is opened or bound; only `*_FILE` secrets are read.
    pub fn from_variables(
        variables: &impl Variables,
        scopes: &'static [Scope],
    ) -> Result<Self, ConfigErrors> {
        let mut reader = Reader { variables, errors: Vec::new(), secret_files: Vec::new() };
        let bind =
            reader.parsed("BIND", IpAddr::V4(Ipv4Addr::LOCALHOST), "an IP address such as 127.0.0.1 or ::");
        let port = reader.parsed("PORT", 8080, "a port between 0 and 65535 (0 picks a free one)");
        let admin_port = reader.parsed("ADMIN_PORT", 8081, "a port between 0 and 65535 (0 picks a free one)");
        if port == admin_port && port != 0 {
            reader.refuse("ADMIN_PORT", Some(admin_port.to_string()), "another port than PORT");
        }
        let environment = reader.parsed(
            "ENVIRONMENT",
            Environment(String::from("development")),
            "one word of up to 64 letters, digits, `-` and `_`, such as production",
        );
        let mut config = Self {
            clients: reader.client_policy(&environment, scopes),
            address: SocketAddr::new(bind, port),
            admin_address: SocketAddr::new(bind, admin_port),
            database_url: reader.database_url(&environment),
            has_unused_password: reader.has_unused_password(),
            pooling: reader.pooling(),
            log_level: reader.parsed("LOG_LEVEL", Level::INFO, "error, warn, info, debug or trace"),
            max_connections: reader.ranged("MAX_CONNECTIONS", 10, 1, 1000),
            environment,
            version: reader.get("APP_VERSION").unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned()),
            base_url: reader.url("API_BASE_URL").unwrap_or_default(),
            admin_token: reader.secret("ADMIN_TOKEN").map(|token| AdminToken::new(&token)),
            drain: Duration::from_secs(reader.ranged("DRAIN_SECONDS", 2, 0, 300).into()),
            otlp_endpoint: reader.url("OTEL_EXPORTER_OTLP_ENDPOINT"),
            exports_traces: reader.exporter("OTEL_TRACES_EXPORTER", true),
            start: Duration::from_secs(reader.ranged("START_SECONDS", 30, 0, 600).into()),
            secret_files: Vec::new(),
        };
        config.secret_files = reader.secret_files;
        if reader.errors.is_empty() { Ok(config) } else { Err(ConfigErrors(reader.errors)) }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const WRITE: Scope = Scope::changing("things:write");
    pub(crate) const IMPORT: Scope = Scope::changing("things:import");

    impl Config {
        /// Reads the configuration of a service that has things.
        pub(crate) fn of_test(variables: &impl Variables) -> Result<Self, ConfigErrors> {
            const READ: [Scope; 2] = [Scope::reading("things:read"), Scope::reading("others:read")];
            Self::from_variables(variables, &[READ[0], READ[1], WRITE, IMPORT])
        }
    }

    fn read(variables: &[(&'static str, &'static str)]) -> Result<Config, ConfigErrors> {
        Config::of_test(&variables.iter().copied().collect::<HashMap<_, _>>())
    }

    #[test]
    fn nothing_set_gives_the_documented_defaults() {
        let config = read(&[]).unwrap();
        assert_eq!(config.address.to_string(), "127.0.0.1:8080");
        assert_eq!(config.admin_address.to_string(), "127.0.0.1:8081");
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
