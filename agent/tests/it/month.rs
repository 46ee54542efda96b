//! A month of a shop, recorded minute by minute: busy by day, quiet by night, three outages and some bad luck. The same
//! every time.

use std::fmt::Write as _;

/// The first second of March 2026.
const START: i64 = 1_772_323_200;
const MINUTES: i64 = 31 * 24 * 60;

/// A small generator (Knuth's constants), so that the month is the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }
}

/// The share of bad orders in a minute of the month.
fn bad_share(minute: i64) -> f64 {
    let at = |day: i64, hour: i64, minute: i64| ((day - 1) * 24 + hour) * 60 + minute;
    match minute {
        m if (at(6, 10, 12)..at(6, 10, 40)).contains(&m) => 1.0,
        m if (at(14, 19, 30)..at(14, 21, 30)).contains(&m) => 0.15,
        m if (at(24, 6, 0)..at(24, 15, 0)).contains(&m) => 0.009,
        // a deploy at noon: three minutes in which a few fail
        m if (at(18, 12, 0)..at(18, 12, 3)).contains(&m) => 0.025,
        _ => 0.000_1,
    }
}

/// The month as `time,good,total`.
pub(crate) fn csv() -> String {
    let mut dice = Dice(20_260_301);
    let mut csv = String::from("time,good,total\n");
    for minute in 0..MINUTES {
        let hour = (minute % 1440) as f64 / 60.0;
        let busy = 0.5 - 0.5 * ((hour - 2.0) / 24.0 * std::f64::consts::TAU).cos();
        let total = (12.0 + 500.0 * busy * busy * (0.9 + 0.2 * dice.roll())) as u64;
        let expected = total as f64 * bad_share(minute);
        // a night in which one customer tries an expired card three times
        let unlucky = u64::from((13_142..13_145).contains(&minute));
        let bad = (expected as u64 + u64::from(dice.roll() < expected.fract()) + unlucky).min(total);
        let _ = writeln!(csv, "{},{},{total}", START + minute * 60, total - bad);
    }
    csv
}
