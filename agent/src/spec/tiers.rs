//! Tiers as text, and whether they can work at all.
//!
//! ```text
//! page 1h/5m x14.4; page 6h/30m x6; ticket 1d/2h x3 for 10m
//! ```
//!
//! Severity, long and short window, factor, and how long the condition has to hold; one tier per line or semicolon.
//! `Tier` prints itself the same way.

use core::ops::Range;

use lookout_engine::{BurnFactor, Grid, Method, Objective, Severity, Tier, Window};

use super::parse_duration;

/// What is wrong with a tier.
pub(super) struct BadTier {
    /// Bytes of the text that are meant.
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: String,
}

/// Reads every tier of a text, each with its bytes.
pub(super) fn parse_tiers(text: &str) -> Vec<Result<(Tier, Range<usize>), BadTier>> {
    let mut start = 0;
    let mut tiers = Vec::new();
    for piece in text.split([';', '\n']) {
        let span = span_of(start, piece);
        if !span.is_empty() {
            tiers.push(parse_tier(piece.trim(), span.start).map(|tier| (tier, span)));
        }
        start += piece.len() + 1;
    }
    tiers
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

/// The bytes of a piece without the space around it.
fn span_of(start: usize, piece: &str) -> Range<usize> {
    let before = piece.len() - piece.trim_start().len();
    start + before..start + before + piece.trim().len()
}

fn parse_tier(text: &str, start: usize) -> Result<Tier, BadTier> {
    let mut at = 0;
    let mut words = text.split_ascii_whitespace().map(|word| {
        let begins = at + text.get(at..).and_then(|rest| rest.find(word)).unwrap_or(0);
        at = begins + word.len();
        (word, start + begins..start + at)
    });
    let end = start + text.len();
    let bad = |span: Range<usize>, expected: &str| BadTier {
        span,
        message: format!("expected {expected}"),
        help: "write a tier like `page 1h/5m x14.4` or `ticket 1d/2h x3 for 10m`".to_owned(),
    };
    let mut next = |expected: &str| words.next().ok_or_else(|| bad(start..end, expected));
    let (word, span) = next("`page` or `ticket` first")?;
    let severity = Severity::from_name(word).ok_or_else(|| bad(span, "`page` or `ticket` first"))?;
    let (word, span) = next("the long and the short window, like `1h/5m`")?;
    let windows = word.split_once('/').and_then(|(long, short)| Some((window(long)?, window(short)?)));
    let (long, short) = windows.ok_or_else(|| bad(span, "the long and the short window, like `1h/5m`"))?;
    let (word, span) = next("a factor, like `x14.4`")?;
    let factor = word.strip_prefix(['x', '×']).and_then(|number| number.parse().ok());
    let factor = factor.and_then(|number| BurnFactor::try_new(number).ok());
    let factor = factor.ok_or_else(|| bad(span, "a positive factor, like `x14.4`"))?;
    let mut hold_seconds = 0;
    if let Some((word, span)) = words.next() {
        if word != "for" {
            return Err(bad(span, "`for` or the end of the tier"));
        }
        let hold = words.next().and_then(|(word, _)| parse_duration(word).ok());
        hold_seconds = hold.ok_or_else(|| bad(span, "a duration after `for`, like `for 10m`"))?.as_secs();
    }
    if let Some((_, span)) = words.next() {
        return Err(bad(span, "`;`, a line break or the end after the tier"));
    }
    Ok(Tier { severity, long, short, factor, hold_seconds })
}

fn window(text: &str) -> Option<Window> {
    let duration = parse_duration(text).ok()?;
    let whole = duration.subsec_nanos() == 0 && !duration.is_zero();
    whole.then(|| Window::seconds(duration.as_secs()))
}

/// Everything that keeps a tier from working, each with what to do.
pub(super) fn faults(
    tier: &Tier,
    objective: Option<Objective>,
    period: Option<Window>,
    (grid, method): (Option<Grid>, Option<Method>),
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
            ("page 1h/5m", "expected a factor, like `x14.4` at 0..10"),
            ("page 1h/5m x2 four 5m", "expected `for` or the end of the tier at 14..18"),
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
        ) {
            let severity = if page { Severity::Page } else { Severity::Ticket };
            let factor = BurnFactor::try_new(micro as f64 / 1e6).unwrap();
            let tier = Tier {
                severity, factor, hold_seconds: hold,
                long: Window::seconds(long), short: Window::seconds(short),
            };
            prop_assert_eq!(only(&tier.to_string()), Ok(tier));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,20}|(page |ticket |1h|/|5m|x2| |for |;|\n|ä){0,8}") {
            for tier in parse_tiers(&text) {
                let span = match tier { Ok((_, span)) => span, Err(bad) => bad.span };
                prop_assert!(text.get(span).is_some());
            }
        }
    }
}
