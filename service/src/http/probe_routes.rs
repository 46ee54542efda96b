//! The routes of probes.

/// The routes of probes. They are never rejected, however busy the service is.
const PROBES: [&str; 4] = ["/health", "/livez", "/readyz", "/version"];

/// Returns whether a route is one of these.
#[must_use]
pub fn is_probe(route: &str) -> bool {
    PROBES.contains(&route)
}
