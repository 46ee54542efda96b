//! Incidents about destinations that refuse messages for good; the others hear of them.

use std::collections::{BTreeMap, BTreeSet};

use super::own_fault::{self, About};
use lookout_config::Config;
use lookout_ledger::DeadLetter;
use lookout_model::{OwnFault, Timestamp, TransitionRecord};
use lookout_runtime::events::names;

const PREFIX: &str = "lookout-delivery-";
/// The alert of the generated rules that watches the same, and its runbook.
const ALERT: &str = "LookoutNotDelivering";

/// Number of SLOs that a message names.
const NAMED: usize = 5;

/// The state of what destinations refused.
#[derive(Debug, Default)]
pub(super) struct Letters {
    /// The dead letters there are.
    pub(super) dead: Vec<DeadLetter>,
    /// Those that have just expired.
    pub(super) expired: Vec<DeadLetter>,
    /// Those that a person has just given up.
    pub(super) discarded: Vec<DeadLetter>,
    /// The destinations that accepted a message after the last refusal and after the last message about them.
    pub(super) accepting: BTreeSet<String>,
}

/// The incidents about destinations.
#[derive(Debug, Default)]
pub(super) struct DeliveryWatch {
    /// The last message about each incident that is open, by destination.
    open: BTreeMap<String, TransitionRecord>,
    /// The instant of the last refusal after which a destination accepted a message. Its letters are kept, and are no reason for
    /// another incident.
    settled: BTreeMap<String, Timestamp>,
}

impl DeliveryWatch {
    /// Goes on with an incident that was open before a restart. Returns whether it is one of these.
    pub(super) fn resume(&mut self, opened: &TransitionRecord) -> bool {
        let Some(destination) = opened.incident.slo_id.strip_prefix(PREFIX) else { return false };
        self.open.insert(destination.to_owned(), opened.clone());
        true
    }

    /// Returns the destinations that may have accepted a message after a refusal, and the instant from which on that counts.
    pub(super) fn unsettled<'l>(&'l self, dead: &'l [DeadLetter]) -> BTreeMap<&'l str, Timestamp> {
        let open = self.open.iter().map(|(destination, last)| (destination.as_str(), last.at));
        let mut since: BTreeMap<&str, Timestamp> = open.collect();
        for letter in dead {
            let is_settled = self.settled.get(&letter.destination) >= Some(&letter.refused_at);
            if !is_settled {
                let known = since.entry(&letter.destination).or_insert(letter.refused_at);
                *known = (*known).max(letter.refused_at + Timestamp::TICK);
            }
        }
        since
    }

    /// Returns the transitions that follow from the dead letters there are, and from those that have just gone.
    pub(super) fn transitions(
        &mut self,
        config: &Config,
        letters: &Letters,
        now: Timestamp,
    ) -> Vec<TransitionRecord> {
        let refused = by_destination(&letters.dead);
        let mut news = self.ended(config, letters, now);
        for (destination, given_up) in by_destination(&letters.discarded) {
            count_expired(destination, given_up.len());
            if !refused.contains_key(destination)
                && let Some(last) = self.open.remove(destination)
            {
                news.push(settled(&last, &given_up, now.max(last.at + Timestamp::TICK)));
            }
        }
        self.settled.retain(|destination, _| refused.contains_key(destination.as_str()));
        for (destination, refused) in refused {
            let newest = refused.iter().map(|letter| letter.refused_at).max();
            if letters.accepting.contains(destination) {
                self.settled.extend(newest.map(|at| (destination.to_owned(), at)));
            }
            let is_settled = self.settled.get(destination).copied() >= newest;
            let letters = refused;
            if !is_settled && !self.open.contains_key(destination) {
                let opened = own_fault::opened(config, about(destination, &letters), Some(destination), now);
                self.open.insert(destination.to_owned(), opened.clone());
                news.push(opened);
            }
        }
        for (destination, letters) in by_destination(&letters.expired) {
            report_expired(destination, &letters);
            let fault = expired(destination, is_configured(config, destination), &letters);
            let told = match self.open.get(destination) {
                Some(last) => own_fault::escalated(last, fault, now.max(last.at + Timestamp::TICK)),
                None => {
                    let about = About { fault, ..about(destination, &letters) };
                    own_fault::opened(config, about, Some(destination), now)
                }
            };
            self.open.insert(destination.to_owned(), told.clone());
            news.push(told);
        }
        news
    }

    /// Ends incidents of destinations that accept messages again or have left the configuration. Without a dead letter
    /// alone nothing is known: it may wait for another try, or have expired.
    fn ended(&mut self, config: &Config, letters: &Letters, now: Timestamp) -> Vec<TransitionRecord> {
        let mut ends = Vec::new();
        self.open.retain(|destination, last| {
            let configured = is_configured(config, destination);
            let title = if letters.accepting.contains(destination) {
                format!("{destination} takes messages again")
            } else {
                format!("{destination} is no destination any more")
            };
            let over = !configured || letters.accepting.contains(destination);
            let goes_on = !over || now <= last.at;
            if !goes_on {
                ends.push(own_fault::mended(last, &title, now));
            }
            goes_on
        });
        ends
    }
}

fn is_configured(config: &Config, destination: &str) -> bool {
    config.destinations.iter().any(|one| one.name == destination)
}

fn by_destination(letters: &[DeadLetter]) -> BTreeMap<&str, Vec<&DeadLetter>> {
    let mut sorted: BTreeMap<&str, Vec<&DeadLetter>> = BTreeMap::new();
    for letter in letters {
        sorted.entry(&letter.destination).or_default().push(letter);
    }
    sorted
}

/// Logs and counts dead letters that expired.
fn report_expired(destination: &str, letters: &[&DeadLetter]) {
    tracing::error!(
        destination.name = destination,
        messages = letters.len(),
        incident.id = letters.first().map(|letter| letter.incident_id.as_str()).unwrap_or_default(),
        "messages that were refused or waited have expired and are not tried again; this is the oldest incident of them"
    );
    count_expired(destination, letters.len());
}

fn count_expired(destination: &str, messages: usize) {
    metrics::counter!(names::DELIVERIES, "destination" => destination.to_owned(), "outcome" => "expired")
        .increment(messages as u64);
}

/// Ends an incident about a destination whose dead letters a person gave up.
fn settled(last: &TransitionRecord, given_up: &[&DeadLetter], now: Timestamp) -> TransitionRecord {
    let messages = if given_up.len() == 1 {
        "1 message is".to_owned()
    } else {
        format!("{} messages are", given_up.len())
    };
    let mut end = own_fault::mended(last, &format!("{messages} given up"), now);
    if let Some(fault) = &mut end.notice.own_fault {
        fault.text = format!("Nobody heard of {} there: {}.", slos(given_up), reason(given_up));
    }
    end
}

fn expired(destination: &str, configured: bool, letters: &[&DeadLetter]) -> OwnFault {
    let count = letters.len();
    let messages = if count == 1 { "1 message has".to_owned() } else { format!("{count} messages have") };
    let title = if configured {
        format!("{messages} expired that {destination} refused")
    } else {
        format!("{messages} expired: {destination} is no destination any more")
    };
    OwnFault {
        title,
        text: format!(
            "Nobody heard of {} there, and it is not tried again: {}.",
            slos(letters),
            reason(letters)
        ),
    }
}

fn reason(letters: &[&DeadLetter]) -> String {
    letters.last().map(|letter| letter.error.clone()).unwrap_or_default()
}

/// Returns the names of the first SLOs.
fn slos(letters: &[&DeadLetter]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for letter in letters {
        if !names.contains(&letter.slo_id.as_str()) {
            names.push(&letter.slo_id);
        }
        if names.len() == NAMED {
            break;
        }
    }
    names.join(", ")
}

fn about(destination: &str, letters: &[&DeadLetter]) -> About {
    About {
        slo_id: format!("{PREFIX}{destination}"),
        name: format!("delivery {destination}"),
        alert: ALERT,
        fault: OwnFault {
            title: format!("{destination} refuses messages"),
            text: format!("It refused messages about {}: {}.", slos(letters), reason(letters)),
        },
        description: "Correct its settings or its secret, and they are tried again. `lookout deliver retry` tries at once, `lookout deliver discard` gives them up.".to_owned(),
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
            refused_at: Timestamp::from_millis(1),
            error: "slack answered 401".to_owned(),
        }
    }

    fn dead(destination: &str) -> Letters {
        Letters { dead: vec![letter(destination)], ..Letters::default() }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn headline(transition: &TransitionRecord) -> String {
        lookout_deliver::Message::of(&transition.notice).headline
    }

    #[test]
    fn the_others_hear_once_of_a_destination_that_refuses_and_of_its_end() {
        let mut config = config_of_urls(&["http://api.test/".parse().unwrap()], &UrlOptions::default());
        config.destinations = ["chat", "pager"].map(destination).to_vec();
        let mut watch = DeliveryWatch::default();
        assert_eq!(watch.transitions(&config, &Letters::default(), at(1)), []);
        let opened = watch.transitions(&config, &dead("chat"), at(2));
        assert_eq!((opened.len(), opened[0].destinations.as_slice()), (1, ["pager".to_owned()].as_slice()));
        assert_eq!(headline(&opened[0]), "[PAGE] lookout delivery chat: chat refuses messages");
        assert_eq!(watch.transitions(&config, &dead("chat"), at(3)), [], "once is enough");
        let mut restarted = DeliveryWatch::default();
        assert!(restarted.resume(&opened[0]));
        assert_eq!(restarted.unsettled(&[]), BTreeMap::from([("chat", at(2))]));
        let waits = Letters::default();
        assert_eq!(restarted.transitions(&config, &waits, at(4)), [], "nothing was accepted yet");
        let accepting = Letters { accepting: BTreeSet::from(["chat".to_owned()]), ..Letters::default() };
        let resolved = restarted.transitions(&config, &accepting, at(5));
        assert_eq!(resolved[0].incident.resolved_at, Some(at(5)));
        assert_eq!(resolved[0].destinations, ["pager"]);
        assert_eq!(headline(&resolved[0]), "[RESOLVED] lookout delivery chat: chat takes messages again");
    }

    #[test]
    fn one_message_that_is_refused_hides_no_later_refusal() {
        let mut config = config_of_urls(&["http://api.test/".parse().unwrap()], &UrlOptions::default());
        config.destinations = ["chat", "pager"].map(destination).to_vec();
        let mut watch = DeliveryWatch::default();
        let refused = |times: &[i64]| -> Vec<DeadLetter> {
            times.iter().map(|time| DeadLetter { refused_at: at(*time), ..letter("chat") }).collect()
        };
        let accepting = BTreeSet::from(["chat".to_owned()]);
        // twice: a message is refused, all others are accepted, and the letter stays for days
        for (round, letters) in [(100, vec![100]), (200, vec![100, 200])] {
            let dead = refused(&letters);
            assert_eq!(watch.unsettled(&dead), BTreeMap::from([("chat", at(round + 1))]));
            let letters = |accepting: &BTreeSet<String>| Letters {
                dead: dead.clone(),
                accepting: accepting.clone(),
                ..Letters::default()
            };
            let opened = watch.transitions(&config, &letters(&BTreeSet::new()), at(round + 2));
            assert_eq!(headline(&opened[0]), "[PAGE] lookout delivery chat: chat refuses messages");
            let ended = watch.transitions(&config, &letters(&accepting), at(round + 5));
            assert_eq!(headline(&ended[0]), "[RESOLVED] lookout delivery chat: chat takes messages again");
            assert_eq!(watch.unsettled(&dead), BTreeMap::new(), "nothing is asked any more");
            assert_eq!(watch.transitions(&config, &letters(&BTreeSet::new()), at(round + 6)), []);
        }
        // a restart asks the ledger once, and tells nothing again
        let mut restarted = DeliveryWatch::default();
        let dead = refused(&[100, 200]);
        assert_eq!(restarted.unsettled(&dead), BTreeMap::from([("chat", at(201))]));
        let letters = Letters { dead, accepting, ..Letters::default() };
        assert_eq!(restarted.transitions(&config, &letters, at(300)), []);
    }

    #[test]
    fn the_incident_ends_when_the_last_dead_letter_is_given_up() {
        let mut config = config_of_urls(&["http://api.test/".parse().unwrap()], &UrlOptions::default());
        config.destinations = ["chat", "pager"].map(destination).to_vec();
        let mut watch = DeliveryWatch::default();
        let given_up = |kept: usize| Letters {
            dead: vec![letter("chat"); kept],
            discarded: vec![DeadLetter {
                error: "given up by ada: chat answered 401".to_owned(),
                ..letter("chat")
            }],
            ..Letters::default()
        };
        for round in [10, 20] {
            assert_eq!(watch.transitions(&config, &dead("chat"), at(round)).len(), 1);
            assert_eq!(watch.transitions(&config, &given_up(1), at(round + 1)), [], "another one is left");
            let ended = watch.transitions(&config, &given_up(0), at(round + 2));
            assert_eq!(headline(&ended[0]), "[RESOLVED] lookout delivery chat: 1 message is given up");
            let text = &ended[0].notice.own_fault.as_ref().unwrap().text;
            assert_eq!(text, "Nobody heard of api-availability there: given up by ada: chat answered 401.");
            assert_eq!(watch.transitions(&config, &Letters::default(), at(round + 3)), [], "once");
        }
    }

    #[test]
    fn what_a_former_destination_did_not_take_is_told_as_expired() {
        let mut config = config_of_urls(&["http://api.test/".parse().unwrap()], &UrlOptions::default());
        config.destinations = vec![destination("pager")];
        let mut watch = DeliveryWatch::default();
        let expired = Letters { expired: vec![letter("chat"); 2], ..Letters::default() };
        let told = watch.transitions(&config, &expired, at(5));
        let expected =
            "[PAGE] lookout delivery chat: 2 messages have expired: chat is no destination any more";
        assert_eq!((told.len(), headline(&told[0]).as_str()), (1, expected));
        let ended = watch.transitions(&config, &Letters::default(), at(6));
        assert_eq!(headline(&ended[0]), "[RESOLVED] lookout delivery chat: chat is no destination any more");
        assert_eq!(watch.transitions(&config, &Letters::default(), at(7)), [], "once");
    }

    #[test]
    fn an_expired_message_is_told_as_one_and_never_as_resolved() {
        let mut config = config_of_urls(&["http://api.test/".parse().unwrap()], &UrlOptions::default());
        config.destinations = ["chat", "pager"].map(destination).to_vec();
        let mut watch = DeliveryWatch::default();
        watch.transitions(&config, &dead("chat"), at(2));
        // twice: the second one begins with an incident that goes on
        for (now, count, told) in [(10, 1, "1 message has"), (20, 2, "2 messages have")] {
            let expired = Letters { expired: vec![letter("chat"); count], ..Letters::default() };
            let news = watch.transitions(&config, &expired, at(now));
            assert_eq!((news.len(), news[0].incident.resolved_at), (1, None));
            let expected = format!("[PAGE] lookout delivery chat: {told} expired that chat refused");
            assert_eq!((headline(&news[0]), news[0].at), (expected, at(now)));
            assert_eq!(watch.transitions(&config, &Letters::default(), at(now + 1)), [], "not resolved");
        }
        assert_eq!(watch.unsettled(&[]), BTreeMap::from([("chat", at(20))]));
        config.destinations.remove(0);
        let gone = watch.transitions(&config, &Letters::default(), at(30));
        assert_eq!(headline(&gone[0]), "[RESOLVED] lookout delivery chat: chat is no destination any more");
    }
}
