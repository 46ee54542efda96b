//! The tiers that Pyrra makes of a period.

use lookout_engine::{BurnFactor, Severity, Tier, Window};

/// Pyrra's tiers: severity, and the period divided by long window, short window and hold; factor.
const PYRRA: [(PyrraAlert, u64, u64, u64, f64); 4] = [
    (PyrraAlert::Fast, 672, 8064, 20_160, 14.0),
    (PyrraAlert::Medium, 112, 1344, 2688, 7.0),
    (PyrraAlert::Slow, 28, 336, 672, 2.0),
    (PyrraAlert::Long, 7, 112, 224, 1.0),
];

/// One of Pyrra's four alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PyrraAlert {
    Fast,
    Medium,
    Slow,
    Long,
}

/// Pyrra's tiers for a period. Its windows are whole minutes; one that would be rounded to nothing is made a minute.
pub(crate) fn tiers(period: Window, severity: impl Fn(PyrraAlert) -> Severity) -> Vec<Tier> {
    let share = |parts: u64| {
        let minutes = (period.as_seconds() as f64 / parts as f64 / 60.0).round() as u64;
        Window::minutes(minutes)
    };
    let at_least_a_minute = |window: Window| window.max(Window::minutes(1));
    let tiers = PYRRA.iter().filter_map(|&(alert, long, short, hold, factor)| {
        let short = at_least_a_minute(share(short));
        Some(Tier {
            severity: severity(alert),
            long: at_least_a_minute(share(long)).max(Window::seconds(short.as_seconds() + 60)),
            short,
            factor: BurnFactor::try_new(factor).ok()?,
            hold_seconds: share(hold).as_seconds(),
            until: None,
        })
    });
    tiers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tiers: &[Tier]) -> Vec<String> {
        tiers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn pyrras_windows_follow_the_period_and_its_short_ones_never_vanish() {
        let severity = |alert| {
            if matches!(alert, PyrraAlert::Fast | PyrraAlert::Medium) {
                Severity::Page
            } else {
                Severity::Ticket
            }
        };
        assert_eq!(
            shown(&tiers(Window::days(28), severity)),
            [
                "page 1h/5m x14 for 2m",
                "page 6h/30m x7 for 15m",
                "ticket 1d/2h x2 for 1h",
                "ticket 4d/6h x1 for 3h"
            ]
        );
        assert_eq!(shown(&tiers(Window::days(30), severity))[0], "page 64m/5m x14 for 2m");
        assert_eq!(shown(&tiers(Window::hours(12), severity))[0], "page 2m/1m x14", "Pyrra's would be 0 s");
    }
}
