//! Conditions as text, and whether they can work at all.
//!
//! ```text
//! ticket budget-left 10% until 15%; page budget-drop 5% in 1h; ticket exhaustion 3d at 6h for 10m; page no-data 30m
//! ticket idle 1h; page traffic 30% floor 100; page restarts 3 in 10m
//! ```
//!
//! Severity, kind, threshold, what is looked at, the threshold that releases it, and how long it has to hold first; one
//! condition per line or semicolon. `Condition` prints itself the same way.

use core::ops::Range;

use lookout_engine::{BudgetShare, Condition, Criterion, Grid, Objective, Severity, Window};

use super::entries::{BadEntry, Tokens, read_entries, window};
use super::reader::Reader;
use crate::keys::openslo::slo_annotations;
use crate::metadata::Metadata;

/// The window whose burn `exhaustion` takes when none is named.
const USUAL_BURN: Window = Window::hours(6);

/// The events that the hour a week before must have had when nothing else is named.
const USUAL_FLOOR: u64 = 100;

/// The limits that a condition must keep. An unknown limit is not checked.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Frame {
    pub(super) objective: Option<Objective>,
    pub(super) period: Option<Window>,
    pub(super) grid: Option<Grid>,
    pub(super) stale_after_seconds: Option<u64>,
}

/// Reads the conditions in the annotation of an SLO; none when there is no such annotation.
pub(super) fn read_conditions(
    reader: &mut Reader<'_>,
    metadata: &Metadata<'_>,
    frame: Frame,
) -> Option<Vec<Condition>> {
    let Some(at) = metadata.annotation(slo_annotations::CONDITIONS) else { return Some(Vec::new()) };
    let text = reader.text(at)?;
    let (mut conditions, mut whole) = (Vec::new(), true);
    for condition in parse_conditions(text) {
        let found = match condition {
            Ok((condition, span)) => {
                let mut found = faults(&condition, frame);
                if conditions.contains(&condition) {
                    found.push((
                        format!("the condition `{condition}` is written twice"),
                        "keep one".to_owned(),
                    ));
                }
                conditions.push(condition);
                found.into_iter().map(|(message, help)| (span.clone(), message, help)).collect()
            }
            Err(bad) => vec![(bad.span, bad.message, bad.help)],
        };
        for (span, message, help) in found {
            reader.error_in(at, text, span, message, &help);
            whole = false;
        }
    }
    whole.then_some(conditions)
}

fn parse_conditions(text: &str) -> Vec<Result<(Condition, Range<usize>), BadEntry>> {
    read_entries(
        text,
        parse_condition,
        "write a condition like `ticket budget-left 10%`, `page budget-drop 5% in 1h`, `page exhaustion 1d at 6h`, \
         `ticket no-data 10m`, `ticket idle 1h`, `page traffic 30% floor 100` or `page restarts 3 in 10m`",
    )
}

fn parse_condition(words: &mut Tokens<'_>) -> Result<Condition, BadEntry> {
    const KINDS: [&str; 7] =
        ["budget-left", "budget-drop", "exhaustion", "no-data", "idle", "traffic", "restarts"];
    let severity = words.read("`page` or `ticket` first", Severity::from_name)?;
    let kinds = "`budget-left`, `budget-drop`, `exhaustion`, `no-data`, `idle`, `traffic` or `restarts`";
    let kind = words.read(kinds, |word| KINDS.into_iter().find(|kind| *kind == word))?;
    let share_until = ("a percentage after `until`, like `until 15%`", &share as &dyn Fn(&str) -> _);
    let with_share = |condition: Condition, until: Option<BudgetShare>| {
        until.map_or(condition, |until| condition.until_share(until))
    };
    match kind {
        "budget-left" => {
            let below = words.read("a percentage of the budget, like `10%`", share)?;
            let (until, hold) = words.tail("condition", Some(share_until))?;
            Ok(with_share(Condition::budget_left(severity, below), until).holding(hold))
        }
        "budget-drop" => {
            let least = words.read("a percentage of the budget, like `5%`", share)?;
            words.read("`in` and a window, like `in 1h`", |word| (word == "in").then_some(()))?;
            let within = words.read("a window after `in`, like `1h`", window)?;
            let (until, hold) = words.tail("condition", Some(share_until))?;
            Ok(with_share(Condition::budget_drop(severity, least, within), until).holding(hold))
        }
        "exhaustion" => {
            let below = words.read("a time until the budget is gone, like `3d`", window)?;
            let at = words.named("at", "a window after `at`, like `at 6h`", window)?.unwrap_or(USUAL_BURN);
            let until = ("a time after `until`, like `until 4d`", &window as &dyn Fn(&str) -> _);
            let (until, hold) = words.tail("condition", Some(until))?;
            let condition = Condition::exhaustion(severity, below, at);
            Ok(until.map_or(condition, |until| condition.until_time(until)).holding(hold))
        }
        "idle" => {
            let after = words.read("a time without events, like `1h`", window)?;
            let (_, hold) = words.tail::<Window>("condition", None)?;
            Ok(Condition::idle(severity, after).holding(hold))
        }
        "traffic" => {
            let below = words.read("a percentage of the traffic a week before, like `30%`", whole_percent)?;
            let floor = "a number of events after `floor`, like `floor 100`";
            let floor = words.named("floor", floor, |word| word.parse().ok())?.unwrap_or(USUAL_FLOOR);
            let (_, hold) = words.tail::<Window>("condition", None)?;
            Ok(Condition::traffic(severity, below, floor).holding(hold))
        }
        "restarts" => {
            let least = words.read("a number of starts, like `3`", |word| word.parse().ok())?;
            words.read("`in` and a window, like `in 10m`", |word| (word == "in").then_some(()))?;
            let within = words.read("a window after `in`, like `10m`", window)?;
            let (_, hold) = words.tail::<Window>("condition", None)?;
            Ok(Condition::restarts(severity, least, within).holding(hold))
        }
        _ => {
            let after = words.read("a time without data, like `10m`", window)?;
            let (_, hold) = words.tail::<Window>("condition", None)?;
            Ok(Condition::no_data(severity, after).holding(hold))
        }
    }
}

/// Parses a percentage of the budget.
fn share(word: &str) -> Option<BudgetShare> {
    let percent: f64 = word.strip_suffix('%')?.parse().ok()?;
    BudgetShare::try_from_percent(percent).ok()
}

/// Returns a whole percentage below the whole.
fn whole_percent(word: &str) -> Option<u8> {
    word.strip_suffix('%')?.parse().ok().filter(|percent| (1..100).contains(percent))
}

/// Returns everything that keeps a condition from working, each with what to do.
fn faults(condition: &Condition, frame: Frame) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let mut fault =
        |what: String, help: String| faults.push((format!("the condition `{condition}` {what}"), help));
    if let (Some(window), Some(period)) = (condition.window(), frame.period)
        && window > period
    {
        let help = "shorten the window, or lengthen the period".to_owned();
        fault(format!("looks at {window}, longer than the period of {period}"), help);
    }
    if let (Some(window), Some(grid)) = (condition.window(), frame.grid)
        && window.as_seconds() < u64::from(grid.width_seconds())
    {
        let width = Window::seconds(u64::from(grid.width_seconds()));
        fault(format!("has a window of less than a slot of {width}"), format!("make it at least {width}"));
    }
    match condition.criterion {
        Criterion::BudgetLeft { below, until } => {
            if below == BudgetShare::WHOLE {
                fault("would fire at the first bad event".to_owned(), "name a share below 100%".to_owned());
            } else if until <= below {
                let help = format!("after `until` write more than {below}, or leave it out");
                fault(format!("would resolve at {until}, not above its threshold"), help);
            }
        }
        Criterion::BudgetDrop { least, within, until } => {
            if least.ratio() <= 0.0 {
                fault("fires always".to_owned(), "name a share above 0%".to_owned());
            } else if until >= least || until.ratio() <= 0.0 {
                let help = format!("after `until` write less than {least} and more than 0%, or leave it out");
                fault(format!("would resolve at {until}, not below its threshold"), help);
            }
            if let (Some(objective), Some(period)) = (frame.objective, frame.period)
                && within <= period
                && condition.detection_seconds(objective, period, 1.0).is_none()
            {
                let most = most_spent(objective, period, within);
                let help = format!("lengthen the window, or name at most {most}%");
                fault(format!("can never fire at even traffic: an outage of {within} spends {most} %"), help);
            }
        }
        Criterion::Exhaustion { below, until, .. } => {
            if let Some(period) = frame.period.filter(|period| below >= *period) {
                let help = format!("name a time below {period}");
                fault("fires while the budget burns no faster than it may".to_owned(), help);
            }
            if until <= below {
                let help = format!("after `until` write more than {below}, or leave it out");
                fault(format!("would resolve at {until}, not above its threshold"), help);
            }
        }
        Criterion::NoData { after } => {
            if let Some(stale) = frame.stale_after_seconds.filter(|stale| after.as_seconds() < *stale) {
                let stale = Window::seconds(stale);
                let help =
                    format!("make it at least {stale}, or set `{}`", slo_annotations::STALE_AFTER.name);
                fault(format!("would fire before data are missing, which is after {stale}"), help);
            }
            if condition.hold_seconds > 0 {
                let sum = Window::seconds(after.as_seconds().saturating_add(condition.hold_seconds));
                fault("has two times".to_owned(), format!("write `no-data {sum}`"));
            }
        }
        Criterion::Idle { .. } if condition.hold_seconds > 0 => {
            fault("has two times".to_owned(), "leave out `for`, and lengthen the first".to_owned());
        }
        // a target says it, not an SLO
        Criterion::Idle { .. } | Criterion::Traffic { .. } | Criterion::Down { .. } => {}
        Criterion::Restarts { least, .. } => {
            if least < 2 {
                fault("fires at every deploy".to_owned(), "name at least 2 starts".to_owned());
            }
        }
    }
    faults
}

/// Returns the share of the budget, in percent, that a total outage of a window spends; rounded down to what can be
/// reached.
fn most_spent(objective: Objective, period: Window, window: Window) -> f64 {
    let share = window.as_seconds() as f64 / period.as_seconds().max(1) as f64 / objective.budget_ratio();
    (share * 1e6 + 1e-6).floor() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn only(text: &str) -> Result<Condition, String> {
        let mut found = parse_conditions(text);
        assert_eq!(found.len(), 1, "{text}");
        found.remove(0).map(|(one, _)| one).map_err(|bad| format!("{} at {:?}", bad.message, bad.span))
    }

    #[test]
    fn conditions_are_read_with_what_is_usual_left_out() {
        for text in [
            "ticket budget-left 10%",
            "ticket budget-left 10% until 20% for 10m",
            "page budget-drop 2.5% in 1h",
            "page budget-drop 5% in 1h until 1%",
            "ticket exhaustion 3d at 6h",
            "ticket exhaustion 3d at 1h until 5d for 10m",
            "page no-data 30m",
            "ticket idle 1h",
            "page traffic 30% floor 250 for 15m",
            "page restarts 3 in 10m",
        ] {
            assert_eq!(only(text).map(|condition| condition.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(only("page exhaustion 1d"), only("critical exhaustion 24h at 6h until 30h"));
        assert_eq!(only("page budget-left 10%"), only("page budget-left 10% until 15%"));
        assert_eq!(only("page traffic 30%"), only("page traffic 30% floor 100"));
    }

    #[test]
    fn what_is_wrong_is_located() {
        for (text, said) in [
            ("budget-left 10%", "expected `page` or `ticket` first at 0..11"),
            (
                "page budget 10%",
                "expected `budget-left`, `budget-drop`, `exhaustion`, `no-data`, `idle`, `traffic` or `restarts` at 5..11",
            ),
            ("page budget-left", "expected a percentage of the budget, like `10%` at 0..16"),
            ("page budget-left 110%", "expected a percentage of the budget, like `10%` at 17..21"),
            (
                "page budget-left 10% until 15",
                "expected a percentage after `until`, like `until 15%` at 21..26",
            ),
            ("page budget-drop 5% 1h", "expected `in` and a window, like `in 1h` at 20..22"),
            ("page budget-drop 5% in", "expected a window after `in`, like `1h` at 0..22"),
            ("page exhaustion 3d at", "expected a window after `at`, like `at 6h` at 19..21"),
            ("page exhaustion 3d in 1h", "expected `until`, `for` or the end of the condition at 19..21"),
            ("page restarts 3 10m", "expected `in` and a window, like `in 10m` at 16..19"),
            ("page traffic 100%", "expected a percentage of the traffic a week before, like `30%` at 13..17"),
            ("page no-data 10m until 5m", "expected `for` or the end of the condition at 17..22"),
        ] {
            assert_eq!(only(text).unwrap_err(), said, "{text}");
        }
    }

    #[test]
    fn what_cannot_work_is_said_with_what_would() {
        let frame = Frame {
            objective: Objective::try_from_percent(99.0).ok(),
            period: Some(Window::days(30)),
            grid: Grid::try_new(10).ok(),
            stale_after_seconds: Some(90),
        };
        for (text, message, help) in [
            ("page budget-left 100%", "would fire at the first bad event", "name a share below 100%"),
            (
                "page budget-left 10% until 10%",
                "not above its threshold",
                "after `until` write more than 10%, or",
            ),
            ("page budget-drop 0% in 1h", "fires always", "name a share above 0%"),
            (
                "page budget-drop 5% in 1h until 5%",
                "not below its threshold",
                "after `until` write less than 5%",
            ),
            ("page budget-drop 15% in 1h", "an outage of 1h spends 13.8888 %", "or name at most 13.8888%"),
            (
                "page budget-drop 5% in 31d",
                "looks at 31d, longer than the period of 30d",
                "shorten the window",
            ),
            ("page budget-drop 0.01% in 5s", "less than a slot of 10s", "make it at least 10s"),
            ("page exhaustion 30d", "burns no faster than it may", "name a time below 30d"),
            ("page exhaustion 1d at 6h until 1d", "would resolve at 1d", "after `until` write more than 1d"),
            ("page no-data 1m", "before data are missing, which is after 90s", "make it at least 90s"),
            ("page no-data 10m for 5m", "has two times", "write `no-data 15m`"),
            ("page idle 10m for 5m", "has two times", "leave out `for`"),
            ("page restarts 1 in 10m", "fires at every deploy", "name at least 2"),
        ] {
            let found = faults(&only(text).unwrap(), frame);
            let matches = |(said, what): &(String, String)| said.contains(message) && what.contains(help);
            assert!(found.len() == 1 && found.iter().all(matches), "{text}: {found:?}");
        }
        assert_eq!(faults(&only("page budget-drop 13.8888% in 1h").unwrap(), frame), []);
    }

    fn share_of(ppm: u32) -> BudgetShare {
        BudgetShare::try_from_percent(f64::from(ppm) / 1e4).unwrap()
    }

    proptest! {
        #[test]
        fn what_a_condition_prints_is_read_back(
            page in any::<bool>(), kind in 0..7, share in 0..=1_000_000_u32, until in prop::option::of(0..=1_000_000_u32),
            time in 1..10_000_000_u64, at in 1..1_000_000_u64, later in prop::option::of(1..10_000_000_u64),
            hold in 0..100_000_u64,
        ) {
            let severity = if page { Severity::Page } else { Severity::Ticket };
            let (time, at) = (Window::seconds(time), Window::seconds(at));
            let condition = match kind {
                0 => Condition::budget_left(severity, share_of(share)),
                1 => Condition::budget_drop(severity, share_of(share), at),
                2 => Condition::exhaustion(severity, time, at),
                3 => Condition::idle(severity, time),
                4 => Condition::traffic(severity, (share % 99 + 1) as u8, at.as_seconds()),
                5 => Condition::restarts(severity, share, at),
                _ => Condition::no_data(severity, time),
            };
            let condition = until.map_or(condition, |until| condition.until_share(share_of(until)));
            let condition = later.map_or(condition, |later| condition.until_time(Window::seconds(later)));
            let condition = condition.holding(hold);
            prop_assert_eq!(only(&condition.to_string()), Ok(condition));
        }

        #[test]
        fn no_text_makes_it_panic(
            text in "\\PC{0,20}|(page |budget-left |budget-drop |exhaustion |no-data |5%|in |at |1h| |for |until |;|\n|ä){0,8}",
        ) {
            for found in parse_conditions(&text) {
                let span = match found { Ok((_, span)) => span, Err(bad) => bad.span };
                prop_assert!(text.get(span).is_some());
            }
        }
    }
}
