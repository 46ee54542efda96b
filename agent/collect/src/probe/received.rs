//! Facts of an answer that outlive the probe, small enough to be kept per target.

use std::net::IpAddr;

use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, LAST_MODIFIED, LOCATION};
use jiff::fmt::rfc2822;

use super::attempt::Facts;

/// Facts of an answer. Without an answer they are absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    /// The first address that the name of the peer gave.
    pub resolved: Option<IpAddr>,
    /// The length that the header announces.
    pub content_length: Option<u64>,
    /// Bytes of the body that were read.
    pub body_bytes: usize,
    /// Redirects that were answered, whether followed or not.
    pub redirects: u32,
    /// Version of HTTP, like `HTTP/2`.
    pub protocol: Option<&'static str>,
    /// Unix time of the header `last-modified`.
    pub last_modified_s: Option<i64>,
    /// Version of TLS, like `TLS 1.3`.
    pub tls_version: Option<&'static str>,
    /// Name of the cipher suite.
    pub cipher: Option<String>,
    /// The answer of DNS.
    pub dns: Option<DnsReceived>,
    /// The status code of the call of gRPC.
    pub grpc_code: Option<u16>,
    /// The serving status of gRPC health, or the name of a code that is no success.
    pub grpc_status: Option<String>,
}

/// An answer of DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DnsReceived {
    /// Records of the answer, authority and additional section.
    pub counts: [usize; 3],
    /// The serial number of a start of authority.
    pub serial: Option<u32>,
}

impl Received {
    /// Keeps what is small of the facts.
    pub(super) fn of(facts: &mut Facts, body_bytes: usize) -> Self {
        let headers = facts.headers.as_ref();
        let text = |name: HeaderName| text_of(headers?, name);
        let redirected =
            matches!(facts.status, Some(301 | 302 | 303 | 307 | 308)) && text(LOCATION).is_some();
        let followed = facts.redirects.unwrap_or_default();
        Self {
            resolved: facts.resolved,
            content_length: text(CONTENT_LENGTH).and_then(|length| length.trim().parse().ok()),
            body_bytes,
            redirects: followed.saturating_add(u32::from(redirected)),
            protocol: facts.protocol,
            last_modified_s: text(LAST_MODIFIED).and_then(seconds_of),
            tls_version: facts.tls_version,
            cipher: facts.cipher.take(),
            dns: facts.dns.as_ref().map(|dns| DnsReceived { counts: dns.counts, serial: dns.serial }),
            grpc_code: facts.grpc_code,
            grpc_status: facts.grpc_status.clone(),
        }
    }
}

fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The Unix time of a date of HTTP.
fn seconds_of(date: &str) -> Option<i64> {
    // a date of HTTP is one of mail, with another name of the zone
    let date = date.trim().strip_suffix("GMT").map(|date| format!("{date}+0000"))?;
    rfc2822::DateTimeParser::new().parse_timestamp(&date).ok().map(jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn headers_become_numbers() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("12"));
        headers.insert(LAST_MODIFIED, HeaderValue::from_static("Thu, 01 Jan 1970 00:01:40 GMT"));
        headers.insert(LOCATION, HeaderValue::from_static("/next"));
        let mut facts =
            Facts { status: Some(302), redirects: Some(2), headers: Some(headers), ..Facts::default() };
        let received = Received::of(&mut facts, 7);
        assert_eq!((received.content_length, received.last_modified_s), (Some(12), Some(100)));
        assert_eq!((received.redirects, received.body_bytes), (3, 7));
        facts.headers.as_mut().unwrap().insert(LAST_MODIFIED, HeaderValue::from_static("yesterday"));
        facts.status = Some(200);
        let received = Received::of(&mut facts, 7);
        assert_eq!((received.redirects, received.last_modified_s), (2, None));
    }
}
