//! The limit of requests in flight. Requests beyond it are rejected at once, so that those within it are still served well.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_server::ProbesOnly;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::Problem;
use super::middleware::route_of;
use super::{Shared, probe_routes};

/// Permits for requests in flight.
#[derive(Debug, Clone)]
pub struct InFlightLimit(Arc<Semaphore>);

/// One permit. A handler that works on after its response has begun holds it.
#[derive(Debug)]
pub struct InFlightPermit(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

/// The permit of a request with a body. It is given back while the body is read: a client that sends slowly is no load.
#[derive(Clone)]
pub(super) struct RequestPermit {
    shared: Shared,
    held: Arc<Mutex<Option<InFlightPermit>>>,
}

impl RequestPermit {
    /// Gives the permit back.
    pub(super) fn release(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Reads a body without the permit, which is taken again for the work that follows.
    pub(super) async fn read<T>(&self, body: impl Future<Output = T>) -> Result<T, Problem> {
        self.release();
        let read = self.shared.bodies.read(body).await?;
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.shared.in_flight.take()?);
        Ok(read)
    }
}

impl InFlightLimit {
    /// Creates a limit with all permits free.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }

    /// Takes a permit, if there is one.
    pub fn take(&self) -> Result<InFlightPermit, Problem> {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        permit.map(InFlightPermit).map_err(|_| overloaded())
    }
}

fn overloaded() -> Problem {
    let detail = "more requests are being handled than this service takes on; try again in a little while";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Service overloaded", detail).retry_after(1)
}

/// Rejects a request while all permits are taken. Probes need no permit: a busy service is not ill.
pub async fn limit(State(shared): State<Shared>, mut request: Request, next: Next) -> Response {
    if probe_routes::is_probe(route_of(&request)) {
        return next.run(request).await;
    }
    if request.extensions().get::<ProbesOnly>().is_some() {
        return overloaded().into_response();
    }
    let permit = match shared.in_flight.take() {
        Ok(permit) => permit,
        Err(problem) => return problem.into_response(),
    };
    if request.method().is_safe() {
        let response = next.run(request).await;
        drop(permit);
        return response;
    }
    let permit = RequestPermit { shared, held: Arc::new(Mutex::new(Some(permit))) };
    request.extensions_mut().insert(permit.clone());
    let response = next.run(request).await;
    permit.release();
    response
}
