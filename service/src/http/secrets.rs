//! Secrets that change while the service runs: API keys, the token of operators and the login of the database, from files.
//!
//! A file that cannot be used changes nothing: the last good secret stays, a log line says why, `/readyz` is `degraded`, and
//! `titanic_secret_last_reload_successful` is 0.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use jiff::Timestamp;

use crate::config::{Config, DatabaseUrl, Keys, Scope, Secret, SecretFile};
use crate::database::{Database, Login};
use crate::telemetry::metrics::gauge;

/// The secrets of now, and the files that they come from.
#[derive(Debug)]
pub struct Secrets {
    keys: RwLock<Arc<Keys>>,
    scopes: &'static [Scope],
    admin_token: RwLock<Option<Secret>>,
    /// Only the reload waits for these: for as long as the file system takes.
    files: Mutex<Vec<SecretFile>>,
    /// The results of reading the files last, by variable.
    results: Mutex<BTreeMap<String, Reload>>,
}

#[derive(Debug)]
struct Reload {
    failed: bool,
    succeeded_at: Timestamp,
}

impl Secrets {
    /// Takes the secrets of the start.
    pub(super) fn new(config: &Config, now: Timestamp) -> Self {
        let read = |file: &SecretFile| (file.variable.clone(), Reload { failed: false, succeeded_at: now });
        Self {
            keys: RwLock::new(Arc::new(config.clients.keys.clone())),
            scopes: config.clients.scopes,
            admin_token: RwLock::new(config.admin_token.clone()),
            files: Mutex::new(config.secret_files.clone()),
            results: Mutex::new(config.secret_files.iter().map(read).collect()),
        }
    }

    /// Returns the API keys.
    #[must_use]
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the token of operators; nobody may inject faults without one.
    pub(super) fn admin_token(&self) -> Option<Secret> {
        self.admin_token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns whether a file could not be used when it was last read.
    #[must_use]
    pub fn are_stale(&self) -> bool {
        self.results().values().any(|reload| reload.failed)
    }

    /// Takes over the files that have changed. It blocks for as long as the file system does.
    pub fn reload(&self, database: &Database, now: Timestamp) {
        for file in self.files.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            let Some(read) = file.read_changed() else { continue };
            let secret = file.variable.as_str();
            let taken = read.and_then(|text| self.take(secret, text, database));
            let mut results = self.results();
            let Some(reload) = results.get_mut(secret) else { continue };
            reload.failed = taken.is_err();
            match taken {
                Ok(()) => {
                    reload.succeeded_at = now;
                    tracing::info!(secret, "a secret was read again");
                }
                Err(expected) => {
                    tracing::error!(
                        secret,
                        expected,
                        "a secret file cannot be used; the last good one stays"
                    );
                }
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
                let token = Secret::from(secret.as_str());
                *self.admin_token.write().unwrap_or_else(PoisonError::into_inner) = Some(token);
            }
            "DATABASE_URL" => database.change_url(&secret.parse::<DatabaseUrl>()?)?,
            "DB_USER" => database.change_login(&Login::User(secret)),
            "DB_PASSWORD" => database.change_login(&Login::Password(secret)),
            other => return Err(format!("{other} to be read at the start only")),
        }
        Ok(())
    }

    /// Records the results of the last reloads.
    pub(super) fn record(&self) {
        for (variable, reload) in self.results().iter() {
            let secret = [("secret", variable.clone())];
            let successful = if reload.failed { 0.0 } else { 1.0 };
            let help = "Whether the file of a secret could be used when it was last read.";
            gauge("titanic_secret_last_reload_successful", help, &secret, successful);
            let help = "The time when the file of a secret was last read with success.";
            let seconds = reload.succeeded_at.as_duration().as_secs_f64();
            gauge("titanic_secret_last_reload_success_timestamp_seconds", help, &secret, seconds);
        }
    }

    fn results(&self) -> MutexGuard<'_, BTreeMap<String, Reload>> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
