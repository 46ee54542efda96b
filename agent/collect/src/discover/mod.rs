//! Addresses of targets: files, records of DNS and endpoints of Kubernetes become lists. Each source is a folder.

mod discoverer;
mod dns;
mod error;
mod files;
mod kubernetes;
mod watch;

use std::sync::Arc;

use lookout_config::AddressSource;
use lookout_runtime::random::Random;

pub use discoverer::Discoverer;
pub use error::DiscoveryError;
pub use watch::{Lookup, look_up, watch};

/// Returns the client of a source. Nothing is read or asked yet.
#[must_use]
pub fn discoverer(source: &AddressSource, random: &Arc<Random>) -> Arc<dyn Discoverer> {
    match source {
        AddressSource::Files(files) => Arc::new(files::Files::new(files.clone())),
        AddressSource::Dns(dns) => Arc::new(dns::Records::new(dns.clone(), Arc::clone(random))),
        AddressSource::Kubernetes(slices) => Arc::new(kubernetes::Slices::new(slices.clone())),
    }
}
