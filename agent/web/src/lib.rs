//! The HTTP surface: JSON API, pages, metrics, health.
//!
//! Everything is read from the newest snapshot and the ledger; nothing here evaluates. Pages need no scripts and load
//! nothing from elsewhere. Text from outside is escaped where it is shown.

mod api;
mod assets;
mod attention;
mod auth;
mod blackbox;
mod chart;
mod current;
mod error;
mod health;
mod held;
mod history;
mod host;
mod pages;
mod path;
mod probe_maker;
mod refused;
mod serve;
mod shared_text;
mod state;

use std::any::Any;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use lookout_runtime::task::panic_message;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;

pub use current::CurrentRouter;
pub use error::Problem;
pub use health::metrics_text;
pub use probe_maker::{Made, ProbeMaker};
pub use refused::{RefusedConfig, RefusedConfigs};
pub use serve::{bind, serve};
pub use shared_text::SharedText;
pub use state::{
    AddressRow, BlackboxView, DiscoveryFailure, DiscoveryRow, DiscoveryView, HeartbeatSink, ProbeRow,
    ProbeView, ReceiverRow, ReceiverView, State,
};

/// Largest body of a request, more than the API needs.
const BODY_LIMIT: usize = 64 * 1024;

/// Longest time of a request.
const TIMEOUT: Duration = Duration::from_secs(10);

const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'none'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// Returns the routes of the agent.
pub fn router(state: State) -> Router {
    Router::new()
        .route("/", get(pages::overview::show))
        .route("/slos/{service}/{slo}", get(pages::slo::show))
        .route("/incidents", get(pages::incidents::show))
        .route("/silences", get(pages::silences::show))
        .route("/deliveries", get(pages::deliveries::show))
        .route("/targets/{name}", get(pages::target::show))
        .route("/runbooks/{name}", get(pages::runbook::show))
        .route("/metrics", get(health::metrics))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/assets/{name}", get(assets::serve))
        .nest("/api/v1", api::routes())
        .fallback(pages::missing)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(in_time))
        // a probe has a deadline of its own
        .route("/probe", get(blackbox::probe))
        .layer(from_fn_with_state(host::Hosts::new(&state.config), host::check))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(serve::note_held_bytes))
        .layer(CompressionLayer::new())
        .layer(header(CONTENT_SECURITY_POLICY, POLICY))
        .layer(header(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(REFERRER_POLICY, "no-referrer"))
        .layer(header(CACHE_CONTROL, "no-store"))
        .with_state(state)
}

fn header(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(TIMEOUT, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail =
                format!("no answer within {} s: the agent or its ledger is overloaded", TIMEOUT.as_secs());
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", detail).into_response()
        }
    }
}

async fn method_not_allowed() -> Problem {
    let detail = "this address does not take that method";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!(panic = panic_message(&*panic), "answering a request panicked");
    let detail = "answering failed inside the agent; its log says more";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).into_response()
}

#[cfg(test)]
mod tests;
