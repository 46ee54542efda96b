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
mod bit_packed;
mod budget;
mod burn;
mod cells;
mod component_history;
mod composite;
mod condition;
mod counts;
mod evaluator;
mod guard;
mod history;
mod incident;
mod measurement;
mod method;
mod objective;
mod period;
mod policy;
mod projection;
mod report;
mod running_sum;
mod slice_target;
mod slices;
mod slot;
mod state;
mod tier;
mod versions;
mod window;

pub use budget::Budget;
pub use burn::Measured;
pub use composite::{COMPONENT_LIMIT, Component, Composite, InvalidComposite, InvalidWeight, Join, Weight};
pub use condition::{BudgetShare, Condition, ConditionReport, Criterion, InvalidShare};
pub use counts::Counts;
pub use evaluator::{Decision, Evaluator};
pub use guard::{Confidence, Guard, HoldReason, InvalidConfidence};
pub use history::{
    History, MIN_COARSE_CELLS, QUARTER_ALIGNED_ABOVE, QUARTER_HOUR, Recorded, SLOT_WINDOW_LIMIT,
};
pub use incident::{Cause, Change, Open, Transition, advance};
pub use method::Method;
pub use objective::{BurnFactor, InvalidFactor, InvalidObjective, Objective};
pub use period::{Period, Span};
pub use policy::Policy;
pub use projection::Projection;
pub use report::{ComponentReport, Report, TierReport};
pub use slice_target::{InvalidSliceTarget, SliceTarget};
pub use slot::{Grid, InvalidWidth, Slot};
pub use state::DataState;
pub use tier::{Severity, Tier};
pub use versions::{VERSIONS_LIMIT, Version, VersionShare};
pub use window::Window;
