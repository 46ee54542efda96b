//! No more at once than can be handled: who comes beyond that is told so at once, while those inside are still served well.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::Problem;
use super::{head, health};

/// How many requests may still come in.
#[derive(Debug, Clone)]
pub struct Places(Arc<Semaphore>);

/// One request's place. Whoever works on after the answer has begun, as who only reads never does, takes it out of the request
/// and keeps it.
#[derive(Debug, Clone)]
pub struct Place(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

impl Places {
    /// All of them free.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }

    /// Takes a place, if there is one.
    #[must_use]
    pub fn take(&self) -> Option<Place> {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        permit.ok().map(|permit| Place(Arc::new(permit)))
    }
}

/// Turns requests away that say too much about themselves, and all others when all places are taken. Probes need none: a
/// service that is busy is not ill.
pub async fn shed(
    places: &Places,
    route: Option<&str>,
    mut request: Request,
    next: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    if let Err(problem) = head::check(&request) {
        return problem.into_response();
    }
    if route.is_some_and(health::is_probe) {
        return next(request).await;
    }
    let Some(place) = places.take() else {
        let detail =
            "more requests are being handled than this service takes on; try again in a little while";
        return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Too much at once", detail)
            .retry_after(1)
            .into_response();
    };
    if !request.method().is_safe() {
        request.extensions_mut().insert(place.clone());
    }
    let response = next(request).await;
    drop(place);
    response
}
