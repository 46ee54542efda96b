//! One transition on its way to one destination.

use crate::{Notice, Timestamp};

/// One transition on its way to one destination.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Row id.
    pub id: i64,
    /// Where to.
    pub destination: String,
    /// What is told.
    pub notice: Notice,
    /// Attempts that were begun before.
    pub attempts: u32,
    /// An earlier attempt may have arrived all the same: it was cut short, or no answer came.
    pub unsure: bool,
    /// What the destination called the first message of this incident, when it said so.
    pub thread: Option<String>,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryResult {
    /// It arrived. A receiver may have named the message.
    Delivered {
        /// What the receiver called it.
        thread: Option<String>,
    },
    /// It did not, and is tried again.
    Retry {
        /// When.
        at: Timestamp,
        /// Why, free of secrets.
        error: String,
    },
    /// Nobody knows whether it did; it is tried again.
    Unsure {
        /// When.
        at: Timestamp,
        /// Why, free of secrets.
        error: String,
    },
    /// It did not, and trying again would not help.
    Failed {
        /// Why, free of secrets.
        error: String,
    },
}
