//! Files in the form of `file_sd_configs` of Prometheus.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lookout_config::{FileAddresses, Fingerprint, FoundAddress};

use super::{Discoverer, DiscoveryError};

/// Files that are read when they changed and rest.
pub(super) struct Files {
    source: FileAddresses,
    looks: Arc<Mutex<Looks>>,
}

/// States of the files.
#[derive(Default)]
struct Looks {
    /// That of the last look.
    seen: Option<Fingerprint>,
    /// That of the last list, and the list.
    read: Option<(Fingerprint, Vec<FoundAddress>)>,
}

impl Files {
    pub(super) fn new(source: FileAddresses) -> Self {
        Self { source, looks: Arc::default() }
    }
}

#[async_trait]
impl Discoverer for Files {
    async fn discover(&self) -> Result<Option<Vec<FoundAddress>>, DiscoveryError> {
        let (source, looks) = (self.source.clone(), Arc::clone(&self.looks));
        let looked = tokio::task::spawn_blocking(move || {
            let mut looks = looks.lock().unwrap_or_else(PoisonError::into_inner);
            look(&source, &mut looks)
        });
        looked.await.map_err(|error| DiscoveryError::File(format!("reading the files broke: {error}")))?
    }
}

/// Reads the files if they changed, and are the same as at the look before: a program may be writing them.
fn look(source: &FileAddresses, looks: &mut Looks) -> Result<Option<Vec<FoundAddress>>, DiscoveryError> {
    let now = source.fingerprint();
    let before = looks.seen.replace(now.clone());
    if before.is_some_and(|before| before != now) {
        return Ok(None);
    }
    if let Some((_, found)) = looks.read.as_ref().filter(|(read, _)| *read == now) {
        return Ok(Some(found.clone()));
    }
    let found = source.read().map_err(DiscoveryError::File)?;
    looks.read = Some((now, found.clone()));
    Ok(Some(found))
}
