//! The routes that machines ask every few seconds.

/// The routes of probes and scrapers. They are logged at debug only, and faults spare them.
pub(super) const MONITORING: [&str; 5] = ["/health", "/livez", "/readyz", "/version", METRICS];
/// The one that is no probe, on the port of operators.
const METRICS: &str = "/metrics";

/// Returns whether a route is that of a probe. Probes are never rejected, however busy the service is.
#[must_use]
pub fn is_probe(route: &str) -> bool {
    route != METRICS && MONITORING.contains(&route)
}
