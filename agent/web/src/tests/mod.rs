//! The HTTP interface as a client sees it, over a ledger in memory.

mod api;
mod attention;
mod blackbox;
mod corrections;
mod deliveries;
mod deploys;
mod finite;
mod fixture;
mod heartbeats;
mod history;
mod hosts;
mod ledger;
mod pages;
mod targets;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;
pub(super) use fixture::{Fixture, NOW};

/// Response with its body.
pub(super) struct Answered {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answered {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Returns status and stable code of a problem.
    pub(super) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16());
        assert_eq!(body["type"], format!("urn:lookout:problem:{}", body["code"].as_str().unwrap()));
        (self.status.as_u16(), body["code"].as_str().unwrap().to_owned())
    }
}

pub(super) async fn send(router: &Router, request: Request<Body>) -> Answered {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Answered { status: parts.status, headers: parts.headers, text }
}

pub(super) async fn get(router: &Router, path: &str) -> Answered {
    send(router, Request::get(path).body(Body::empty()).unwrap()).await
}

pub(super) fn routed(fixture: &Fixture) -> (Router, Arc<ledger::FakeLedger>) {
    (router(fixture.state()), fixture.ledger.clone())
}
