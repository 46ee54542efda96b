//! Reading variables one by one: each that is wrong is noted with what would have been accepted, and reading goes on.

use std::fmt;
use std::str::FromStr;

use axum::http::Uri;

use super::{Pooling, SecretFile, Variables};

/// One variable that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}{}: expected {expected}", value.as_ref().map(|v| format!(" is `{v}`")).unwrap_or_default())]
pub struct ConfigError {
    /// The name.
    pub variable: String,
    /// The value, absent for secrets.
    pub value: Option<String>,
    /// The accepted values.
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

/// Characters of a wrong value that are shown.
const SHOWN_CHARS: usize = 80;

/// Reads variables, and notes what is wrong with them.
pub(super) struct Reader<'a, V> {
    pub(super) variables: &'a V,
    pub(super) errors: Vec<ConfigError>,
    pub(super) secret_files: Vec<SecretFile>,
}

impl<V: Variables> Reader<'_, V> {
    /// A variable that is set to nothing counts as unset: that is how compose files and charts leave things out.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub(super) fn refuse(&mut self, name: &str, value: Option<String>, expected: impl Into<String>) {
        let value =
            value.map(|value| value.chars().take(SHOWN_CHARS).flat_map(char::escape_default).collect());
        self.errors.push(ConfigError { variable: name.to_owned(), value, expected: expected.into() });
    }

    pub(super) fn parsed<T: FromStr>(&mut self, name: &str, default: T, expected: &str) -> T {
        let Some(text) = self.get(name) else { return default };
        text.parse().unwrap_or_else(|_| {
            self.refuse(name, Some(text), expected);
            default
        })
    }

    pub(super) fn ranged(&mut self, name: &str, default: u32, least: u32, most: u32) -> u32 {
        let Some(text) = self.get(name) else { return default };
        match text.parse() {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                self.refuse(name, Some(text), format!("a whole number from {least} to {most}"));
                default
            }
        }
    }

    pub(super) fn pooling(&mut self) -> Pooling {
        self.parsed("DB_POOLING", Pooling::Session, "session, or transaction behind PgBouncer or RDS Proxy")
    }

    pub(super) fn exporter(&mut self, name: &str, default: bool) -> bool {
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

    pub(super) fn url(&mut self, name: &str) -> Option<String> {
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
}
