//! Routes that can be replaced while the server runs: a request is answered by one configuration as a whole.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::Request;
use tower::ServiceExt as _;

use crate::State;

/// The routes of the configuration in use. Clones share them.
#[derive(Debug, Clone)]
pub struct CurrentRouter(Arc<ArcSwap<Router>>);

impl CurrentRouter {
    /// Makes the routes of a state.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(crate::router(state))))
    }

    /// Replaces the state. Requests in flight are finished with the one before.
    pub fn replace(&self, state: State) {
        self.0.store(Arc::new(crate::router(state)));
    }

    /// Returns a router that hands every request to the routes in use.
    pub fn dispatch(&self) -> Router {
        let current = Arc::clone(&self.0);
        Router::new().fallback(move |request: Request| {
            let router = Router::clone(&current.load());
            async move { router.oneshot(request).await }
        })
    }
}
