//! Secrets that change while the service runs: API keys, the token of operators and the login of the database, from files.
//!
//! A file that cannot be used changes nothing: the last good secret stays, a log line says why, `/readyz` is `degraded`, and
//! `titanic_secret_last_reload_successful` is 0.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jiff::Timestamp;

use crate::config::{AdminToken, Config, DatabaseUrl, Keys, Scope, SecretFile};
use crate::database::{Database, Login};
use crate::telemetry::metrics::gauge;

/// The secrets of now, and the files that they come from.
#[derive(Debug)]
pub struct Secrets {
    keys: RwLock<Arc<Keys>>,
    scopes: &'static [Scope],
    admin_token: RwLock<Option<AdminToken>>,
    files: Mutex<Vec<Watched>>,
}

/// A file, and the result of reading it last.
#[derive(Debug)]
struct Watched {
    file: SecretFile,
    failed: bool,
    succeeded_at: Timestamp,
}

impl Secrets {
    /// Takes the secrets of the start.
    pub(super) fn new(config: &Config, now: Timestamp) -> Self {
        let watch = |file: &SecretFile| Watched { file: file.clone(), failed: false, succeeded_at: now };
        Self {
            keys: RwLock::new(Arc::new(config.clients.keys.clone())),
            scopes: config.clients.scopes,
            admin_token: RwLock::new(config.admin_token),
            files: Mutex::new(config.secret_files.iter().map(watch).collect()),
        }
    }

    /// Returns the API keys.
    #[must_use]
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the token of operators; nobody may inject faults without one.
    pub(super) fn admin_token(&self) -> Option<AdminToken> {
        *self.admin_token.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a file could not be used when it was last read.
    #[must_use]
    pub fn are_stale(&self) -> bool {
        self.files().iter().any(|watched| watched.failed)
    }

    /// Returns whether any secret may change.
    #[must_use]
    pub fn may_change(&self) -> bool {
        !self.files().is_empty()
    }

    /// Reads the files that have changed. It blocks for as long as the file system does.
    pub fn reload(&self, database: &Database, now: Timestamp) {
        for watched in self.files().iter_mut() {
            let changed = watched.file.read_changed();
            let is_news = changed.is_some();
            // What went wrong may have been mended without a trace in the file, such as its owner.
            let Some(read) = changed.or_else(|| watched.failed.then(|| watched.file.read())) else {
                continue;
            };
            let variable = watched.file.variable;
            let taken = read.and_then(|secret| self.take(variable, secret, database));
            watched.failed = taken.is_err();
            match taken {
                Ok(()) => {
                    watched.succeeded_at = now;
                    tracing::info!(secret = variable, "a secret was read again");
                }
                Err(expected) if is_news => tracing::error!(
                    secret = variable,
                    expected,
                    "a secret file cannot be used; the last good one stays"
                ),
                Err(_) => {}
            }
        }
    }

    fn take(&self, variable: &str, secret: String, database: &Database) -> Result<(), String> {
        match variable {
            "API_KEYS" => {
                let keys = Keys::parse(&secret, self.scopes).map_err(|wrong| wrong.join("; "))?;
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
            }
            "ADMIN_TOKEN" => {
                let token = AdminToken::new(&secret);
                *self.admin_token.write().unwrap_or_else(PoisonError::into_inner) = Some(token);
            }
            "DATABASE_URL" => database.change_url(&DatabaseUrl::parse(&secret)?)?,
            "DB_USER" => database.change_login(&Login::User(secret)),
            "DB_PASSWORD" => database.change_login(&Login::Password(secret)),
            other => return Err(format!("{other} to be read at the start only")),
        }
        Ok(())
    }

    /// Records the results of the last reloads.
    pub(super) fn record(&self) {
        for watched in self.files().iter() {
            let secret = [("secret", watched.file.variable.to_owned())];
            let successful = if watched.failed { 0.0 } else { 1.0 };
            let help = "Whether the file of a secret could be used when it was last read.";
            gauge("titanic_secret_last_reload_successful", help, &secret, successful);
            let help = "The time when the file of a secret was last read with success.";
            let seconds = watched.succeeded_at.as_duration().as_secs_f64();
            gauge("titanic_secret_last_reload_success_timestamp_seconds", help, &secret, seconds);
        }
    }

    fn files(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
