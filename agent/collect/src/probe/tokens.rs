//! Bearer tokens by the client credentials grant: their cache, and the answers of token endpoints.
//!
//! A token is kept by its grant, so that targets with equal grants share it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lookout_config::{OAuth2, Secret};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

/// Grants whose tokens are kept.
const MOST_GRANTS: usize = 1024;
/// Time before its end at which a token is renewed, at most; a tenth of its life where that is less.
const EARLY: Duration = Duration::from_secs(60);
/// Longest life of a token that is believed.
const LONGEST_LIFE: Duration = Duration::from_secs(366 * 86_400);
/// Letters of an error that are shown.
const MOST_LETTERS: usize = 200;

/// The token of one grant, once there is one.
pub(super) type CachedToken = tokio::sync::Mutex<Option<Token>>;

/// Tokens by the digests of their grants. A grant is asked for by one probe at a time.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<[u8; 32], Arc<CachedToken>>>);

/// A token and its times.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) value: Secret,
    /// The instants of its renewal and of its end; absent where the token endpoint tells no end.
    times: Option<(Instant, Instant)>,
}

impl Token {
    /// Returns whether it need not be renewed yet.
    pub(super) fn is_young(&self) -> bool {
        self.times.is_none_or(|(early, _)| Instant::now() < early)
    }

    /// Returns whether it has not ended.
    pub(super) fn is_valid(&self) -> bool {
        self.times.is_none_or(|(_, end)| Instant::now() < end)
    }
}

impl Tokens {
    /// Returns the place of a grant's token.
    pub(super) fn of(&self, grant: &OAuth2) -> Arc<CachedToken> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_GRANTS {
            // reloads leave grants behind that nobody uses
            all.retain(|_, kept| Arc::strong_count(kept) > 1);
        }
        Arc::clone(all.entry(digest(grant)).or_default())
    }
}

/// An answer of a token endpoint (RFC 6749, 5.1 and 5.2).
#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    token_type: Option<String>,
    expires_in: Option<serde_json::Value>,
    error: Option<String>,
    error_description: Option<String>,
}

/// Reads an answer. An error names no part of the token.
pub(super) fn read_answer(body: &[u8], status: u16, asked: Instant) -> Result<Token, String> {
    let answer: Option<Answer> = serde_json::from_slice(body).ok();
    if !(200..300).contains(&status) {
        let told = answer.and_then(|answer| Some((answer.error?, answer.error_description)));
        return Err(match told {
            Some((error, None)) => format!("status {status}, {}", shortened(&error)),
            Some((error, Some(about))) => {
                format!("status {status}, {}: {}", shortened(&error), shortened(&about))
            }
            None => format!("status {status}"),
        });
    }
    let Some(answer) = answer else { return Err("the answer is not the JSON of a token".to_owned()) };
    if let Some(kind) = answer.token_type.filter(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(format!("the token is of type {}, expected Bearer", shortened(&kind)));
    }
    let token = answer.access_token.filter(|token| !token.is_empty());
    let value = token.ok_or("the answer holds no `access_token`")?;
    if http::HeaderValue::from_str(&format!("Bearer {value}")).is_err() {
        return Err("the token cannot be sent in a header".to_owned());
    }
    let life = answer.expires_in.as_ref().and_then(seconds);
    let times = life.map(|life| {
        let end = asked + life;
        (end.checked_sub(EARLY.min(life / 10)).unwrap_or(end), end)
    });
    Ok(Token { value: Secret::new(value), times })
}

/// A number of seconds; some token endpoints write it as text.
fn seconds(value: &serde_json::Value) -> Option<Duration> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Duration::try_from_secs_f64(number.max(0.0)).ok().map(|life| life.min(LONGEST_LIFE))
}

fn shortened(text: &str) -> String {
    text.chars().take(MOST_LETTERS).collect()
}

/// Digest of all that a token depends on.
fn digest(grant: &OAuth2) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    };
    for text in
        [grant.token_url.as_str(), &grant.client_id, grant.client_secret.reveal(), &grant.scopes.join(" ")]
    {
        add(text);
    }
    for (name, value) in &grant.parameters {
        add(name);
        add(value.reveal());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_before_it_ends() {
        let token = |life: &str| {
            let body = format!("{{\"access_token\":\"t\",\"token_type\":\"bearer\"{life}}}");
            read_answer(body.as_bytes(), 200, Instant::now()).unwrap()
        };
        let (hour, text, endless) =
            (token(",\"expires_in\":3600"), token(",\"expires_in\":\"100\""), token(""));
        tokio::time::advance(Duration::from_secs(89)).await;
        assert!(hour.is_young() && text.is_young() && endless.is_young());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(hour.is_young() && !text.is_young() && text.is_valid());
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(!text.is_valid());
        tokio::time::advance(Duration::from_secs(3440)).await;
        assert!(!hour.is_young() && hour.is_valid() && endless.is_young());
        assert!(!token(",\"expires_in\":-5").is_valid());
    }

    #[test]
    fn answers_without_a_token_are_told_apart() {
        let told = |status, body: &str| read_answer(body.as_bytes(), status, Instant::now()).err().unwrap();
        for (status, body, expected) in [
            (400, r#"{"error":"invalid_scope"}"#, "status 400, invalid_scope"),
            (
                401,
                r#"{"error":"invalid_client","error_description":"bad secret"}"#,
                "status 401, invalid_client: bad secret",
            ),
            (503, "<html>", "status 503"),
            (200, "<html>", "the answer is not the JSON of a token"),
            (200, r#"{"token_type":"Bearer"}"#, "the answer holds no `access_token`"),
            (200, r#"{"access_token":""}"#, "the answer holds no `access_token`"),
            (200, r#"{"access_token":"x","token_type":"mac"}"#, "the token is of type mac, expected Bearer"),
            (200, r#"{"access_token":"a\nb"}"#, "the token cannot be sent in a header"),
        ] {
            assert_eq!(told(status, body), expected, "{body}");
        }
    }
}
