//! Delivery of one transition to one destination.

use crate::{Notice, Timestamp};

/// Delivery of one transition to one destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Row id.
    pub id: i64,
    /// The name of the destination.
    pub destination: String,
    /// The content of the message.
    pub notice: Notice,
    /// Attempts that were begun before.
    pub attempts: u32,
    /// True if an earlier attempt may have arrived: it was cut short, or no answer came.
    pub unsure: bool,
    /// The destination's own id of the first message of this incident, if it gave one.
    pub thread: Option<String>,
}

/// Result of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryResult {
    /// The message arrived.
    Delivered {
        /// The receiver's own id of the message.
        thread: Option<String>,
    },
    /// The message did not arrive, and is tried again.
    Retry {
        /// The instant of the next attempt.
        at: Timestamp,
        /// The reason, free of secrets.
        error: String,
    },
    /// The message may have arrived; it is tried again.
    Unsure {
        /// The instant of the refusal.
        at: Timestamp,
        /// The reason, free of secrets.
        error: String,
    },
    /// The message did not arrive, and trying again would not help.
    Failed {
        /// The reason, free of secrets.
        error: String,
    },
}
