//! The state of an SLO in one word, for people.

use core::fmt;

/// The state of an SLO, in order of urgency: the greatest asks for attention first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// The objective is met, on enough evidence.
    Healthy,
    /// Data arrive and hold no events.
    Idle,
    /// Too little was observed to call it healthy.
    Young,
    /// The error budget is spent.
    Spent,
    /// A ticket is open.
    Ticket,
    /// Data arrived once and are missing now.
    Stale,
    /// No data ever arrived.
    NoData,
    /// A page is open, and the failure is over.
    Recovering,
    /// The SLO fails, and no page is open yet.
    Failing,
    /// A page is open, and the failure goes on or its end is not known.
    Paging,
}

impl Status {
    /// Every state, least urgent first.
    pub const ALL: [Self; 10] = [
        Self::Healthy,
        Self::Idle,
        Self::Young,
        Self::Spent,
        Self::Ticket,
        Self::Stale,
        Self::NoData,
        Self::Recovering,
        Self::Failing,
        Self::Paging,
    ];

    /// The word for pages, messages, JSON and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Idle => "idle",
            Self::Young => "young",
            Self::Spent => "spent",
            Self::Ticket => "ticket",
            Self::Stale => "stale",
            Self::NoData => "no data",
            Self::Recovering => "recovering",
            Self::Failing => "failing",
            Self::Paging => "paging",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_one_name_and_a_place_in_the_order() {
        assert!(Status::ALL.is_sorted());
        for status in Status::ALL {
            assert_eq!(Status::from_name(status.as_str()), Some(status));
        }
        assert_eq!(Status::from_name("fine"), None);
    }
}
