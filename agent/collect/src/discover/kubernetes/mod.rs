//! Endpoints of services of Kubernetes. The slices are listed with each lookup: a list of one service is small, and a list
//! has no stream that can stall unseen.

mod api;
mod slice;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use lookout_config::{EndpointSlices, FoundAddress};

use super::{Discoverer, DiscoveryError};
use api::Api;

/// EndpointSlices of a namespace.
pub(super) struct Slices {
    source: EndpointSlices,
    api: Api,
}

impl Slices {
    pub(super) fn new(source: EndpointSlices) -> Self {
        Self { api: Api::new(source.clone()), source }
    }
}

#[async_trait]
impl Discoverer for Slices {
    async fn discover(&self) -> Result<Option<Vec<FoundAddress>>, DiscoveryError> {
        let slices = self.api.list().await?;
        let mut found = Vec::new();
        for slice in &slices {
            found.extend(slice.addresses(self.source.port.as_deref())?);
        }
        // an endpoint may stand in two slices while it moves
        found.sort();
        found.dedup_by(|one, other| one.address == other.address);
        Ok(Some(found))
    }
}
