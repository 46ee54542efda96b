//! Pauses of targets that have several addresses: such a target is paused when all of its addresses are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use lookout_runtime::events::names;

/// Addresses of each target, with whether each is paused. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct PausedGroups(Arc<Mutex<BTreeMap<String, BTreeMap<String, bool>>>>);

impl PausedGroups {
    /// Notes whether an address is paused, and exports whether all of its target are.
    pub(super) fn note(&self, group: &str, address: &str, is_paused: bool) {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let addresses = groups.entry(group.to_owned()).or_default();
        addresses.insert(address.to_owned(), is_paused);
        export(group, addresses);
    }

    /// Forgets an address that is gone.
    pub(super) fn forget(&self, group: &str, address: &str) {
        let mut groups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(addresses) = groups.get_mut(group) else { return };
        addresses.remove(address);
        if addresses.is_empty() {
            groups.remove(group);
        } else {
            export(group, addresses);
        }
    }
}

/// Sets the gauge while the addresses are locked, so that the last change is the last value.
fn export(group: &str, addresses: &BTreeMap<String, bool>) {
    let all = addresses.values().all(|is_paused| *is_paused);
    metrics::gauge!(names::PROBE_PAUSED, "target" => group.to_owned()).set(f64::from(u8::from(all)));
}
