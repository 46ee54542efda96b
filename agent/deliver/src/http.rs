//! One request to a receiver: bounded in bytes and time, with errors that contain no secret.

use std::time::Duration;

use async_trait::async_trait;
use lookout_config::Secret;
use lookout_model::Timestamp;
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, Identity, RequestBuilder, Response};

use super::message::clean;
use super::{Refused, Retry};

/// Time from the first byte sent to the last byte read.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Number of bytes of an answer that are read, unless more is asked for.
pub(super) const BODY_LIMIT: usize = 16 * 1024;
/// Number of characters of an answer that an error quotes.
const QUOTE: usize = 200;
/// Longest pause that a receiver can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Certificates of a destination, in PEM.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Certificates<'a> {
    /// Authorities that are trusted beside those of the system.
    pub(super) ca: Option<&'a str>,
    /// The certificate of the client and its key.
    pub(super) identity: Option<(&'a str, &'a Secret)>,
}

impl Certificates<'_> {
    fn add_to(self, mut builder: ClientBuilder) -> reqwest::Result<ClientBuilder> {
        if let Some(ca) = self.ca {
            builder = builder.tls_certs_merge(Certificate::from_pem_bundle(ca.as_bytes())?);
        }
        if let Some((certificate, key)) = self.identity {
            let both = format!("{certificate}\n{}", key.reveal());
            builder = builder.identity(Identity::from_pem(both.as_bytes())?);
        }
        Ok(builder)
    }
}

/// Returns a client that follows no redirect: a redirect would send the message, and the secret, to another server.
pub(super) fn client(needs_tls: bool, certificates: Certificates<'_>) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(1)
        .user_agent(concat!("lookout/", env!("CARGO_PKG_VERSION")));
    // the machine's certificate authorities cost memory, and a container without any can still use plain HTTP
    if needs_tls { certificates.add_to(builder)?.build() } else { builder.tls_certs_only([]).build() }
}

/// Answer of a receiver.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
    /// The pause that it asked for, if any.
    pub(super) retry_after: Option<Duration>,
    /// The time of its clock.
    pub(super) date: Option<Timestamp>,
}

impl Answer {
    pub(super) const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// Returns the error of an answer that is no success, and whether another try can change it.
    pub(super) fn refused(&self, who: &str, secrets: &[&str]) -> Refused {
        let mut body = self.body.clone();
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            body = body.replace(secret, "***");
        }
        let quote = clean(&body, QUOTE);
        let colon = if quote.is_empty() { "" } else { ": " };
        Refused { error: format!("{who} answered {}{colon}{quote}", self.status), retry: self.retry() }
    }

    fn retry(&self) -> Retry {
        match (self.status, self.retry_after) {
            (429 | 503, Some(wait)) => Retry::After(wait),
            // redirects are not followed; a redirect may be gone with the next try
            (300..=399 | 408 | 425 | 429 | 500.., _) => Retry::BackOff,
            _ => Retry::Never,
        }
    }
}

/// The way to a receiver.
#[async_trait]
pub(super) trait Transport: Send + Sync + 'static {
    /// Sends a request and reads so many bytes of the answer.
    async fn send(&self, who: &str, request: RequestBuilder, limit: usize) -> Result<Answer, Refused>;
}

/// The network.
pub(super) struct Network;

#[async_trait]
impl Transport for Network {
    async fn send(&self, who: &str, request: RequestBuilder, limit: usize) -> Result<Answer, Refused> {
        send_bounded(who, request, limit).await
    }
}

/// Sends a request and reads the answer.
pub(super) async fn send(who: &str, request: RequestBuilder) -> Result<Answer, Refused> {
    send_bounded(who, request, BODY_LIMIT).await
}

/// Sends a request and reads so many bytes of the answer.
async fn send_bounded(who: &str, request: RequestBuilder, limit: usize) -> Result<Answer, Refused> {
    let response = request.send().await.map_err(|error| unanswered(who, error))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let date = date_header(&headers);
    Ok(Answer {
        status,
        retry_after: retry_after(&headers, date),
        date,
        body: bounded_body(response, limit).await,
    })
}

fn unanswered(who: &str, error: reqwest::Error) -> Refused {
    let retry = if error.is_builder() {
        Retry::Never
    } else if error.is_connect() {
        Retry::BackOff
    } else {
        // the request was sent: the receiver may have it
        Retry::Unsure
    };
    let error = error.without_url();
    let mut text = format!("{who} did not answer: {error}");
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    Refused { error: clean(&text, 2 * QUOTE), retry }
}

/// Returns as much of the body as can be read. The status is known already, so that a truncated body changes nothing.
async fn bounded_body(mut response: Response, limit: usize) -> String {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = limit - body.len();
        body.extend(chunk.iter().take(room));
        if body.len() == limit {
            break;
        }
    }
    String::from_utf8_lossy(&body).into_owned()
}

fn date_header(headers: &HeaderMap) -> Option<Timestamp> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// Returns the pause: seconds, or a date by the sender's clock.
fn retry_after(headers: &HeaderMap, date: Option<Timestamp>) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => http_date(text)?.since(date?),
    };
    Some(wait.min(LONGEST_WAIT))
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok().map(Timestamp::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn wait(pairs: &[(&'static str, &str)]) -> Option<u64> {
        let headers = headers(pairs);
        retry_after(&headers, date_header(&headers)).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_read_in_both_spellings() {
        assert_eq!(wait(&[("retry-after", "30")]), Some(30));
        assert_eq!(wait(&[("retry-after", "999999999")]), Some(3600));
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[]), None);
        let (now, later) = ("Sun, 01 Mar 2026 10:00:00 GMT", "Sun, 01 Mar 2026 10:00:07 GMT");
        assert_eq!(wait(&[("retry-after", later), ("date", now)]), Some(7));
        assert_eq!(wait(&[("retry-after", now), ("date", later)]), Some(0));
    }

    #[test]
    fn an_answer_says_whether_to_try_again() {
        let retry =
            |status, retry_after| Answer { status, body: String::new(), retry_after, date: None }.retry();
        for status in [302, 408, 429, 500, 503] {
            assert_eq!(retry(status, None), Retry::BackOff, "{status}");
        }
        for status in [400, 403, 404, 410, 422] {
            assert_eq!(retry(status, None), Retry::Never, "{status}");
        }
        let second = Duration::from_secs(1);
        assert_eq!(retry(429, Some(second)), Retry::After(second));
    }

    #[test]
    fn a_secret_that_is_echoed_is_not_repeated() {
        let body = "no such hook: /services/T0/B0/abc\n\u{1b}[31m".to_owned();
        let answer = Answer { status: 404, body, retry_after: None, date: None };
        let refused = answer.refused("slack", &["/services/T0/B0/abc"]);
        assert_eq!(refused.error, "slack answered 404: no such hook: *** [31m");
    }
}
