//! The loop of one source: it is asked at once, and again after each pause.

use std::sync::Arc;
use std::time::Duration;

use lookout_config::{Discovery, FoundAddress};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Discoverer, DiscoveryError};

/// Time that a lookup may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// A result of a lookup that says something new, or that nothing could be looked up.
#[derive(Debug)]
pub struct Lookup {
    /// The target with `discover`.
    pub target: String,
    /// The addresses that were found.
    pub result: Result<Vec<FoundAddress>, DiscoveryError>,
}

/// Looks addresses up once, within the deadline; nothing while the source is being changed.
///
/// # Errors
/// Returns an error if there is no complete list by then.
pub async fn look_up(discoverer: &dyn Discoverer) -> Result<Option<Vec<FoundAddress>>, DiscoveryError> {
    let looked = tokio::time::timeout(DEADLINE, discoverer.discover()).await;
    looked.unwrap_or(Err(DiscoveryError::Timeout(DEADLINE)))
}

/// Looks addresses up until told to stop, or until nobody takes results. A failure changes nothing: the next lookup comes
/// after the usual pause.
pub async fn watch(
    discovery: &Discovery,
    discoverer: Arc<dyn Discoverer>,
    results: mpsc::Sender<Lookup>,
    stop: CancellationToken,
) {
    let looking = async {
        loop {
            if let Some(result) = look_up(&*discoverer).await.transpose() {
                let lookup = Lookup { target: discovery.name.clone(), result };
                if results.send(lookup).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(discovery.refresh).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = looking => {}
    }
}
