//! Policy over evidence: may this be deployed now?
//!
//! [`decide`] is a pure function of the question, the newest snapshot, the policy and the time. Evidence and decision
//! are two words for two things: the evidence says what is known, the decision what follows from it for this class of
//! change. No evidence is never a pass, and a way back is never barred.

mod answer;
mod finding;
mod policy;
mod present;
mod question;

pub use answer::{Answer, Code, DecidedBy, Decision, Evidence, Reason};
pub use policy::{decide, policy_hash};
pub use question::Question;
