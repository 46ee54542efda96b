//! `/health`, `/livez`, `/readyz`, `/version`: what orchestrators, probes and people ask.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::{Value, json};

use tokio::time::Instant;

use super::Shared;
use super::openapi::{Answer, Described, Operation, Verb};
use crate::config::Config;

/// Whether new work is welcome. It never comes back once withdrawn: after that the process only ends.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
}

impl Readiness {
    /// From now on `/readyz` says no.
    pub fn withdraw(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether it was withdrawn.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

/// The routes of probes. They are never rejected, however busy the service is.
const PROBES: [&str; 4] = ["/health", "/livez", "/readyz", "/version"];

/// Whether a route is one of these.
#[must_use]
pub fn is_probe(route: &str) -> bool {
    PROBES.contains(&route)
}

/// The routes that say how the service is.
pub fn routes() -> Described {
    let about = |path, id, summary| Operation::new(Verb::Get, path, id, summary).tagged("about");
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
            about("/readyz", "readyz", "Whether new work is welcome")
                .answers(report(200, "It is."))
                .answers(report(503, "It is not: the database is away, or the service is about to end.")),
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

fn report(config: &Config, well: bool, checks: Value) -> Response {
    let (code, status) =
        if well { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "fail") };
    let report = Report { status, checks, version: &config.version };
    let mut response = (code, Json(report)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.extensions_mut().insert(OwnBody);
    response
}

async fn database(shared: &Shared) -> bool {
    let answer = shared.store.database().ping().await;
    if let Err(error) = &answer {
        tracing::warn!(error = %error, source = ?std::error::Error::source(error), "the database is unavailable");
    }
    answer.is_ok()
}

fn word(well: bool) -> &'static str {
    if well { "ok" } else { "fail" }
}

async fn health(State(shared): State<Shared>) -> Response {
    let well = database(&shared).await;
    report(&shared.config, well, json!({ "database": word(well) }))
}

/// The process answers, which is all that a restart could mend.
async fn livez(State(shared): State<Shared>) -> Response {
    report(&shared.config, true, json!({}))
}

async fn readyz(State(shared): State<Shared>) -> Response {
    let database = database(&shared).await;
    // Another version may have changed the tables meanwhile. A database that is away is asked only once.
    let migrations = database && shared.store.database().is_up_to_date().await;
    let accepting = if shared.readiness.is_draining() {
        "draining"
    } else if shared.faults.unready(Instant::now()) {
        "fault_injected"
    } else {
        "ok"
    };
    let checks =
        json!({ "database": word(database), "migrations": word(migrations), "accepting": accepting });
    report(&shared.config, database && migrations && accepting == "ok", checks)
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
    let database = word(false);
    Some(match path {
        "/livez" => report(config, true, json!({})),
        "/health" => report(config, false, json!({ "database": database })),
        "/readyz" => {
            let checks = json!({ "database": database, "migrations": database, "accepting": "starting" });
            report(config, false, checks)
        }
        "/version" => version(config).into_response(),
        _ => return None,
    })
}
