//! The alerts about the agent itself: whoever writes their rules and whoever shows their runbooks means the same names.

/// Their names; each has a runbook of that name.
pub const OWN_ALERTS: [&str; 8] = [
    "LookoutDown",
    "LookoutStalled",
    "LookoutLedgerFailing",
    "LookoutNotDelivering",
    "LookoutCrashing",
    "LookoutClockOff",
    "LookoutConfigRefused",
    "LookoutDiscoveryFailing",
];
