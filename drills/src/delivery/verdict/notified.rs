//! The notifications of the Alertmanagers, held against what they accepted.

use super::alert_history::{AlertHistory, hears_within_ms, tells_from_ms, tells_within_ms};
use super::alertmanager::{Case, Incidents, Notification};
use super::{Finding, finding};
use crate::delivery::wire::Posted;

/// A transition that nobody was told of.
#[derive(Debug, PartialEq, Eq)]
enum Silent {
    /// An Alertmanager was able to tell it.
    Lost,
    /// Every Alertmanager that accepted it was killed before it told, or never knew the state before.
    Killed,
    /// An Alertmanager accepted it and the next one before it looked again.
    Joined,
}

/// Returns the findings about the notifications of both instances together.
pub(super) fn judge(incidents: &Incidents<'_>) -> Vec<Finding> {
    let (mut total, mut lost, mut killed, mut joined) = (0_usize, Vec::new(), 0_usize, 0_usize);
    let (mut again, mut late) = (Vec::new(), Vec::new());
    for case in incidents.cases() {
        total += case.changes.len();
        for position in 0..case.changes.len() {
            match silent(&case, position) {
                None => {}
                Some(Silent::Lost) => lost.push(format!("{} number {position}", case.id())),
                Some(Silent::Killed) => killed += 1,
                Some(Silent::Joined) => joined += 1,
            }
        }
        let (flaps, excused) = fires_again(&case);
        again.extend((flaps > 0).then(|| case.id().to_owned()));
        late.extend(excused);
    }
    let excused = killed + joined;
    vec![
        finding(
            lost.is_empty(),
            format!("Alertmanager: {} of {total} transitions never told {:?}", lost.len(), lost.first()),
        ),
        finding(
            excused * 10 <= total,
            format!(
                "Alertmanager: {excused} transitions it could not tell, a tenth at most: killed first {killed}, \
                 the next one came within a flush {joined}"
            ),
        ),
        finding(
            again.is_empty(),
            format!(
                "Alertmanager: {} incidents fired again after their end {:?}; {} notifications had begun before \
                 their instance accepted it, and the latest came {} ms after it",
                again.len(),
                again.first(),
                late.len(),
                late.iter().max().unwrap_or(&0)
            ),
        ),
    ]
}

/// Returns why a transition was not told, `None` when it was.
fn silent(case: &Case<'_>, position: usize) -> Option<Silent> {
    let change = case.changes.get(position)?;
    // the first notification may come before the answer to the post
    let since = case
        .held
        .iter()
        .filter_map(|held| accepted(case, held, position))
        .map(|(_, post)| post.sent_ms)
        .min();
    let next = case.changes.get(position + 1);
    let until = next.and_then(|_| {
        let ends = case.held.iter().filter_map(|held| {
            accepted(case, held, position + 1).map(|(_, post)| held.after(post.at_ms, tells_within_ms()))
        });
        ends.max()
    });
    let in_time = |told: &&Notification| {
        since.is_some_and(|since| told.at_ms >= since) && until.is_none_or(|until| told.at_ms <= until)
    };
    // an instance that missed the end before tells this state under the start of the earlier incident
    let about =
        |told: &&Notification| told.fires == change.fires && told.starts_ms <= case.incident.detected_at_ms;
    if case.told.iter().filter(about).any(|told| in_time(&told)) {
        return None;
    }
    let outcomes: Vec<Silent> = case.held.iter().map(|held| able(case, held, position)).collect();
    let worst = [Silent::Lost, Silent::Joined].into_iter().find(|one| outcomes.contains(one));
    Some(worst.unwrap_or(Silent::Killed))
}

/// Returns the first post of a transition that an instance accepted, with its position. What it accepted after a post of the next
/// transition is about a later one.
fn accepted<'a>(case: &Case<'_>, held: &'a AlertHistory, position: usize) -> Option<(usize, &'a Posted)> {
    let change = case.changes.get(position)?;
    let next_ms = case.changes.get(position + 1).map_or(i64::MAX, |next| next.at_ms);
    let about = held.posts.iter().enumerate().filter(|(_, post)| case.is_about(post));
    let mut since = about.filter(|(_, post)| post.at_ms >= change.at_ms);
    let first = since.find(|(_, post)| post.fires() == change.fires || post.at_ms >= next_ms)?;
    (first.1.fires() == change.fires).then_some(first)
}

/// Returns whether an instance was able to tell a transition: it held the state before for long enough to tell that, and lived
/// until it had looked at this one.
fn able(case: &Case<'_>, held: &AlertHistory, number: usize) -> Silent {
    let Some(change) = case.changes.get(number) else { return Silent::Killed };
    let Some((position, post)) = accepted(case, held, number) else { return Silent::Killed };
    let until = held.after(post.at_ms, tells_within_ms());
    let alive = |one: &&Posted| held.lived(one.at_ms, post.at_ms);
    let earlier = held.posts.iter().take(position).rev().take_while(alive);
    let before = earlier.take_while(|one| one.fires() != change.fires).last();
    let knows = match before {
        Some(first) => held.after(first.at_ms, tells_within_ms()) < post.at_ms,
        // an alert that is new to it fires; an end of it says nothing
        None => change.fires && held.last_before(post.at_ms).is_none(),
    };
    let mut later = held.posts.iter().skip(position + 1);
    if !held.lived(post.at_ms, until) || before.is_none() && !knows {
        return Silent::Killed;
    }
    if !knows || later.any(|one| one.at_ms <= until && one.fires() != change.fires) {
        return Silent::Joined;
    }
    Silent::Lost
}

/// Returns how often an incident fired again after its end, and of the notifications that had begun before their instance
/// accepted the end, how long after it each of them came.
fn fires_again(case: &Case<'_>) -> (usize, Vec<i64>) {
    let (mut is_over, mut again, mut late) = (false, 0_usize, Vec::new());
    for told in case.told.iter().filter(|told| told.starts_ms == case.incident.detected_at_ms) {
        if told.fires && is_over {
            match case.held.get(told.instance).and_then(|held| lateness(case, held, told)) {
                Some(after_ms) => {
                    late.push(after_ms);
                    continue;
                }
                None => again += 1,
            }
        }
        is_over = !told.fires;
    }
    (again.saturating_sub(case.reopened_by(i64::MAX)), late)
}

/// Returns how long after the end an instance told that an incident fires, where Alertmanager may do so.
///
/// - A flush reads the alerts, waits for its peers, and notifies: what it says is as old as that wait
///   ([`tells_from_ms`]). So the end may come meanwhile.
/// - An instance that was away has not heard of the end. It says what it knows until the agent reaches it again
///   ([`hears_within_ms`]).
fn lateness(case: &Case<'_>, held: &AlertHistory, told: &Notification) -> Option<i64> {
    let began = held.before(told.at_ms, tells_from_ms());
    let posts = || held.posts.iter().filter(|post| case.is_about(post));
    let held_it = posts().rfind(|post| post.at_ms <= began).is_some_and(Posted::fires);
    let since = || posts().filter(|post| post.at_ms > began && post.at_ms <= told.at_ms);
    if !held_it && !since().any(Posted::fires) {
        return None;
    }
    if let Some(end) = since().find(|post| !post.fires()) {
        return Some(told.at_ms - end.at_ms);
    }
    let ends =
        case.held.iter().flat_map(|held| &held.posts).filter(|post| case.is_about(post) && !post.fires());
    let ended = ends.map(|post| post.at_ms).min()?;
    let (left, back) = held.was_away(ended, told.at_ms)?;
    let heard_by = held.after(back, hears_within_ms(back - left) + tells_from_ms());
    (told.at_ms <= heard_by).then_some(told.at_ms - ended)
}
