//! Values that the agent's crates share: incidents and their messages, deploys, decisions, corrections, instants,
//! durations, histories of probes. Each fact has one type here, and each figure one way to become text.
//!
//! This crate never reads a clock, a file or a socket, and it knows no store, no receiver and no page.

pub mod correction;
mod counts;
mod decision;
mod delivery;
mod deploy;
mod duration;
mod evidence;
pub mod format;
mod implausible;
mod incident;
mod matcher;
mod news;
mod notice;
mod pause;
pub mod probe_history;
#[cfg(any(test, feature = "samples"))]
pub mod sample;
mod saved_state;
mod scope;
mod timestamp;
pub mod word;

pub use correction::{
    BadRecurrence, Corrected, CorrectedBy, CorrectionKind, CorrectionRecord, CorrectionScope, LONGEST_REASON,
    MAX_IN_FORCE, MAX_KEPT, Ranges, Recurrence, Revocation, expand,
};
pub use counts::{CountRow, ObjectiveRecord};
pub use decision::DecisionRecord;
pub use delivery::{Delivery, DeliveryResult};
pub use deploy::{BadDeployClass, DeployClass, DeployRecord};
pub use duration::{parse_duration, print_duration};
pub use evidence::{
    CalendarEvidence, ComponentEvidence, ConditionEvidence, ConditionKind, Evidence, PresentEvidence,
    TierEvidence, VersionEvidence,
};
pub use implausible::ImplausibleCounts;
pub use incident::{END_REPEATED_FOR, IncidentRecord, incident_id};
pub use matcher::Matcher;
pub use news::{Acknowledgement, DestinationMessage, Followed, News, SilenceRecord, SilencedBy};
pub use notice::{Notice, OwnFault, Rehearsal, TransitionRecord};
pub use pause::{LONGEST_PAUSE, Pause, PauseCause, PauseRecord};
pub use saved_state::StateRecord;
pub use scope::Scope;
pub use timestamp::{GridTime, Timestamp};
