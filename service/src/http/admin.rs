//! The admin port: metrics and probes; faults with the token. Who did what is in the log.

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Extension, Json, Router};
use http_server::PeerAddress;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::Shared;
use super::access::secret;
use super::error::Problem;
use super::extract::JsonObject;
use super::faults::{FaultOrder, FaultView};
use crate::telemetry::AUDIT;
use crate::telemetry::metrics::Format;

/// The routes that operators see.
pub(super) fn routes(shared: &Shared) -> Router<Shared> {
    let drills = Router::new()
        .route("/faults", get(list).post(start).delete(clear))
        .route("/faults/{id}", delete(end))
        .route_layer(from_fn_with_state(shared.clone(), admit));
    super::health::admin_routes().route("/metrics", get(metrics)).merge(drills)
}

async fn metrics(State(shared): State<Shared>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::wanted(accept);
    ([(header::CONTENT_TYPE, format.media_type())], super::metrics::render(&shared, format))
}

/// The address of the operator, where the server knows it.
type Sender = Option<Extension<PeerAddress>>;

/// Logs an action of an operator, whatever the level.
fn note(action: &'static str, by: Option<&str>, peer: &Sender, detail: &Value) {
    let peer = peer.as_ref().map(|Extension(PeerAddress(peer))| tracing::field::display(peer));
    tracing::warn!(target: AUDIT, action, by, peer, %detail, "an operator acted");
}

#[derive(Debug, Serialize)]
struct Items<T> {
    items: Vec<T>,
}

async fn list(State(shared): State<Shared>) -> Json<Items<FaultView>> {
    Json(Items { items: shared.faults.list(Instant::now()) })
}

async fn start(
    State(shared): State<Shared>,
    peer: Sender,
    JsonObject(object): JsonObject,
) -> Result<(StatusCode, Json<FaultView>), Problem> {
    let order = FaultOrder::from_json(object, &shared.api).map_err(Problem::invalid)?;
    let started = shared.faults.start(order, Some(&shared.database), Instant::now(), shared.clock.now());
    let view = started.ok_or_else(|| {
        let detail = "there are as many faults as there may be; end one first";
        Problem::new(StatusCode::CONFLICT, "too_many_faults", "Too many faults", detail)
    })?;
    note("fault_ordered", view.order.by.as_deref(), &peer, &json!(view));
    Ok((StatusCode::CREATED, Json(view)))
}

async fn end(
    State(shared): State<Shared>,
    peer: Sender,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let ended = id.parse::<Uuid>().ok().and_then(|id| shared.faults.end(id, Instant::now()));
    let ended =
        ended.ok_or_else(|| Problem::not_found("there is no such fault, or it has ended by itself"))?;
    note("fault_ended", None, &peer, &json!(ended));
    Ok(StatusCode::NO_CONTENT)
}

async fn clear(State(shared): State<Shared>, peer: Sender) -> StatusCode {
    let ended = shared.faults.clear(Instant::now());
    note("faults_cleared", None, &peer, &json!({ "faults": ended }));
    StatusCode::NO_CONTENT
}

/// Refuses fault injection without the token, and in production to everybody.
async fn admit(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    if shared.config.environment.is_production() {
        let detail = "faults are refused because ENVIRONMENT is production";
        let title = "Fault injection forbidden";
        let problem = Problem::new(StatusCode::FORBIDDEN, "faults_forbidden", title, detail);
        return turn_away(problem, &request);
    }
    let Some(token) = shared.secrets.admin_token() else {
        let detail = "set ADMIN_TOKEN or ADMIN_TOKEN_FILE to switch fault injection on";
        let title = "Fault injection disabled";
        let problem = Problem::new(StatusCode::NOT_FOUND, "faults_disabled", title, detail);
        return turn_away(problem, &request);
    };
    if secret(request.headers(), MOST_BYTES).is_some_and(|offered| token.admits(offered)) {
        return next.run(request).await;
    }
    let detail = "send `Authorization: Bearer <ADMIN_TOKEN>`";
    let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized", detail);
    turn_away(problem.challenge("Bearer realm=\"operators\""), &request)
}

/// The longest `Authorization` that is looked at.
const MOST_BYTES: usize = 4200;

/// Logs and refuses the request of somebody who is no operator.
fn turn_away(problem: Problem, request: &Request) -> Response {
    let peer = request.extensions().get::<PeerAddress>().map(|PeerAddress(peer)| *peer);
    let peer = peer.map(tracing::field::display);
    tracing::warn!(peer, method = %request.method(), reason = problem.code(), "an operator was turned away");
    problem.into_response()
}
