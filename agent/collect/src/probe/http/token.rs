//! A token for a request, from the cache or from the token endpoint. Its time is no part of a probe, and a token that
//! cannot be had is a failure with a reason of its own.
//!
//! A token is renewed before it ends, and when the target refused it. While the token endpoint fails, a token that has
//! not ended is used on.

use std::sync::Arc;

use base64::Engine as _;
use lookout_config::{ClientAuth, Credentials, HttpCheck, OAuth2, Phase, Proxy, Secret, Target};
use tokio::time::Instant;
use url::form_urlencoded;

use super::super::Reason;
use super::super::attempt::{Attempt, Failure, Helper};
use super::super::protocol::{Context, Protocol as _};
use super::super::tokens::{CachedToken, Token, read_answer};

/// Bytes of an answer of a token endpoint.
const ANSWER_LIMIT: usize = 64 * 1024;

/// A token for a request.
pub(super) struct Granted {
    pub(super) value: Secret,
    /// True if the token endpoint gave it for this request.
    pub(super) is_new: bool,
}

/// Returns a token. One that the target `refused` is replaced.
pub(super) async fn get(
    grant: &OAuth2,
    proxy: Option<&Arc<Proxy>>,
    refused: Option<&Secret>,
    context: &Context<'_>,
    attempt: &mut Attempt,
) -> Result<Granted, Failure> {
    attempt.timer.suspend();
    attempt.helper = Some(Helper::TokenEndpoint);
    // the target gets half of what is left at least
    let now = Instant::now();
    let until = now + attempt.deadline.saturating_duration_since(now) / 2;
    let granted = renewed(&context.tokens.of(grant), grant, proxy, refused, context, until).await;
    attempt.helper = None;
    attempt.timer.resume();
    granted
}

async fn renewed(
    kept: &CachedToken,
    grant: &OAuth2,
    proxy: Option<&Arc<Proxy>>,
    refused: Option<&Secret>,
    context: &Context<'_>,
    until: Instant,
) -> Result<Granted, Failure> {
    let late =
        || Failure::new(Reason::OAuth2, "no token in time: another probe waits for the token endpoint");
    let mut kept = tokio::time::timeout_at(until, kept.lock()).await.map_err(|_| late())?;
    if kept.as_ref().is_some_and(|token| Some(&token.value) == refused) {
        *kept = None;
    }
    let cached = |token: &Token| Granted { value: token.value.clone(), is_new: false };
    if let Some(token) = kept.as_ref().filter(|token| token.is_young()) {
        return Ok(cached(token));
    }
    match ask(grant, proxy, context, until).await {
        Ok(token) => {
            let value = token.value.clone();
            *kept = Some(token);
            Ok(Granted { value, is_new: true })
        }
        Err(failure) => kept.as_ref().filter(|token| token.is_valid()).map(cached).ok_or(failure),
    }
}

/// Asks the token endpoint, by the way on which the target is reached.
async fn ask(
    grant: &OAuth2,
    proxy: Option<&Arc<Proxy>>,
    context: &Context<'_>,
    until: Instant,
) -> Result<Token, Failure> {
    let host = grant.token_url.origin().ascii_serialization();
    let failed = |detail: &str| Failure::new(Reason::OAuth2, format!("no token from {host}: {detail}"));
    let check = request(grant, proxy);
    let target = Target { expect: Arc::default(), allowed: None, ..context.target.clone() };
    let context = Context { target: &target, keeps_body: true, ..*context };
    let asked = Instant::now();
    let left = until.saturating_duration_since(asked);
    let mut attempt = Attempt::start(Phase::Connect, left);
    let ran = tokio::time::timeout_at(until, check.run(&context, &mut attempt)).await;
    let ran = ran.unwrap_or_else(|_| Err(attempt.cut(left)));
    ran.map_err(|failure| match failure.reason.is_local() {
        true => failure,
        false => failed(&failure.detail),
    })?;
    let body = attempt.facts.body.unwrap_or_default();
    let status = attempt.facts.status.unwrap_or_default();
    read_answer(&body, status, asked).map_err(|detail| failed(&detail))
}

/// The request for a token (RFC 6749, 4.4.2).
fn request(grant: &OAuth2, proxy: Option<&Arc<Proxy>>) -> HttpCheck {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if !grant.scopes.is_empty() {
        form.append_pair("scope", &grant.scopes.join(" "));
    }
    for (name, value) in &grant.parameters {
        form.append_pair(name, value.reveal());
    }
    let mut headers = vec![
        ("Content-Type".to_owned(), Secret::new("application/x-www-form-urlencoded")),
        ("Accept".to_owned(), Secret::new("application/json")),
    ];
    match grant.auth {
        ClientAuth::Post => {
            form.append_pair("client_id", &grant.client_id);
            form.append_pair("client_secret", grant.client_secret.reveal());
        }
        ClientAuth::Basic => {
            // both are encoded first (RFC 6749, 2.3.1)
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encoded(&grant.client_id), encoded(grant.client_secret.reveal()));
            let pair = base64::engine::general_purpose::STANDARD.encode(pair);
            headers.push(("Authorization".to_owned(), Secret::new(format!("Basic {pair}"))));
        }
    }
    HttpCheck {
        method: "POST".to_owned(),
        headers,
        body: Some(form.finish()),
        authorization: Credentials::None,
        proxy: proxy.cloned(),
        tls: grant.tls.clone(),
        body_limit: ANSWER_LIMIT,
        ..HttpCheck::get(grant.token_url.clone())
    }
}
