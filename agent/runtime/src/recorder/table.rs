//! Series of one type, by the name of their family and the text of their labels.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use metrics::Key;

use crate::exposition::write_labels;

/// Series of one family by their labels, as they are rendered.
pub(super) type Series<T> = BTreeMap<Box<str>, Arc<T>>;

/// Families by name.
pub(super) struct Table<T>(RwLock<BTreeMap<Box<str>, Series<T>>>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T> Table<T> {
    /// Returns the series of a key; a new one when it is the first time.
    pub(super) fn series(&self, key: &Key, new: impl FnOnce() -> T) -> Arc<T> {
        let mut labels = String::new();
        write_labels(&mut labels, key.labels().map(|label| (label.key(), label.value())));
        {
            let families = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let found = families.get(key.name()).and_then(|series| series.get(labels.as_str()));
            if let Some(found) = found {
                return Arc::clone(found);
            }
        }
        let mut families = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let series = families.entry(key.name().into()).or_default();
        Arc::clone(series.entry(labels.into_boxed_str()).or_insert_with(|| Arc::new(new())))
    }

    /// Forgets the series with a label, and the families that have no other.
    pub(super) fn forget(&self, label: &str, value: &str) {
        let mut wanted = String::new();
        write_labels(&mut wanted, [(label, value)]);
        let mut families = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for series in families.values_mut() {
            // quotes within a value are escaped, so that no value looks like a label
            series.retain(|labels, _| {
                let mut rest: &str = labels;
                while let Some(at) = rest.find(&wanted) {
                    let (before, after) = (rest.get(..at), rest.get(at + wanted.len()..));
                    let begins = before.is_some_and(|before| before.is_empty() || before.ends_with(','));
                    let ends = after.is_some_and(|after| after.is_empty() || after.starts_with(','));
                    if begins && ends {
                        return false;
                    }
                    rest = after.unwrap_or_default();
                }
                true
            });
        }
        families.retain(|_, series| !series.is_empty());
    }

    /// Calls `visit` for each family in the order of their names.
    pub(super) fn each(&self, mut visit: impl FnMut(&str, &Series<T>)) {
        for (name, series) in &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            visit(name, series);
        }
    }
}
