//! The gate of a port during startup. The port accepts connections from the first moment: liveness probes succeed,
//! readiness probes name the missing part, and other requests wait until the service has started or get 503.

use std::sync::OnceLock;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::PortService;
use super::error::{MEDIA_TYPE, Problem};
use super::health;
use crate::config::Config;

/// Time for which a request waits for the start. Most starts take less, and clients do not notice them.
const PATIENCE: Duration = Duration::from_secs(3);

/// Holds requests back until the service has started.
#[derive(Debug, Default)]
pub struct StartupGate {
    /// The configuration that probes report, on the port that answers them.
    probed: Option<Config>,
    service: OnceLock<PortService>,
    opened: CancellationToken,
}

impl StartupGate {
    /// Creates the gate of a port that answers probes.
    #[must_use]
    pub fn probed(config: &Config) -> Self {
        Self { probed: Some(config.clone()), ..Self::default() }
    }

    /// Opens the gate for waiting and future requests.
    pub fn open(&self, service: PortService) {
        let _opened_before = self.service.set(service);
        self.opened.cancel();
    }

    /// Answers a request.
    pub async fn answer(&self, request: Request<Body>) -> Response {
        if let Some(answer) = self.before_start(&request) {
            return answer;
        }
        if self.service.get().is_none() {
            let _opened_or_not = timeout(PATIENCE, self.opened.cancelled()).await;
        }
        match self.service.get() {
            Some(service) => service.answer(request).await,
            None => unavailable(request.uri().path()),
        }
    }

    /// Answers a probe before the start is complete.
    fn before_start(&self, request: &Request<Body>) -> Option<Response> {
        if self.service.get().is_some() {
            return None;
        }
        let asks = request.method().is_safe();
        self.probed
            .as_ref()
            .filter(|_| asks)
            .and_then(|config| health::starting(config, request.uri().path()))
    }
}

fn unavailable(path: &str) -> Response {
    let detail = "the service starts and waits for its database; try again in a little while";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let problem = Problem::new(status, "database_unavailable", "Database unavailable", detail).retry_after(1);
    let body = problem.body(path, None);
    let mut response = problem.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, MEDIA_TYPE);
    *response.body_mut() = Body::from(body);
    response
}
