//! The naive alert: page while more than a percentage of events fails over a few minutes.

use core::fmt;
use core::str::FromStr;

use lookout_engine::{Counts, Objective, Slot, Window};

use super::Recording;
use lookout_model::{GridTime, Timestamp, parse_duration};

/// Threshold on the bad ratio of one window, without a budget and without a second window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NaiveRule {
    /// The bad ratio above which it pages, in parts per billion.
    threshold_ppb: u32,
    window: Window,
}

/// Page that a naive rule would have sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The start.
    pub from: Timestamp,
    /// The end; that of the recording when it was not released.
    pub to: Timestamp,
    /// Events of the window when it began.
    pub counts: Counts,
}

impl NaiveRule {
    /// Returns the usual rule: ten times the budget over five minutes (1 % for an objective of 99.9 %), and never more
    /// than one half.
    #[must_use]
    pub fn usual(objective: Objective) -> Self {
        let threshold_ppb = objective.budget_ppb().saturating_mul(10).min(500_000_000);
        Self { threshold_ppb, window: Window::minutes(5) }
    }

    /// Returns every page that it would have sent.
    #[must_use]
    pub fn pages(self, recording: &Recording) -> Vec<Page> {
        let grid = recording.grid();
        let length = i64::try_from(grid.slots_in(self.window.as_seconds())).unwrap_or(i64::MAX);
        let mut pages: Vec<Page> = Vec::new();
        let mut open: Option<Page> = None;
        let mut sum = Counts::ZERO;
        let mut leaving = recording.slots().iter().peekable();
        let mut before: Option<Slot> = None;
        for &(slot, counts) in recording.slots() {
            while let Some((_, gone)) = leaving.next_if(|(old, _)| old.0 <= slot.0.saturating_sub(length)) {
                sum = Counts {
                    good: sum.good.saturating_sub(gone.good),
                    bad: sum.bad.saturating_sub(gone.bad),
                };
            }
            sum += counts;
            let at = grid.end_of(slot);
            // without data there is no ratio, and without a ratio no page
            let silent_at = before.map(|before| before.plus(length)).filter(|&end| end < slot);
            if let (Some(page), Some(end)) = (open, silent_at) {
                pages.push(Page { to: grid.end_of(end), ..page });
                open = None;
            }
            before = Some(slot);
            match (open, self.exceeded_by(sum)) {
                (None, true) => open = Some(Page { from: at, to: at, counts: sum }),
                (Some(page), false) => {
                    pages.push(Page { to: at, ..page });
                    open = None;
                }
                _ => {}
            }
        }
        pages.extend(open.map(|page| Page { to: recording.span().1, ..page }));
        pages
    }

    fn exceeded_by(self, counts: Counts) -> bool {
        u128::from(counts.bad) * 1_000_000_000 > u128::from(self.threshold_ppb) * u128::from(counts.total())
    }
}

impl fmt::Display for NaiveRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {} % bad in any {}", f64::from(self.threshold_ppb) / 1e7, self.window)
    }
}

impl FromStr for NaiveRule {
    type Err = String;

    /// Reads `1%/5m`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "expected a share and a window, like `1%/5m`".to_owned();
        let (share, window) = text.split_once('/').ok_or_else(wrong)?;
        let percent: f64 = share.trim().trim_end_matches('%').trim_end().parse().map_err(|_| wrong())?;
        let window = parse_duration(window.trim()).map_err(|_| wrong())?;
        let ppb = (percent * 1e7).round();
        if !(0.0..1e9).contains(&ppb) || window.as_secs() == 0 {
            return Err(wrong());
        }
        Ok(Self { threshold_ppb: ppb as u32, window: Window::seconds(window.as_secs()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lookout_engine::Grid;

    fn recording(bad: &[(i64, u64)]) -> Recording {
        let counts: Vec<_> =
            bad.iter().map(|&(minute, bad)| (minute * 60, Counts { good: 100 - bad, bad })).collect();
        Recording::on(Grid::MINUTE, counts).unwrap()
    }

    fn pages(rule: &str, bad: &[(i64, u64)]) -> Vec<(i64, i64)> {
        let pages = rule.parse::<NaiveRule>().unwrap().pages(&recording(bad));
        pages.iter().map(|page| (page.from.as_seconds() / 60, page.to.as_seconds() / 60)).collect()
    }

    #[test]
    fn pages_while_the_window_is_above_and_exactly_at_it_is_not_above() {
        let quiet = |minute| (minute, 0);
        let burst: Vec<_> = (0..4).map(quiet).chain([(4, 5)]).chain((5..12).map(quiet)).collect();
        assert_eq!(pages("1%/5m", &burst), [], "5 of 500 is exactly 1 %");
        assert_eq!(pages("0.9%/5m", &burst), [(5, 10)]);
        assert_eq!(pages("1 % / 2m", &burst), [(5, 7)]);
    }

    #[test]
    fn silence_ends_a_page_and_the_end_leaves_it_open() {
        assert_eq!(pages("1%/5m", &[(0, 50), (20, 0), (21, 50)]), [(1, 6), (22, 22)]);
    }

    #[test]
    fn the_usual_rule_follows_the_objective_and_prints_itself() {
        let usual = |percent| NaiveRule::usual(Objective::try_from_percent(percent).unwrap()).to_string();
        assert_eq!(usual(99.9), "more than 1 % bad in any 5m");
        assert_eq!(usual(90.0), "more than 50 % bad in any 5m");
        for text in ["", "1%", "x/5m", "1%/0s", "101%/5m", "-1%/5m", "NaN/5m"] {
            assert!(text.parse::<NaiveRule>().is_err(), "{text}");
        }
    }
}
