//! The promise of an SLO: when its alerts page at a rate of events.

use lookout_config::Slo;
use lookout_engine::{EventRate, LatePage, Promise};
use lookout_model::format::{duration, mean, rate as shown_rate};

/// The promise of an SLO at a rate of events.
#[derive(Debug, Clone, PartialEq)]
pub struct Promised {
    /// The rate.
    pub rate: EventRate,
    /// The figures.
    pub promise: Promise,
    /// The reason why a total outage does not page in time.
    pub late: Option<LatePage>,
}

/// Computes the promise of an SLO.
#[must_use]
pub fn promise(slo: &Slo, rate: EventRate) -> Promised {
    let late = slo.page_within.and_then(|bound| slo.policy.check_outage(rate, bound).err());
    Promised { rate, promise: slo.policy.promise(rate), late }
}

impl Promised {
    /// Returns the promise in one line.
    #[must_use]
    pub fn line(&self) -> String {
        let promise = &self.promise;
        let after = |pages: &str, seconds: Option<f64>, never: &str| {
            seconds.map_or_else(|| never.to_owned(), |seconds| format!("{pages} after {}", duration(seconds)))
        };
        let outage = after("total outage pages", promise.outage_pages_after, "total outage never pages");
        let tenth = after("10 % failing", promise.tenth_pages_after, "10 % failing never pages");
        let tickets = mean(promise.tickets_per_month);
        let silence = promise.missing_data_after.map_or_else(
            || "never told".to_owned(),
            |(seconds, severity)| format!("a {severity} after {}", duration(seconds as f64)),
        );
        format!(
            "{outage}; {tenth}; at 1.0× budget {tickets} tickets a month; worst case without traffic: {silence} (at {})",
            shown_rate(self.rate.per_second())
        )
    }

    /// Returns the error of an outage that pages late or never.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        self.late.map(|late| match late.after {
            Some(after) => {
                format!("a total outage pages after {}, later than {}", duration(after), duration(late.bound))
            }
            None => "a total outage never pages".to_owned(),
        })
    }
}
