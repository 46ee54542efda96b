//! Sources of addresses.

use super::{DnsAddresses, EndpointSlices, FileAddresses};

/// A source of addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressSource {
    /// Files in the form of `file_sd_configs` of Prometheus.
    Files(FileAddresses),
    /// Records of DNS.
    Dns(DnsAddresses),
    /// Endpoints of services of Kubernetes.
    Kubernetes(EndpointSlices),
}

impl AddressSource {
    /// Returns the source, as the configuration names it.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Files(_) => "files",
            Self::Dns(_) => "dns",
            Self::Kubernetes(_) => "kubernetes",
        }
    }
}
