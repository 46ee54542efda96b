//! The limit of requests in flight. Requests beyond it are rejected at once, so that those within it are still served well.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::Problem;
use super::middleware::route_of;
use super::{Shared, head, probe_routes};

/// Permits for requests in flight.
#[derive(Debug, Clone)]
pub struct InFlightLimit(Arc<Semaphore>);

/// The permit of one request. A handler that works on after its response has begun takes it out of the request and holds it.
#[derive(Debug, Clone)]
pub struct InFlightPermit(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

impl InFlightLimit {
    /// Creates a limit with all permits free.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }

    /// Takes a permit, if there is one.
    pub fn take(&self) -> Result<InFlightPermit, Problem> {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        permit.map(|permit| InFlightPermit(Arc::new(permit))).map_err(|_| {
            let detail =
                "more requests are being handled than this service takes on; try again in a little while";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Service overloaded", detail)
                .retry_after(1)
        })
    }
}

/// Rejects a request whose head is too large, and any request while all permits are taken. Probes need no permit: a busy
/// service is not ill.
pub async fn limit(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    if let Err(problem) = head::check(&request) {
        return problem.into_response();
    }
    if probe_routes::is_probe(route_of(&request)) {
        return next.run(request).await;
    }
    let permit = match shared.in_flight.take() {
        Ok(permit) => permit,
        Err(problem) => return problem.into_response(),
    };
    if !request.method().is_safe() {
        request.extensions_mut().insert(permit.clone());
    }
    let response = next.run(request).await;
    drop(permit);
    response
}
