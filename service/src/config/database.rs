//! The address of the database: one URL, or the pieces of one.

use std::fmt;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use super::{Environment, Reader, Variables};

/// The address of the database. Its `Debug` shows no credentials.
#[derive(Clone)]
pub struct DatabaseUrl(String);

/// The accepted URLs.
const EXPECTED: &str = "a SQLite URL such as sqlite://titanic.db or sqlite::memory:, or a PostgreSQL URL such as \
     postgres://user:password@host:5432/titanic";

impl DatabaseUrl {
    /// Reads a URL, or returns what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Self(text.trim().to_owned());
        if url.is_usable() { Ok(url) } else { Err(EXPECTED.to_owned()) }
    }

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

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Session => "session",
            Self::Transaction => "transaction",
        })
    }
}

impl FromStr for Pooling {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "session" => Ok(Self::Session),
            "transaction" => Ok(Self::Transaction),
            _ => Err(()),
        }
    }
}

/// The variables that describe a PostgreSQL piece by piece.
const DB_VARIABLES: [&str; 8] = [
    "DB_HOST",
    "DB_PORT",
    "DB_NAME",
    "DB_USER",
    "DB_USER_FILE",
    "DB_PASSWORD",
    "DB_PASSWORD_FILE",
    "DB_SSLMODE",
];
/// The database of a service that is told of none.
const DEFAULT: &str = "sqlite://titanic.db";
/// The TLS modes of a connection to PostgreSQL.
const TLS_MODES: [&str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

/// A text as it may stand in any place of a URL.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

impl<V: Variables> Reader<'_, V> {
    pub(super) fn database_url(&mut self, environment: &Environment) -> DatabaseUrl {
        let mistakes = self.errors.len();
        let url = self.secret("DATABASE_URL");
        let parts =
            DB_VARIABLES.iter().find(|name| self.variables.get(name).is_some_and(|value| !value.is_empty()));
        let url = match (url, parts) {
            (Some(_), Some(part)) => {
                self.refuse(part, None, "to be unset while DATABASE_URL is set (one of both)");
                return DatabaseUrl(String::new());
            }
            (Some(url), None) => DatabaseUrl(url),
            // A password alone names no server. Production must not start on a file by mistake.
            (None, Some(_)) if self.has_only_a_password() && !environment.is_production() => {
                DatabaseUrl(DEFAULT.to_owned())
            }
            (None, Some(_)) => self.database_of_parts(),
            (None, None) => DatabaseUrl(DEFAULT.to_owned()),
        };
        if self.errors.len() == mistakes && !url.is_usable() {
            self.refuse("DATABASE_URL", None, EXPECTED);
        }
        url
    }

    pub(super) fn has_unused_password(&self) -> bool {
        let set = ["DB_PASSWORD", "DB_PASSWORD_FILE"].iter().any(|name| self.get(name).is_some());
        set && self.get("DATABASE_URL").is_none() && self.has_only_a_password()
    }

    fn has_only_a_password(&self) -> bool {
        let others = DB_VARIABLES.iter().filter(|name| !name.starts_with("DB_PASSWORD"));
        others.into_iter().all(|name| self.get(name).is_none())
    }

    /// A PostgreSQL, told in the pieces that a chart or a task definition has.
    fn database_of_parts(&mut self) -> DatabaseUrl {
        let host = self.get("DB_HOST").unwrap_or_else(|| {
            self.refuse("DB_HOST", None, "the host of the database, or a folder with its socket");
            String::new()
        });
        let port: u16 = self.parsed("DB_PORT", 5432, "a port between 1 and 65535");
        let name = self.get("DB_NAME").unwrap_or_else(|| String::from("titanic"));
        // a rotation that takes turns between two logins changes the name with the password
        let user = self.secret("DB_USER").unwrap_or_else(|| String::from("titanic"));
        let password =
            self.secret("DB_PASSWORD").map(|word| format!(":{}", escaped(&word))).unwrap_or_default();
        let tls = self.get("DB_SSLMODE").unwrap_or_else(|| String::from("prefer"));
        if !TLS_MODES.contains(&tls.as_str()) {
            self.refuse("DB_SSLMODE", Some(tls.clone()), TLS_MODES.join(", "));
        }
        // An address of version 6 is the one host that has colons.
        let place = if host.starts_with('/') {
            return DatabaseUrl(format!(
                "postgres://{}{password}@localhost:{port}/{}?host={}&sslmode=disable",
                escaped(&user),
                escaped(&name),
                escaped(&host)
            ));
        } else if host.contains(':') {
            format!("[{host}]")
        } else {
            escaped(&host)
        };
        DatabaseUrl(format!(
            "postgres://{}{password}@{place}:{port}/{}?sslmode={tls}",
            escaped(&user),
            escaped(&name)
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::{Config, ConfigErrors};
    use super::*;

    fn read(variables: &[(&'static str, &'static str)]) -> Result<Config, ConfigErrors> {
        Config::of_test(&variables.iter().copied().collect::<HashMap<_, _>>())
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
        assert_eq!(named, ["DB_HOST", "DB_PORT", "DB_SSLMODE"]);
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
        assert_eq!(config.warnings().len(), 1);
        let errors = read(&with("production")).unwrap_err();
        assert_eq!(errors.0[0].variable, "DB_HOST");
    }

    #[test]
    fn a_database_url_is_shown_without_credentials() {
        let url = DatabaseUrl(String::from("postgres://me:secret@host/db?password=secret"));
        assert_eq!(url.to_string(), "postgres://***@host/db");
    }
}
