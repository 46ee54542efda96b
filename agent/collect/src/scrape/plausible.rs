//! Bounds of what one scrape may add. Growth beyond them is reported and never counted: one absurd sample would spend the
//! budget of a whole period.

use super::counter::Growth;

/// Events a second that no counter of one process shows.
const MOST_PER_SECOND: f64 = 10_000_000.0;

/// Events a second below which no growth is suspicious.
const USUAL_PER_SECOND: f64 = 10_000.0;

/// Multiple of the highest rate so far up to which series may appear.
const APPEARANCE: f64 = 10.0;

/// Multiple of the highest rate so far up to which series may grow. A rate that stays is believed at the second scrape.
const SURGE: f64 = 1000.0;

/// Reason why growth is not counted: the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quarantine {
    /// A value no counter can have.
    AbsurdSample,
    /// Growth that no process makes.
    AbsurdGrowth,
    /// Far more growth than ever before.
    Surge,
    /// Series appeared with a past.
    Appearance,
    /// Another process answered than before, with a past of its own.
    OtherProcess,
}

impl Quarantine {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::AbsurdSample => "absurd_sample",
            Self::AbsurdGrowth => "absurd_growth",
            Self::Surge => "surge",
            Self::Appearance => "appearance",
            Self::OtherProcess => "other_process",
        }
    }
}

/// Highest rate a set of counters has shown.
#[derive(Debug, Default)]
pub(super) struct Plausibility {
    highest: Option<f64>,
}

impl Plausibility {
    /// Checks the growth of `seconds`.
    pub(super) fn check(&mut self, growth: &Growth, seconds: f64) -> Result<(), Quarantine> {
        let seconds = seconds.max(1.0);
        let (rate, fresh) = (growth.continued / seconds, growth.fresh / seconds);
        let highest = self.highest.unwrap_or(0.0);
        if rate > MOST_PER_SECOND {
            return Err(Quarantine::AbsurdGrowth);
        }
        // series that went on are the measure of the next scrape, whatever is said of this one
        self.highest = Some(highest.max(rate));
        if fresh > USUAL_PER_SECOND.max(highest * APPEARANCE) {
            return Err(Quarantine::Appearance);
        }
        if highest > 0.0 && rate > USUAL_PER_SECOND.max(highest * SURGE) {
            return Err(Quarantine::Surge);
        }
        self.highest = Some(highest.max(rate + fresh));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bounds: &mut Plausibility, continued: f64, fresh: f64) -> Result<(), Quarantine> {
        bounds.check(&Growth { continued, fresh, ..Growth::default() }, 10.0)
    }

    #[test]
    fn what_no_process_counts_is_never_believed() {
        let mut bounds = Plausibility::default();
        for _ in 0..3 {
            assert_eq!(check(&mut bounds, 1e12, 0.0), Err(Quarantine::AbsurdGrowth));
        }
        assert_eq!(check(&mut bounds, 5e7, 0.0), Ok(()), "five million a second may be the usual rate");
    }

    #[test]
    fn a_surge_is_believed_when_it_stays() {
        let mut bounds = Plausibility::default();
        assert_eq!(check(&mut bounds, 200.0, 0.0), Ok(()));
        assert_eq!(check(&mut bounds, 90_000.0, 0.0), Ok(()), "9,000 a second are nothing");
        let mut bounds = Plausibility::default();
        assert_eq!(check(&mut bounds, 20.0, 0.0), Ok(()));
        assert_eq!(check(&mut bounds, 1_000_000.0, 0.0), Err(Quarantine::Surge));
        assert_eq!(check(&mut bounds, 1_000_000.0, 0.0), Ok(()));
    }

    #[test]
    fn series_that_appear_bring_no_past() {
        let mut bounds = Plausibility::default();
        assert_eq!(check(&mut bounds, 100.0, 20.0), Ok(()));
        assert_eq!(check(&mut bounds, 100.0, 1_000_000.0), Err(Quarantine::Appearance));
        assert_eq!(check(&mut bounds, 400_000.0, 0.0), Err(Quarantine::Surge));
        assert_eq!(check(&mut bounds, 400_000.0, 1_000_000.0), Ok(()), "a busy service opens a route");
    }
}
