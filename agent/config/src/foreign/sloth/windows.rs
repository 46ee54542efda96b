//! The windows of Sloth's alerts, which its specs leave out.

use lookout_engine::{BurnFactor, Severity, Tier, Window};

use crate::keys::{Key, sloth};
use crate::reader::{At, Fields, Reader};

/// Sloth's windows for 28 and 30 days: severity, percent of the budget, short and long window.
const SLOTH: [(Severity, f64, Window, Window); 4] = [
    (Severity::Page, 2.0, Window::minutes(5), Window::hours(1)),
    (Severity::Page, 5.0, Window::minutes(30), Window::hours(6)),
    (Severity::Ticket, 10.0, Window::hours(2), Window::days(1)),
    (Severity::Ticket, 10.0, Window::hours(6), Window::days(3)),
];

/// Windows of one period.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AlertWindows {
    pub(crate) period: Window,
    pub(crate) tiers: Vec<Tier>,
}

/// Sloth's own windows for a period, which it has for 28 and 30 days.
pub(crate) fn sloth(period: Window) -> Option<Vec<Tier>> {
    if ![Window::days(28), Window::days(30)].contains(&period) {
        return None;
    }
    SLOTH
        .iter()
        .map(|&(severity, percent, short, long)| tier(severity, percent, (short, long), period))
        .collect()
}

/// Returns the tier that fires when a share of the budget is gone within the long window.
fn tier(severity: Severity, percent: f64, (short, long): (Window, Window), period: Window) -> Option<Tier> {
    let factor = percent / 100.0 * period.as_seconds() as f64 / long.as_seconds().max(1) as f64;
    Some(Tier::new(severity, long, short, BurnFactor::try_new(factor).ok()?))
}

/// Reads a document `AlertWindows`.
pub(crate) fn read_alert_windows(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<AlertWindows> {
    let spec = reader.required(
        fields,
        sloth::alert_windows::SPEC,
        "write `sloPeriod`, `page` and `ticket` under `spec:`",
    )?;
    let spec = reader.fields(&spec, sloth::windows::OBJECT)?;
    let period = reader.required(&spec, sloth::windows::SLO_PERIOD, "write `sloPeriod: 30d`");
    let period = period.and_then(|at| reader.window(&at));
    let mut tiers = Vec::new();
    for (key, severity) in
        [(sloth::windows::PAGE, Severity::Page), (sloth::windows::TICKET, Severity::Ticket)]
    {
        let Some(at) = reader.required(&spec, key, "write `quick` and `slow` under it") else { continue };
        let Some(pair) = reader.fields(&at, sloth::pair::OBJECT) else { continue };
        for speed in [sloth::pair::QUICK, sloth::pair::SLOW] {
            let at = reader.required(&pair, speed, "write `errorBudgetPercent` and both windows under it");
            tiers.push(at.and_then(|at| read_tier(reader, &at, severity, period)));
        }
    }
    let tiers: Option<Vec<Tier>> = tiers.into_iter().collect();
    Some(AlertWindows { period: period?, tiers: tiers.filter(|tiers| tiers.len() == 4)? })
}

fn read_tier(
    reader: &mut Reader<'_>,
    at: &At<'_>,
    severity: Severity,
    period: Option<Window>,
) -> Option<Tier> {
    let fields = reader.fields(at, sloth::tier::OBJECT)?;
    let percent =
        reader.required(&fields, sloth::tier::ERROR_BUDGET_PERCENT, "write a percentage of the budget");
    let percent = percent.and_then(|at| {
        let percent = reader.number(&at)?;
        let positive = percent > 0.0 && percent <= 100.0;
        if !positive {
            reader.error(&at, "a share of the budget is above 0 and at most 100 %", "write one like 2");
        }
        positive.then_some(percent)
    });
    let mut window = |key: Key| {
        let at = reader.required(&fields, key, "write a duration, like `5m`");
        at.and_then(|at| reader.window(&at))
    };
    let (short, long) = (window(sloth::tier::SHORT_WINDOW), window(sloth::tier::LONG_WINDOW));
    tier(severity, percent?, (short?, long?), period?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tiers: &[Tier]) -> Vec<String> {
        tiers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn sloths_windows_are_those_of_the_workbook() {
        let month = sloth(Window::days(30)).unwrap();
        assert_eq!(
            shown(&month),
            ["page 1h/5m x14.4", "page 6h/30m x6", "ticket 1d/2h x3", "ticket 3d/6h x1"]
        );
        assert_eq!(month, Tier::defaults(Window::days(30)));
        let four_weeks = sloth(Window::days(28)).unwrap();
        assert_eq!(
            shown(&four_weeks),
            ["page 1h/5m x13.44", "page 6h/30m x5.6", "ticket 1d/2h x2.8", "ticket 3d/6h x0.933333"]
        );
        assert_eq!(sloth(Window::days(7)), None);
    }
}
