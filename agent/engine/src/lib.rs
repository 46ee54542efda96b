//! The arithmetic of lookout, without clock, I/O or async: counts and slots come in, assessments and transitions go out.
//!
//! ```text
//!  Counts per Slot ─▶ History (every Window is a sum of slots, with its observed seconds)
//!                        │
//!                        ▼
//!              Assessment: Present · TierAssessment per Tier · Budget with its bound · DataState · Status
//!                        │
//!                        ▼
//!              Decision ─▶ incident: Opened · Escalated · Eased · Resolved · Reopened
//! ```
//!
//! Conditions on the budget, on missing data, on missing traffic, on restarts and on failures in a row stand beside the tiers. Guards ask for
//! evidence before they fire.
//!
//! A budget of time counts slices: a slice is rated when it is over, and a second History counts the results. Several
//! indicators under one objective are joined in such slices too.
//!
//! A Promise tells, before anything happens, when a Policy pages at an event rate.
//!
//! The live agent, the simulations and the tests run the same [`Evaluator`].

#![deny(missing_docs)]

mod alert;
mod assess;
mod assessment;
mod bit_packed;
mod budget;
mod budget_share;
mod burn;
mod cells;
mod component_history;
mod composite;
mod condition;
mod condition_assessment;
mod confidence;
mod counts;
mod coverage;
mod data_state;
mod decision;
mod default_tiers;
mod evaluator;
mod event_rate;
mod guard;
mod history;
mod incident;
mod level;
mod method;
mod objective;
mod onset;
mod outcome_row;
mod period;
mod policy;
mod present;
mod projection;
mod promise;
mod restart;
mod running_sum;
mod saved_state;
mod sli_history;
mod slice_target;
mod slices;
mod slot;
mod starts;
mod status;
mod tier;
mod traffic;
mod versions;
mod window;
mod window_sum;

pub use assessment::{Assessment, ComponentAssessment, TierAssessment};
pub use budget::Budget;
pub use budget_share::{BudgetShare, InvalidShare};
pub use burn::Measured;
pub use composite::{COMPONENT_LIMIT, Component, Composite, InvalidComposite, InvalidWeight, Join, Weight};
pub use condition::{Condition, Criterion};
pub use condition_assessment::ConditionAssessment;
pub use confidence::{Confidence, InvalidConfidence};
pub use counts::Counts;
pub use data_state::DataState;
pub use decision::Decision;
pub use default_tiers::TierDemand;
pub use evaluator::Evaluator;
pub use event_rate::{EventRate, InvalidRate, OUTAGE_EVENTS, PromiseBound};
pub use guard::{Guard, HoldReason};
pub use history::{History, PLAUSIBLE_PER_SECOND, Recorded};
pub use incident::{Cause, Change, IncidentInput, Latest, Open, Resolved, Transition, advance};
pub use level::{MIN_COARSE_CELLS, QUARTER_ALIGNED_ABOVE, QUARTER_HOUR, SLOT_WINDOW_LIMIT};
pub use method::Method;
pub use objective::{BurnFactor, InvalidFactor, InvalidObjective, Objective};
pub use period::{Period, Span};
pub use policy::Policy;
pub use present::Present;
pub use projection::Projection;
pub use promise::{LatePage, Promise};
pub use saved_state::{SavedAlert, SavedCoverage, SavedRow, SavedState, SavedStretch};
pub use slice_target::{InvalidSliceTarget, SliceTarget};
pub use slot::{Grid, InvalidWidth, Slot};
pub use status::Status;
pub use tier::{Severity, Tier};
pub use versions::{VERSIONS_LIMIT, Version, VersionShare};
pub use window::Window;
