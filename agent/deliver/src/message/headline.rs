//! The headline of a message: the fault and its severity.

use lookout_engine::{Cause, Change};
use lookout_model::format::{burn, cause, duration, window};
use lookout_model::{News, Notice, Rehearsal, TierEvidence};

use super::{HEADLINE, TEXT, Tone, clean, is_over, lasted, tone};
use crate::condition::{firing, measurement};

/// Returns the burn of the present window with its name. A notice of 0.1.0 has the fastest of its short windows only.
fn burn_now(notice: &Notice) -> Option<String> {
    if let Some(present) = &notice.evidence.present {
        return present
            .burn
            .map(|rate| format!("burning {} budget over {}", burn(rate), window(present.window_s)));
    }
    let fastest = |burn: fn(&TierEvidence) -> Option<f64>| {
        notice.evidence.tiers.iter().filter_map(burn).max_by(f64::total_cmp)
    };
    fastest(|tier| tier.short_burn)
        .or_else(|| fastest(|tier| tier.long_burn))
        .map(|rate| format!("burning {} budget", burn(rate)))
}

pub(super) fn headline(notice: &Notice) -> String {
    if let Some(rehearsal) = notice.rehearsal.filter(|_| notice.news.is_none()) {
        return rehearsal_headline(notice, rehearsal);
    }
    let tag = match tone(notice) {
        Tone::Page => "[PAGE]",
        Tone::Ticket => "[TICKET]",
        Tone::Good => "[RESOLVED]",
    };
    if let Some(fault) = notice.own_fault.as_ref().filter(|_| notice.news.is_none()) {
        let name = format!("{} {}", notice.incident.service, notice.incident.slo);
        let title = clean(&fault.title, TEXT / 4);
        return clean(&format!("{tag} {name}: {title}"), HEADLINE);
    }
    // a tier has a burn rate; where only a condition fires, its measurement matters
    let seen = firing(notice).first().map(|condition| measurement(condition));
    let condition = seen.clone().filter(|_| !notice.evidence.tiers.iter().any(|tier| tier.firing));
    let burning = condition.or_else(|| burn_now(notice));
    let burning = burning.unwrap_or_else(|| "burning its budget".to_owned());
    let after = lasted(notice).map_or_else(String::new, |lasted| format!(" after {lasted}"));
    let summary = match (notice.incident.cause, notice.change) {
        (Cause::Burn | Cause::CrashLoop | Cause::TargetDown, Change::Resolved) => format!("over{after}"),
        (Cause::DataMissing, Change::Resolved) => format!("data again{after}"),
        (Cause::TrafficMissing, Change::Resolved) => format!("traffic again{after}"),
        (Cause::DataMissing, _) => "no data".to_owned(),
        (Cause::CrashLoop | Cause::TrafficMissing | Cause::TargetDown, _) => {
            seen.unwrap_or_else(|| cause(notice.incident.cause).to_owned())
        }
        (Cause::Burn, Change::Escalated) => format!("escalated, {burning}"),
        (Cause::Burn, Change::Eased) => format!("eased, {burning}"),
        (Cause::Burn, Change::Opened | Change::Reopened) => burning,
    };
    let (tag, summary) = match &notice.news {
        Some(news) => news_summary(notice, news, tag, summary),
        None => (tag.to_owned(), summary),
    };
    // a long name must not displace the measurement
    let room = HEADLINE.saturating_sub(tag.len() + summary.chars().count() + 3);
    let name = clean(&format!("{} {}", notice.incident.service, notice.incident.slo), room);
    format!("{tag} {name}: {summary}")
}

/// Returns the tag and the summary of news. A drill stays marked as one.
fn news_summary(notice: &Notice, news: &News, severity: &str, burning: String) -> (String, String) {
    let rehearsal =
        notice.rehearsal.map_or_else(String::new, |it| format!("[{}] ", it.as_str().to_uppercase()));
    let title = notice.own_fault.as_ref().map(|fault| clean(&fault.title, TEXT / 4));
    // the change was told before
    let burning = burning.trim_start_matches("escalated, ").trim_start_matches("eased, ").to_owned();
    let burning = title.unwrap_or(burning);
    let open = duration(notice.at.seconds_since(notice.incident.detected_at).max(0.0));
    let (tag, summary) = match news {
        News::Acknowledged => {
            let actor = notice.acknowledgement.as_ref().map_or("somebody", |answer| answer.actor.as_str());
            ("[ACKNOWLEDGED]".to_owned(), format!("by {}", clean(actor, 60)))
        }
        News::Repeated => (format!("{severity} [REPEATED]"), format!("still open after {open}, {burning}")),
        News::Unacknowledged { after_s, .. } => {
            let after = duration(*after_s as f64);
            (format!("{severity} [ESCALATION]"), format!("nobody acknowledged it within {after}"))
        }
        News::Late { .. } => (format!("{severity} [LATE]"), format!("open for {open}, {burning}")),
    };
    (rehearsal + &tag, summary)
}

fn rehearsal_headline(notice: &Notice, rehearsal: Rehearsal) -> String {
    let name = format!("{} {}", notice.incident.service, notice.incident.slo);
    let severity = notice.incident.severity.as_str().to_uppercase();
    let (tag, what) = match (rehearsal, is_over(notice)) {
        (Rehearsal::Test, false) => ("[TEST]".to_owned(), "this is only a test"),
        (Rehearsal::Test, true) => ("[TEST]".to_owned(), "the test is over"),
        (Rehearsal::Drill { .. }, false) => (format!("[DRILL] [{severity}]"), "this is only a drill"),
        (Rehearsal::Drill { .. }, true) => ("[DRILL] [RESOLVED]".to_owned(), "the drill is over"),
    };
    let room = HEADLINE.saturating_sub(tag.len() + what.len() + 3);
    format!("{tag} {}: {what}", clean(&name, room))
}
