//! Bounds of a ratio that is known from a sample.

use core::fmt;

/// The confidence of a two-sided interval, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Confidence {
    ppm: u32,
    /// Its quantile of the normal distribution, in millionths.
    z_micro: u32,
}

/// A confidence outside `[50, 99.9999]` percent, or not a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InvalidConfidence(
    /// The refused confidence in percent.
    pub f64,
);

impl fmt::Display for InvalidConfidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % is no confidence from 50 % to 99.9999 %", self.0)
    }
}

impl core::error::Error for InvalidConfidence {}

impl Confidence {
    /// Creates a confidence from percent, exact to four decimals.
    ///
    /// # Errors
    /// If it is outside 50 to 99.9999: less is no confidence, and certainty needs infinitely many events.
    pub fn try_from_percent(percent: f64) -> Result<Self, InvalidConfidence> {
        let ppm = (percent * 1e4).round();
        if !(500_000.0..=999_999.0).contains(&ppm) {
            return Err(InvalidConfidence(percent));
        }
        let z = quantile(f64::midpoint(1.0, ppm / 1e6));
        Ok(Self { ppm: ppm as u32, z_micro: (z * 1e6).round() as u32 })
    }

    /// The confidence in percent.
    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.ppm) / 1e4
    }

    /// The lower end of the Wilson score interval for `bad` out of `total`; zero without events.
    #[must_use]
    pub fn lower_bound(self, bad: f64, total: f64) -> f64 {
        if total <= 0.0 { 0.0 } else { wilson(bad / total, total, -f64::from(self.z_micro) / 1e6).max(0.0) }
    }
}

/// The upper end of the Wilson score interval for a ratio in a sample; one without a sample.
pub(crate) fn upper_bound(ratio: f64, sample: f64, z: f64) -> f64 {
    if sample <= 0.0 { 1.0 } else { wilson(ratio, sample, z).min(1.0) }
}

/// One end of the Wilson score interval.
///
/// E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", Journal of the American
/// Statistical Association 22 (1927), pp. 209–212.
fn wilson(ratio: f64, sample: f64, z: f64) -> f64 {
    let square = z * z / sample;
    let spread = z * ((ratio * (1.0 - ratio) + square / 4.0) / sample).max(0.0).sqrt();
    (ratio + square / 2.0 + spread) / (1.0 + square)
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent())
    }
}

/// Finds the quantile of a probability of at least one half, by bisection.
fn quantile(probability: f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 6.0_f64);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if normal(middle) < probability { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// The normal distribution from zero to six, by its power series: ½ + φ(x) · Σ x^(2k+1) / (2k+1)!!
fn normal(x: f64) -> f64 {
    let density = (-x * x / 2.0).exp() / core::f64::consts::TAU.sqrt();
    let (mut term, mut sum) = (x, x);
    for k in 1..120 {
        term *= x * x / f64::from(2 * k + 1);
        sum += term;
    }
    0.5 + density * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_of_so_few_must_be_bad_before_it_is_sure() {
        let confidence = Confidence::try_from_percent(98.0).unwrap();
        // 99.9 % at 14.4 times: the plain rule fires on 1 of 69
        for (total, least) in [(10, 2), (50, 3), (100, 5), (1000, 24), (10_000, 172)] {
            let sure = |bad: u32| confidence.lower_bound(f64::from(bad), f64::from(total)) > 0.0144;
            assert_eq!((0..=total).find(|bad| sure(*bad)), Some(least), "of {total}");
        }
        assert!(confidence.lower_bound(1.0, 5.0) > 0.0144, "so few that only a least number helps");
        assert_eq!(confidence.lower_bound(0.0, 0.0), 0.0);
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (percent, z) in
            [(50.0, 0.674_490), (90.0, 1.644_854), (95.0, 1.959_964), (98.0, 2.326_348), (99.9, 3.290_527)]
        {
            let confidence = Confidence::try_from_percent(percent).unwrap();
            assert!((f64::from(confidence.z_micro) / 1e6 - z).abs() < 2e-6, "{confidence}");
        }
        for percent in [0.0, 49.9, 100.0, f64::NAN] {
            assert!(Confidence::try_from_percent(percent).is_err());
        }
        assert_eq!(Confidence::try_from_percent(99.5).unwrap().to_string(), "99.5%");
    }
}
