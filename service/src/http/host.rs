//! The rules for `Host` (RFC 9112, section 3.2): exactly one in HTTP/1.1, never an invalid one. In HTTP/2 `:authority` takes
//! its place, and a `Host` beside it says the same (RFC 9113, section 8.3.1).
//!
//! A page from elsewhere can point a name of its own at the address of the service, and read its answers in the browser of a
//! visitor (DNS rebinding). A list of names ends that.

use std::net::Ipv6Addr;

use axum::extract::{Request, State};
use axum::http::{StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::error::Problem;
use super::middleware::{Port, route_of};
use super::{Shared, probe_routes};
use crate::config::HostPattern;
use crate::fields::FieldError;

/// Refuses a request that does not name its host as it must, or one of another service. Probes and operators name the
/// address of a pod or a target.
pub(super) async fn check(
    State((shared, port)): State<(Shared, Port)>,
    request: Request,
    next: Next,
) -> Response {
    let anywhere = port == Port::Admin || probe_routes::is_probe(route_of(&request));
    let allowed = if anywhere { &[] } else { shared.config.clients.hosts.as_slice() };
    match is_named(&request).and_then(|()| admit(&request, allowed)) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Checks that the request names its host as it must.
fn is_named(request: &Request) -> Result<(), Problem> {
    let refuse = |detail: &str| Err(Problem::bad_header(FieldError::new("host", detail)));
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, is_http2) = (hosts.next(), request.version() == Version::HTTP_2);
    let target = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    if hosts.next().is_some() {
        return refuse("must be sent once");
    }
    if host.map(|host| host.as_bytes()).into_iter().chain(target).any(|host| !is_valid(host)) {
        return refuse("must be a host, and perhaps a colon and a port");
    }
    match (host, target) {
        (Some(host), Some(target)) if is_http2 && !host.as_bytes().eq_ignore_ascii_case(target) => {
            refuse("must be the same as `:authority`")
        }
        (None, None) if is_http2 => refuse("is missing, and so is `:authority`"),
        // The target may name a host as well, and does not stand in for the field.
        (None, _) if request.version() == Version::HTTP_11 => refuse("is missing"),
        _ => Ok(()),
    }
}

/// Returns whether the service answers under the host of a checked request. An empty list allows all.
fn admit(request: &Request, allowed: &[HostPattern]) -> Result<(), Problem> {
    if allowed.is_empty() {
        return Ok(());
    }
    // The host of the target counts where there is one (RFC 9112, section 3.2.2).
    let target = request.uri().authority().map(|authority| authority.as_str());
    let field = || request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = name_of(target.or_else(field).unwrap_or_default());
    if allowed.iter().any(|pattern| pattern.matches(host)) {
        return Ok(());
    }
    let detail = "the service does not answer under this host";
    Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", "Misdirected request", detail)
        .with_errors(vec![FieldError::new("host", "is not one of this service")]))
}

/// Returns a valid host without its port.
fn name_of(host: &str) -> &str {
    let end = match host.find(']') {
        Some(bracket) => Some(bracket + 1),
        None => host.find(':'),
    };
    end.and_then(|end| host.get(..end)).unwrap_or(host)
}

/// Returns whether this is `uri-host [ ":" port ]` (RFC 9110, section 7.2). Both may be empty.
fn is_valid(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let (is_host, port) = match host.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, port))) => (address.parse::<Ipv6Addr>().is_ok(), port),
        Some(None) => return false,
        None => {
            let (name, port) = host.split_at(host.find(':').unwrap_or(host.len()));
            (is_name(name), port)
        }
    };
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    is_host && (port.is_empty() || port.strip_prefix(':').is_some_and(digits))
}

/// Returns whether this is a `reg-name` (RFC 3986, section 3.2.2).
fn is_name(name: &str) -> bool {
    let mut rest = name.bytes();
    while let Some(byte) = rest.next() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
        let mut escaped = || {
            byte == b'%'
                && [rest.next(), rest.next()].iter().all(|b| b.is_some_and(|b| b.is_ascii_hexdigit()))
        };
        if !plain && !escaped() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for host in
            ["", "a", "titanic.example:8080", "127.0.0.1:1", "[::1]", "[2001:db8::1]:443", "a_b%2f", "a:"]
        {
            assert!(is_valid(host.as_bytes()), "{host}");
        }
        for host in
            ["a b", "a/b", "me@a", "a:b", "a:1:2", "[::1", "[a]", "[::1]x", "a%2", "a%zz", "::1", "é", "a?b"]
        {
            assert!(!is_valid(host.as_bytes()), "{host}");
        }
        assert!(!is_valid(b"\xff"));
    }
}
