//! Who may change passengers: whoever holds a key that goes so far. Nothing is remembered between requests.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::error::Problem;
use crate::config::{Keys, Scope};

/// The longest `Authorization` that is looked at.
const MOST_BYTES: usize = 512;

/// Proof that the client may change one passenger. As the first argument of a handler it comes before anything is read.
#[derive(Debug)]
pub struct Writer(pub Holder);

/// Proof that the client may add many passengers at once.
#[derive(Debug)]
pub struct Importer(pub Holder);

/// Whose key it was; nobody's where none is asked for.
#[derive(Debug, Clone, Default)]
pub struct Holder(pub Option<String>);

impl FromRequestParts<Shared> for Writer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refusal> {
        admit(shared, &parts.headers, Scope::Write).map(Self)
    }
}

impl FromRequestParts<Shared> for Importer {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refusal> {
        admit(shared, &parts.headers, Scope::Import).map(Self)
    }
}

/// What follows `Bearer` in a request.
pub(super) fn secret(headers: &HeaderMap) -> Option<&str> {
    let offered = headers.get(header::AUTHORIZATION).filter(|value| value.len() <= MOST_BYTES)?;
    let (scheme, secret) = offered.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

fn admit(shared: &Shared, headers: &HeaderMap, scope: Scope) -> Result<Holder, Refusal> {
    let keys = &shared.config.edge.keys;
    match keys {
        Keys::Open => return Ok(Holder(None)),
        Keys::Nobody => {
            let detail = "no API keys are configured (API_KEYS), so that nobody may change anything here";
            let problem = Problem::new(StatusCode::FORBIDDEN, "read_only", "Read only", detail);
            return Err(Refusal { problem: Box::new(problem), challenge: None });
        }
        Keys::Required(_) => {}
    }
    let offered = headers.contains_key(header::AUTHORIZATION);
    let Some(key) = secret(headers).and_then(|secret| keys.find(secret)) else {
        let detail = format!("send `Authorization: Bearer <key>` with a key for {}", scope.as_str());
        let problem =
            Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "API key missing or wrong", detail);
        return Err(challenged(problem, offered.then_some("invalid_token"), scope));
    };
    if key.allows(scope) {
        return Ok(Holder(Some(key.name.clone())));
    }
    let detail = format!("the key `{}` is not for {}", key.name, scope.as_str());
    let problem =
        Problem::new(StatusCode::FORBIDDEN, "insufficient_scope", "The key does not go so far", detail);
    Err(challenged(problem, Some("insufficient_scope"), scope))
}

/// Says what would do, as RFC 6750 wants it. Who sent nothing is told no error.
fn challenged(problem: Problem, error: Option<&str>, scope: Scope) -> Refusal {
    let error = error.map(|error| format!(", error=\"{error}\"")).unwrap_or_default();
    let challenge = format!("Bearer realm=\"titanic\"{error}, scope=\"{}\"", scope.as_str());
    Refusal { problem: Box::new(problem), challenge: HeaderValue::try_from(challenge).ok() }
}

/// Why a client may not.
#[derive(Debug)]
pub struct Refusal {
    problem: Box<Problem>,
    challenge: Option<HeaderValue>,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.problem.into_response();
        if let Some(challenge) = self.challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
