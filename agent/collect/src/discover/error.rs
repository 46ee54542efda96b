//! Errors that leave no complete list of addresses.

use std::time::Duration;

/// An error that leaves no complete list of addresses. The texts hold what came from outside: escape them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiscoveryError {
    /// A file cannot be read or used.
    #[error("{0}")]
    File(String),
    /// A name server gives no usable answer.
    #[error("{0}")]
    Dns(String),
    /// No connection to the API server.
    #[error("no answer of the API server: {0}")]
    Connect(String),
    /// The deadline passed.
    #[error("no complete answer within {0:?}")]
    Timeout(Duration),
    /// Another status than 200.
    #[error("the API server says {status}: {message}")]
    Status {
        /// The status of HTTP.
        status: u16,
        /// The explanation in the body.
        message: String,
    },
    /// An answer that is not understood, or too long.
    #[error("{0}")]
    Malformed(String),
    /// Settings do not lead to the API server.
    #[error("{0}")]
    Setting(String),
    /// A complete list that cannot be used.
    #[error("{0}")]
    Unusable(String),
}

impl DiscoveryError {
    /// Returns the value of the label `reason`.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Dns(_) => "dns",
            Self::Connect(_) => "connect",
            Self::Timeout(_) => "timeout",
            Self::Status { .. } => "status",
            Self::Malformed(_) => "malformed",
            Self::Setting(_) => "setting",
            Self::Unusable(_) => "unusable",
        }
    }
}
