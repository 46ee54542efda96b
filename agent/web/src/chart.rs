//! Charts as inline SVG, made of numbers without text from outside. The figures stand beside each chart, so that no
//! fact is shown by shape or colour alone.

use core::fmt::Write as _;

use lookout_engine::Counts;

/// Draws the budget left as a bar: full is untouched, empty is spent. An overspent budget is dashed, so that it
/// differs from budget left.
pub(super) fn budget(left: f64) -> String {
    let (class, share) = match left {
        left if !left.is_finite() => return String::new(),
        left if left <= 0.0 => ("over", left.abs().min(1.0)),
        left if left < 0.25 => ("low", left),
        left => ("left", left.min(1.0)),
    };
    let width = share * 100.0;
    let fill = if class == "over" {
        format!("<path class=\"dashes\" d=\"M0 4H{width:.1}\"/>")
    } else {
        format!("<rect class=\"fill\" width=\"{width:.1}\" height=\"8\"/>")
    };
    format!(
        "<svg class=\"bar {class}\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"track\" width=\"100\" height=\"8\"/>{fill}</svg>"
    )
}

/// Draws a burn rate against its factor, which is at the middle.
pub(super) fn burn(rate: Option<f64>, factor: f64) -> String {
    let share = rate.map_or(0.0, |rate| rate / factor / 2.0);
    let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let class = if share > 0.5 { "over" } else { "left" };
    let width = share * 100.0;
    format!(
        "<svg class=\"bar {class}\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"track\" width=\"100\" height=\"8\"/><rect class=\"fill\" width=\"{width:.1}\" height=\"8\"/>\
         <rect class=\"mark\" x=\"49.5\" width=\"1\" height=\"8\"/></svg>"
    )
}

/// Draws bad events over time: one column per bin, as high as its share of bad events (square root, so that a few are
/// visible). A bin without events is a dot on the base line. Bins that do not count, wholly or in part, have a band
/// behind them.
pub(super) fn history(bins: &[Counts], corrected: &[bool]) -> String {
    let height = 40.0;
    let mut out = format!(
        "<svg class=\"history\" viewBox=\"0 0 {} 44\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
        bins.len().max(1) * 4
    );
    for (at, counts) in bins.iter().enumerate() {
        let x = at * 4;
        if corrected.get(at).is_some_and(|corrected| *corrected) {
            let _ = write!(out, "<rect class=\"corrected\" x=\"{x}\" width=\"4\" height=\"44\"/>");
        }
        // Writing to a string cannot fail.
        let _ = match counts.bad_ratio() {
            None => write!(out, "<rect class=\"none\" x=\"{x}\" y=\"42\" width=\"1\" height=\"2\"/>"),
            Some(0.0) => write!(out, "<rect class=\"good\" x=\"{x}\" y=\"40\" width=\"3\" height=\"4\"/>"),
            Some(bad) => {
                let high = (bad.sqrt() * height).max(4.0);
                let y = 44.0 - high;
                write!(out, "<rect class=\"bad\" x=\"{x}\" y=\"{y:.1}\" width=\"3\" height=\"{high:.1}\"/>")
            }
        };
    }
    out.push_str("</svg>");
    out
}

/// Shortest duration that has a height: a tenth of a millisecond.
const SHORTEST_S: f64 = 0.000_1;

/// Draws durations over time: one column per bin up to its largest percentile, with the smaller ones inside. Percentiles
/// rise. Heights are logarithms, so that a slow probe does not flatten the others.
pub(super) fn durations(bins: &[[Option<f64>; 3]]) -> String {
    let height = 40.0;
    let longest = bins.iter().flatten().flatten().copied().fold(SHORTEST_S, f64::max);
    let scale = (longest / SHORTEST_S).ln().max(1.0);
    let mut out = format!(
        "<svg class=\"history\" viewBox=\"0 0 {} 44\" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
        bins.len().max(1) * 4
    );
    for (at, percentiles) in bins.iter().enumerate() {
        let x = at * 4;
        for (class, seconds) in ["p50", "p90", "p99"].into_iter().zip(percentiles).rev() {
            let Some(seconds) = seconds else { continue };
            let high = ((seconds / SHORTEST_S).ln().max(0.0) / scale * height).max(1.0);
            let y = 44.0 - high;
            // Writing to a string cannot fail.
            let _ = write!(
                out,
                "<rect class=\"{class}\" x=\"{x}\" y=\"{y:.1}\" width=\"3\" height=\"{high:.1}\"/>"
            );
        }
        if percentiles.iter().all(Option::is_none) {
            let _ = write!(out, "<rect class=\"none\" x=\"{x}\" y=\"42\" width=\"1\" height=\"2\"/>");
        }
    }
    out.push_str("</svg>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_inside_their_box() {
        for left in [-1e9, -0.5, 0.0, 0.1, 0.5, 1.0, 7.0] {
            assert!(budget(left).contains("width=\"100\""), "{left}");
        }
        assert!(budget(-0.5).contains("class=\"bar over\"") && budget(-0.5).contains("d=\"M0 4H50.0\""));
        assert!(budget(9.0).contains("width=\"100.0\""));
        assert_eq!(budget(f64::NAN), "");
        for (rate, factor) in
            [(Some(f64::NAN), 1.0), (Some(1.0), 0.0), (None, 2.0), (Some(f64::INFINITY), 2.0)]
        {
            assert!(!burn(rate, factor).contains("NaN"));
        }
        assert!(burn(Some(14.4), 14.4).contains("width=\"50.0\""));
    }

    #[test]
    fn a_duration_is_a_column_and_the_longest_is_the_highest() {
        let shown = durations(&[[Some(0.001), Some(0.01), Some(1.0)], [None; 3]]);
        assert_eq!(shown.matches("height=\"40.0\"").count(), 1, "{shown}");
        assert_eq!((shown.matches("<rect").count(), shown.matches("class=\"none\"").count()), (4, 1));
        let p99 = shown.find("p99").unwrap();
        assert!(p99 < shown.find("p50").unwrap(), "the smaller ones are drawn over the larger: {shown}");
        assert!(!durations(&[[Some(0.0); 3]]).contains("NaN"));
    }

    #[test]
    fn history_tells_nothing_happened_from_nothing_bad_happened() {
        let bins = [Counts::ZERO, Counts { good: 9, bad: 0 }, Counts { good: 0, bad: 1 }];
        let shown = history(&bins, &[false, false, true]);
        for class in ["none", "good", "bad", "corrected"] {
            assert_eq!(shown.matches(&format!("class=\"{class}\"")).count(), 1, "{class}");
        }
        assert!(shown.contains("class=\"corrected\" x=\"8\""));
        assert!(shown.contains("y=\"4.0\"") && shown.contains("height=\"40.0\""));
    }
}
