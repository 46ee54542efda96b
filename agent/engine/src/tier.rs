//! Multi-window, multi-burn-rate tiers (The Site Reliability Workbook, chapter 5).

use core::fmt;

use crate::burn;
use crate::objective::{BurnFactor, Objective};
use crate::window::Window;

/// Whom a tier calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Someone should look within a day; `severity: warning` in Prometheus terms.
    Ticket,
    /// Someone must act now; `severity: critical` in Prometheus terms.
    Page,
}

impl Severity {
    /// `page` or `ticket`, the words of specs and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }

    /// `critical` or `warning`, the value of the label `severity`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Page => "critical",
            Self::Ticket => "warning",
        }
    }

    /// The severity of that name, in either vocabulary.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "page" | "critical" => Some(Self::Page),
            "ticket" | "warning" => Some(Self::Ticket),
            _ => None,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One long and short window pair with its factor: fires while the budget burns faster than the factor in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tier {
    /// Whom it calls.
    pub severity: Severity,
    /// The window that makes it precise.
    pub long: Window,
    /// The window that makes it let go soon.
    pub short: Window,
    /// Fires above this burn rate.
    pub factor: BurnFactor,
    /// How long the condition has to hold first, in seconds.
    pub hold_seconds: u64,
    /// Once firing, fires on until a window burns no faster than this; `None`: than the factor itself.
    pub until: Option<BurnFactor>,
}

impl Tier {
    /// A tier without a hold that is released at its factor.
    #[must_use]
    pub const fn new(severity: Severity, long: Window, short: Window, factor: BurnFactor) -> Self {
        Self { severity, long, short, factor, hold_seconds: 0, until: None }
    }

    /// The same tier that has to hold for so many seconds first.
    #[must_use]
    pub const fn holding(mut self, seconds: u64) -> Self {
        self.hold_seconds = seconds;
        self
    }

    /// The same tier that is released at a lower factor.
    #[must_use]
    pub const fn until(mut self, factor: BurnFactor) -> Self {
        self.until = Some(factor);
        self
    }

    /// The factor above which it fires, or fires on.
    #[must_use]
    pub fn factor_while(&self, firing: bool) -> BurnFactor {
        self.until.filter(|_| firing).unwrap_or(self.factor).min(self.factor)
    }

    /// The bad ratio above which the tier fires; one or more can never be exceeded.
    #[must_use]
    pub fn threshold(&self, objective: Objective) -> f64 {
        self.factor.value() * objective.budget_ratio()
    }

    /// Whether any failure rate at all can make the tier fire.
    #[must_use]
    pub fn is_reachable(&self, objective: Objective) -> bool {
        burn::threshold_below_one(objective, self.factor)
    }

    /// Seconds until the tier fires when the bad ratio steps from zero to `bad_ratio` under even traffic; `None` when
    /// it never does. The closed form: long × factor ÷ burn, then the hold.
    #[must_use]
    pub fn detection_seconds(&self, objective: Objective, bad_ratio: f64) -> Option<f64> {
        let threshold = self.threshold(objective);
        let beyond = bad_ratio > threshold;
        beyond.then(|| self.long.as_seconds() as f64 * threshold / bad_ratio + self.hold_seconds as f64)
    }

    /// Seconds until the tier lets go after such a step ends: short × (1 − factor ÷ burn), with the factor that releases
    /// it.
    #[must_use]
    pub fn reset_seconds(&self, objective: Objective, bad_ratio: f64) -> Option<f64> {
        let threshold = self.threshold(objective);
        let beyond = bad_ratio > threshold;
        let release = self.factor_while(true).value() * objective.budget_ratio();
        beyond.then(|| self.short.as_seconds() as f64 * (1.0 - release / bad_ratio))
    }

    /// The four default tiers, scaled so that each still stands for its share of the period's budget.
    ///
    /// For 30 days: page 1h/5m × 14.4 and 6h/30m × 6, ticket 1d/2h × 3 and 3d/6h × 1. For another period the windows
    /// stay as they are and the factors follow (28 days: 13.44, 5.6, 2.8, 0.93…), as long as the longest window fits
    /// into a tenth of the period; below that the windows shrink with the period and the factors stay.
    #[must_use]
    pub fn defaults(period: Window) -> Vec<Self> {
        const MONTH: u64 = 30 * 86_400;
        const TABLE: [(Severity, Window, Window, u64); 4] = [
            (Severity::Page, Window::hours(1), Window::minutes(5), 14_400_000),
            (Severity::Page, Window::hours(6), Window::minutes(30), 6_000_000),
            (Severity::Ticket, Window::days(1), Window::hours(2), 3_000_000),
            (Severity::Ticket, Window::days(3), Window::hours(6), 1_000_000),
        ];
        let seconds = period.as_seconds().max(1);
        let windows_fit = seconds >= 28 * 86_400;
        TABLE
            .iter()
            .map(|&(severity, long, short, micro)| {
                let scale = |w: Window| Window::seconds((w.as_seconds() * seconds / MONTH).max(1));
                let (long, short, micro) = if windows_fit {
                    (long, short, micro * seconds / MONTH)
                } else {
                    (scale(long), scale(short), micro)
                };
                Self::new(severity, long, short, BurnFactor::from_micro(micro))
            })
            .collect()
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{} x{}", self.severity, self.long, self.short, self.factor)?;
        if let Some(until) = self.until {
            write!(f, " until x{until}")?;
        }
        if self.hold_seconds > 0 {
            write!(f, " for {}", Window::seconds(self.hold_seconds))?;
        }
        Ok(())
    }
}
