//! `/health`, `/livez`, `/readyz`, `/version`: what orchestrators, probes and people ask.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

use tokio::time::Instant;

use super::Shared;
use super::openapi::{Answer, Described, Operation};
use crate::config::Config;
use crate::database::{Database, Health, WriteFault};
use crate::telemetry::metrics::gauge;

const CHECKS: &str = "titanic_readiness_checks";
/// Time for which a check of the database answers for later probes: a flood of them costs no more than a few.
const FRESH: Duration = Duration::from_millis(200);

/// The readiness of this process. It never comes back once withdrawn: after that the process only ends.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
    last: Mutex<Option<Checks>>,
    /// The last check of the database, which all who ask meanwhile wait for.
    checked: tokio::sync::Mutex<Option<(Instant, Option<Health>)>>,
}

impl Readiness {
    /// Withdraws readiness.
    pub fn withdraw(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Checks the database, unless that was just done. Returns nothing when it does not answer.
    async fn check(&self, database: &Database) -> Option<Health> {
        let mut checked = self.checked.lock().await;
        if let Some((at, health)) = *checked
            && at.elapsed() < FRESH
            && database.has_known_write_fault() == health.is_some_and(|health| health.write_fault.is_some())
        {
            return health;
        }
        let health = database.health().await.inspect_err(|error| {
            tracing::warn!(error = %error, source = ?std::error::Error::source(&error), "the database is unavailable");
        });
        let health = health.ok();
        *checked = Some((Instant::now(), health));
        health
    }

    fn note(&self, checks: Checks) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(checks);
    }

    /// Records the result of the last readiness probe.
    pub(super) fn record(&self) {
        let help = "Always 1; the labels tell the result of the last readiness probe.";
        let checks = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        for (check, state) in checks.into_iter().flatten() {
            gauge(CHECKS, help, &[("check", check.to_owned()), ("state", state.to_owned())], 1.0);
        }
    }

    /// Returns whether it was withdrawn.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

/// The probes of the admin port: there they never wait behind clients.
pub(super) fn admin_routes() -> Router<Shared> {
    Router::new().route("/health", get(health)).route("/livez", get(livez)).route("/readyz", get(readyz))
}

/// The routes that say how the service is.
pub fn routes() -> Described<Shared> {
    let about = |path, id, summary| Operation::new(Method::GET, path, id, summary);
    let report =
        |status, about| Answer::new(status, about).json(json!({"$ref": "#/components/schemas/Health"}));
    let version = json!({
        "type": "object", "additionalProperties": false, "required": ["name", "version", "environment"],
        "properties": {"name": {"type": "string"}, "version": {"type": "string"}, "environment": {"type": "string"}}
    });
    Described::default()
        .on(
            about("/health", "health", "Whether the service can do its work")
                .answers(report(200, "It can."))
                .answers(report(503, "It cannot.")),
            health,
        )
        .on(about("/livez", "livez", "Whether the process answers").answers(report(200, "It does.")), livez)
        .on(
            about("/readyz", "readyz", "Whether new work is welcome").answers(report(200, "It is.")).answers(
                report(503, "It is not: the database does not answer, or the service is about to end."),
            ),
            readyz,
        )
        .on(
            about("/version", "version", "What is running")
                .answers(Answer::new(200, "Its name and version.").json(version)),
            version_of,
        )
}

/// Marks an answer that says "503" in its own words and not as a problem.
#[derive(Debug, Clone, Copy)]
pub struct OwnBody;

#[derive(Debug, Serialize)]
struct Report<'a> {
    status: &'static str,
    checks: Value,
    version: &'a str,
}

fn report(config: &Config, status: Status, checks: Value) -> Response {
    let (code, status) = status;
    let report = Report { status, checks, version: &config.version };
    let mut response = (code, Json(report)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.extensions_mut().insert(OwnBody);
    response
}

/// The status of a probe, and its name in the report.
type Status = (StatusCode, &'static str);

const OK: Status = (StatusCode::OK, "ok");
/// A part of the service fails for every replica alike, such as changes of a read-only database. Taking replicas out would
/// not help: the rest still works.
const DEGRADED: Status = (StatusCode::OK, "degraded");
const FAIL: Status = (StatusCode::SERVICE_UNAVAILABLE, "fail");

/// The checks of a readiness probe, with the state of each.
type Checks = [(&'static str, &'static str); 6];

async fn check(shared: &Shared) -> (Status, Checks) {
    let accepting = if shared.readiness.is_draining() {
        "draining"
    } else if shared.faults.unready(Instant::now()) {
        "fault_injected"
    } else {
        "ok"
    };
    let (database, migrations, reads, writes) = match shared.readiness.check(&shared.database).await {
        Some(Health { locked, write_fault, migrated }) => {
            let migrations = migrated.map_or("unknown", |migrated| if migrated { "ok" } else { "fail" });
            let locked = if locked { "locked" } else { "ok" };
            ("ok", migrations, locked, write_fault.map_or(locked, WriteFault::as_str))
        }
        None => ("fail", "fail", "fail", "fail"),
    };
    let secrets = if shared.secrets.are_stale() { "reload_failed" } else { "ok" };
    let status = if database == "fail" || migrations == "fail" || accepting != "ok" {
        FAIL
    } else if reads != "ok" || writes != "ok" || secrets != "ok" {
        DEGRADED
    } else {
        OK
    };
    let checks = [
        ("database", database),
        ("migrations", migrations),
        ("reads", reads),
        ("writes", writes),
        ("secrets", secrets),
        ("accepting", accepting),
    ];
    shared.readiness.note(checks);
    (status, checks)
}

async fn health(State(shared): State<Shared>) -> Response {
    let (_, [(_, database), ..]) = check(&shared).await;
    let status = if database == "ok" { OK } else { FAIL };
    report(&shared.config, status, json!({ "database": database }))
}

/// Answers that the process lives, which is all that a restart could mend.
async fn livez(State(shared): State<Shared>) -> Response {
    report(&shared.config, OK, json!({}))
}

async fn readyz(State(shared): State<Shared>) -> Response {
    let (status, checks) = check(&shared).await;
    let checks = checks.into_iter().map(|(check, state)| (check.to_owned(), json!(state))).collect();
    report(&shared.config, status, Value::Object(checks))
}

async fn version_of(State(shared): State<Shared>) -> Json<Value> {
    version(&shared.config)
}

fn version(config: &Config) -> Json<Value> {
    Json(json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": config.version,
        "environment": config.environment.to_string(),
    }))
}

/// Answers a probe while the service waits for its database: alive, and not ready.
pub(super) fn starting(config: &Config, path: &str) -> Option<Response> {
    Some(match path {
        "/livez" => report(config, OK, json!({})),
        "/health" => report(config, FAIL, json!({ "database": "fail" })),
        "/readyz" => {
            let checks = json!({ "database": "fail", "migrations": "fail", "accepting": "starting" });
            report(config, FAIL, checks)
        }
        "/version" => version(config).into_response(),
        _ => return None,
    })
}
