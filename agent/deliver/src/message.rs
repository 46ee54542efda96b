//! The content of messages, for every kind of receiver: severity, start, time to exhaustion, changes, and next steps.

use lookout_engine::{Cause, Change, Severity};
use lookout_model::Timestamp;
use url::Url;

use super::component;
use super::condition::{condition_text, firing, held, measurement};
use lookout_model::format::{NONE, burn, cause, count, date_time, duration, percent, period, status, window};
use lookout_model::{DeployRecord, Notice, Rehearsal, TierEvidence};

/// Largest length of a headline in characters.
pub(super) const HEADLINE: usize = 150;
/// Largest length of any other text in characters.
pub(super) const TEXT: usize = 300;
/// Longest link. A longer one is left out: the receiver would refuse the whole message.
const URL: usize = 1000;

/// Colour of the state, for receivers with colours; the headline has it in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// A page is open.
    Page,
    /// A ticket is open.
    Ticket,
    /// The incident is resolved.
    Good,
}

/// Text of one transition. It has no control characters, and every part is bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The fault and its severity.
    pub headline: String,
    /// The effect on the budget.
    pub sentence: String,
    /// The meaning of a bad event to a user; may be empty.
    pub description: String,
    /// Fields: name and value.
    pub fields: Vec<(String, String)>,
    /// Several incidents, one in each line.
    pub list: Vec<String>,
    /// Links: label and URL.
    pub links: Vec<(&'static str, String)>,
    /// The alert and the incident, for searches.
    pub footnote: String,
    /// The colour of the state.
    pub tone: Tone,
}

impl Message {
    /// Creates the message of a notice.
    #[must_use]
    pub fn of(notice: &Notice) -> Self {
        Self {
            headline: headline(notice),
            sentence: sentence(notice),
            description: clean(&notice.description, TEXT),
            fields: fields(notice),
            list: Vec::new(),
            links: links(notice),
            footnote: clean(&format!("{} · {}", notice.alert, notice.incident.id), TEXT),
            tone: tone(notice),
        }
    }

    /// Adds that the same message may have been sent before.
    #[must_use]
    pub fn resent(mut self) -> Self {
        const MARK: &str = " (re-sent)";
        self.headline = clean(&self.headline, HEADLINE - MARK.len()) + MARK;
        self
    }
}

pub(super) fn is_over(notice: &Notice) -> bool {
    notice.change == Change::Resolved
}

pub(super) fn misses_data(notice: &Notice) -> bool {
    notice.incident.cause == Cause::DataMissing
}

/// Returns the tier that fires with the highest burn, or came closest to firing.
pub(super) fn worst_tier(notice: &Notice) -> Option<&TierEvidence> {
    let badness = |tier: &TierEvidence| tier.long_burn.unwrap_or(0.0) / tier.factor.max(f64::MIN_POSITIVE);
    notice.evidence.tiers.iter().max_by(|a, b| {
        (a.firing, a.severity).cmp(&(b.firing, b.severity)).then_with(|| badness(a).total_cmp(&badness(b)))
    })
}

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

fn tone(notice: &Notice) -> Tone {
    match notice.incident.severity {
        _ if is_over(notice) => Tone::Good,
        Severity::Page => Tone::Page,
        Severity::Ticket => Tone::Ticket,
    }
}

/// Returns the length of the fault, as far as it is known: `None` when the clock was set back meanwhile.
fn lasted(notice: &Notice) -> Option<String> {
    notice.incident.lasted(notice.at).map(|lasted| duration(lasted.as_secs_f64()))
}

fn headline(notice: &Notice) -> String {
    if let Some(rehearsal) = notice.rehearsal {
        return rehearsal_headline(notice, rehearsal);
    }
    let tag = match tone(notice) {
        Tone::Page => "[PAGE]",
        Tone::Ticket => "[TICKET]",
        Tone::Good => "[RESOLVED]",
    };
    if let Some(fault) = &notice.own_fault {
        let name = format!("{} {}", notice.incident.service, notice.incident.slo);
        let title = clean(&fault.title, TEXT / 4);
        let title = if is_over(notice) { "everything is recorded".to_owned() } else { title };
        return clean(&format!("{tag} {name}: {title}"), HEADLINE);
    }
    // a tier has a burn rate; where only a condition fires, its measurement matters
    let seen = firing(notice).first().map(|condition| measurement(condition));
    let condition = seen.clone().filter(|_| !notice.evidence.tiers.iter().any(|tier| tier.firing));
    let burning = condition.or_else(|| burn_now(notice));
    let burning = burning.unwrap_or_else(|| "burning its budget".to_owned());
    let after = lasted(notice).map_or_else(String::new, |lasted| format!(" after {lasted}"));
    let summary = match (notice.incident.cause, notice.change) {
        (Cause::Burn | Cause::CrashLoop, Change::Resolved) => format!("over{after}"),
        (Cause::DataMissing, Change::Resolved) => format!("data again{after}"),
        (Cause::TrafficMissing, Change::Resolved) => format!("traffic again{after}"),
        (Cause::DataMissing, _) => "no data".to_owned(),
        (Cause::CrashLoop | Cause::TrafficMissing, _) => {
            seen.unwrap_or_else(|| cause(notice.incident.cause).to_owned())
        }
        (Cause::Burn, Change::Escalated) => format!("escalated, {burning}"),
        (Cause::Burn, Change::Eased) => format!("eased, {burning}"),
        (Cause::Burn, Change::Opened | Change::Reopened) => burning,
    };
    // a long name must not displace the measurement
    let room = HEADLINE.saturating_sub(tag.len() + summary.chars().count() + 3);
    let name = clean(&format!("{} {}", notice.incident.service, notice.incident.slo), room);
    format!("{tag} {name}: {summary}")
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

fn sentence(notice: &Notice) -> String {
    match notice.rehearsal {
        Some(Rehearsal::Test) => {
            return "Nothing is wrong. Somebody tests whether messages arrive here.".to_owned();
        }
        Some(Rehearsal::Drill { .. }) => {
            return "Nothing is wrong. This rehearses a page: act as you would on a real one."
                .to_owned();
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

fn fields(notice: &Notice) -> Vec<(String, String)> {
    let evidence = &notice.evidence;
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut add = |name: String, value: &str| fields.push((name, clean(value, TEXT)));
    if notice.not_recorded {
        add("Not recorded".to_owned(), "the ledger could not store this; a restart may forget it");
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
    add(
        "Budget left".to_owned(),
        &format!("{} of {}", percent(evidence.budget_left_ratio), evidence.period_text()),
    );
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

/// Returns the excluded time of the period with the most recent reason, and the number of other reasons.
pub(super) fn excluded_text(notice: &Notice) -> Option<String> {
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
pub(super) fn deploy_text(deploy: &DeployRecord, detected_at: Timestamp) -> String {
    let seconds = detected_at.seconds_since(deploy.started_at);
    let age = duration(seconds.abs());
    let side = if seconds >= 0.0 { "before" } else { "after" };
    let commit: String = deploy.commit.chars().take(7).collect();
    let commit = if commit.is_empty() { String::new() } else { format!(" ({commit})") };
    // the age matters most: text from outside must not displace it
    let what = clean(&format!("{}{commit} by {}", deploy.version, deploy.actor), TEXT - 60);
    format!("{what}, {age} {side} it opened")
}

fn links(notice: &Notice) -> Vec<(&'static str, String)> {
    let all = [
        ("Runbook", &notice.runbook_url),
        ("Dashboard", &notice.dashboard_url),
        ("Explain", &notice.explain_url),
    ];
    // without a dashboard of its own, an SLO has the agent's page, and one link to a page is enough
    let wanted = |label: &str| label != "Dashboard" || notice.dashboard_url != notice.explain_url;
    let all = all.into_iter().filter(|(label, _)| wanted(label));
    all.filter_map(|(label, url)| Some((label, usable_url(url)?))).collect()
}

/// Returns the URL if a browser can open it, with everything encoded that could end a link early.
pub(super) fn usable_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let encoded = url.as_str().replace('|', "%7C").replace('<', "%3C").replace('>', "%3E");
    (encoded.len() <= URL).then_some(encoded)
}

/// Returns one line of at most `limit` characters, without control and formatting characters.
pub(super) fn clean(text: &str, limit: usize) -> String {
    let turns_text_around =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut line = String::new();
    let mut length = 0;
    for c in text.chars().filter(|&c| !turns_text_around(c)) {
        let c = if c.is_control() || c.is_whitespace() { ' ' } else { c };
        if c == ' ' && (line.is_empty() || line.ends_with(' ')) {
            continue;
        }
        if length == limit {
            line.pop();
            line.push('…');
            return line;
        }
        line.push(c);
        length += 1;
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lookout_engine::Status;

    use super::*;
    use lookout_model::sample::{T0, lifecycle, without_data};
    use lookout_model::{Corrected, CorrectedBy, CorrectionKind};

    fn told(n: usize) -> Message {
        Message::of(&lifecycle(T0, &[])[n].notice)
    }

    #[test]
    fn a_message_says_how_bad_since_when_and_how_long() {
        let page = told(1);
        assert_eq!(page.headline, "[PAGE] titanic requests-availability: escalated, burning 30× budget");
        assert_eq!(page.sentence, "At this rate the 30-day budget (38 % left) is gone in 19 h.");
        let fields: Vec<_> = page.fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            fields,
            [
                "Budget left: 38 % of 30d",
                "Burn 1h: 15.2× (fires above 14.4×)",
                "Burn 5m: 30× (fires above 14.4×)",
                "Bad in 1h: 549 of 36,000",
                "Started: 2026-03-01 09:59:00 UTC",
                "Detected: 2026-03-01 10:00:00 UTC",
                "Environment: production",
                "Last deploy: 1.4.2 (0123456) by ci, 12 min before it opened",
                "Last failure: status 503, expected 200-299",
            ]
        );
        assert_eq!(page.tone, Tone::Page);
    }

    #[test]
    fn every_change_has_its_headline() {
        let headlines: Vec<_> = (0..4).map(|n| told(n).headline).collect();
        assert_eq!(
            headlines,
            [
                "[TICKET] titanic requests-availability: burning 4.25× budget",
                "[PAGE] titanic requests-availability: escalated, burning 30× budget",
                "[TICKET] titanic requests-availability: eased, burning 4.25× budget",
                "[RESOLVED] titanic requests-availability: over after 12 min",
            ]
        );
        let over = told(3);
        assert_eq!(over.sentence, "It lasted 12 min; 62 % of the 30-day budget is spent, 38 % is left.");
        assert!(over.fields.contains(&("Duration".to_owned(), "12 min".to_owned())));
        assert_eq!(over.tone, Tone::Good);
    }

    #[test]
    fn missing_data_are_told_as_such() {
        let [opened, .., resolved] = lifecycle(T0, &[]).map(|transition| without_data(transition.notice));
        assert_eq!(Message::of(&opened).headline, "[TICKET] titanic requests-availability: no data");
        assert_eq!(
            Message::of(&resolved).headline,
            "[RESOLVED] titanic requests-availability: data again after 12 min"
        );
        assert!(Message::of(&opened).fields.contains(&("Data".to_owned(), "stale".to_owned())));
        let footnote = Message::of(&opened).footnote;
        assert!(footnote.starts_with("TitanicRequestsAvailabilityDataMissing · inc-"), "{footnote}");
    }

    #[test]
    fn a_message_names_the_state_and_the_cause() {
        let [mut opened, ..] = lifecycle(T0, &[]).map(|transition| transition.notice);
        let mut present = lookout_model::sample::present(Status::Recovering);
        present.lets_go_after_s = Some(720.0);
        opened.evidence.present = Some(present);
        let state = ("State".to_owned(), "Recovering, lets go in 12 min".to_owned());
        assert_eq!(Message::of(&opened).fields.first(), Some(&state));
        opened.incident.cause = Cause::CrashLoop;
        let message = Message::of(&opened);
        assert!(message.headline.ends_with(": its process starts again and again"), "{}", message.headline);
        assert!(message.fields.iter().all(|(name, _)| !name.starts_with("Burn")), "{:?}", message.fields);
        opened.incident.cause = Cause::TrafficMissing;
        assert!(Message::of(&opened).headline.ends_with(": its traffic is missing"));
    }

    #[test]
    fn a_spent_budget_is_called_spent() {
        let [mut opened, ..] = lifecycle(T0, &[]).map(|transition| transition.notice);
        opened.evidence.budget_left_ratio = -0.12;
        assert_eq!(Message::of(&opened).sentence, "The 30-day budget is gone, overspent by 12 %.");
        opened.evidence.budget_left_ratio = 0.38;
        opened.evidence.seconds_to_exhaustion = None;
        assert_eq!(Message::of(&opened).sentence, "38 % of the 30-day budget is left.");
    }

    #[test]
    fn what_does_not_count_is_named_and_bounded() {
        let [mut opened, ..] = lifecycle(T0, &[]).map(|transition| transition.notice);
        assert!(Message::of(&opened).fields.iter().all(|(name, _)| name != "Excluded"));
        let entry = CorrectedBy {
            id: "cor-1".to_owned(),
            kind: CorrectionKind::Maintenance,
            reason: "The database\nmoves".to_owned(),
            actor: "ops".to_owned(),
            from: T0,
            to: T0 + Duration::from_secs(7200),
            seconds: 7200,
            recurring: false,
        };
        opened.evidence.corrected = Corrected { seconds: 7200, now: true, entries: vec![entry], more: 0 };
        let excluded = |notice: &Notice| {
            let fields = Message::of(notice).fields;
            fields.into_iter().find(|(name, _)| name == "Excluded").unwrap().1
        };
        assert_eq!(excluded(&opened), "2 h of 30d, now too: The database moves (maintenance by ops)");
        let corrected = &mut opened.evidence.corrected;
        (corrected.entries[0].reason, corrected.more) = ("x".repeat(5000), 3);
        let told = excluded(&opened);
        assert!(told.ends_with("… (maintenance by ops) and 3 more"), "{told}");
        assert!(told.chars().count() <= TEXT, "{told}");
    }

    #[test]
    fn a_long_name_leaves_room_for_the_news() {
        let [mut opened, ..] = lifecycle(T0, &[]).map(|transition| transition.notice);
        opened.incident.slo = "x".repeat(500);
        let message = Message::of(&opened);
        assert_eq!(message.headline.chars().count(), HEADLINE);
        assert!(message.headline.ends_with("…: burning 4.25× budget"), "{}", message.headline);
        let resent = message.resent().headline;
        assert_eq!(resent.chars().count(), HEADLINE);
        assert!(resent.ends_with("… (re-sent)"), "{resent}");
    }

    #[test]
    fn text_from_outside_is_one_bounded_line() {
        assert_eq!(clean("a\r\n\tb\u{0}\u{1b}[31mc \u{202e}d  ", 99), "a b [31mc d");
        assert_eq!(clean("🚢🚢🚢🚢", 3), "🚢🚢…");
        assert_eq!(clean("abc", 3), "abc");
    }

    #[test]
    fn only_links_that_can_be_followed_are_given() {
        assert_eq!(usable_url("javascript:alert(1)"), None);
        assert_eq!(usable_url("/relative"), None);
        assert_eq!(usable_url(&format!("http://h/{}", "x".repeat(1000))), None);
        assert_eq!(
            usable_url("http://h/<a>|b?q=<!channel>").as_deref(),
            Some("http://h/%3Ca%3E%7Cb?q=%3C!channel%3E")
        );
    }
}
