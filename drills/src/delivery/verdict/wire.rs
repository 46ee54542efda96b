//! The posts that the Alertmanagers accepted, held against the ledger. Nothing excuses what is missing here: the agent posts
//! until an instance accepts.

use super::alert_history::AlertHistory;
use super::alertmanager::{Case, Incidents};
use super::{Finding, finding};
use crate::delivery::wire::Posted;

/// Time in which the agent puts right what two posts under way at once did in the wrong order: it repeats the newer one as soon as
/// the older one is answered.
const PUT_RIGHT_MS: i64 = 1_000;

/// Returns the findings about what both instances accepted.
pub(super) fn judge(incidents: &Incidents<'_>) -> Vec<Finding> {
    let (mut lost, mut superseded, mut total) = (Vec::new(), 0_usize, 0_usize);
    let (mut again, mut over, mut put_right) = (Vec::new(), Vec::new(), 0_usize);
    for case in incidents.cases() {
        total += case.changes.len();
        match accepted(&case) {
            Accepted::All => {}
            Accepted::Superseded => superseded += 1,
            Accepted::Lost(change) => lost.push(change),
        }
        for held in case.held {
            for (wrong, found) in
                [(fires_after_its_end(&case, held), &mut again), (ends_a_newer_one(&case, held), &mut over)]
            {
                found.extend((wrong.stays > 0).then(|| case.id().to_owned()));
                put_right += wrong.put_right;
            }
        }
    }
    let unknown = incidents.unknown();
    vec![
        finding(
            lost.is_empty(),
            format!(
                "Alertmanager: {} of {total} transitions were never accepted {:?}; {superseded} ends give way to a newer \
                 incident",
                lost.len(),
                lost.first()
            ),
        ),
        finding(
            again.is_empty(),
            format!(
                "Alertmanager: {} ended incidents were posted as firing again {:?}",
                again.len(),
                again.first()
            ),
        ),
        finding(
            over.is_empty(),
            format!(
                "Alertmanager: {} ends were posted over a newer incident {:?}; {put_right} posts in the wrong order were put right",
                over.len(),
                over.first()
            ),
        ),
        finding(
            unknown.is_empty(),
            format!(
                "Alertmanager: {} alerts were posted without an incident {:?}",
                unknown.len(),
                unknown.first()
            ),
        ),
    ]
}

enum Accepted {
    All,
    /// Its end was never posted: a newer incident of the same alert was firing by then.
    Superseded,
    Lost(String),
}

/// Follows the transitions of an incident through what both instances accepted.
fn accepted(case: &Case<'_>) -> Accepted {
    let mut posts: Vec<_> = case.held.iter().flat_map(|held| &held.posts).collect();
    posts.sort_by_key(|post| post.at_ms);
    let mut since = i64::MIN;
    for change in &case.changes {
        let found = posts.iter().find(|post| {
            post.at_ms >= change.at_ms.max(since) && case.is_about(post) && post.fires() == change.fires
        });
        match found {
            Some(post) => since = post.at_ms,
            None => {
                let newer = posts.iter().any(|post| {
                    post.fires()
                        && post.starts_ms > case.incident.detected_at_ms
                        && post.at_ms <= change.ended_ms
                });
                return match newer && !change.fires {
                    true => Accepted::Superseded,
                    false => Accepted::Lost(format!("{} at {}", case.id(), change.at_ms)),
                };
            }
        }
    }
    Accepted::All
}

/// Posts that an instance accepted in the wrong order.
#[derive(Default)]
struct Wrong {
    stays: usize,
    put_right: usize,
}

impl Wrong {
    /// Counts a post after which one of these, which follow it, was accepted in time or not.
    fn count<'p>(&mut self, post: &Posted, mut right: impl Iterator<Item = &'p Posted>) {
        let is_put_right = right.any(|later| later.at_ms <= post.at_ms + PUT_RIGHT_MS);
        *(if is_put_right { &mut self.put_right } else { &mut self.stays }) += 1;
    }
}

/// Counts how often an instance accepted that the incident fires after it accepted its end, though it did not reopen.
fn fires_after_its_end(case: &Case<'_>, held: &AlertHistory) -> Wrong {
    let (mut is_over, mut again, mut wrong) = (false, 0, Wrong::default());
    for (position, post) in held.posts.iter().enumerate().filter(|(_, post)| case.is_about(post)) {
        if is_over && post.fires() {
            again += 1;
            if again > case.reopened_by(post.at_ms) {
                again -= 1;
                let later = held.posts.iter().skip(position + 1);
                wrong.count(post, later.filter(|later| case.is_about(later) && !later.fires()));
            }
        }
        is_over = !post.fires();
    }
    wrong
}

/// Counts how often an instance accepted the end of the incident while a newer one of the same alert fired there.
fn ends_a_newer_one(case: &Case<'_>, held: &AlertHistory) -> Wrong {
    let mut wrong = Wrong::default();
    for (position, (before, post)) in held.posts.iter().zip(held.posts.iter().skip(1)).enumerate() {
        let is_newer = |other: &Posted| other.fires() && other.starts_ms > case.incident.detected_at_ms;
        if case.is_about(post) && !post.fires() && is_newer(before) {
            wrong.count(post, held.posts.iter().skip(position + 2).filter(|later| is_newer(later)));
        }
    }
    wrong
}
