//! The sentence of a message: the effect on the budget.

use lookout_engine::Cause;
use lookout_model::format::{date_time, duration, percent, period};
use lookout_model::{News, Notice, Rehearsal};

use super::{TEXT, clean, is_over, lasted};
use crate::component;

/// Returns the news and the effect on the budget.
pub(super) fn sentence(notice: &Notice) -> String {
    let effect = effect(notice);
    match notice.news.as_ref().map(|news| news_sentence(notice, news)) {
        Some(news) if !news.is_empty() => clean(&format!("{news} {effect}"), 2 * TEXT),
        _ => effect,
    }
}

/// Returns what people did or did not do.
fn news_sentence(notice: &Notice, news: &News) -> String {
    match news {
        News::Acknowledged => {
            let note = notice.acknowledgement.as_ref().map_or("", |answer| answer.note.as_str());
            if note.is_empty() { String::new() } else { format!("Note: {}.", clean(note, TEXT - 20)) }
        }
        News::Repeated => String::new(),
        News::Unacknowledged { from, after_s } => {
            let after = duration(*after_s as f64);
            format!("It went to {} {after} ago, and nobody acknowledged it.", clean(from, 63))
        }
        News::Late { silence: Some(silence) } => {
            let (actor, until) = (clean(&silence.actor, 60), date_time(silence.until));
            let reason = clean(&silence.reason, TEXT - 140);
            format!("It opened in a silence of {actor} until {until} ({reason}), and is still open.")
        }
        News::Late { silence: None } => {
            "It opened before the hours of this destination, and is still open.".to_owned()
        }
    }
}

fn effect(notice: &Notice) -> String {
    match notice.rehearsal {
        Some(Rehearsal::Test) => {
            return "Nothing is wrong. Somebody tests whether messages arrive here.".to_owned();
        }
        Some(Rehearsal::Drill { .. }) if is_over(notice) => {
            return "The drill is over. Nothing was wrong, and nothing is left to do.".to_owned();
        }
        Some(Rehearsal::Drill { .. }) => {
            return "Nothing is wrong. This rehearses a page: act as you would on a real one.".to_owned();
        }
        None => {}
    }
    if let Some(fault) = &notice.own_fault {
        return clean(&fault.text, 2 * TEXT);
    }
    let evidence = &notice.evidence;
    let period = evidence.calendar.as_ref().map_or_else(|| period(evidence.period_s), |it| it.of.clone());
    let left = evidence.budget_left_ratio;
    let unknown = "a time that is not known, because the clock was set back".to_owned();
    let lasted = lasted(notice).unwrap_or(unknown);
    match (notice.incident.cause, is_over(notice)) {
        (Cause::DataMissing, true) => return format!("Data arrive again, after {lasted} without."),
        (Cause::CrashLoop, true) => return format!("The process runs on. The crash loop lasted {lasted}."),
        (Cause::TrafficMissing, true) => return format!("Events arrive again, after {lasted}."),
        (Cause::TargetDown, true) => return format!("Its probes are good again. It was down for {lasted}."),
        (Cause::TargetDown, false) => {
            return "Its probes fail one after the other, so that its users are likely to fail too."
                .to_owned();
        }
        (Cause::CrashLoop, false) => {
            return "Its process starts again and again. Requests that fail meanwhile may be in no counter."
                .to_owned();
        }
        (Cause::TrafficMissing, false) => {
            return "Its metrics can be read, but users are missing: something in front of it may be broken."
                .to_owned();
        }
        (Cause::DataMissing, false) => {
            if let Some(silent) = component::silent(evidence) {
                return format!(
                    "Nothing is known about {silent}; what fires keeps firing until data arrive."
                );
            }
            return "Nothing is known about it any more; its alerts keep their state until data arrive."
                .to_owned();
        }
        (Cause::Burn, true) if left > 0.0 => {
            let spent = percent(1.0 - left);
            return format!(
                "It lasted {lasted}; {spent} of the {period} budget is spent, {} is left.",
                percent(left)
            );
        }
        (Cause::Burn, _) => {}
    }
    if left <= 0.0 {
        let over = if left < 0.0 { format!(", overspent by {}", percent(-left)) } else { String::new() };
        return format!("The {period} budget is gone{over}.");
    }
    match evidence.seconds_to_exhaustion {
        Some(seconds) => {
            let rest = duration(seconds);
            format!("At this rate the {period} budget ({} left) is gone in {rest}.", percent(left))
        }
        None => format!("{} of the {period} budget is left.", percent(left)),
    }
}
