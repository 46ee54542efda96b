//! `timeWindow`: what the budget is given for.

use lookout_engine::{Method, Period, QUARTER_ALIGNED_ABOVE, QUARTER_HOUR, Window};

use super::calendar::{Calendar, USUAL_START, Unit, parse_start, zone_like};
use super::reader::{At, Fields, Reader, did_you_mean};
use super::yaml::Value;
use crate::keys::openslo::{calendar, window};

/// Longest period of a budget.
const PERIOD_LIMIT: Window = Window::days(366);

const ROLLING: &str = "write `[{ duration: 30d, isRolling: true }]`";
const CALENDAR: &str = "write `calendar: { startTime: \"2024-01-01 00:00:00\", timeZone: Europe/Zurich }`";
const START: &str = "write it as `YYYY-MM-DD hh:mm:ss`, like `\"2024-01-01 00:00:00\"`, in whole minutes";

/// A period, with its calendar if it has one.
#[derive(Debug, Clone)]
pub(super) struct BudgetPeriod {
    pub(super) period: Period,
    pub(super) calendar: Option<Calendar>,
}

/// Reads the period under `timeWindow`.
pub(super) fn read_period(reader: &mut Reader<'_>, at: &At<'_>) -> Option<BudgetPeriod> {
    let mut items = reader.list(at)?;
    if items.len() != 1 {
        reader.error(at, "an SLO has one time window", ROLLING);
    }
    let item = if items.is_empty() { return None } else { items.swap_remove(0) };
    let fields = reader.fields(&item, window::OBJECT)?;
    let help = match fields.get(window::CALENDAR) {
        Some(_) => "write `isRolling: false`",
        None => "write `isRolling: true`",
    };
    let rolls = reader.required(&fields, window::IS_ROLLING, help);
    let rolls = rolls.and_then(|at| reader.switch(&at));
    let at = reader.required(&fields, window::DURATION, "write `duration: 30d`");
    match (rolls?, fields.get(window::CALENDAR)) {
        (true, Some(calendar)) => {
            let help = "leave `calendar` out, or write `isRolling: false`";
            reader.error(&calendar, "a rolling period has no calendar", help);
            None
        }
        (true, None) => {
            let window = read_rolling(reader, &at?)?;
            Some(BudgetPeriod { period: Period::Rolling(window), calendar: None })
        }
        (false, None) => {
            let help = format!("{CALENDAR}, or `isRolling: true`");
            reader.error(&item, "a period that does not roll needs a `calendar`", help);
            None
        }
        (false, Some(calendar)) => {
            let units = at.and_then(|at| read_units(reader, &at));
            let calendar = read_calendar(reader, &calendar, units)?;
            let period = Period::Calendar { nominal: calendar.nominal() };
            Some(BudgetPeriod { period, calendar: Some(calendar) })
        }
    }
}

/// After 90 days the ledger keeps quarters of an hour: slices of a longer period must be made of those.
pub(super) fn check_slices(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    period: Option<Period>,
    method: Option<&Method>,
) -> Option<()> {
    let slices = method.and_then(Method::slices).map_or(0, |slices| i64::from(slices.width_seconds()));
    if period?.nominal() > QUARTER_ALIGNED_ABOVE && slices % QUARTER_HOUR != 0 {
        let message = format!(
            "a period of more than {QUARTER_ALIGNED_ABOVE} needs slices of whole quarters of an hour"
        );
        let help = "write `timeSliceWindow: 15m`, or a shorter period: older counts are kept by the quarter";
        reader.error(&fields.at, message, help);
        return None;
    }
    Some(())
}

fn read_rolling(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Window> {
    if units_of(at).is_some_and(|(_, unit)| matches!(unit, Unit::Month | Unit::Quarter | Unit::Year)) {
        let help = format!("write days, like `30d`; or `isRolling: false`, and {}", CALENDAR);
        reader.error(at, "months, quarters and years differ in length, a rolling period does not", help);
        return None;
    }
    let duration = reader.duration(at)?;
    let period = Window::seconds(duration.as_secs());
    if duration.subsec_nanos() != 0 || period < Window::minutes(1) || period > PERIOD_LIMIT {
        reader.error(at, format!("a period is from 1m to {PERIOD_LIMIT}, in whole seconds"), "write `30d`");
        return None;
    }
    Some(period)
}

/// Returns a number and a unit of the calendar.
fn units_of(at: &At<'_>) -> Option<(u16, Unit)> {
    let Value::Text(text) = &at.node.value else { return None };
    let unit = Unit::from_letter(text.chars().last()?)?;
    let count = text.get(..text.len() - 1)?.parse().ok()?;
    Some((count, unit))
}

fn read_units(reader: &mut Reader<'_>, at: &At<'_>) -> Option<(u16, Unit)> {
    let units = units_of(at).filter(|(count, unit)| {
        let most = match unit {
            Unit::Day => 366,
            Unit::Week => 52,
            Unit::Month => 12,
            Unit::Quarter => 4,
            Unit::Year => 1,
        };
        (1..=most).contains(count)
    });
    if units.is_none() {
        let message =
            "a calendar period is a number of days, weeks, months, quarters or years, up to one year";
        reader.error(at, message, "write `1d`, `1w`, `1M`, `1Q` or `1Y`");
    }
    units
}

fn read_calendar(reader: &mut Reader<'_>, at: &At<'_>, units: Option<(u16, Unit)>) -> Option<Calendar> {
    let fields = reader.fields(at, calendar::OBJECT)?;
    let start_at = fields.get(calendar::START_TIME);
    let start = match &start_at {
        Some(at) => {
            let start = reader.text(at).map(parse_start);
            if start == Some(None) {
                reader.error(at, "this is no local date and time from 1970 to 2200", START);
            }
            start.flatten()
        }
        // Monday, the first of a month, of a quarter and of a year
        None => parse_start(USUAL_START),
    };
    let zone_at =
        reader.required(&fields, calendar::TIME_ZONE, "write `timeZone: Europe/Zurich`, or `UTC`")?;
    let zone = reader.text(&zone_at)?;
    let (count, unit) = units?;
    let Some(calendar) = Calendar::new(unit, count, start?, zone) else {
        let help = zone_like(zone).map(|zone| did_you_mean(&zone));
        let help =
            help.unwrap_or_else(|| "write the name of an IANA time zone, like `Europe/Zurich`".to_owned());
        reader.error(&zone_at, format!("there is no time zone `{zone}`"), help);
        return None;
    };
    if calendar.nominal() > QUARTER_ALIGNED_ABOVE && !calendar.begins_with_a_quarter_hour() {
        let message =
            format!("a period of more than {QUARTER_ALIGNED_ABOVE} begins with a quarter of an hour");
        let help = "older counts are kept by the quarter: write a time like `00:00:00` or `06:30:00`";
        reader.error(start_at.as_ref().unwrap_or(at), message, help);
        return None;
    }
    Some(calendar)
}
