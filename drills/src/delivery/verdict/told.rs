//! The transitions that Slack's messages tell. The ledger names the message of each delivery and the end of its attempt;
//! with one message at a time, only that attempt's message can have told it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::slack::footer;
use super::text;
use crate::delivery::recorder::ReceivedMessage;

/// A transition for Slack, as the ledger has it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Sent {
    pub(crate) incident: String,
    pub(crate) service: String,
    pub(crate) slo: String,
    pub(crate) change: String,
    pub(crate) at_ms: i64,
    /// The message, as `channel:ts`.
    pub(crate) thread: Option<String>,
    pub(crate) ended_at_ms: Option<i64>,
}

/// SLO and whether it is over: as much as a line of a list names.
type Line = (String, bool);

impl Sent {
    fn line(&self) -> Line {
        (format!("{} {}", self.service, self.slo), self.change == "resolved")
    }

    /// Returns the message and the end of the attempt, which all transitions of one message share.
    fn attempt(&self) -> Option<(i64, &str)> {
        Some((self.ended_at_ms?, self.thread.as_deref()?.rsplit_once(':')?.1))
    }
}

/// Returns the transitions that no message of their attempt tells.
pub(super) fn lost<'a>(sent: &'a [Sent], taken: &[ReceivedMessage]) -> Vec<&'a Sent> {
    let mut attempts: BTreeMap<(i64, &str), Vec<&Sent>> = BTreeMap::new();
    let mut lost = Vec::new();
    for one in sent {
        match one.attempt() {
            Some(attempt) => attempts.entry(attempt).or_default().push(one),
            None => lost.push(one),
        }
    }
    let mut since = i64::MIN;
    for ((ended, thread), transitions) in attempts {
        let newest = transitions.iter().map(|one| one.at_ms).max().unwrap_or(since);
        let in_time = since.max(newest)..=ended;
        let messages = taken.iter().filter(|one| is_in_thread(one, thread) && in_time.contains(&one.at_ms));
        let told: BTreeSet<usize> = messages.flat_map(|message| told(message, &transitions)).collect();
        let untold = transitions.iter().enumerate().filter(|(index, _)| !told.contains(index));
        lost.extend(untold.map(|(_, one)| *one));
        since = ended;
    }
    lost
}

fn is_in_thread(message: &ReceivedMessage, thread: &str) -> bool {
    message.ts.as_deref() == Some(thread) || text(&message.body, "thread_ts") == thread
}

/// Returns the positions of the transitions that a message tells.
fn told(message: &ReceivedMessage, transitions: &[&Sent]) -> BTreeSet<usize> {
    let list = list(&message.body);
    if list.is_empty() {
        let (id, over) = (footer(&message.body), text(&message.body, "text").starts_with("[RESOLVED]"));
        let named = |one: &Sent| id.ends_with(&format!(" · {}", one.incident)) && one.line().1 == over;
        return transitions
            .iter()
            .enumerate()
            .filter(|(_, one)| named(one))
            .map(|(index, _)| index)
            .collect();
    }
    let (mut lines, mut unlisted) = (BTreeMap::<Line, usize>::new(), 0);
    for line in list {
        match named(line) {
            Some(line) => *lines.entry(line).or_default() += 1,
            None => unlisted += more(line),
        }
    }
    // the page of all incidents, which a message that leaves some out links, lists them
    let mut counted = if links_all(&message.body) { services(&message.body) } else { BTreeMap::new() };
    let mut told = BTreeSet::new();
    for (index, one) in transitions.iter().enumerate() {
        let count = counted.get_mut(&one.service).filter(|count| **count > 0);
        match (lines.get_mut(&one.line()).filter(|left| **left > 0), count) {
            (Some(left), count) => {
                *left -= 1;
                count.into_iter().for_each(|count| *count -= 1);
            }
            (None, Some(count)) if unlisted > 0 => {
                *count -= 1;
                unlisted -= 1;
            }
            _ => continue,
        }
        told.insert(index);
    }
    told
}

fn blocks(body: &Value) -> impl Iterator<Item = &Value> {
    body.pointer("/attachments/0/blocks").and_then(Value::as_array).into_iter().flatten()
}

/// Returns the lines of the list, without their bullets.
fn list(body: &Value) -> Vec<&str> {
    let sections = blocks(body).filter_map(|block| block.pointer("/text/text").and_then(Value::as_str));
    sections.flat_map(str::lines).filter_map(|line| line.strip_prefix("• ")).collect()
}

/// Reads `[TAG] service slo: state`.
fn named(line: &str) -> Option<Line> {
    let (tag, rest) = line.strip_prefix('[')?.split_once("] ")?;
    Some((rest.split_once(':')?.0.to_owned(), tag == "RESOLVED"))
}

/// Reads `and 12 more`.
fn more(line: &str) -> usize {
    let number = line.strip_prefix("and ").and_then(|line| line.strip_suffix(" more"));
    number.and_then(|number| number.replace(',', "").parse().ok()).unwrap_or(0)
}

fn links_all(body: &Value) -> bool {
    let elements = blocks(body).filter_map(|block| block.get("elements")?.as_array()).flatten();
    elements.into_iter().any(|button| text(button, "url").ends_with("/incidents"))
}

/// Returns the number of incidents that a message counts for each service.
fn services(body: &Value) -> BTreeMap<String, usize> {
    let fields = blocks(body).filter_map(|block| block.get("fields")?.as_array()).flatten();
    let named = fields.into_iter().find_map(|field| text(field, "text").strip_prefix("*Services*\n"));
    if let Some(named) = named {
        let pairs = named.split(", ").filter_map(|one| one.rsplit_once(' '));
        return pairs.filter_map(|(name, count)| Some((name.to_owned(), count.parse().ok()?))).collect();
    }
    // `[PAGE] service: …`, and `12 incidents · inc-…`
    let service = text(body, "text").split_once("] ").and_then(|(_, rest)| rest.split_once(':'));
    let count = footer(body).split_once(' ').and_then(|(count, _)| count.replace(',', "").parse().ok());
    service.zip(count).map(|((service, _), count)| (service.to_owned(), count)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FIRST: &str = "17.000000";

    fn sent(incident: &str, slo: usize, change: &str, (at_ms, ended_at_ms): (i64, i64)) -> Sent {
        Sent {
            incident: incident.to_owned(),
            service: "svc-1".to_owned(),
            slo: format!("slo-{slo}"),
            change: change.to_owned(),
            at_ms,
            thread: Some(format!("C1:{FIRST}")),
            ended_at_ms: Some(ended_at_ms),
        }
    }

    fn message(at_ms: i64, head: &str, lines: &[String], footer: &str) -> ReceivedMessage {
        let list: Vec<String> = lines.iter().map(|line| format!("• {line}")).collect();
        let blocks = json!([
            { "type": "section", "text": { "text": list.join("\n") } },
            { "type": "actions", "elements": [{ "url": "http://lookout/incidents" }] },
            { "type": "context", "elements": [{ "text": footer }] },
        ]);
        let body = json!({ "text": head, "attachments": [{ "blocks": blocks }] });
        ReceivedMessage { path: "/api/chat.update".to_owned(), body, ts: Some(FIRST.to_owned()), at_ms }
    }

    fn line(tag: &str, slo: usize) -> String {
        format!("[{tag}] svc-1 slo-{slo}: burning 10× budget")
    }

    fn ids(lost: &[&Sent]) -> Vec<String> {
        lost.iter().map(|one| format!("{} {}", one.incident, one.change)).collect()
    }

    #[test]
    fn a_message_about_an_earlier_incident_of_the_slo_excuses_nothing() {
        let sent = [
            sent("inc-1", 1, "opened", (10, 20)),
            sent("inc-1", 1, "resolved", (30, 40)),
            sent("inc-2", 1, "opened", (50, 60)),
            sent("inc-2", 1, "resolved", (70, 80)),
        ];
        let told = |at, tag: &str, id: &str| {
            message(at, &format!("[{tag}] svc-1 slo-1: x"), &[], &format!("A · {id}"))
        };
        let whole = [
            told(15, "PAGE", "inc-1"),
            told(35, "RESOLVED", "inc-1"),
            told(55, "PAGE", "inc-2"),
            told(75, "RESOLVED", "inc-2"),
        ];
        assert_eq!(ids(&lost(&sent, &whole)), [""; 0]);
        for (removed, one) in sent.iter().enumerate() {
            let mut taken = whole.to_vec();
            taken.remove(removed);
            assert_eq!(ids(&lost(&sent, &taken)), ids(&[one]));
        }
        let waits = Sent { ended_at_ms: None, ..sent[0].clone() };
        assert_eq!(ids(&lost(&[waits], &whole)), ["inc-1 opened"]);
    }

    #[test]
    fn a_group_counts_for_what_it_lists() {
        let both = [sent("inc-1", 1, "opened", (10, 20)), sent("inc-2", 2, "resolved", (10, 20))];
        let of = |lines: &[String]| {
            message(15, "[PAGE] svc-1: 1 of 2 incidents open", lines, "2 incidents · inc-1")
        };
        assert_eq!(ids(&lost(&both, &[of(&[line("PAGE", 1), line("RESOLVED", 2)])])), [""; 0]);
        assert_eq!(ids(&lost(&both, &[of(&[line("PAGE", 1)])])), ["inc-2 resolved"]);
        assert_eq!(ids(&lost(&both, &[of(&[line("PAGE", 1), line("PAGE", 2)])])), ["inc-2 resolved"]);
        let again = [both[0].clone(), sent("inc-3", 1, "opened", (12, 20))];
        assert_eq!(
            ids(&lost(&again, &[of(&[line("PAGE", 1)])])),
            ["inc-3 opened"],
            "two incidents, one line"
        );
    }

    #[test]
    fn a_long_list_counts_for_as_many_as_it_says() {
        let all: Vec<Sent> =
            (0..25).map(|slo| sent(&format!("inc-{slo}"), slo, "opened", (10, 20))).collect();
        let digest = |more: usize, total: usize| {
            let mut lines: Vec<String> = (0..20).map(|slo| line("PAGE", slo)).collect();
            lines.push(format!("and {more} more"));
            let count = format!("{total} incidents");
            message(15, &format!("[PAGE] svc-1: {count} at once"), &lines, &format!("{count} · inc-0"))
        };
        assert_eq!(ids(&lost(&all, &[digest(5, 25)])), [""; 0]);
        assert_eq!(ids(&lost(&all, &[digest(4, 25)])), ["inc-24 opened"]);
        assert_eq!(ids(&lost(&all, &[digest(5, 24)])), ["inc-24 opened"]);
        let mut other = all.clone();
        other[24].service = "svc-2".to_owned();
        assert_eq!(ids(&lost(&other, &[digest(5, 25)])), ["inc-24 opened"], "its service is not named");
    }
}
