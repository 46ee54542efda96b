//! Outcomes of a target with several addresses as a whole: one for each round of their probes.
//!
//! A round is good when the probe of one address is, and failed when that of every address failed. An address without a
//! probe, because it is gone, is paused or was missed, has no part in it: it is evidence for neither.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The round that goes on, by target. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Rounds(Arc<Mutex<BTreeMap<String, Round>>>);

#[derive(Debug, Default)]
struct Round {
    /// Addresses that take part, with whether each failed since the last outcome of the whole.
    failed: BTreeMap<String, bool>,
    /// The address whose good probes are those of the whole, so that a round has one of them.
    leader: Option<String>,
}

impl Rounds {
    /// Adds an address that is about to be probed: a round waits for its first outcome.
    pub(super) fn join(&self, group: &str, address: &str) {
        let mut rounds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rounds.entry(group.to_owned()).or_default().failed.entry(address.to_owned()).or_insert(false);
    }

    /// Adds the outcome of an address. Returns that of the whole when this one decides it: true if it is good.
    pub(super) fn add(&self, group: &str, address: &str, is_good: bool) -> Option<bool> {
        let mut rounds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let round = rounds.entry(group.to_owned()).or_default();
        round.failed.insert(address.to_owned(), !is_good);
        if is_good { round.succeed(address) } else { round.fail(address) }
    }

    /// Leaves an address out until its next outcome.
    pub(super) fn leave_out(&self, group: &str, address: &str) {
        let mut rounds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(round) = rounds.get_mut(group) else { return };
        round.failed.remove(address);
        round.leader.take_if(|leader| leader == address);
        if round.failed.is_empty() {
            rounds.remove(group);
        }
    }
}

impl Round {
    fn succeed(&mut self, address: &str) -> Option<bool> {
        self.failed.values_mut().for_each(|failed| *failed = false);
        let leader = self.leader.get_or_insert_with(|| address.to_owned());
        (leader == address).then_some(true)
    }

    fn fail(&mut self, address: &str) -> Option<bool> {
        self.leader.take_if(|leader| leader == address);
        if !self.failed.values().all(|failed| *failed) {
            return None;
        }
        self.failed.values_mut().for_each(|failed| *failed = false);
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Outcomes of the whole, from outcomes like `a+` and `b-`, with `c!` for an address that joins and `c.` for one that
    /// is left out.
    fn whole(outcomes: &str) -> String {
        let rounds = Rounds::default();
        let one = |outcome: &str| {
            let (address, end) = outcome.split_at(1);
            match end {
                "!" => rounds.join("shop", address),
                "." => rounds.leave_out("shop", address),
                _ => {}
            }
            if matches!(end, "!" | ".") {
                return None;
            }
            rounds.add("shop", address, end == "+").map(|is_good| if is_good { '+' } else { '-' })
        };
        outcomes.split(' ').filter_map(one).collect()
    }

    #[test]
    fn the_whole_is_good_while_one_address_is() {
        for (outcomes, expected) in [
            ("a! b! c! a+ b+ c+ a+ b+ c+", "++"),
            ("a! b! a- b- a- b-", "--"),
            ("a+ b- a+ b- a+ b-", "+++"),
            ("a! b! a- b+ a- b+", "++"),
            // the last good one fails, and recovers
            ("a+ b- a- b- a- b- a+ b- a+", "+--++"),
            // one round of good probes, however many addresses come back in it
            ("a! b! c! a- b- c- a+ b+ c+ a+ b+ c+", "-++"),
            ("a+ b+ a- b+ a- b+", "+++"),
        ] {
            assert_eq!(whole(outcomes), expected, "{outcomes}");
        }
    }

    #[test]
    fn an_address_without_a_probe_is_neither_good_nor_failed() {
        for (outcomes, expected) in [
            // it was good, is paused or gone, and keeps nobody up
            ("a+ b- a. b- b-", "+--"),
            ("a. b- b-", "--"),
            // the rest is good without it, by another leader
            ("a+ b+ a. b+ b+", "+++"),
            // a round waits for a new one
            ("a! b! a- b- c! a- b- c-", "--"),
            ("a- a. b! b- b. c! c- c.", "---"),
            // one that was left out takes part from its next outcome on
            ("a! b! a. b- a- b- a- b-", "---"),
        ] {
            assert_eq!(whole(outcomes), expected, "{outcomes}");
        }
        let rounds = Rounds::default();
        assert_eq!(rounds.add("shop", "a", false), Some(false));
        assert_eq!(rounds.add("cart", "b", true), Some(true), "another target");
        ["a", "b"].iter().for_each(|address| rounds.leave_out("shop", address));
        rounds.leave_out("cart", "b");
        assert!(rounds.0.lock().unwrap().is_empty(), "a target without addresses is forgotten");
    }

    proptest! {
        /// Every round of all addresses in the same order has one outcome, which is good when one of them is.
        #[test]
        fn a_round_of_equal_addresses_has_one_outcome(
            rounds in prop::collection::vec(prop::collection::vec(any::<bool>(), 4), 1..30),
        ) {
            let (mut shown, mut failures) = ("a! b! c! d! ".to_owned(), 0_usize);
            for round in &rounds {
                for (address, is_good) in ["a", "b", "c", "d"].iter().zip(round) {
                    shown += &format!("{address}{} ", if *is_good { '+' } else { '-' });
                }
                failures = if round.contains(&true) { 0 } else { failures + 1 };
            }
            let outcomes = whole(shown.trim_end());
            let row = outcomes.chars().rev().take_while(|outcome| *outcome == '-').count();
            prop_assert_eq!(row, failures, "{}: {}", shown, outcomes);
        }
    }
}
