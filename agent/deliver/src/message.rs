//! The content of messages, for every kind of receiver: severity, start, time to exhaustion, changes, and next steps.

mod fields;
mod headline;
mod sentence;
mod trend;

use lookout_engine::{Cause, Change, Severity};
use url::Url;

use lookout_model::format::duration;
use lookout_model::{Notice, TierEvidence};

pub(super) use fields::{acknowledgement_text, deploy_text, excluded_text};

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
    /// The burn rate over the windows as a row of blocks, for receivers that show one.
    pub trend: Option<String>,
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
            headline: headline::headline(notice),
            sentence: sentence::sentence(notice),
            trend: trend::trend(notice),
            description: clean(&notice.description, TEXT),
            fields: fields::fields(notice),
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

fn links(notice: &Notice) -> Vec<(&'static str, String)> {
    let all = [
        ("Runbook", &notice.runbook_url),
        ("Dashboard", &notice.dashboard_url),
        ("Explain", &notice.explain_url),
        ("Silence", &notice.silences_url),
    ];
    // what is over needs no silence, and what has no runbook or dashboard of its own has one link to the agent's page
    let wanted = |label: &str| match label {
        "Silence" => !is_over(notice),
        "Runbook" => notice.runbook_url != notice.explain_url,
        "Dashboard" => notice.dashboard_url != notice.explain_url,
        _ => true,
    };
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
    fn a_target_that_is_down_is_told_by_its_probes_and_not_by_a_budget() {
        let [mut opened, .., mut resolved] = lifecycle(T0, &[]).map(|transition| transition.notice);
        (opened.incident.cause, opened.incident.severity) = (Cause::TargetDown, Severity::Page);
        opened.evidence.conditions = vec![lookout_model::ConditionEvidence {
            severity: Severity::Page,
            kind: lookout_model::ConditionKind::Down,
            condition: "page down 3 until 2".to_owned(),
            window_s: None,
            measured: Some(3.0),
            threshold: 3.0,
            release: 2.0,
            exceeded: true,
            firing: true,
            held: None,
        }];
        opened.evidence.objective_percent = 0.0;
        let message = Message::of(&opened);
        assert!(message.fields.iter().all(|(name, _)| name != "Budget left"), "{:?}", message.fields);
        assert!(message.headline.starts_with("[PAGE] "), "{}", message.headline);
        assert!(message.headline.ends_with(": the last 3 probes failed"), "{}", message.headline);
        assert!(message.sentence.starts_with("Its probes fail one after the other"), "{}", message.sentence);
        resolved.incident.cause = Cause::TargetDown;
        let message = Message::of(&resolved);
        assert!(message.headline.contains(": over after "), "{}", message.headline);
        assert!(
            message.sentence.starts_with("Its probes are good again. It was down for "),
            "{}",
            message.sentence
        );
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
