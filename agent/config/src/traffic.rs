//! The traffic of an SLO and the time within which a total outage pages.
//!
//! The rate of events decides which tiers can work. A probe's interval is its rate. Counters have a rate that only the
//! annotation `lookout.dev/expected-rate` tells; without it [`ASSUMED_PER_SECOND`] is assumed, and said.

use std::collections::BTreeMap;
use std::time::Duration;

use lookout_engine::{EventRate, Grid, Guard, LatePage, Policy, PromiseBound};
use lookout_model::format;

use super::config::Known;
use super::model::{Indicator, RateSource, Traffic};
use super::openslo::Metadata;
use super::reader::{At, Reader};
use super::yaml::Value;

/// Events per second of an SLO whose rate nobody declares.
const ASSUMED_PER_SECOND: f64 = 10.0;

const EXPECTED_RATE: &str = "lookout.dev/expected-rate";
const PAGE_WITHIN: &str = "lookout.dev/page-within";

/// Rates that were measured or given, for a check of what is really there.
#[derive(Debug, Clone, Default)]
pub struct RealRates {
    /// The rate of every SLO that counts no probes and has none of its own.
    pub every: Option<EventRate>,
    /// Rates by the id of the SLO.
    pub by_slo: BTreeMap<String, EventRate>,
}

impl RealRates {
    /// The traffic of an SLO: measured, given, or as its spec has it.
    #[must_use]
    pub fn of(&self, slo_id: &str, expected: Traffic) -> Traffic {
        let given = self.every.filter(|_| expected.source != RateSource::Probe);
        let real = self.by_slo.get(slo_id).copied().or(given);
        real.map_or(expected, |rate| Traffic { rate, source: RateSource::Real })
    }
}

/// Reads a rate as text: `10/s`, `600/m`, `5/h`, `3/d`.
///
/// # Errors
/// What was expected.
pub fn read_rate(text: &str) -> Result<EventRate, String> {
    let wrong = || "expected events per second, minute, hour or day, like `10/s`, `600/m`, `5/h`".to_owned();
    let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(wrong()),
    };
    let rate = EventRate::try_per_second(number / seconds).ok();
    let usual = rate.filter(|rate| (1e-7..=1e9).contains(&rate.per_second()));
    usual.ok_or_else(|| "a rate is above nothing and at most a billion events per second".to_owned())
}

/// Reads the traffic of an SLO.
pub(super) fn read_traffic(
    reader: &mut Reader<'_>,
    metadata: &Metadata<'_>,
    indicator: Option<&Indicator>,
    known: &Known,
) -> Option<Traffic> {
    let derived = match indicator {
        Some(Indicator::Composite(components)) => {
            let all = components.iter().filter_map(|component| derive(Some(&component.indicator), known));
            // the slowest is the last to tell
            all.min_by(|a, b| a.rate.per_second().total_cmp(&b.rate.per_second()))
        }
        one => derive(one, known),
    }?;
    let Some(at) = metadata.annotation(EXPECTED_RATE) else { return Some(derived) };
    if derived.source == RateSource::Probe {
        let help = "leave it out: the interval of the target is the rate";
        reader.error(at, "probes have the rate of their target", help);
        return None;
    }
    match read_rate(reader.text(at)?) {
        Ok(rate) => Some(Traffic { rate, source: RateSource::Declared }),
        Err(expected) => {
            reader.error(at, expected, "");
            None
        }
    }
}

/// The traffic that follows from an indicator.
fn derive(indicator: Option<&Indicator>, known: &Known) -> Option<Traffic> {
    let slot =
        known.grid.map_or(f64::from(super::config::GRID_SECONDS), |grid| f64::from(grid.width_seconds()));
    let (rate, source) = match indicator {
        Some(Indicator::Probe { target }) => {
            let mut targets = known.targets.iter().flatten().filter(|(name, _)| name == target);
            let interval =
                targets.find_map(|(_, timing)| *timing).map(|timing| timing.interval.as_secs_f64());
            let source = interval.map_or(RateSource::Assumed, |_| RateSource::Probe);
            (EventRate::try_every_seconds(interval.unwrap_or(slot)), source)
        }
        _ => (EventRate::try_per_second(ASSUMED_PER_SECOND), RateSource::Assumed),
    };
    Some(Traffic { rate: rate.ok()?, source })
}

/// Reads the time within which a total outage pages; `Some(None)` for no such demand.
pub(super) fn read_page_within(
    reader: &mut Reader<'_>,
    metadata: &Metadata<'_>,
) -> Option<Option<PromiseBound>> {
    let usual = PromiseBound::default();
    let Some(at) = metadata.annotation(PAGE_WITHIN) else { return Some(Some(usual)) };
    if at.node.value == Value::Text("off".to_owned()) {
        return Some(None);
    }
    let within = reader.duration(at)?;
    if within < Duration::from_secs(1) {
        reader.error(at, "an outage takes longer to be seen", "write a time like `5m`, or `off`");
        return None;
    }
    Some(Some(PromiseBound { seconds: within.as_secs_f64(), ..usual }))
}

/// Notes a total outage that pages too late or never.
pub(super) fn check_outage(
    reader: &mut Reader<'_>,
    (metadata, objective): (&Metadata<'_>, &At<'_>),
    policy: &Policy,
    traffic: Traffic,
    bound: Option<PromiseBound>,
) {
    let Some(Err(late)) = bound.map(|bound| policy.check_outage(traffic.rate, bound)) else { return };
    let written = metadata.annotation("lookout.dev/tiers");
    let rate = format::rate(traffic.rate.per_second());
    let rate = match traffic.source {
        RateSource::Assumed => format!("{rate}, which are assumed"),
        _ => rate,
    };
    let message = match late {
        LatePage { after: Some(after), bound } => {
            let (after, bound) = (format::duration(after), format::duration(bound));
            format!("a total outage pages after {after}, later than {bound} (at {rate})")
        }
        LatePage { after: None, .. } => format!("a total outage never pages (at {rate})"),
    };
    let mut cures = Vec::new();
    if policy.guard != Guard::default() {
        cures.push("ask for less evidence".to_owned());
    } else if written.is_some() {
        cures.push("leave the tiers out for those that follow from objective, period and rate".to_owned());
    }
    if traffic.source != RateSource::Probe {
        cures.push(format!("declare the real rate in `{EXPECTED_RATE}`"));
    }
    cures.push(format!("allow more time in `{PAGE_WITHIN}` (`off` for no page at all)"));
    let help = cures.join(", or ");
    reader.error(written.unwrap_or(objective), message, help);
}

/// The shortest window that a grid and slices of time can measure, in seconds.
pub(super) fn shortest_seconds(grid: Option<Grid>, slices: Option<Grid>) -> u64 {
    let slots = grid.map_or(1, |grid| 2 * u64::from(grid.width_seconds()));
    slots.max(slices.map_or(1, |slices| u64::from(slices.width_seconds())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_printed() {
        for (text, printed) in [
            ("10/s", "10 events/s"),
            ("90/m", "1.5 events/s"),
            ("600 / min", "10 events/s"),
            ("30/m", "30 events/m"),
            ("5/h", "5 events/h"),
            ("6/d", "6 events/d"),
            ("0.5/s", "30 events/m"),
        ] {
            assert_eq!(format::rate(read_rate(text).unwrap().per_second()), printed);
        }
        for text in ["10", "/s", "0/s", "-1/s", "1/w", "nan/s", "2e9/s", ""] {
            assert!(read_rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn real_rates_replace_expected_ones_but_not_those_of_probes() {
        let rate = |text| read_rate(text).unwrap();
        let expected = |source| Traffic { rate: rate("6/m"), source };
        let real = RealRates { every: Some(rate("1/h")), by_slo: [("a".to_owned(), rate("2/h"))].into() };
        assert_eq!(real.of("a", expected(RateSource::Declared)).rate, rate("2/h"));
        assert_eq!(real.of("b", expected(RateSource::Assumed)).rate, rate("1/h"));
        assert_eq!(real.of("b", expected(RateSource::Probe)), expected(RateSource::Probe));
        assert_eq!(RealRates::default().of("a", expected(RateSource::Assumed)).source, RateSource::Assumed);
    }
}
