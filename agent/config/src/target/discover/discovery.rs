//! A target whose addresses change while the agent runs.

use core::fmt;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::template::Template;
use super::{AddressSource, FoundAddress};
use crate::target::Target;

/// A target whose addresses change while the agent runs.
#[derive(Clone)]
pub struct Discovery {
    /// The name that SLOs refer to.
    pub name: String,
    /// The source of the addresses.
    pub source: AddressSource,
    /// Time between two lookups.
    pub refresh: Duration,
    /// Most addresses.
    pub limit: usize,
    /// Addresses that were read with the configuration.
    pub read: Option<Vec<FoundAddress>>,
    pub(super) template: Arc<Template>,
}

impl Discovery {
    /// Returns the targets at some addresses: all of them, or none. An address that is found twice is one target.
    ///
    /// # Errors
    /// No address, too many of them, or one that does not fit the template.
    pub fn targets(&self, found: &[FoundAddress]) -> Result<Vec<Target>, String> {
        let mut seen = BTreeSet::new();
        let found: Vec<&FoundAddress> = found.iter().filter(|one| seen.insert(&one.address)).collect();
        match found.len() {
            0 => return Err("no address was found".to_owned()),
            many if many > self.limit => {
                return Err(format!("{many} addresses were found, more than `limit: {}`", self.limit));
            }
            _ => {}
        }
        let mut names = BTreeSet::new();
        let targets = found.into_iter().map(|one| {
            if !FoundAddress::is_address(&one.address) {
                return Err("an address is no host with a port, and no URL of letters and digits".to_owned());
            }
            let target = self.template.at(one)?;
            if !names.insert(target.name.clone()) {
                return Err(format!("two addresses make the target `{}`", target.name));
            }
            Ok(target)
        });
        targets.collect()
    }

    /// Returns the target at an address that stands for all of them.
    #[must_use]
    pub fn stand_in(&self) -> &Target {
        self.template.stand_in()
    }
}

impl fmt::Debug for Discovery {
    /// Leaves out the template, which knows secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Discovery");
        shown.field("name", &self.name).field("source", &self.source).field("refresh", &self.refresh);
        shown.field("limit", &self.limit).field("read", &self.read).finish_non_exhaustive()
    }
}
