//! Bearer tokens: stored as hashes, compared in constant time, each with its scopes.

use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::error::Problem;
use lookout_config::Token;
use lookout_model::Scope;

/// Returns the caller's token if it has the scope.
pub(super) fn require<'a>(
    tokens: &'a [Token],
    headers: &HeaderMap,
    scope: Scope,
) -> Result<&'a Token, Problem> {
    if tokens.is_empty() {
        let detail = format!(
            "writing is switched off, because no token is configured: add one under `auth.tokens` in lookout.yaml, with a name, \
             the SHA-256 of the token (`printf %s \"$TOKEN\" | sha256sum`) and the scope `{scope}`"
        );
        return Err(Problem::new(StatusCode::FORBIDDEN, "no_tokens_configured", detail));
    }
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
    let Some(given) = given else {
        let detail = "a token is needed: send it as `Authorization: Bearer …`";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "token_missing", detail));
    };
    let Some(token) = holder(tokens, given) else {
        let detail = "this token is not known here";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "token_unknown", detail));
    };
    if token.scopes.contains(&scope) {
        return Ok(token);
    }
    let detail = format!("the token {:?} lacks the scope `{scope}`", token.name);
    Err(Problem::new(StatusCode::FORBIDDEN, "scope_missing", detail))
}

/// Returns who did something: the name of the token, with the person that it says it acts for. Free text never stands in
/// for the name.
pub(super) fn actor(token: &Token, person: &str) -> String {
    let person = person.trim();
    if person.is_empty() || person == token.name {
        return token.name.clone();
    }
    format!("{} (for {person})", token.name)
}

/// Returns whether the caller has a token, with whatever scope.
pub(super) fn is_known(tokens: &[Token], headers: &HeaderMap) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
    given.is_some_and(|given| holder(tokens, given).is_some())
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Finds the token. It compares with every token, so that the time of an answer tells nothing.
fn holder<'a>(tokens: &'a [Token], given: &str) -> Option<&'a Token> {
    let hash: [u8; 32] = Sha256::digest(given.as_bytes()).into();
    tokens.iter().fold(None, |found, token| {
        let same = bool::from(token.sha256.as_slice().ct_eq(hash.as_slice()));
        if same { Some(token) } else { found }
    })
}
