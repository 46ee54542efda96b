//! Values that the agent's crates share: incidents and what is told about them, deploys, decisions, corrections,
//! durations. Each fact has one type here, and each figure one way to become text.
//!
//! This crate never reads a clock, a file or a socket, and it knows no store, no receiver and no page.

pub mod correction;
mod duration;
mod record;
#[cfg(any(test, feature = "samples"))]
pub mod sample;

pub use correction::{
    BadRecurrence, Corrected, CorrectedBy, CorrectionKind, CorrectionRecord, CorrectionScope, MOST_IN_FORCE,
    MOST_KEPT, Ranges, Recurrence, Revocation, expand,
};
pub use duration::{parse_duration, print_duration};
pub use record::{
    CalendarEvidence, ComponentEvidence, ConditionEvidence, CountRow, DecisionRecord, Delivery,
    DeliveryResult, DeployRecord, Evidence, IncidentRecord, Notice, ObjectiveRecord, OwnFault, TierEvidence,
    TransitionRecord, VersionEvidence, incident_id,
};
