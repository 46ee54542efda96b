//! Multi-window, multi-burn-rate tiers (The Site Reliability Workbook, chapter 5).

use core::fmt;

use crate::burn;
use crate::objective::{BurnFactor, Objective};
use crate::window::Window;

/// The severity of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A task for the next working day; `severity: warning` in Prometheus terms.
    Ticket,
    /// A call to act now; `severity: critical` in Prometheus terms.
    Page,
}

impl Severity {
    /// The name in specs and messages: `page` or `ticket`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }

    /// The value of the label `severity`: `critical` or `warning`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Page => "critical",
            Self::Ticket => "warning",
        }
    }

    /// The severity of either name.
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

/// A long and a short window with a factor. It fires while the budget burns faster than the factor in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tier {
    /// The severity of its alert.
    pub severity: Severity,
    /// The long window, which makes it precise.
    pub long: Window,
    /// The short window, which lets it go soon.
    pub short: Window,
    /// Fires above this burn rate.
    pub factor: BurnFactor,
    /// Seconds that it must hold before it fires.
    pub hold_seconds: u64,
    /// The release factor: it fires on until a window burns no faster. `None` for the factor itself.
    pub until: Option<BurnFactor>,
}

impl Tier {
    /// Creates a tier without a hold that is released at its factor.
    #[must_use]
    pub const fn new(severity: Severity, long: Window, short: Window, factor: BurnFactor) -> Self {
        Self { severity, long, short, factor, hold_seconds: 0, until: None }
    }

    /// Returns the tier with a hold in seconds.
    #[must_use]
    pub const fn holding(mut self, seconds: u64) -> Self {
        self.hold_seconds = seconds;
        self
    }

    /// Returns the tier with a release factor.
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

    /// The bad ratio above which the tier fires. One or more is never exceeded.
    #[must_use]
    pub fn threshold(&self, objective: Objective) -> f64 {
        self.factor.value() * objective.budget_ratio()
    }

    /// Returns whether any failure rate can fire the tier.
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

    /// Seconds until the tier lets go after such a step ends: short × (1 − factor ÷ burn), with the release factor.
    #[must_use]
    pub fn reset_seconds(&self, objective: Objective, bad_ratio: f64) -> Option<f64> {
        let threshold = self.threshold(objective);
        let beyond = bad_ratio > threshold;
        let release = self.factor_while(true).value() * objective.budget_ratio();
        beyond.then(|| self.short.as_seconds() as f64 * (1.0 - release / bad_ratio))
    }

    /// The four tiers of the workbook, scaled so that each stands for its share of the period's budget.
    ///
    /// For 30 days: page 1h/5m × 14.4 and 6h/30m × 6, ticket 1d/2h × 3 and 3d/6h × 1. From 28 days on, windows stay and
    /// factors follow the period (28 days: 13.44, 5.6, 2.8, 0.93…). Below, windows shrink with the period and factors
    /// stay. [`Tier::defaults_for`] fits them to an objective and an event rate as well.
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
