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

mod ahead;
mod alarm;
mod anchor;
mod budget;
mod burn;
mod composite;
mod condition;
mod counts;
mod evaluator;
mod guard;
mod history;
mod incident;
mod judgement;
mod objective;
mod parts;
mod period;
mod plain;
mod policy;
mod report;
mod series;
mod slices;
mod slot;
mod state;
mod tier;
mod versions;
mod window;

pub use ahead::Foreseen;
pub use budget::Budget;
pub use burn::Measured;
pub use composite::{BadComposite, BadWeight, COMPONENT_LIMIT, Component, Composite, Join, Weight};
pub use condition::{BadShare, BudgetShare, Condition, ConditionReport, Criterion};
pub use counts::Counts;
pub use evaluator::{Decision, Evaluator};
pub use guard::{BadConfidence, Confidence, Guard, Held};
pub use history::{COARSE_EDGE, EDGE_PARTS, FINE_LIMIT, History, QUARTER_HOUR, Recorded};
pub use incident::{Cause, Change, Open, Transition, advance};
pub use objective::{BadFactor, BadObjective, BurnFactor, Objective};
pub use period::{Period, Span};
pub use policy::Policy;
pub use report::{ComponentReport, Report, TierReport};
pub use slices::{BadSliceTarget, Method, SliceTarget};
pub use slot::{BadWidth, Grid, Slot};
pub use state::DataState;
pub use tier::{Severity, Tier};
pub use versions::{VERSIONS_LIMIT, Version, VersionShare};
pub use window::Window;
