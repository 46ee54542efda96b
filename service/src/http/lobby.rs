//! Where requests wait until the service can serve them. The ports answer from the first moment: a liveness probe is told
//! that the process lives, a readiness probe what is missing, and everyone else is let in as soon as there is an inside, or
//! told to come again.

use std::sync::OnceLock;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Door;
use super::error::{MEDIA_TYPE, Problem};
use super::health;
use crate::config::Config;

/// How long a request waits to be let in. Most starts take less, and nobody notices them.
const PATIENCE: Duration = Duration::from_secs(3);

/// The way in.
#[derive(Debug, Default)]
pub struct Lobby {
    /// Who answers probes, on the port that has any.
    probed: Option<Config>,
    inside: OnceLock<Door>,
    opened: CancellationToken,
}

impl Lobby {
    /// For the port that is probed.
    #[must_use]
    pub fn probed(config: &Config) -> Self {
        Self { probed: Some(config.clone()), ..Self::default() }
    }

    /// Lets everyone in, those who wait and those who come.
    pub fn open(&self, inside: Door) {
        let _opened_before = self.inside.set(inside);
        self.opened.cancel();
    }

    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Body>) -> Response {
        if let Some(answer) = self.at_once(&request) {
            return answer;
        }
        if self.inside.get().is_none() {
            let _opened_or_not = timeout(PATIENCE, self.opened.cancelled()).await;
        }
        match self.inside.get() {
            Some(inside) => inside.answer(request).await,
            None => come_again(request.uri().path()),
        }
    }

    /// What is said while there is no inside.
    fn at_once(&self, request: &Request<Body>) -> Option<Response> {
        if self.inside.get().is_some() {
            return None;
        }
        let asks = request.method().is_safe();
        self.probed
            .as_ref()
            .filter(|_| asks)
            .and_then(|config| health::starting(config, request.uri().path()))
    }
}

fn come_again(path: &str) -> Response {
    let detail = "the service starts and waits for its database; try again in a little while";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let problem = Problem::new(status, "database_unavailable", "The database is away", detail).retry_after(1);
    let body = problem.body(path, None);
    let mut response = problem.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, MEDIA_TYPE);
    *response.body_mut() = Body::from(body);
    response
}
