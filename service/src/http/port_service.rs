//! The services of the two ports: their routes and the middleware around them.

use std::fmt;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use tower::{ServiceBuilder, ServiceExt as _};
use tower_http::catch_panic::CatchPanicLayer;

use super::deadline::TIME_LIMIT;
use super::error::Problem;
use super::middleware::{self, Port};
use super::{Shared, compress, cors, faults, host, in_flight};

/// The service of one port. Cheap to clone.
#[derive(Clone)]
pub struct PortService(Router);

impl PortService {
    /// Wraps the routes of a port. The outermost layer stands first: it sees the request first and the response last.
    pub(super) fn new(shared: &Shared, port: Port, routes: Router) -> Self {
        let in_flight = from_fn_with_state(shared.clone(), in_flight::limit);
        let in_flight = (port == Port::Public).then_some(in_flight);
        let origins = &shared.config.clients.origins;
        let origins = (port == Port::Public && !origins.is_empty()).then(|| cors::layer(origins));
        let layers = ServiceBuilder::new()
            .layer(from_fn_with_state((shared.clone(), port), middleware::observe))
            .option_layer(origins)
            .layer(compress::layer())
            .layer(from_fn(middleware::write_problems))
            .layer(CatchPanicLayer::custom(|_reason| Problem::internal().into_response()))
            .layer(from_fn_with_state((shared.clone(), port), host::check))
            .layer(from_fn_with_state(TIME_LIMIT, middleware::limit_time))
            .option_layer(in_flight)
            .layer(from_fn_with_state(shared.clone(), faults::inject));
        Self(routes.layer(layers))
    }

    /// Answers a request.
    pub async fn answer(&self, request: Request) -> Response {
        self.0.clone().oneshot(request).await.unwrap_or_else(|never| match never {})
    }
}

impl fmt::Debug for PortService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PortService")
    }
}
