//! `/health`, `/livez`, `/readyz`, `/version`: what orchestrators, probes and people ask.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

use super::Shared;

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

/// The routes that say how the service is.
pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/health", get(health))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/version", get(version))
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

fn report(shared: &Shared, well: bool, checks: Value) -> Response {
    let (code, status) =
        if well { (StatusCode::OK, "ok") } else { (StatusCode::SERVICE_UNAVAILABLE, "fail") };
    let report = Report { status, checks, version: &shared.config.version };
    let mut response = (code, Json(report)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.extensions_mut().insert(OwnBody);
    response
}

async fn database(shared: &Shared) -> bool {
    let answer = shared.store.ping().await;
    if let Err(error) = &answer {
        tracing::warn!(error = %error, source = ?std::error::Error::source(error), "the database is away");
    }
    answer.is_ok()
}

fn word(well: bool) -> &'static str {
    if well { "ok" } else { "fail" }
}

async fn health(State(shared): State<Shared>) -> Response {
    let well = database(&shared).await;
    report(&shared, well, json!({ "database": word(well) }))
}

/// The process answers, which is all that a restart could mend.
async fn livez(State(shared): State<Shared>) -> Response {
    report(&shared, true, json!({}))
}

async fn readyz(State(shared): State<Shared>) -> Response {
    let well = database(&shared).await;
    let draining = shared.readiness.is_draining();
    let accepting = if draining { "draining" } else { "ok" };
    report(&shared, well && !draining, json!({ "database": word(well), "accepting": accepting }))
}

async fn version(State(shared): State<Shared>) -> Json<Value> {
    Json(json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": shared.config.version,
        "environment": shared.config.environment.to_string(),
    }))
}
