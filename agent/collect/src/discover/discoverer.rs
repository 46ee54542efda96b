//! The one trait of all sources.

use async_trait::async_trait;
use lookout_config::FoundAddress;

use super::DiscoveryError;

/// A source of addresses.
#[async_trait]
pub trait Discoverer: Send + Sync + 'static {
    /// Lists all addresses; nothing while the source is being changed. The caller sets a deadline.
    ///
    /// # Errors
    /// Returns an error if the list is not complete. The addresses of before are then used on.
    async fn discover(&self) -> Result<Option<Vec<FoundAddress>>, DiscoveryError>;
}
