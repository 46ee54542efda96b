//! The configuration that was refused last, for pages.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use lookout_model::Timestamp;

/// A configuration that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedConfig {
    /// The reason, free of secrets.
    pub text: String,
    /// The instant of the refusal.
    pub at: Timestamp,
}

/// The last refused configuration, while the one before it is in use. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct RefusedConfigs(Arc<ArcSwapOption<RefusedConfig>>);

impl RefusedConfigs {
    /// Notes a refusal.
    pub fn set(&self, refused: RefusedConfig) {
        self.0.store(Some(Arc::new(refused)));
    }

    /// Forgets the refusal, because the configuration in use is the newest.
    pub fn clear(&self) {
        self.0.store(None);
    }

    /// Returns the refusal; `None` while the newest configuration is in use.
    #[must_use]
    pub fn get(&self) -> Option<Arc<RefusedConfig>> {
        self.0.load_full()
    }
}
