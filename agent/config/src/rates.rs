//! Rates of events, as people write them and as they were measured.

use std::collections::BTreeMap;

use lookout_engine::EventRate;

use super::model::{RateSource, Traffic};

/// Rates that were measured or given, for a check of what is really there.
#[derive(Debug, Clone, Default)]
pub struct RealRates {
    /// The rate of every SLO that counts no probes and has none of its own.
    pub every: Option<EventRate>,
    /// Rates by the id of the SLO.
    pub by_slo: BTreeMap<String, EventRate>,
}

impl RealRates {
    /// Returns the traffic of an SLO: measured, given, or as its spec has it.
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
/// A fault of a rate.
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

#[cfg(test)]
mod tests {
    use super::*;
    use lookout_model::format;

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
