//! Tiers as text, and whether they can work at all.
//!
//! ```text
//! page 1h/5m x14.4 until x12; page 6h/30m x6; ticket 1d/2h x3 for 10m
//! ```
//!
//! Severity, long and short window, factor, the lower factor that releases it, and how long it has to burn first; one
//! tier per line or semicolon.
//! `Tier` prints itself the same way.

use core::ops::Range;

use lookout_engine::{BurnFactor, Grid, Method, Objective, Severity, Tier, Window};

use super::entries::{BadEntry, Tokens, read_entries, window};

/// Reads every tier of a text, each with its bytes.
pub(super) fn parse_tiers(text: &str) -> Vec<Result<(Tier, Range<usize>), BadEntry>> {
    read_entries(text, parse_tier, "write a tier like `page 1h/5m x14.4` or `ticket 1d/2h x3 for 10m`")
}

/// Reads the tiers of a text that stands alone, as an option on the command line does.
///
/// # Errors
/// The first tier that is wrong or could not work with this period, and what to do.
pub fn read_tiers(text: &str, period: Window) -> Result<Vec<Tier>, String> {
    let mut tiers = Vec::new();
    for tier in parse_tiers(text) {
        let (tier, _) = tier.map_err(|bad| format!("{} in `{text}`; {}", bad.message, bad.help))?;
        if let Some((message, help)) = faults(&tier, None, Some(period), (None, None)).into_iter().next() {
            return Err(format!("{message}; {help}"));
        }
        tiers.push(tier);
    }
    if tiers.is_empty() {
        return Err("there is no tier; write one like `page 1h/5m x14.4`".to_owned());
    }
    Ok(tiers)
}

fn parse_tier(words: &mut Tokens<'_>) -> Result<Tier, BadEntry> {
    let severity = words.read("`page` or `ticket` first", Severity::from_name)?;
    let (long, short) = words.read("the long and the short window, like `1h/5m`", |word| {
        let (long, short) = word.split_once('/')?;
        Some((window(long)?, window(short)?))
    })?;
    let factor = words.read("a positive factor, like `x14.4`", factor_of)?;
    let until = ("a lower factor after `until`, like `until x12`", &factor_of as &dyn Fn(&str) -> _);
    let (until, hold_seconds) = words.tail("tier", Some(until))?;
    Ok(Tier { severity, long, short, factor, hold_seconds, until })
}

fn factor_of(word: &str) -> Option<BurnFactor> {
    let number = word.strip_prefix(['x', '×'])?.parse().ok()?;
    BurnFactor::try_new(number).ok()
}

/// Returns everything that keeps a tier from working, each with what to do.
pub(super) fn faults(
    tier: &Tier,
    objective: Option<Objective>,
    period: Option<Window>,
    (grid, method): (Option<Grid>, Option<&Method>),
) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    if tier.short >= tier.long {
        let message = format!("the tier `{tier}` has a short window that is not shorter than its long one");
        faults.push((message, "a twelfth of the long window is usual: `1h/5m`".to_owned()));
    }
    if let Some(period) = period.filter(|period| tier.long > *period) {
        let message = format!("the tier `{tier}` looks at {}, longer than the period of {period}", tier.long);
        faults.push((message, "shorten the window, or lengthen the period".to_owned()));
    }
    if let Some(until) = tier.until.filter(|until| *until >= tier.factor) {
        let message = format!("the tier `{tier}` would resolve at x{until}, not below its factor");
        faults.push((message, "after `until` write a lower factor, or leave it out".to_owned()));
    }
    if let Some(grid) = grid {
        let least = 2 * u64::from(grid.width_seconds());
        if tier.short.as_seconds() < least {
            let width = Window::seconds(u64::from(grid.width_seconds()));
            let message = format!("the tier `{tier}` has a short window of less than two slots of {width}");
            let help =
                format!("make it at least {}, or shorten `interval` in lookout.yaml", Window::seconds(least));
            faults.push((message, help));
        }
    }
    let slice = method.and_then(Method::slices).map(|slices| Window::seconds(slices.width_seconds().into()));
    if let Some(slice) = slice.filter(|slice| tier.short < *slice) {
        let message = format!("the tier `{tier}` has a short window of less than a time slice of {slice}");
        faults.push((message, "lengthen the window, or shorten `timeSliceWindow`".to_owned()));
    }
    faults.extend(objective.and_then(|objective| unreachable_fault(tier, objective)));
    faults
}

fn unreachable_fault(tier: &Tier, objective: Objective) -> Option<(String, String)> {
    if tier.is_reachable(objective) {
        return None;
    }
    let threshold = decimals(tier.threshold(objective) * 100.0, f64::round);
    let message = format!(
        "the tier `{tier}` can never fire: it asks for more than {threshold} % bad events ({} times the budget of {} %)",
        tier.factor,
        decimals(objective.budget_ratio() * 100.0, f64::round),
    );
    let factor = decimals(1.0 / objective.budget_ratio(), f64::floor);
    let least = 100.0 * (1.0 - 1.0 / tier.factor.value());
    let help = match tier.factor.value() > 1.0 {
        true => format!(
            "for {objective} give it a factor below {factor}, or give this factor an objective above {} %",
            decimals(least, f64::ceil)
        ),
        false => format!("for {objective} give it a factor below {factor}"),
    };
    Some((message, help))
}

/// At most four decimals, rounded towards what still holds.
fn decimals(value: f64, round: impl Fn(f64) -> f64) -> f64 {
    // a tiny noise must not push a whole number to the next one
    let scaled = value * 1e4;
    let nearest = scaled.round();
    let rounded = if (scaled - nearest).abs() < 1e-6 { nearest } else { round(scaled) };
    rounded / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn only(text: &str) -> Result<Tier, String> {
        let mut tiers = parse_tiers(text);
        assert_eq!(tiers.len(), 1, "{text}");
        tiers.remove(0).map(|(tier, _)| tier).map_err(|bad| format!("{} at {:?}", bad.message, bad.span))
    }

    #[test]
    fn semicolons_and_lines_separate_tiers_and_each_knows_its_bytes() {
        let text = "page 1h/5m x14.4;\n  critical  6h/30m ×6\n;ticket 1d/2h x3 for 10m;";
        let tiers: Vec<_> = parse_tiers(text).into_iter().map(|tier| tier.ok().unwrap()).collect();
        let shown: Vec<String> = tiers.iter().map(|(tier, _)| tier.to_string()).collect();
        assert_eq!(shown, ["page 1h/5m x14.4", "page 6h/30m x6", "ticket 1d/2h x3 for 10m"]);
        let parts: Vec<&str> = tiers.iter().map(|(_, span)| &text[span.clone()]).collect();
        assert_eq!(parts, ["page 1h/5m x14.4", "critical  6h/30m ×6", "ticket 1d/2h x3 for 10m"]);
    }

    #[test]
    fn what_is_wrong_is_located() {
        for (text, said) in [
            ("pager 1h/5m x2", "expected `page` or `ticket` first at 0..5"),
            ("page 1h x2", "expected the long and the short window, like `1h/5m` at 5..7"),
            ("page 1h/0s x2", "expected the long and the short window, like `1h/5m` at 5..10"),
            ("page 1h/5m 2", "expected a positive factor, like `x14.4` at 11..12"),
            ("page 1h/5m x-2", "expected a positive factor, like `x14.4` at 11..14"),
            ("page 1h/5m", "expected a positive factor, like `x14.4` at 0..10"),
            ("page 1h/5m x2 until", "expected a lower factor after `until`, like `until x12` at 14..19"),
            ("page 1h/5m x2 until 1", "expected a lower factor after `until`, like `until x12` at 14..19"),
            ("page 1h/5m x2 for 1m for 2m", "expected `;`, a line break or the end after the tier at 21..24"),
            ("page 1h/5m x2 four 5m", "expected `until`, `for` or the end of the tier at 14..18"),
            ("page 1h/5m x2 for", "expected a duration after `for`, like `for 10m` at 14..17"),
            ("page 1h/5m x2 for 5m, page", "expected a duration after `for`, like `for 10m` at 14..17"),
            ("page 1h/5m x2 for 5m page", "expected `;`, a line break or the end after the tier at 21..25"),
        ] {
            assert_eq!(only(text).unwrap_err(), said, "{text}");
        }
    }

    #[test]
    fn an_unreachable_tier_says_what_would_work() {
        let objective = Objective::try_from_percent(90.0).unwrap();
        let tier = only("page 1h/5m x14.4").unwrap();
        let (message, help) = unreachable_fault(&tier, objective).unwrap();
        assert!(message.contains("more than 144 % bad events (14.4 times the budget of 10 %)"), "{message}");
        assert_eq!(
            help,
            "for 90% give it a factor below 10, or give this factor an objective above 93.0556 %"
        );
        let better = Objective::try_from_percent(93.0556).unwrap();
        assert!(unreachable_fault(&tier, better).is_none());
        assert!(unreachable_fault(&only("page 1h/5m x9.999").unwrap(), objective).is_none());
        assert!(unreachable_fault(&only("page 1h/5m x10").unwrap(), objective).is_some());
        let nothing = Objective::try_from_percent(0.0).unwrap();
        let (_, help) = unreachable_fault(&only("page 1h/5m x1").unwrap(), nothing).unwrap();
        assert_eq!(help, "for 0% give it a factor below 1");
    }

    proptest! {
        #[test]
        fn what_a_tier_prints_is_read_back(
            page in any::<bool>(), long in 1..10_000_000_u64, short in 1..1_000_000_u64,
            micro in 1..1_000_000_000_u64, hold in 0..100_000_u64,
            until in prop::option::of(1..1_000_000_000_u64),
        ) {
            let severity = if page { Severity::Page } else { Severity::Ticket };
            let factor = BurnFactor::try_new(micro as f64 / 1e6).unwrap();
            let tier = Tier {
                severity, factor, hold_seconds: hold,
                until: until.and_then(|micro| BurnFactor::try_new(micro as f64 / 1e6).ok()),
                long: Window::seconds(long), short: Window::seconds(short),
            };
            prop_assert_eq!(only(&tier.to_string()), Ok(tier));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,20}|(page |ticket |1h|/|5m|x2| |for |until |;|\n|ä){0,8}") {
            for tier in parse_tiers(&text) {
                let span = match tier { Ok((_, span)) => span, Err(bad) => bad.span };
                prop_assert!(text.get(span).is_some());
            }
        }
    }
}
