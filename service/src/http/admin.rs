//! The operators' port: metrics for whoever scrapes, faults for whoever holds the token.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use tokio::time::Instant;

use super::Shared;
use super::error::Problem;
use super::extract::JsonObject;
use super::faults::{FaultOrder, FaultView};

/// The media type of Prometheus' text format.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The routes that operators see.
pub fn routes(shared: &Shared) -> Router<Shared> {
    let guarded = get(list).post(start).delete(clear).layer(from_fn_with_state(shared.clone(), admit));
    Router::new().route("/metrics", get(metrics)).route("/faults", guarded)
}

async fn metrics(State(shared): State<Shared>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, EXPOSITION)], shared.metrics.render(&shared.store))
}

#[derive(Debug, Serialize)]
struct FaultList {
    items: Vec<FaultView>,
}

async fn list(State(shared): State<Shared>) -> Json<FaultList> {
    Json(FaultList { items: shared.faults.list(Instant::now()) })
}

async fn start(
    State(shared): State<Shared>,
    JsonObject(object): JsonObject,
) -> Result<(StatusCode, Json<FaultView>), Problem> {
    let order = FaultOrder::from_json(object).map_err(Problem::invalid)?;
    let view = shared.faults.start(order, Instant::now(), shared.clock.now());
    tracing::warn!(
        fault.route = view.order.route,
        fault.expires_at = %view.expires_at,
        fault = serde_json::to_string(&view).unwrap_or_default(),
        "a fault was ordered"
    );
    Ok((StatusCode::CREATED, Json(view)))
}

async fn clear(State(shared): State<Shared>) -> StatusCode {
    let ended = shared.faults.clear(Instant::now());
    tracing::warn!(faults = ended, "all faults were ended");
    StatusCode::NO_CONTENT
}

/// Lets nobody in who may not break things, and nobody at all where clients would be hit.
async fn admit(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    match refusal(&shared, &request) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

/// The longest `Authorization` that is looked at.
const MOST_BYTES: usize = 4200;

fn refusal(shared: &Shared, request: &Request) -> Option<Unwelcome> {
    if shared.config.environment.is_production() {
        return Some(Unwelcome::Production);
    }
    let Some(token) = &shared.config.admin_token else { return Some(Unwelcome::Disabled) };
    let offered = request.headers().get(header::AUTHORIZATION).filter(|value| value.len() <= MOST_BYTES);
    let offered = offered.and_then(|value| value.to_str().ok()).and_then(|value| value.split_once(' '));
    match offered {
        Some((scheme, offered)) if scheme.eq_ignore_ascii_case("bearer") && token.admits(offered.trim()) => {
            None
        }
        _ => Some(Unwelcome::Stranger),
    }
}

enum Unwelcome {
    Production,
    Disabled,
    Stranger,
}

impl IntoResponse for Unwelcome {
    fn into_response(self) -> Response {
        match self {
            Self::Production => Problem::new(
                StatusCode::FORBIDDEN,
                "faults_forbidden",
                "No faults in production",
                "faults are refused because ENVIRONMENT is production",
            )
            .into_response(),
            Self::Disabled => Problem::new(
                StatusCode::NOT_FOUND,
                "faults_disabled",
                "Faults are switched off",
                "set ADMIN_TOKEN or ADMIN_TOKEN_FILE to switch fault injection on",
            )
            .into_response(),
            Self::Stranger => {
                let mut response = Problem::new(
                    StatusCode::UNAUTHORIZED,
                    "unauthorized",
                    "Token missing or wrong",
                    "send `Authorization: Bearer <ADMIN_TOKEN>`",
                )
                .into_response();
                let challenge = HeaderValue::from_static("Bearer realm=\"faults\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                response
            }
        }
    }
}
