//! Days of a pair of Alertmanagers, with one thing wrong in each.

use serde_json::json;

use super::alertmanager::Instance;
use super::tests::{incident, recorded};
use super::told::Sent;
use super::*;
use crate::delivery::wire::{Event, Posted};

/// The starts of the incidents. Each ends ten seconds later.
const STARTS: [i64; 2] = [10_000, 60_000];
const LASTS: i64 = 10_000;

/// Accepted posts and notifications of both instances.
#[derive(Clone)]
struct Day {
    sent: Vec<Sent>,
    accepted: [Vec<Event>; 2],
    told: [Vec<ReceivedMessage>; 2],
}

fn sent(id: &str, change: &str, at_ms: i64) -> Sent {
    Sent {
        incident: id.to_owned(),
        service: "svc-1".to_owned(),
        slo: "slo-1".to_owned(),
        change: change.to_owned(),
        at_ms,
        thread: None,
        ended_at_ms: Some(at_ms + 100),
    }
}

fn accepted(starts_ms: i64, fires: bool, at_ms: i64) -> Event {
    let ends_ms = if fires { at_ms + 240_000 } else { at_ms - 2_000 };
    let alert = ("svc-1".to_owned(), "slo-1".to_owned(), "page".to_owned());
    Event::Accepted(Posted { alert, starts_ms, ends_ms, sent_ms: at_ms, at_ms })
}

fn told(starts_ms: i64, fires: bool, at_ms: i64) -> ReceivedMessage {
    let start = jiff::Timestamp::from_millisecond(starts_ms).unwrap().to_string();
    let labels = json!({ "alertname": "A", "service": "svc-1", "slo": "slo-1", "severity": "page" });
    let status = if fires { "firing" } else { "resolved" };
    let body = json!({ "alerts": [{ "status": status, "labels": labels, "startsAt": start }] });
    ReceivedMessage { path: "/1".to_owned(), body, ts: None, at_ms }
}

impl Day {
    /// Returns a day on which nothing went wrong.
    fn good() -> Self {
        let states = STARTS.map(|start| [(start, true, start + 50), (start, false, start + LASTS + 50)]);
        let states = states.as_flattened();
        let accepted: Vec<Event> =
            states.iter().map(|(start, fires, at_ms)| accepted(*start, *fires, *at_ms)).collect();
        let told = states.iter().map(|(start, fires, at_ms)| told(*start, *fires, at_ms + 50)).collect();
        let sent = ["inc-1", "inc-2"]
            .iter()
            .zip(STARTS)
            .flat_map(|(id, start)| [sent(id, "opened", start), sent(id, "resolved", start + LASTS)]);
        Self { sent: sent.collect(), accepted: [accepted.clone(), accepted], told: [told, Vec::new()] }
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Returns what does not hold.
    fn broken(&self) -> Vec<String> {
        self.findings().into_iter().filter(|one| !one.holds).map(|one| one.what).collect()
    }

    fn findings(&self) -> Vec<Finding> {
        let mut recorded = recorded(vec![incident("inc-1", STARTS[0]), incident("inc-2", STARTS[1])]);
        recorded.posted.clone_from(&self.sent);
        let pair = [0, 1].map(|number| Instance {
            events: self.accepted[number].clone(),
            told: self.told[number].clone(),
        });
        alertmanagers(&recorded, &pair)
    }

    #[track_caller]
    fn is_broken_by(&self, expected: &str) {
        let broken = self.broken();
        assert!(matches!(broken.as_slice(), [one] if one.contains(expected)), "{broken:?}");
    }

    /// Checks that nothing is broken and one finding says this.
    #[track_caller]
    fn holds_and_says(&self, expected: &str) {
        let findings = self.findings();
        assert_eq!(self.broken(), [""; 0]);
        assert!(
            findings.iter().any(|one| one.what.contains(expected)),
            "{:?}",
            findings.last().map(|one| &one.what)
        );
    }
}

#[test]
fn each_transition_counts_where_it_is_accepted_and_where_it_is_told() {
    assert_eq!(Day::good().broken(), [""; 0]);
    for position in 0..4 {
        Day::good()
            .with(|day| drop(day.told[0].remove(position)))
            .is_broken_by("1 of 4 transitions never told");
        let lost = Day::good().with(|day| {
            day.accepted.iter_mut().for_each(|events| drop(events.remove(position)));
            day.told[0].remove(position);
        });
        let broken = lost.broken();
        assert!(
            broken.iter().any(|one| one.contains("1 of 4 transitions were never accepted")),
            "{broken:?}"
        );
        // one instance is enough for each
        Day::good()
            .with(|day| drop(day.accepted[1].remove(position)))
            .holds_and_says("0 of 4 transitions never told");
    }
}

#[test]
fn an_end_gives_way_to_a_newer_incident_that_fires_only() {
    let gives_way = |accepted_at: i64| {
        Day::good().with(|day| {
            // the second incident opens before the end of the first is delivered
            day.sent[1].ended_at_ms = Some(STARTS[1] + 200);
            for events in &mut day.accepted {
                events.remove(1);
                events[1] = accepted(STARTS[1], true, accepted_at);
            }
            day.told[0][1] = told(STARTS[0], false, STARTS[0] + LASTS + 100);
            day.told[0][2] = told(STARTS[1], true, accepted_at + 50);
        })
    };
    let says = |day: &Day, expected: &str| day.findings().iter().any(|one| one.what.contains(expected));
    let day = gives_way(STARTS[1] + 200);
    assert!(says(&day, "0 of 4 transitions were never accepted None; 1 ends give way"), "{:?}", day.broken());
    let day = gives_way(STARTS[1] + 201);
    assert!(says(&day, "1 of 4 transitions were never accepted"), "{:?}", day.broken());
}

#[test]
fn a_post_that_fires_what_is_over_is_found_unless_it_reopened() {
    let over = STARTS[0] + LASTS;
    let again = Day::good().with(|day| {
        let events = [accepted(STARTS[0], true, over + 9_000), accepted(STARTS[0], false, over + 19_000)];
        day.accepted[1].splice(2..2, events);
    });
    again.is_broken_by("1 ended incidents were posted as firing again");
    let reopened = again.with(|day| {
        let sent = [sent("inc-1", "reopened", over + 8_000), sent("inc-1", "resolved", over + 18_000)];
        day.sent.splice(2..2, sent);
        let told = [told(STARTS[0], true, over + 9_100), told(STARTS[0], false, over + 19_100)];
        day.told[0].splice(2..2, told);
    });
    assert_eq!(reopened.broken(), [""; 0]);
    let newer =
        Day::good().with(|day| day.accepted[0].push(accepted(STARTS[0], false, STARTS[1] + LASTS + 60)));
    assert_eq!(newer.broken(), [""; 0], "the newer one is over, too");
    let newer = Day::good().with(|day| {
        day.accepted[0].splice(3..3, [accepted(STARTS[0], false, STARTS[1] + LASTS)]);
    });
    newer.is_broken_by("1 ends were posted over a newer incident");
    // an older post that was under way: the newer one is repeated as soon as it is answered
    let overtaken = |repeated_at: i64| {
        Day::good().with(|day| {
            let end = accepted(STARTS[0], false, STARTS[1] + 60);
            day.accepted[0].splice(3..3, [end, accepted(STARTS[1], true, repeated_at)]);
        })
    };
    overtaken(STARTS[1] + 1_060).holds_and_says("1 posts in the wrong order were put right");
    overtaken(STARTS[1] + 1_061).is_broken_by("1 ends were posted over a newer incident");
    let overtaken = |repeated_at: i64| {
        Day::good().with(|day| {
            let fires = accepted(STARTS[0], true, over + 60);
            day.accepted[0].splice(2..2, [fires, accepted(STARTS[0], false, repeated_at)]);
        })
    };
    overtaken(over + 1_060).holds_and_says("1 posts in the wrong order were put right");
    overtaken(over + 1_061).is_broken_by("1 ended incidents were posted as firing again");
}

/// An instance looks within a second, waits for its peers for three more, and has half a second to tell.
#[test]
fn an_instance_that_is_killed_before_it_looks_tells_nothing() {
    let end = STARTS[0] + LASTS + 50;
    let killed = |at_ms: i64| {
        Day::good().with(|day| {
            day.told[0].remove(1);
            for events in &mut day.accepted {
                events.insert(2, Event::Killed { at_ms });
            }
        })
    };
    let says = |day: &Day, expected: &str| day.findings().iter().any(|one| one.what.contains(expected));
    assert!(says(&killed(end + 4_500), "killed first 1"), "{:?}", killed(end + 4_500).broken());
    assert!(says(&killed(end + 4_501), "1 of 4 transitions never told"));
    let one = killed(end + 100).with(|day| drop(day.accepted[1].remove(2)));
    assert!(says(&one, "1 of 4 transitions never told"), "the other one lived");
    let hung = killed(end + 4_600).with(|day| {
        for events in &mut day.accepted {
            events.push(Event::Hung { from_ms: end + 1_000, until_ms: end + 1_100 });
        }
    });
    assert!(says(&hung, "killed first 1"), "{:?}", hung.broken());
}

#[test]
fn an_end_and_the_next_start_within_a_flush_are_one_state() {
    let joined = |pause_ms: i64| {
        Day::good().with(|day| {
            // the end of the first is accepted late
            let late = STARTS[1] + 50 - pause_ms;
            for events in &mut day.accepted {
                events[1] = accepted(STARTS[0], false, late);
            }
            day.sent[1].ended_at_ms = Some(late);
            day.told[0].drain(1..3);
        })
    };
    let says = |day: &Day, expected: &str| day.findings().iter().any(|one| one.what.contains(expected));
    let day = joined(4_500);
    assert!(says(&day, "0 of 4 transitions never told"), "{:?}", day.broken());
    assert!(says(&day, "the next one came within a flush 2"), "{:?}", day.broken());
    day.is_broken_by("a tenth at most");
    assert!(says(&joined(4_501), "2 of 4 transitions never told"));
}

#[test]
fn an_end_that_an_instance_did_not_accept_is_not_the_next_one() {
    let over = STARTS[0] + LASTS;
    // it reopens at once: one instance accepts that, the other one the last state only
    let day = Day::good().with(|day| {
        let sent = [sent("inc-1", "reopened", over + 100), sent("inc-1", "resolved", over + 20_000)];
        day.sent.splice(2..2, sent);
        let again = [accepted(STARTS[0], true, over + 150), accepted(STARTS[0], false, over + 20_050)];
        day.accepted[0].splice(2..2, again.clone());
        day.accepted[1].splice(1..2, again);
        day.told[0][1] = told(STARTS[0], false, over + 20_100);
    });
    let findings = day.findings();
    let found = |what: &str| findings.iter().any(|one| one.what.contains(what));
    assert!(found("0 of 6 transitions never told"), "{:?}", day.broken());
    assert!(found("the next one came within a flush 2"), "{:?}", day.broken());
}

#[test]
fn an_incident_that_fires_again_is_found_unless_the_notification_began_before() {
    let end = STARTS[0] + LASTS + 50;
    // the second instance hung and accepted the end two seconds after the first one
    let late = |at_ms: i64| {
        Day::good().with(|day| {
            day.accepted[1][1] = accepted(STARTS[0], false, end + 2_000);
            day.told[1] = vec![told(STARTS[0], true, at_ms), told(STARTS[0], false, at_ms + 1_000)];
        })
    };
    late(end + 5_499).holds_and_says("1 notifications had begun before");
    late(end + 5_500).is_broken_by("1 incidents fired again after their end");
    // it heard of the incident shortly before its end
    let short = Day::good().with(|day| {
        day.accepted[1][0] = accepted(STARTS[0], true, end - 1_000);
        day.told[1] = vec![told(STARTS[0], true, end + 900), told(STARTS[0], false, end + 1_900)];
    });
    short.holds_and_says("1 notifications had begun before");
    let never = Day::good().with(|day| {
        day.accepted[1].remove(1);
        day.told[1] = vec![told(STARTS[0], true, end + 9_000), told(STARTS[0], false, end + 9_500)];
    });
    never.is_broken_by("1 incidents fired again after their end");
    let hung = Event::Hung { from_ms: end - 10, until_ms: end + 9_000 };
    never.with(|day| day.accepted[1].insert(1, hung)).holds_and_says("1 notifications had begun before");
    // it was away for three seconds: the agent tries it again within as many and two, and a flush may be under way
    let away = |what: [Event; 2], at_ms: i64| {
        Day::good().with(|day| {
            day.accepted[1].splice(1..2, what.clone());
            day.told[1] = vec![told(STARTS[0], true, at_ms), told(STARTS[0], false, at_ms + 500)];
        })
    };
    let hung = || {
        let hung = Event::Hung { from_ms: end - 10, until_ms: end + 2_990 };
        [hung, accepted(STARTS[0], false, end + 20_000)]
    };
    let bound = end + 2_990 + 3_000 + 2_000 + 500 + 3_500;
    away(hung(), bound).holds_and_says("the latest came 11990 ms after it");
    away(hung(), bound + 1).is_broken_by("1 incidents fired again after their end");
}

#[test]
fn an_alert_of_no_incident_is_found() {
    Day::good()
        .with(|day| day.told[0].push(told(7, true, 90_000)))
        .is_broken_by("1 notifications without an incident");
    let early = told(STARTS[1] - 2_000, false, STARTS[1] + LASTS + 200);
    let earlier = told(STARTS[1] - 2_001, false, STARTS[1] + LASTS + 200);
    assert_eq!(Day::good().with(|day| day.told[0].push(early)).broken(), [""; 0], "the end of a short one");
    Day::good().with(|day| day.told[0].push(earlier)).is_broken_by("1 notifications without an incident");
    let post = accepted(7, true, 90_000);
    Day::good()
        .with(|day| day.accepted[0].push(post))
        .is_broken_by("1 alerts were posted without an incident");
}
