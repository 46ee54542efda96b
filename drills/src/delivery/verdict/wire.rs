//! The posts that the Alertmanagers accepted, held against the ledger. Nothing excuses what is missing here: the agent posts
//! until an instance accepts.

use super::alertmanager::{Case, Incidents};
use super::held::Held;
use super::{Finding, finding};

/// Returns the findings about what both instances accepted.
pub(super) fn judge(incidents: &Incidents<'_>) -> Vec<Finding> {
    let (mut lost, mut superseded, mut total) = (Vec::new(), 0_usize, 0_usize);
    let (mut again, mut over) = (Vec::new(), Vec::new());
    for case in incidents.cases() {
        total += case.changes.len();
        match accepted(&case) {
            Accepted::All => {}
            Accepted::Superseded => superseded += 1,
            Accepted::Lost(change) => lost.push(change),
        }
        for held in case.held {
            again.extend(fires_after_its_end(&case, held).then(|| case.id().to_owned()));
            over.extend(ends_a_newer_one(&case, held).then(|| case.id().to_owned()));
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
            format!("Alertmanager: {} ends were posted over a newer incident {:?}", over.len(), over.first()),
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

/// Returns whether an instance accepted that the incident fires after it accepted its end, though it did not reopen.
fn fires_after_its_end(case: &Case<'_>, held: &Held) -> bool {
    let (mut is_over, mut again) = (false, 0);
    held.posts.iter().filter(|post| case.is_about(post)).any(|post| {
        again += usize::from(is_over && post.fires());
        is_over = !post.fires();
        again > case.reopened_by(post.at_ms)
    })
}

/// Returns whether an instance accepted the end of the incident while a newer one of the same alert fired there.
fn ends_a_newer_one(case: &Case<'_>, held: &Held) -> bool {
    let pairs = held.posts.iter().zip(held.posts.iter().skip(1));
    let mut ends = pairs.filter(|(_, post)| case.is_about(post) && !post.fires());
    ends.any(|(before, _)| before.fires() && before.starts_ms > case.incident.detected_at_ms)
}
