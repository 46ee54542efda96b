//! The arithmetic of lookout, without clock, I/O or async: time and events come in, states go out.
//!
//! ```text
//!  Counts per Slot ─▶ History (every Window is a sum of slots) ─▶ Measured ─▶ burn rate, Budget
//!                                                                     │
//!                              Tier (long + short window × factor) ◀──┘
//!                                     │
//!                                     ▼
//!                              incident: Opened · Escalated · Eased · Resolved
//! ```
//!
//! Conditions on the budget and on silence stand beside the tiers, guards before both.
//!
//! When a budget is counted in slices of time, a slice is judged when it is over, and its verdict is what a second History
//! counts. Several indicators under one objective are joined in such slices, too.
//!
//! The live agent, the simulations and the tests run the same [`Evaluator`].

#![deny(missing_docs)]

mod alert;
mod assess;
mod assessment;
mod bit_packed;
mod budget;
mod burn;
mod cells;
mod component_history;
mod composite;
mod condition;
mod confidence;
mod counts;
mod coverage;
mod data_state;
mod decision;
mod evaluator;
mod guard;
mod history;
mod incident;
mod level;
mod method;
mod objective;
mod onset;
mod period;
mod policy;
mod present;
mod projection;
mod running_sum;
mod sli_history;
mod slice_target;
mod slices;
mod slot;
mod status;
mod tier;
mod versions;
mod window;

pub use assessment::{Assessment, ComponentAssessment, TierAssessment};
pub use budget::Budget;
pub use burn::Measured;
pub use composite::{COMPONENT_LIMIT, Component, Composite, InvalidComposite, InvalidWeight, Join, Weight};
pub use condition::{BudgetShare, Condition, ConditionAssessment, Criterion, InvalidShare};
pub use confidence::{Confidence, InvalidConfidence};
pub use counts::Counts;
pub use data_state::DataState;
pub use decision::Decision;
pub use evaluator::Evaluator;
pub use guard::{Guard, HoldReason};
pub use history::{History, PLAUSIBLE_PER_SECOND, Recorded};
pub use incident::{Cause, Change, Latest, Open, Resolved, Transition, Wanted, advance};
pub use level::{MIN_COARSE_CELLS, QUARTER_ALIGNED_ABOVE, QUARTER_HOUR, SLOT_WINDOW_LIMIT};
pub use method::Method;
pub use objective::{BurnFactor, InvalidFactor, InvalidObjective, Objective};
pub use period::{Period, Span};
pub use policy::Policy;
pub use present::Present;
pub use projection::Projection;
pub use slice_target::{InvalidSliceTarget, SliceTarget};
pub use slot::{Grid, InvalidWidth, Slot};
pub use status::Status;
pub use tier::{Severity, Tier};
pub use versions::{VERSIONS_LIMIT, Version, VersionShare};
pub use window::Window;
