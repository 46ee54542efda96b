//! Redirects: followed within a limit, never to a weaker scheme, to another origin only where that is allowed.

use std::borrow::Cow;

use http::header::LOCATION;
use url::Url;

use super::super::Reason;
use super::super::attempt::{Facts, Failure};
use super::request::Hop;

/// The hop that an answer leads to; none where the answer is the last.
pub(super) fn next<'a>(hop: &Hop<'a>, facts: &Facts, followed: u32) -> Result<Option<Hop<'a>>, Failure> {
    let policy = hop.check.redirects;
    let status = facts.status.filter(|status| matches!(status, 301 | 302 | 303 | 307 | 308));
    let (Some(status), true) = (status, policy.limit > 0) else { return Ok(None) };
    let refused = |detail: String| Err(Failure::new(Reason::Redirect, detail));
    let location = facts.headers.as_ref().and_then(|headers| headers.get(LOCATION));
    let Some(url) = location.and_then(|value| value.to_str().ok()).and_then(|text| hop.url.join(text).ok())
    else {
        return refused(format!("a redirect ({status}) leads nowhere"));
    };
    if followed >= policy.limit {
        return refused(format!("more than {} redirects", policy.limit));
    }
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return refused("a redirect leads to no HTTP URL".to_owned());
    }
    if hop.url.scheme() == "https" && url.scheme() == "http" {
        return refused(format!("a redirect leads from TLS to plain text: {}", origin(&url)));
    }
    let is_own = hop.is_of_target(&url);
    if !is_own && !policy.any_origin {
        let origin = origin(&url);
        return refused(format!("a redirect leads to another origin: {origin}; `origin: any` allows it"));
    }
    let as_get = hop.as_get
        || status == 303 && hop.check.method != "HEAD"
        || matches!(status, 301 | 302) && hop.check.method == "POST";
    // the body of a login is its password
    if !is_own && !as_get && hop.check.body.is_some() {
        let origin = origin(&url);
        return refused(format!("a redirect ({status}) would send the body to another origin: {origin}"));
    }
    Ok(Some(Hop { check: hop.check, url: Cow::Owned(url), as_get, token: hop.token }))
}

/// An origin for people, without what may be secret.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}
