//! API keys: a change needs a key with the right scope, and so does reading where anonymous reads are denied. Nothing is
//! remembered between requests.

use axum::http::{HeaderMap, StatusCode, header};

use super::Shared;
use super::error::Problem;
use crate::config::{Keys, Scope};

/// The longest `Authorization` with an API key that is looked at.
pub(super) const MOST_BYTES: usize = 512;

/// The name of the key's holder; none where no key is required.
#[derive(Debug, Clone, Default)]
pub struct Holder(pub Option<String>);

/// Makes the proof that a client has a permission. As the first argument of a handler it comes before anything is read.
macro_rules! permission {
    ($about:literal, $name:ident, $scope:expr) => {
        #[doc = $about]
        #[derive(Debug)]
        pub struct $name(pub $crate::http::access::Holder);

        impl<S: Send + Sync> axum::extract::FromRequestParts<S> for $name
        where
            $crate::http::Shared: axum::extract::FromRef<S>,
        {
            type Rejection = $crate::http::error::Problem;

            async fn from_request_parts(
                parts: &mut axum::http::request::Parts,
                state: &S,
            ) -> Result<Self, Self::Rejection> {
                let shared = <$crate::http::Shared as axum::extract::FromRef<S>>::from_ref(state);
                $crate::http::access::admit(&shared, &parts.headers, $scope).map(Self)
            }
        }
    };
}
pub(crate) use permission;

/// Returns the token behind `Bearer`, in a field of at most so many bytes.
pub(super) fn secret(headers: &HeaderMap, most: usize) -> Option<&str> {
    let offered = headers.get(header::AUTHORIZATION).filter(|value| value.len() <= most)?;
    let (scheme, secret) = offered.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// Checks that the key of a request has a scope, or that none is needed to read.
pub fn admit(shared: &Shared, headers: &HeaderMap, scope: Scope) -> Result<Holder, Problem> {
    if scope.is_read() && shared.config.clients.anonymous_reads {
        return Ok(Holder(None));
    }
    let keys = shared.secrets.keys();
    match &*keys {
        Keys::Open => return Ok(Holder(None)),
        Keys::Nobody => {
            let detail = "no API keys are configured (API_KEYS), so that nobody may change anything here";
            return Err(Problem::new(StatusCode::FORBIDDEN, "read_only", "Read only", detail));
        }
        Keys::Required(_) => {}
    }
    let offered = headers.contains_key(header::AUTHORIZATION);
    let Some(key) = secret(headers, MOST_BYTES).and_then(|secret| keys.find(secret)) else {
        let detail = format!("send `Authorization: Bearer <key>` with a key for {}", scope.as_str());
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized", detail);
        return Err(challenged(problem, offered.then_some("invalid_token"), scope));
    };
    if key.allows(scope) {
        return Ok(Holder(Some(key.name.clone())));
    }
    let detail = format!("the key `{}` is not for {}", key.name, scope.as_str());
    let problem = Problem::new(StatusCode::FORBIDDEN, "insufficient_scope", "Insufficient scope", detail);
    Err(challenged(problem, Some("insufficient_scope"), scope))
}

/// Adds the challenge of RFC 6750. A request without a token gets no error code.
fn challenged(problem: Problem, error: Option<&str>, scope: Scope) -> Problem {
    let error = error.map(|error| format!(", error=\"{error}\"")).unwrap_or_default();
    problem.challenge(&format!("Bearer realm=\"titanic\"{error}, scope=\"{}\"", scope.as_str()))
}
