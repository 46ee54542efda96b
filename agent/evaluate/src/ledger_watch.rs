//! The incident about the ledger itself: it opens with a fault, is told again with each further one, and ends when
//! everything is recorded again.

use std::time::Duration;

use super::own_fault::{self, About};
use lookout_config::Config;
use lookout_ledger::Health;
use lookout_model::{OwnFault, Timestamp, TransitionRecord, format};

/// The id of the SLO that the incident is filed under. No service of a config has this name and this SLO.
pub(super) const SLO_ID: &str = "lookout-ledger";
/// The alert of the generated rules that watches the same, and its runbook.
const ALERT: &str = "LookoutLedgerFailing";
/// Least time between two messages about faults while the incident is open.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// The title of a fault that keeps everything from being recorded.
const NOT_RECORDED: &str = "nothing is recorded";

/// The state of the incident about the ledger.
#[derive(Debug, Default)]
pub(super) struct LedgerWatch {
    /// The transition that was told last of the incident, while it is open.
    open: Option<TransitionRecord>,
    /// Faults that were told of.
    faults: u64,
    /// True if nothing was recorded when an earlier process ended: what it held in memory is gone.
    is_interrupted: bool,
}

impl LedgerWatch {
    /// Goes on with an incident that was open before a restart.
    pub(super) fn resume(&mut self, opened: TransitionRecord) {
        let fault = opened.notice.own_fault.as_ref();
        self.is_interrupted = fault.is_some_and(|fault| fault.title == NOT_RECORDED);
        self.open = Some(opened);
    }

    /// Returns the transition that follows from the state of the file, if there is one.
    pub(super) fn transition(
        &mut self,
        config: &Config,
        health: &Health,
        now: Timestamp,
    ) -> Option<TransitionRecord> {
        let is_new = health.faults > self.faults;
        let told = match &self.open {
            None if is_new => own_fault::opened(config, about(health), None, now),
            // a file that fails with every tick is told of once in a while
            Some(told) if is_new && now >= told.at + TOLD_EVERY => {
                own_fault::escalated(told, fault(health), now)
            }
            Some(told) if !is_new && health.not_recording.is_none() && now > told.at => {
                let resolved = self.resolved(told, health, now);
                (self.open, self.is_interrupted) = (None, false);
                return Some(resolved);
            }
            _ => return None,
        };
        self.faults = health.faults;
        self.open = Some(told.clone());
        Some(told)
    }

    fn resolved(&self, told: &TransitionRecord, health: &Health, now: Timestamp) -> TransitionRecord {
        if self.is_interrupted {
            let title = "it records again, without what was not recorded before the restart";
            let mut resolved = own_fault::mended(told, title, now);
            if let Some(fault) = &mut resolved.notice.own_fault {
                let since = format::rfc3339(told.incident.detected_at);
                fault.text = format!(
                    "The agent was restarted while nothing was recorded. Counts and changes from {since} until then are \
                     lost: the error budgets may look better than they are. {}",
                    health.fault_text()
                );
                fault.text.truncate(fault.text.trim_end().len());
            }
            return resolved;
        }
        if health.lost_rows == 0 {
            return own_fault::mended(told, "everything is recorded", now);
        }
        let title = format!("it records again, without {} rows of counts", format::count(health.lost_rows));
        let mut resolved = own_fault::mended(told, &title, now);
        // more were lost since it was told
        if let Some(fault) = &mut resolved.notice.own_fault {
            fault.text = health.fault_text();
        }
        resolved
    }
}

fn fault(health: &Health) -> OwnFault {
    let title = match health.not_recording {
        Some(_) => NOT_RECORDED,
        None => "its file had a fault",
    };
    OwnFault { title: title.to_owned(), text: health.fault_text() }
}

fn about(health: &Health) -> About {
    About {
        slo_id: SLO_ID.to_owned(),
        name: "ledger".to_owned(),
        alert: ALERT,
        fault: fault(health),
        description: "Incidents and deliveries go on in memory; a restart forgets what is not recorded."
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use lookout_config::{Destination, DestinationKind, UrlOptions, config_of_urls};
    use lookout_deliver::Message;

    use super::*;

    fn config() -> Config {
        let mut config = config_of_urls(&["http://api.test/".parse().unwrap()], &UrlOptions::default());
        let kind = DestinationKind::Alertmanager(Default::default());
        config.destinations = vec![Destination::new("chat", kind)];
        config
    }

    fn health(faults: u64, is_recording: bool, last_fault: &str) -> Health {
        let not_recording = (!is_recording).then(|| "the disk is full".to_owned());
        Health { not_recording, faults, last_fault: last_fault.to_owned(), lost_rows: 0 }
    }

    /// Returns change, headline and sentence of what is told at a second.
    fn told(watch: &mut LedgerWatch, health: &Health, second: i64) -> Option<(&'static str, String, String)> {
        let transition = watch.transition(&config(), health, Timestamp::from_seconds(second))?;
        assert_eq!(transition.destinations, ["chat"]);
        let message = Message::of(&transition.notice);
        Some((transition.change.as_str(), message.headline, message.sentence))
    }

    #[test]
    fn a_fault_during_a_fault_is_told_and_their_end_says_what_was_last() {
        let mut watch = LedgerWatch::default();
        for round in 0..2 {
            let at = round * 1000;
            let before = 2 * u64::try_from(round).unwrap();
            let full = health(before + 1, false, "Nothing is recorded: the disk is full.");
            let (change, headline, _) = told(&mut watch, &full, at + 1).unwrap();
            assert_eq!((change, headline.as_str()), ("opened", "[PAGE] lookout ledger: nothing is recorded"));
            assert_eq!(told(&mut watch, &full, at + 200), None, "once is enough");
            let lost =
                "A fault was found: it was deleted. Counts from before are lost, and a new ledger begins.";
            // the new ledger records at once
            let new = health(before + 2, true, lost);
            let (change, headline, sentence) = told(&mut watch, &new, at + 201).unwrap();
            assert_eq!(
                (change, headline.as_str()),
                ("escalated", "[PAGE] lookout ledger: its file had a fault")
            );
            assert_eq!(sentence, lost);
            let (change, headline, sentence) = told(&mut watch, &new, at + 202).unwrap();
            assert_eq!(
                (change, headline.as_str()),
                ("resolved", "[RESOLVED] lookout ledger: everything is recorded")
            );
            assert_eq!(sentence, lost);
            assert_eq!(told(&mut watch, &new, at + 203), None);
        }
    }

    #[test]
    fn faults_of_every_tick_are_told_once_a_minute_and_none_is_left_out() {
        let mut watch = LedgerWatch::default();
        let told_at: Vec<i64> = (1..=150)
            .filter(|&second| {
                let health = health(u64::try_from(second).unwrap(), false, "A fault was found.");
                told(&mut watch, &health, second).is_some()
            })
            .collect();
        assert_eq!(told_at, [1, 61, 121]);
        let healed = health(150, true, "A fault was found.");
        assert_eq!(told(&mut watch, &healed, 160), None, "the last fault comes first");
        assert_eq!(told(&mut watch, &healed, 181).unwrap().0, "escalated");
        assert_eq!(told(&mut watch, &healed, 182).unwrap().0, "resolved");
    }

    #[test]
    fn a_fault_at_a_start_is_told_although_the_incident_of_the_run_before_is_open() {
        for _ in 0..2 {
            let mut before = LedgerWatch::default();
            let full = health(1, false, "Nothing is recorded: the disk is full.");
            let opened = before.transition(&config(), &full, Timestamp::from_seconds(1)).unwrap();
            let mut watch = LedgerWatch::default();
            watch.resume(opened);
            let damaged = health(1, true, "A fault was found: it is damaged.");
            let (change, _, sentence) = told(&mut watch, &damaged, 500).unwrap();
            assert_eq!((change, sentence.as_str()), ("escalated", "A fault was found: it is damaged."));
            assert_eq!(told(&mut watch, &damaged, 501).unwrap().0, "resolved");
        }
    }

    #[test]
    fn a_restart_while_nothing_is_recorded_loses_something_and_says_so() {
        // the second restart is in a fault that was told of again
        for faults in 1..=2 {
            let mut before = LedgerWatch::default();
            let full = |faults| health(faults, false, "Nothing is recorded: the disk is full.");
            let mut told_last = None;
            for fault in 1..=faults {
                let second = Timestamp::from_seconds(100 * i64::try_from(fault).unwrap());
                told_last = before.transition(&config(), &full(fault), second);
            }
            let mut watch = LedgerWatch::default();
            watch.resume(told_last.unwrap());
            let (change, headline, sentence) = told(&mut watch, &Health::default(), 500).unwrap();
            assert_eq!(
                (change, headline.as_str()),
                (
                    "resolved",
                    "[RESOLVED] lookout ledger: it records again, without what was not recorded before the restart"
                )
            );
            assert!(sentence.contains("from 1970-01-01T00:01:40Z until then are lost"), "{sentence}");
            // the next fault has an end of its own
            told(&mut watch, &full(1), 600).unwrap();
            let (_, headline, _) = told(&mut watch, &health(1, true, "It was full."), 700).unwrap();
            assert_eq!(headline, "[RESOLVED] lookout ledger: everything is recorded");
        }
    }

    #[test]
    fn what_is_lost_is_named_at_the_end() {
        let mut watch = LedgerWatch::default();
        let full = health(1, false, "Nothing is recorded: the disk is full.");
        told(&mut watch, &full, 1).unwrap();
        let healed = Health { lost_rows: 1234, ..health(1, true, "Nothing is recorded: the disk is full.") };
        let (_, headline, sentence) = told(&mut watch, &healed, 100).unwrap();
        let count = format::count(1234);
        assert_eq!(
            headline,
            format!("[RESOLVED] lookout ledger: it records again, without {count} rows of counts")
        );
        assert!(sentence.contains(&format!("{count} rows of counts are lost")), "{sentence}");
    }
}
