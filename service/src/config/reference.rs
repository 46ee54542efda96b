//! The reference of all settings: printed by `--help`, and a table of the README.

use std::fmt::Write as _;

/// One environment variable.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Its name. A secret can also be read from the file that `<name>_FILE` names.
    pub name: &'static str,
    /// Its default, empty where there is none.
    pub default: &'static str,
    /// Its meaning.
    pub about: &'static str,
    /// True for a secret.
    pub secret: bool,
}

const fn plain(name: &'static str, default: &'static str, about: &'static str) -> Setting {
    Setting { name, default, about, secret: false }
}

const fn secret(name: &'static str, about: &'static str) -> Setting {
    Setting { name, default: "", about, secret: true }
}

/// Every setting, in the order of the reference.
pub const SETTINGS: [Setting; 31] = [
    plain(
        "ENVIRONMENT",
        "development",
        "The purpose of this installation. `dev…` and `local…` need no API key; `prod…` refuses fault injection.",
    ),
    plain("BIND", "127.0.0.1", "The address of both ports."),
    plain("PORT", "8080", "The port of the API. 0 picks a free one."),
    plain("ADMIN_PORT", "8081", "The port of metrics, probes and fault injection."),
    plain("API_BASE_URL", "", "The URL that clients use, for links."),
    plain("APP_VERSION", "the package's", "The version that the service reports."),
    plain("LOG_LEVEL", "info", "`error`, `warn`, `info`, `debug` or `trace`."),
    secret("DATABASE_URL", "A SQLite or PostgreSQL URL. Without it and `DB_HOST`: `sqlite://titanic.db`."),
    plain("DB_HOST", "", "The host of PostgreSQL, or the folder of its socket."),
    plain("DB_PORT", "5432", "Its port."),
    plain("DB_NAME", "titanic", "The database."),
    secret("DB_USER", "The user; `titanic` by default."),
    secret("DB_PASSWORD", "The password. Without `DB_HOST` it is not used, and production refuses to start."),
    plain("DB_SSLMODE", "prefer", "`disable`, `prefer`, `require`, `verify-ca` or `verify-full`."),
    plain("DB_POOLING", "session", "`transaction` behind PgBouncer in transaction mode or RDS Proxy."),
    plain("MAX_CONNECTIONS", "10", "Database connections. PostgreSQL gets one more for health checks."),
    plain("START_SECONDS", "30", "Time for which a start waits for its database."),
    plain("DRAIN_SECONDS", "2", "Time between the end of readiness and the end of accepting."),
    secret(
        "API_KEYS",
        "Lines of `name scope[,scope] sha256:<digest>`. Without keys only a development machine takes changes.",
    ),
    plain("ANONYMOUS_READS", "allow", "`deny`: reading needs a key with a scope that ends in `:read`."),
    plain("CORS_ORIGINS", "", "Origins whose pages may read responses, or `*`."),
    plain(
        "ALLOWED_HOSTS",
        "",
        "Names under which the API answers, without ports: others get 421, except probes. `*.` stands for all names below.",
    ),
    plain(
        "TRUSTED_PROXIES",
        "",
        "Addresses or networks of proxies, which may have all `MAX_CLIENT_CONNECTIONS`.",
    ),
    plain("MAX_IN_FLIGHT", "512", "Requests at once; beyond them 503."),
    plain(
        "MAX_CLIENT_CONNECTIONS",
        "1024",
        "Client connections. Beyond them the longest idle one is closed.",
    ),
    plain("MAX_CONNECTIONS_PER_ADDRESS", "512", "Connections of one address that is no trusted proxy."),
    secret("ADMIN_TOKEN", "The token for fault injection; off without it."),
    plain("OTEL_EXPORTER_OTLP_ENDPOINT", "", "The OTLP collector; nothing is exported without it."),
    plain("OTEL_TRACES_EXPORTER", "otlp", "`otlp` or `none`."),
    plain("OTEL_SERVICE_NAME", "titanic", "The service name in exported telemetry."),
    plain("OTEL_RESOURCE_ATTRIBUTES", "", "Further resource attributes, as OpenTelemetry defines them."),
];

/// Returns the reference as text for a terminal.
#[must_use]
pub fn text() -> String {
    let mut text = String::new();
    for Setting { name, default, about, secret } in SETTINGS {
        let file = if secret { " (or in a file: _FILE)" } else { "" };
        let default = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        let _infallible = writeln!(text, "  {name}{default}{file}\n      {about}");
    }
    text
}

/// Returns the reference as a Markdown table.
#[must_use]
pub fn markdown() -> String {
    let mut table = String::from("| variable | default | meaning |\n|---|---|---|\n");
    for Setting { name, default, about, secret } in SETTINGS {
        let file = if secret { format!(", `{name}_FILE`") } else { String::new() };
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        let _infallible = writeln!(table, "| `{name}`{file} | {default} | {about} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use super::super::{Config, Variables};
    use super::*;

    /// Notes the variables that are read.
    #[derive(Default)]
    struct Recorder(Mutex<BTreeSet<String>>);

    impl Variables for Recorder {
        fn get(&self, name: &str) -> Option<String> {
            self.0.lock().unwrap().insert(name.to_owned());
            None
        }
    }

    #[test]
    fn every_variable_that_is_read_has_an_entry_and_every_entry_is_read() {
        let recorder = Recorder::default();
        Config::of_test(&recorder).unwrap();
        let read = recorder.0.into_inner().unwrap();
        let mut listed: BTreeSet<String> = SETTINGS.iter().map(|setting| setting.name.to_owned()).collect();
        let files =
            SETTINGS.iter().filter(|setting| setting.secret).map(|setting| format!("{}_FILE", setting.name));
        listed.extend(files);
        let unlisted: Vec<_> = read.difference(&listed).collect();
        assert!(unlisted.is_empty(), "{unlisted:?}");
        // OpenTelemetry's library reads the last two itself; a part of a database is read only where one is set.
        let others = ["OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"];
        let unread: Vec<_> =
            listed.difference(&read).filter(|name| !others.contains(&name.as_str())).collect();
        assert!(unread.iter().all(|name| name.starts_with("DB_")), "{unread:?}");
    }

    #[test]
    fn the_readme_has_the_reference() {
        let readme = include_str!("../../README.md");
        assert!(readme.contains(&markdown()), "replace the table of service/README.md with:\n{}", markdown());
    }
}
