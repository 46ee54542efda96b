//! The state of an SLO's data. Unknown is a state, never a number.

use core::fmt;

/// The state of an SLO's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DataState {
    /// Enough events arrive.
    Ok,
    /// The source answers, without events.
    Idle,
    /// Nothing was ever observed.
    NoData,
    /// Events arrive, but fewer than the guard asks for.
    Insufficient,
    /// The source answered once and is silent for too long.
    Stale,
    /// Some components of a composite answer; others are silent for too long or never answered.
    Partial,
}

impl DataState {
    /// The name in JSON, metrics and pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Idle => "idle",
            Self::NoData => "no_data",
            Self::Insufficient => "insufficient",
            Self::Stale => "stale",
            Self::Partial => "partial",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ok, Self::Idle, Self::NoData, Self::Insufficient, Self::Stale, Self::Partial]
            .into_iter()
            .find(|state| state.as_str() == name)
    }

    /// Returns whether expected data are missing.
    #[must_use]
    pub const fn lacks_data(self) -> bool {
        matches!(self, Self::NoData | Self::Stale | Self::Partial)
    }

    /// Returns whether alerts keep their state, because nothing is known: they neither fire nor resolve.
    #[must_use]
    pub const fn freezes(self) -> bool {
        matches!(self, Self::NoData | Self::Stale)
    }
}

impl fmt::Display for DataState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
