//! Findings about a deploy, of which the answer is made.

use super::answer::{Code, Decision, Evidence, Reason};

/// Finding: its evidence, its reason and the decision it asks for.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) effect: Decision,
    pub(super) evidence: Evidence,
    pub(super) reason: Reason,
}

pub(super) fn finding(effect: Decision, evidence: Evidence, code: Code, slo: &str, text: String) -> Finding {
    let reason = Reason {
        code,
        slo: slo.to_owned(),
        text,
        measured: None,
        threshold: None,
        window: None,
        samples: None,
    };
    Finding { effect, evidence, reason }
}
