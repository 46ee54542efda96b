//! Incidents about destinations that refuse messages for good; the others hear of them.

use std::collections::BTreeMap;

use super::own_fault::{self, About};
use lookout_config::Config;
use lookout_ledger::DeadLetter;
use lookout_model::{OwnFault, Timestamp, TransitionRecord};

const PREFIX: &str = "lookout-delivery-";
/// The alert of the generated rules that watches the same, and its runbook.
const ALERT: &str = "LookoutNotDelivering";

/// The incidents that are open, by destination.
#[derive(Debug, Default)]
pub(super) struct DeliveryWatch(BTreeMap<String, TransitionRecord>);

impl DeliveryWatch {
    /// Goes on with an incident that was open before a restart. Returns whether it is one of these.
    pub(super) fn resume(&mut self, opened: &TransitionRecord) -> bool {
        let Some(destination) = opened.incident.slo_id.strip_prefix(PREFIX) else { return false };
        self.0.insert(destination.to_owned(), opened.clone());
        true
    }

    /// Returns the transitions that follow from the dead letters there are.
    pub(super) fn transitions(
        &mut self,
        config: &Config,
        letters: &[DeadLetter],
        now: Timestamp,
    ) -> Vec<TransitionRecord> {
        let mut refused: BTreeMap<&str, Vec<&DeadLetter>> = BTreeMap::new();
        for letter in letters {
            refused.entry(&letter.destination).or_default().push(letter);
        }
        let mut news = Vec::new();
        self.0.retain(|destination, opened| {
            let goes_on = refused.contains_key(destination.as_str()) || now <= opened.at;
            if !goes_on {
                news.push(own_fault::resolved_with(
                    opened,
                    format!("{destination} takes messages again"),
                    now,
                ));
            }
            goes_on
        });
        for (destination, letters) in refused {
            if self.0.contains_key(destination) {
                continue;
            }
            let opened = own_fault::opened(config, about(destination, &letters), Some(destination), now);
            self.0.insert(destination.to_owned(), opened.clone());
            news.push(opened);
        }
        news
    }
}

fn about(destination: &str, letters: &[&DeadLetter]) -> About {
    let reason = letters.last().map(|letter| letter.error.clone()).unwrap_or_default();
    let incidents: Vec<&str> = letters.iter().map(|letter| letter.slo_id.as_str()).take(5).collect();
    About {
        slo_id: format!("{PREFIX}{destination}"),
        name: format!("delivery {destination}"),
        alert: ALERT,
        fault: OwnFault {
            title: format!("{destination} refuses messages"),
            text: format!("It refused messages about {}: {reason}.", incidents.join(", ")),
        },
        description: "Correct its settings or its secret, and they are tried again. `lookout deliver retry` tries at once.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use lookout_config::{Destination, DestinationKind, UrlOptions, config_of_urls};
    use lookout_engine::Severity;

    use super::*;

    fn destination(name: &str) -> Destination {
        let kind = DestinationKind::Alertmanager(Default::default());
        Destination { minimum: Severity::Page, ..Destination::new(name, kind) }
    }

    fn letter(destination: &str) -> DeadLetter {
        DeadLetter {
            destination: destination.to_owned(),
            incident_id: "inc-1".to_owned(),
            slo_id: "api-availability".to_owned(),
            change: "opened".to_owned(),
            at: Timestamp::from_millis(1),
            error: "slack answered 401".to_owned(),
        }
    }

    #[test]
    fn the_others_hear_once_of_a_destination_that_refuses_and_of_its_end() {
        let mut config = config_of_urls(&["http://api.test/".parse().unwrap()], &UrlOptions::default());
        config.destinations = ["chat", "pager"].map(destination).to_vec();
        let mut watch = DeliveryWatch::default();
        assert_eq!(watch.transitions(&config, &[], Timestamp::from_millis(1)), []);
        let opened = watch.transitions(&config, &[letter("chat")], Timestamp::from_millis(2));
        assert_eq!((opened.len(), opened[0].destinations.as_slice()), (1, ["pager".to_owned()].as_slice()));
        let headline = lookout_deliver::Message::of(&opened[0].notice).headline;
        assert_eq!(headline, "[PAGE] lookout delivery chat: chat refuses messages");
        assert_eq!(
            watch.transitions(&config, &[letter("chat")], Timestamp::from_millis(3)),
            [],
            "once is enough"
        );
        let mut restarted = DeliveryWatch::default();
        assert!(restarted.resume(&opened[0]));
        let resolved = restarted.transitions(&config, &[], Timestamp::from_millis(4));
        assert_eq!(resolved[0].incident.resolved_at, Some(Timestamp::from_millis(4)));
        assert_eq!(resolved[0].destinations, ["pager"]);
    }
}
