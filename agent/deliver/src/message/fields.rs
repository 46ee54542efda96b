//! The fields of a message: names and values.

use lookout_engine::Cause;
use lookout_model::format::{NONE, burn, count, date_time, duration, percent, status, window};
use lookout_model::{Acknowledgement, DeployRecord, Notice, Timestamp};

use super::{TEXT, clean, is_over, lasted, misses_data, worst_tier};
use crate::component;
use crate::condition::{condition_text, firing, held};

pub(super) fn fields(notice: &Notice) -> Vec<(String, String)> {
    let evidence = &notice.evidence;
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut add = |name: String, value: &str| fields.push((name, clean(value, TEXT)));
    if notice.not_recorded {
        add("Not recorded".to_owned(), "the ledger could not store this; a restart may forget it");
    }
    if let Some(answer) = &notice.acknowledgement {
        add("Acknowledged".to_owned(), &acknowledgement_text(answer));
    }
    if notice.own_fault.is_some() || notice.rehearsal.is_some() {
        add("Started".to_owned(), &date_time(notice.incident.detected_at));
        if is_over(notice) {
            add("Duration".to_owned(), lasted(notice).as_deref().unwrap_or(NONE));
        }
        return fields;
    }
    if evidence.present.is_some() {
        add("State".to_owned(), &status(evidence));
    }
    if evidence.has_budget() {
        let left = percent(evidence.budget_left_ratio);
        add("Budget left".to_owned(), &format!("{left} of {}", evidence.period_text()));
    }
    if let Some(excluded) = excluded_text(notice) {
        add("Excluded".to_owned(), &excluded);
    }
    let conditions: Vec<String> = firing(notice).into_iter().map(condition_text).collect();
    if !conditions.is_empty() {
        add("Condition".to_owned(), &conditions.join("; "));
    }
    if misses_data(notice) {
        add("Data".to_owned(), evidence.data_state.as_str());
    } else if let Some(tier) = worst_tier(notice).filter(|_| notice.incident.cause == Cause::Burn) {
        let limit = burn(tier.factor);
        for (seconds, rate) in [(tier.long_s, tier.long_burn), (tier.short_s, tier.short_burn)] {
            let rate = rate.map_or_else(|| "no events".to_owned(), burn);
            add(format!("Burn {}", window(seconds)), &format!("{rate} (fires above {limit})"));
        }
        let bad = format!("{} of {}", count(tier.long_bad), count(tier.long_total));
        add(format!("Bad in {}", window(tier.long_s)), &bad);
    }
    let held = held(evidence);
    if !held.is_empty() && !is_over(notice) {
        add("Held".to_owned(), &held);
    }
    if let Some((name, text)) = component::field(evidence, misses_data(notice)) {
        add(name.to_owned(), &text);
    }
    add("Started".to_owned(), &date_time(notice.incident.began_at()));
    if notice.incident.started_at.is_some() {
        add("Detected".to_owned(), &date_time(notice.incident.detected_at));
    }
    if is_over(notice) {
        if let Some(recovered) = notice.incident.recovered_at {
            add("Recovered".to_owned(), &date_time(recovered));
        }
        add("Duration".to_owned(), lasted(notice).as_deref().unwrap_or(NONE));
    }
    if let Some(environment) = &notice.environment {
        add("Environment".to_owned(), environment);
    }
    if let Some(deploy) = &notice.last_deploy {
        add("Last deploy".to_owned(), &deploy_text(deploy, notice.incident.detected_at));
    }
    if let Some(failure) = &notice.last_failure {
        add("Last failure".to_owned(), failure);
    }
    fields
}

/// Returns who acknowledged an incident, when, and the note.
pub(crate) fn acknowledgement_text(answer: &Acknowledgement) -> String {
    let (actor, at) = (clean(&answer.actor, 60), date_time(answer.at));
    let note = clean(&answer.note, TEXT - 100);
    if note.is_empty() { format!("by {actor} at {at}") } else { format!("by {actor} at {at}: {note}") }
}

/// Returns the excluded time of the period with the most recent reason, and the number of other reasons.
pub(crate) fn excluded_text(notice: &Notice) -> Option<String> {
    let corrected = &notice.evidence.corrected;
    if corrected.seconds == 0 {
        return None;
    }
    let (long, period) = (duration(corrected.seconds as f64), window(notice.evidence.period_s));
    let now = if corrected.now { ", now too" } else { "" };
    let Some(newest) = corrected.entries.first() else { return Some(format!("{long} of {period}{now}")) };
    let others = (corrected.entries.len() as u64).saturating_sub(1).saturating_add(corrected.more);
    let others = if others > 0 { format!(" and {} more", count(others)) } else { String::new() };
    // the length matters most: text from outside must not displace it
    let why = clean(&newest.reason, TEXT - 140);
    let by = clean(&newest.actor, 40);
    Some(format!("{long} of {period}{now}: {why} ({} by {by}){others}", newest.kind))
}

/// Returns version, commit and actor, and the time between the deploy and the start of the incident.
pub(crate) fn deploy_text(deploy: &DeployRecord, detected_at: Timestamp) -> String {
    let seconds = detected_at.seconds_since(deploy.started_at);
    let age = duration(seconds.abs());
    let side = if seconds >= 0.0 { "before" } else { "after" };
    let commit: String = deploy.commit.chars().take(7).collect();
    let commit = if commit.is_empty() { String::new() } else { format!(" ({commit})") };
    // the age matters most: text from outside must not displace it
    let what = clean(&format!("{}{commit} by {}", deploy.version, deploy.actor), TEXT - 60);
    format!("{what}, {age} {side} it opened")
}
