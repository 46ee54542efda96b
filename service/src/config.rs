//! What the environment says, read once and checked whole: every wrong variable is reported, not just the first.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use axum::http::Uri;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tracing::Level;

use crate::telemetry::level::LogLevel;

mod database;
mod edge;

pub use self::database::DatabaseUrl;
pub use self::edge::{ApiKey, Edge, Keys, Network, Rate, Scope};

/// Where variables come from: the process in production, a map in tests.
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
    /// Where the API listens (`BIND`, `PORT`).
    pub address: SocketAddr,
    /// Where metrics and drills are served (`BIND`, `ADMIN_PORT`).
    pub admin_address: SocketAddr,
    /// Where the passengers are kept (`DATABASE_URL`, or `DB_HOST` and its companions).
    pub database_url: DatabaseUrl,
    /// The most verbose level that is logged (`LOG_LEVEL`).
    pub log_level: Level,
    /// How many database connections are held at most (`MAX_CONNECTIONS`).
    pub max_connections: u32,
    /// What this installation is for (`ENVIRONMENT`).
    pub environment: Environment,
    /// The version this service says it is (`APP_VERSION`).
    pub version: String,
    /// How clients reach this service, without a slash at the end (`API_BASE_URL`).
    pub base_url: String,
    /// Who may inject faults (`ADMIN_TOKEN`); nobody when unset.
    pub admin_token: Option<AdminToken>,
    /// How long to go on serving after readiness was withdrawn (`DRAIN_SECONDS`).
    pub drain: Duration,
    /// Where traces are sent, without a slash at the end (`OTEL_EXPORTER_OTLP_ENDPOINT`); nowhere when unset.
    pub otlp_endpoint: Option<String>,
    /// How clients are let in.
    pub edge: Edge,
    /// What is sent there (`OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER`, `OTEL_LOGS_EXPORTER`).
    pub otlp_signals: OtlpSignals,
    /// How long a start waits for a database that is not there yet (`START_SECONDS`).
    pub start: Duration,
}

/// One setting per line, for people. No secret is among them.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |set: bool| if set { "set" } else { "not set" };
        writeln!(f, "  API                {}", self.address)?;
        writeln!(f, "  metrics, faults    {}", self.admin_address)?;
        writeln!(f, "  database           {}", self.database_url)?;
        writeln!(f, "  connections        {}", self.max_connections)?;
        writeln!(f, "  environment        {}", self.environment)?;
        writeln!(f, "  version            {}", self.version)?;
        writeln!(f, "  log level          {}", LogLevel(self.log_level).name())?;
        writeln!(f, "  admin token        {}", set(self.admin_token.is_some()))?;
        writeln!(f, "  drain              {} s", self.drain.as_secs())?;
        writeln!(f, "  wait for database  {} s", self.start.as_secs())?;
        let OtlpSignals { traces, metrics, logs } = self.otlp_signals;
        let signals = [("traces", traces), ("metrics", metrics), ("logs", logs)];
        let sent: Vec<_> = signals.iter().filter(|(_, sent)| *sent).map(|(name, _)| *name).collect();
        match &self.otlp_endpoint {
            Some(endpoint) => write!(f, "  OTLP               {} to {endpoint}", sent.join(", ")),
            None => write!(f, "  OTLP               not set"),
        }
    }
}

/// What is sent to the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OtlpSignals {
    /// Spans.
    pub traces: bool,
    /// Measurements.
    pub metrics: bool,
    /// Log lines. They are on stdout in any case, where most collectors read them.
    pub logs: bool,
}

impl Config {
    /// Reads the configuration. Nothing is opened or bound; only `*_FILE` secrets are read.
    pub fn from_variables(variables: &impl Variables) -> Result<Self, ConfigErrors> {
        let mut reader = Reader { variables, errors: Vec::new() };
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
        let config = Self {
            edge: reader.edge(&environment),
            address: SocketAddr::new(bind, port),
            admin_address: SocketAddr::new(bind, admin_port),
            database_url: reader.database_url(),
            log_level: reader.log_level(),
            max_connections: reader.ranged("MAX_CONNECTIONS", 10, 1, 1000),
            environment,
            version: reader.get("APP_VERSION").unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned()),
            base_url: reader.url("API_BASE_URL").unwrap_or_default(),
            admin_token: reader.secret("ADMIN_TOKEN").map(|token| AdminToken::new(&token)),
            drain: Duration::from_secs(reader.ranged("DRAIN_SECONDS", 2, 0, 300).into()),
            otlp_endpoint: reader.url("OTEL_EXPORTER_OTLP_ENDPOINT"),
            otlp_signals: OtlpSignals {
                traces: reader.exporter("OTEL_TRACES_EXPORTER", true),
                metrics: reader.exporter("OTEL_METRICS_EXPORTER", true),
                logs: reader.exporter("OTEL_LOGS_EXPORTER", false),
            },
            start: Duration::from_secs(reader.ranged("START_SECONDS", 30, 0, 600).into()),
        };
        if reader.errors.is_empty() { Ok(config) } else { Err(ConfigErrors(reader.errors)) }
    }
}

/// What an installation is for: a word of the operator's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment(String);

impl Environment {
    /// Whether real clients are served here. `prod`, `Production`, `prod-eu` count: a drill refused by mistake costs
    /// less than one that hits clients.
    #[must_use]
    pub fn is_production(&self) -> bool {
        self.0.to_ascii_lowercase().starts_with("prod")
    }
}

impl Environment {
    /// Whether this is somebody's own machine, and nothing on it needs a key.
    #[must_use]
    pub fn is_development(&self) -> bool {
        self.0.to_ascii_lowercase().starts_with("dev")
    }
}

impl FromStr for Environment {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if (1..=64).contains(&text.len()) && text.chars().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(())
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The token that allows drills. Only its digest is kept, which also makes the comparison blind to its length.
#[derive(Clone)]
pub struct AdminToken([u8; 32]);

impl AdminToken {
    /// Keeps the digest of a token.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Whether this is the token, in a time that does not depend on where they differ.
    #[must_use]
    pub fn admits(&self, offered: &str) -> bool {
        let offered: [u8; 32] = Sha256::digest(offered.as_bytes()).into();
        self.0.ct_eq(&offered).into()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(***)")
    }
}

/// One variable that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}{}: expected {expected}", value.as_ref().map(|v| format!(" is `{v}`")).unwrap_or_default())]
pub struct ConfigError {
    /// Its name.
    pub variable: String,
    /// Its value, absent for secrets.
    pub value: Option<String>,
    /// What would have been accepted.
    pub expected: String,
}

/// Every variable that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the environment cannot be used")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for ConfigErrors {}

/// The largest secret file that is read.
const SECRET_BYTES: u64 = 4096;
/// How much of a wrong value is shown.
const SHOWN_CHARS: usize = 80;

struct Reader<'a, V> {
    variables: &'a V,
    errors: Vec<ConfigError>,
}

impl<V: Variables> Reader<'_, V> {
    /// A variable that is set to nothing counts as unset: that is how compose files and charts leave things out.
    fn get(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn refuse(&mut self, name: &str, value: Option<String>, expected: impl Into<String>) {
        let value =
            value.map(|value| value.chars().take(SHOWN_CHARS).flat_map(char::escape_default).collect());
        self.errors.push(ConfigError { variable: name.to_owned(), value, expected: expected.into() });
    }

    fn parsed<T: FromStr>(&mut self, name: &str, default: T, expected: &str) -> T {
        let Some(text) = self.get(name) else { return default };
        text.parse().unwrap_or_else(|_| {
            self.refuse(name, Some(text), expected);
            default
        })
    }

    fn ranged(&mut self, name: &str, default: u32, least: u32, most: u32) -> u32 {
        let Some(text) = self.get(name) else { return default };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                self.refuse(name, Some(text), format!("a whole number from {least} to {most}"));
                default
            }
        }
    }

    fn log_level(&mut self) -> Level {
        self.parsed("LOG_LEVEL", LogLevel(Level::INFO), "error, warn, info, debug or trace").0
    }

    fn exporter(&mut self, name: &str, default: bool) -> bool {
        match self.get(name).as_deref() {
            None => default,
            Some("otlp") => true,
            Some("none") => false,
            Some(other) => {
                let other = other.to_owned();
                self.refuse(name, Some(other), "otlp or none");
                default
            }
        }
    }

    fn url(&mut self, name: &str) -> Option<String> {
        let text = self.get(name)?;
        let usable = text.parse::<Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(|host| !host.is_empty())
                && uri.query().is_none()
                && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        });
        if usable {
            return Some(text.trim_end_matches('/').to_owned());
        }
        // A URL with a user part may hold a password.
        let shown = Some(text).filter(|text| !text.contains('@'));
        self.refuse(
            name,
            shown,
            "an http:// or https:// URL without user and query, such as http://localhost:4318",
        );
        None
    }

    /// A secret, from the variable itself or from the file that `<name>_FILE` names. Its value is never shown.
    fn secret(&mut self, name: &str) -> Option<String> {
        let file_variable = format!("{name}_FILE");
        let (inline, path) = (self.get(name), self.get(&file_variable));
        if inline.is_some() && path.is_some() {
            self.refuse(&file_variable, path, format!("to be unset while {name} is set (one of both)"));
            return None;
        }
        let Some(path) = path else { return inline };
        let mut text = String::new();
        let read = File::open(&path).and_then(|file| file.take(SECRET_BYTES + 1).read_to_string(&mut text));
        let secret = text.trim_end_matches(['\r', '\n']);
        match read {
            Err(error) => self.refuse(&file_variable, Some(path), format!("a readable text file ({error})")),
            Ok(length) if length as u64 > SECRET_BYTES => {
                self.refuse(&file_variable, Some(path), format!("a file of at most {SECRET_BYTES} bytes"));
            }
            Ok(_) if secret.is_empty() => {
                self.refuse(&file_variable, Some(path), "a file that is not empty");
            }
            Ok(_) => return Some(secret.to_owned()),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&'static str, &'static str)]) -> Result<Config, ConfigErrors> {
        Config::from_variables(&variables.iter().copied().collect::<HashMap<_, _>>())
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

    #[test]
    fn a_secret_comes_from_a_file_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "iceberg\n").unwrap();
        let variables =
            BTreeMap::from([(String::from("ADMIN_TOKEN_FILE"), path.to_string_lossy().into_owned())]);
        let config = Config::from_variables(&variables).unwrap();
        let token = config.admin_token.clone().unwrap();
        assert!(token.admits("iceberg"));
        assert!(!token.admits("iceberg\n"));
        assert!(!format!("{config:?}").contains("iceberg"));

        let errors = read(&[("ADMIN_TOKEN", "iceberg"), ("ADMIN_TOKEN_FILE", "/nowhere")]).unwrap_err();
        assert!(!errors.to_string().contains("iceberg"), "{errors}");
        let errors = read(&[("ADMIN_TOKEN_FILE", "/nowhere/at/all")]).unwrap_err().to_string();
        assert!(errors.contains("ADMIN_TOKEN_FILE is `/nowhere/at/all`: expected a readable"), "{errors}");
        let errors = read(&[("DATABASE_URL", "mysql://me:iceberg@host/db")]).unwrap_err().to_string();
        assert!(errors.contains("DATABASE_URL") && !errors.contains("iceberg"), "{errors}");
    }

    #[test]
    fn whatever_looks_like_production_is_production() {
        for word in ["production", "Prod", "prod-eu"] {
            assert!(read(&[("ENVIRONMENT", word)]).unwrap().environment.is_production(), "{word}");
        }
        assert!(!read(&[("ENVIRONMENT", "staging")]).unwrap().environment.is_production());
        assert!(read(&[("ENVIRONMENT", "two words")]).is_err());
    }
}
