//! The outbox: every transition reaches every destination, at least once and in order, however long it takes.

use async_trait::async_trait;
use std::time::Duration;

use crate::ledger::{Delivery, TransitionRecord};

/// Someone who is told about transitions.
#[async_trait]
pub trait Receiver: Send + Sync + 'static {
    /// Name of the destination.
    fn name(&self) -> &str;

    /// Tells about one transition. Returns what the receiver called the message, if it did.
    ///
    /// # Errors
    /// Why it was not told, and whether trying again can help.
    async fn deliver(&self, delivery: &Delivery) -> Result<Option<String>, Refused>;

    /// Repeats the present state to receivers that forget (Alertmanager keeps alerts in memory only). `latest` are the
    /// newest transitions of incidents that are open or were resolved a short while ago.
    ///
    /// # Errors
    /// As [`Receiver::deliver`].
    async fn refresh(&self, latest: &[TransitionRecord]) -> Result<(), Refused> {
        let _ = latest;
        Ok(())
    }

    /// How often [`Receiver::refresh`] wants to be called; `None` for never.
    fn refresh_every(&self) -> Option<Duration> {
        None
    }
}

/// Why a delivery was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Free of secrets.
    pub error: String,
    /// Whether and when to try again.
    pub retry: Retry,
}

/// Whether and when to try again, decided where the answer was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The receiver said when.
    After(Duration),
    /// With growing pauses.
    BackOff,
    /// Never: the same request would be refused again.
    Never,
}
