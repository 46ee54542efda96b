//! The address of the database: one URL, or the pieces of one.

use std::fmt;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use super::Config;
use super::reader::{Reader, number, rule};
use super::secret::Secret;

/// The address of the database. Its `Debug` shows no credentials.
#[derive(Clone)]
pub struct DatabaseUrl(String);

/// The accepted URLs.
const EXPECTED: &str = "a SQLite URL such as sqlite://titanic.db or sqlite::memory:, or a PostgreSQL URL such as \
     postgres://user:password@host:5432/titanic";

impl DatabaseUrl {
    /// The URL as it was given, for the database driver only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns whether it names a PostgreSQL; else it is SQLite.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        self.0.starts_with("postgres://") || self.0.starts_with("postgresql://")
    }

    /// Returns whether it is a URL that one of the drivers may take.
    fn is_usable(&self) -> bool {
        let sqlite = self.0.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
        sqlite
            .map_or(self.is_postgres() && self.0.parse::<PgConnectOptions>().is_ok(), |path| !path.is_empty())
    }
}

impl FromStr for DatabaseUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Self(text.trim().to_owned());
        if url.is_usable() { Ok(url) } else { Err(EXPECTED) }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.split_once(['?', '#']).map_or(self.0.as_str(), |(start, _)| start);
        match (shown.split_once("://"), shown.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, place))) => write!(f, "{scheme}://***@{place}"),
            _ => f.write_str(shown),
        }
    }
}

/// The lifetime of a server connection behind the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// A connection is one session of the server.
    Session,
    /// A pooler such as `PgBouncer` or RDS Proxy may give each transaction another session. Nothing may outlive a
    /// transaction: no prepared statement, no setting, no advisory lock.
    Transaction,
}

/// The words of `DB_POOLING`.
pub(super) const POOLINGS: [(&str, Pooling); 2] =
    [("session", Pooling::Session), ("transaction", Pooling::Transaction)];

/// The database of a service that is told of none.
pub(super) const DEFAULT: &str = "sqlite://titanic.db";

/// A text as it may stand in any place of a URL.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// A PostgreSQL, told in the pieces that a chart or a task definition has.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Pieces {
    /// The host of PostgreSQL, or the folder of its socket.
    #[arg(long = "DB_HOST")]
    host: Option<String>,
    /// Its port.
    #[arg(long = "DB_PORT", default_value = "5432", value_parser = number(1..=65_535_u16))]
    db_port: u16,
    /// The database.
    #[arg(long = "DB_NAME", default_value = "titanic")]
    name: String,
    /// The user. A rotation that takes turns between two logins changes it with the password.
    #[arg(long = "DB_USER", default_value = "titanic", hide_env_values = true)]
    user: Secret,
    /// The password. Without `DB_HOST` it is not used, and production refuses to start.
    #[arg(long = "DB_PASSWORD", hide_env_values = true)]
    password: Option<Secret>,
    /// `disable`, `prefer`, `require`, `verify-ca` or `verify-full`.
    #[arg(long = "DB_SSLMODE", default_value = "prefer", value_parser = rule(TLS_MODES, tls_mode))]
    tls: String,
}

const TLS_MODES: &str = "disable, prefer, require, verify-ca, verify-full";

fn tls_mode(text: &str) -> Option<String> {
    TLS_MODES.split(", ").find(|mode| *mode == text).map(str::to_owned)
}

impl Pieces {
    fn url(&self, host: &str) -> String {
        let Self { db_port, tls, .. } = self;
        let (user, name) = (escaped(&self.user.0), escaped(&self.name));
        let password =
            self.password.as_ref().map(|word| format!(":{}", escaped(&word.0))).unwrap_or_default();
        let (place, options) = if host.starts_with('/') {
            (String::from("localhost"), format!("host={}&sslmode=disable", escaped(host)))
        } else if host.contains(':') {
            // An address of version 6 is the one host that has colons.
            (format!("[{host}]"), format!("sslmode={tls}"))
        } else {
            (escaped(host), format!("sslmode={tls}"))
        };
        format!("postgres://{user}{password}@{place}:{db_port}/{name}?{options}")
    }
}

impl Config {
    /// Takes the database from its pieces, where there are some.
    pub(super) fn join_pieces(&mut self, reader: &mut Reader) {
        let mut pieces = reader.given.keys().filter(|name| name.starts_with("DB_") && *name != "DB_POOLING");
        let Some(first) = pieces.next().cloned() else { return };
        let is_only_password = first.starts_with("DB_PASSWORD") && pieces.next().is_none();
        if reader.given.keys().any(|name| name.starts_with("DATABASE_URL")) {
            let expected = "to be unset while DATABASE_URL is set (one of both)";
            reader.errors.refuse(&first, None, expected);
        } else if is_only_password && !self.environment.is_production() {
            // A password alone names no server. Production must not start on a file by mistake.
            self.warnings.push(format!("{first} is set without DB_HOST: the database is {DEFAULT}"));
        } else if let Some(host) = &self.pieces.host {
            self.database_url = DatabaseUrl(self.pieces.url(host));
            if !self.database_url.is_usable() {
                reader.errors.refuse("DB_HOST", None, "a host of which a PostgreSQL URL can be made");
            }
        } else {
            let expected = "the host of the database, or a folder with its socket";
            reader.errors.refuse("DB_HOST", None, expected);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, ConfigErrors};
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        Config::of_test(variables.iter().copied())
    }

    #[test]
    fn the_name_of_the_login_may_stand_in_a_file_beside_its_password() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (user, word) = (file("username", "titanic_clone\n"), file("password", "iceberg\n"));
        let told = |further: &[(&'static str, &str)]| {
            let mut variables: std::collections::BTreeMap<String, String> = [
                ("DB_HOST", "db.internal"),
                ("DB_USER_FILE", user.as_str()),
                ("DB_PASSWORD_FILE", word.as_str()),
            ]
            .iter()
            .chain(further)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
            // what a chart leaves empty counts as not set
            variables.insert(String::from("DATABASE_URL"), String::new());
            Config::of_test(&variables).map(|config| config.database_url.expose().to_owned())
        };
        assert_eq!(
            told(&[]).unwrap(),
            "postgres://titanic_clone:iceberg@db.internal:5432/titanic?sslmode=prefer"
        );
        assert!(told(&[("DB_USER", "titanic")]).unwrap_err().to_string().contains("DB_USER_FILE"));
    }

    #[test]
    fn a_database_can_be_told_in_one_piece_or_in_several() {
        let url = |variables: &[_]| read(variables).unwrap().database_url;
        let whole = url(&[("DATABASE_URL", "postgresql://me@db/titanic")]);
        assert!(whole.is_postgres());
        assert!(!url(&[]).is_postgres());

        let pieces = [("DB_HOST", "db.internal"), ("DB_USER", "crew"), ("DB_PASSWORD", "a/b:c@d é")];
        let pieces = url(&pieces);
        let expected = "postgres://crew:a%2Fb%3Ac%40d%20%C3%A9@db.internal:5432/titanic?sslmode=prefer";
        assert_eq!(pieces.expose(), expected);
        assert_eq!(pieces.to_string(), "postgres://***@db.internal:5432/titanic");
        let options: PgConnectOptions = pieces.expose().parse().unwrap();
        assert_eq!((options.get_host(), options.get_username()), ("db.internal", "crew"));
        let socket = url(&[("DB_HOST", "/run/postgresql"), ("DB_PORT", "5433"), ("DB_NAME", "ship")]);
        let options: PgConnectOptions = socket.expose().parse().unwrap();
        assert_eq!(options.get_socket().unwrap().to_str(), Some("/run/postgresql"));
        assert_eq!((options.get_port(), options.get_database()), (5433, Some("ship")));

        let errors = read(&[("DB_USER", "crew"), ("DB_PORT", "many"), ("DB_SSLMODE", "maybe")]).unwrap_err();
        let named: Vec<_> = errors.0.iter().map(|error| error.variable.as_str()).collect();
        assert_eq!(named, ["DB_PORT", "DB_SSLMODE", "DB_HOST"]);
        let both = [("DATABASE_URL", "sqlite://a"), ("DB_PASSWORD", "iceberg")];
        let errors = read(&both).unwrap_err().to_string();
        assert!(
            errors.contains("DB_PASSWORD: expected to be unset while") && !errors.contains("iceberg"),
            "{errors}"
        );
        for wrong in ["sqlite:", "mysql://a/b", "postgres://a:port/b", "titanic.db"] {
            assert_eq!(
                read(&[("DATABASE_URL", wrong)]).unwrap_err().0[0].variable,
                "DATABASE_URL",
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_password_without_a_host_starts_on_a_file_but_not_in_production() {
        let mission = [
            ("DB_PASSWORD", "iceberg"),
            ("API_BASE_URL", "http://localhost:8080"),
            ("LOG_LEVEL", "INFO"),
            ("MAX_CONNECTIONS", "20"),
        ];
        let with = |environment| [&mission[..], &[("ENVIRONMENT", environment)]].concat();
        let config = read(&with("local")).unwrap();
        assert_eq!(config.database_url.expose(), DEFAULT);
        assert_eq!(config.warnings.len(), 1);
        let errors = read(&with("production")).unwrap_err();
        assert_eq!(errors.0[0].variable, "DB_HOST");
    }

    #[test]
    fn a_database_url_is_shown_without_credentials() {
        let url = DatabaseUrl(String::from("postgres://me:secret@host/db?password=secret"));
        assert_eq!(url.to_string(), "postgres://***@host/db");
    }
}
