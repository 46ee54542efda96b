//! The gate of a port during startup. The port accepts connections from the first moment: liveness probes succeed,
//! readiness probes name the missing part, and other requests wait until the service has started or get 503.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::SetOnce;
use tokio::time::timeout;

use super::PortService;
use super::error::Problem;
use super::health;
use crate::config::Config;

/// Time for which a request waits for the start. Most starts take less, and clients do not notice them.
const PATIENCE: Duration = Duration::from_secs(3);

/// Holds requests back until the service has started.
#[derive(Debug, Default)]
pub struct StartupGate {
    /// The configuration that probes report, on the port that answers them.
    probed: Option<Config>,
    service: SetOnce<PortService>,
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
    }

    /// Answers a request.
    pub async fn answer(&self, request: Request<Body>) -> Response {
        if let Some(service) = self.service.get() {
            return service.answer(request).await;
        }
        let probed = self.probed.as_ref().filter(|_| request.method().is_safe());
        if let Some(answer) = probed.and_then(|config| health::starting(config, request.uri().path())) {
            return answer;
        }
        match timeout(PATIENCE, self.service.wait()).await {
            Ok(service) => service.answer(request).await,
            Err(_) => unavailable(request.uri().path()),
        }
    }
}

fn unavailable(path: &str) -> Response {
    let detail = "the service starts and waits for its database; try again in a little while";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let problem = Problem::new(status, "database_unavailable", "Database unavailable", detail).retry_after(1);
    let mut response = problem.clone().into_response();
    problem.write(&mut response, path, None);
    response
}
