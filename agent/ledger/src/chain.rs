//! The hash chain of decisions. Each carries the hash of the one before it, so that a decision that is changed,
//! removed or inserted is detected.

use sha2::{Digest as _, Sha256};

use lookout_model::DecisionRecord;

/// Hash of the predecessor in the first decision, which has none.
const ORIGIN: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Result of following the whole chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// Every link holds.
    Whole {
        /// The number of decisions, with those that are past retention.
        length: i64,
    },
    /// A link does not follow from the ones before it.
    Broken {
        /// The sequence of the first decision that does not follow.
        at: i64,
    },
}

/// The end of a chain, or of its part that is past retention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) sequence: i64,
    pub(super) hash: String,
}

impl From<&DecisionRecord> for Link {
    fn from(decision: &DecisionRecord) -> Self {
        Self { sequence: decision.sequence, hash: decision.hash.clone() }
    }
}

/// Makes a decision the successor of the last one.
pub(super) fn link(mut decision: DecisionRecord, last: Option<&Link>) -> DecisionRecord {
    decision.sequence = last.map_or(1, |last| last.sequence.saturating_add(1));
    decision.previous_hash = last.map_or_else(|| ORIGIN.to_owned(), |last| last.hash.clone());
    decision.hash = hash(&decision);
    decision
}

/// Returns SHA-256 over predecessor, sequence, id, time, service and answer. Each part has its length in front, so
/// that two different decisions never give the same bytes.
fn hash(decision: &DecisionRecord) -> String {
    let (sequence, at) = (decision.sequence.to_string(), decision.at.as_millis().to_string());
    let parts = [&decision.previous_hash, &sequence, &decision.id, &at, &decision.service, &decision.answer];
    let mut sum = Sha256::new();
    for part in parts {
        sum.update(format!("{}:", part.len()));
        sum.update(part);
    }
    sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Follows a chain link by link.
#[derive(Debug, Default)]
pub(super) struct Verifier {
    last: Option<Link>,
    broken: Option<i64>,
}

impl Verifier {
    /// Creates a verifier of a chain that goes on after `anchor`.
    pub(super) const fn after(anchor: Option<Link>) -> Self {
        Self { last: anchor, broken: None }
    }

    pub(super) fn take(&mut self, decision: &DecisionRecord) {
        if self.broken.is_none() && link(decision.clone(), self.last.as_ref()) != *decision {
            self.broken = Some(decision.sequence);
        }
        self.last = Some(decision.into());
    }

    pub(super) fn finish(self) -> Chain {
        match self.broken {
            Some(at) => Chain::Broken { at },
            None => Chain::Whole { length: self.last.map_or(0, |last| last.sequence) },
        }
    }
}

#[cfg(test)]
mod tests {
    use lookout_model::Timestamp;

    use super::*;

    fn decision(id: &str, answer: &str) -> DecisionRecord {
        DecisionRecord {
            id: id.to_owned(),
            sequence: 0,
            at: Timestamp::from_millis(1),
            service: "titanic".to_owned(),
            answer: answer.to_owned(),
            previous_hash: String::new(),
            hash: String::new(),
        }
    }

    fn check(chain: &[DecisionRecord]) -> Chain {
        let mut verifier = Verifier::default();
        chain.iter().for_each(|decision| verifier.take(decision));
        verifier.finish()
    }

    #[test]
    fn a_changed_a_dropped_and_a_moved_decision_are_seen() {
        let first = link(decision("a", "allow"), None);
        let second = link(decision("b", "deny"), Some(&(&first).into()));
        let third = link(decision("c", "allow"), Some(&(&second).into()));
        let whole = [first.clone(), second.clone(), third.clone()];
        assert_eq!(check(&whole), Chain::Whole { length: 3 });
        assert_eq!(check(&[]), Chain::Whole { length: 0 });

        let changed = DecisionRecord { answer: "allow".to_owned(), ..second.clone() };
        assert_eq!(check(&[first.clone(), changed, third.clone()]), Chain::Broken { at: 2 });
        assert_eq!(check(&[first, third.clone()]), Chain::Broken { at: 3 });
        assert_eq!(check(&[second, third]), Chain::Broken { at: 2 });
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let one = DecisionRecord { id: "ab".to_owned(), service: "c".to_owned(), ..decision("", "") };
        let other = DecisionRecord { id: "a".to_owned(), service: "bc".to_owned(), ..decision("", "") };
        assert_ne!(link(one, None).hash, link(other, None).hash);
    }
}
