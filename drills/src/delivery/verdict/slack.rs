//! The messages of Slack: every transition is told, and what is repeated after a crash is marked.

use std::collections::BTreeMap;

use serde_json::Value;

use super::told::lost;
use super::{Finding, Recorded, finding, text};
use crate::delivery::recorder::ReceivedMessage;

/// Bounds of what may be repeated at Slack.
pub(crate) struct Bounds {
    pub(crate) kills: u64,
    /// Messages that were taken without an answer.
    pub(crate) cut: u64,
    /// Requests that were refused for good: what follows a dead letter is repeated after it.
    pub(crate) refused: u64,
    /// Most messages under way at one kill.
    pub(crate) at_once: usize,
}

/// Returns the findings about Slack: every transition is told by the message of its delivery, at most one marked
/// repetition per crash.
pub(crate) fn judge(recorded: &Recorded, taken: &[ReceivedMessage], bounds: &Bounds) -> Vec<Finding> {
    let headline = |message: &ReceivedMessage| text(&message.body, "text").to_owned();
    let lost = lost(&recorded.sent, taken);
    let first = lost.first().map(|one| format!("{} {}", one.incident, one.change));
    let posts: Vec<&ReceivedMessage> =
        taken.iter().filter(|message| message.path == "/api/chat.postMessage").collect();
    let marked = posts.iter().filter(|message| is_marked(message)).count() as u64;
    let unmarked = unmarked_repetitions(&posts, |incident| recorded.reopened(incident));
    let mut last: BTreeMap<&str, String> = BTreeMap::new();
    for message in taken.iter().filter(|message| message.body.get("thread_ts").is_none()) {
        last.insert(message.ts.as_deref().unwrap_or_default(), headline(message));
    }
    let open = last.values().filter(|head| !head.starts_with("[RESOLVED]")).count() as u64;
    let begun_again =
        posts.iter().filter(|one| is_marked(one) && one.body.get("thread_ts").is_none()).count();
    let allowed = bounds.kills + bounds.cut + bounds.refused;
    vec![
        finding(
            lost.is_empty(),
            format!(
                "Slack: {} of {} transitions lost {first:?} ({} messages)",
                lost.len(),
                recorded.sent.len(),
                posts.len()
            ),
        ),
        finding(
            unmarked.is_empty(),
            format!("Slack: {} repetitions without a mark {:?}", unmarked.len(), unmarked.first()),
        ),
        finding(
            marked <= allowed && bounds.at_once <= 1,
            format!(
                "Slack: {marked} marked repetitions after {} crashes, {} cut connections and {} refused requests; at \
                 most {} under way at a crash",
                bounds.kills, bounds.cut, bounds.refused, bounds.at_once
            ),
        ),
        // the id of a first message whose answer was lost is not known: it cannot be edited
        finding(
            open <= begun_again as u64,
            format!(
                "Slack: {open} of {} messages still open, {begun_again} were begun again without their answer",
                last.len()
            ),
        ),
    ]
}

const MARK: &str = " (re-sent)";

fn is_marked(message: &ReceivedMessage) -> bool {
    text(&message.body, "text").contains(MARK)
}

/// Returns the headlines that were repeated without a mark. The end of a thread may be told again after an alarm in it;
/// any other message as often as its incident reopened.
fn unmarked_repetitions(posts: &[&ReceivedMessage], reopened: impl Fn(&str) -> usize) -> Vec<String> {
    let mut over: BTreeMap<&str, bool> = BTreeMap::new();
    let mut times: BTreeMap<(&str, String, String), usize> = BTreeMap::new();
    let mut unmarked = Vec::new();
    for message in posts {
        let (thread, head) = (text(&message.body, "thread_ts"), text(&message.body, "text"));
        let ends = head.starts_with("[RESOLVED]");
        // every first message is a thread of its own
        let was_over = !thread.is_empty() && over.insert(thread, ends).unwrap_or(false);
        let footer = footer(&message.body);
        let copies = times.entry((thread, footer.clone(), head.replace(MARK, ""))).or_default();
        *copies += 1;
        let allowed = 1 + footer.rsplit_once(" · ").map_or(0, |(_, incident)| reopened(incident));
        let again = if ends && !thread.is_empty() { was_over } else { *copies > allowed };
        if again && !is_marked(message) {
            unmarked.push(head.to_owned());
        }
    }
    unmarked
}

/// Returns the last line of a message, which names an incident.
pub(super) fn footer(body: &Value) -> String {
    let blocks = body.pointer("/attachments/0/blocks").and_then(Value::as_array);
    let last = blocks.and_then(|blocks| blocks.last());
    last.and_then(|block| block.pointer("/elements/0/text"))
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn post(thread: Option<&str>, head: &str, incident: &str) -> ReceivedMessage {
        let footer = json!([{ "elements": [{ "text": format!("Alert · {incident}") }] }]);
        let mut body = json!({ "text": head, "attachments": [{ "blocks": footer }] });
        if let Some(thread) = thread {
            body["thread_ts"] = json!(thread);
        }
        ReceivedMessage { path: "/api/chat.postMessage".to_owned(), body, ts: None, at_ms: 0 }
    }

    fn found(posts: &[ReceivedMessage], reopened: usize) -> Vec<String> {
        unmarked_repetitions(&posts.iter().collect::<Vec<_>>(), |_| reopened)
    }

    #[test]
    fn a_repetition_needs_a_mark_or_a_reason() {
        let (page, over) = ("[PAGE] a: burning", "[RESOLVED] a: 2 incidents over");
        let first = post(None, page, "1");
        let end = post(Some("17.1"), over, "1");
        let other_end = post(Some("17.1"), "[RESOLVED] a: 3 incidents over", "2");
        assert_eq!(found(&[first.clone(), end.clone()], 0), [""; 0]);
        assert_eq!(found(&[end.clone(), end.clone()], 0), [over]);
        assert_eq!(found(&[end.clone(), other_end], 0), ["[RESOLVED] a: 3 incidents over"]);
        assert_eq!(
            found(&[end.clone(), post(Some("17.1"), &format!("{over}{MARK}. It lasted 2 min."), "1")], 0),
            [""; 0]
        );
        assert_eq!(found(&[end.clone(), post(Some("17.2"), over, "1")], 0), [""; 0], "another thread");
        let again = post(Some("17.1"), page, "1");
        assert_eq!(found(&[end.clone(), again.clone(), end], 0), [""; 0], "it opened again meanwhile");
        assert_eq!(found(&[again.clone(), again.clone()], 0), [page]);
        assert_eq!(found(&[again.clone(), again], 1), [""; 0]);
        assert_eq!(found(&[first.clone(), first], 0), [page]);
    }
}
