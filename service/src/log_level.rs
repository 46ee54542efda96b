//! The log level, which an operator may change while the service runs.

use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

use serde::Serialize;
use tracing::Level;

/// The most verbose level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLevel(pub Level);

/// The levels in the order of verbosity.
const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

/// One for the process, because its log is one.
static CURRENT: AtomicU8 = AtomicU8::new(2);

impl LogLevel {
    /// Returns the current log level.
    #[must_use]
    pub fn current() -> Self {
        let place = usize::from(CURRENT.load(Ordering::Relaxed));
        Self(LEVELS.get(place).map_or(Level::INFO, |(_, level)| *level))
    }

    /// Logs this much from now on.
    pub fn set(self) {
        let place = LEVELS.iter().position(|(_, level)| *level == self.0).unwrap_or(2);
        CURRENT.store(u8::try_from(place).unwrap_or(2), Ordering::Relaxed);
        // Call sites that were found to be disabled are asked again.
        tracing::callsite::rebuild_interest_cache();
    }

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        LEVELS.iter().find(|(_, level)| *level == self.0).map_or("info", |(name, _)| *name)
    }
}

impl FromStr for LogLevel {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let known = LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
        known.map(|(_, level)| Self(*level)).ok_or(())
    }
}

impl Serialize for LogLevel {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
