//! The promise of an SLO: when its alerts page at a rate of events.

use lookout_config::{Config, Slo};
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
    /// The availability SLO that pages when the data cannot be read, and after how many seconds.
    pub unread: Option<(String, f64)>,
}

/// Computes the promise of an SLO of a configuration.
#[must_use]
pub fn promise(config: &Config, slo: &Slo, rate: EventRate) -> Promised {
    let late = slo.page_within.and_then(|bound| slo.policy.check_outage(rate, bound).err());
    Promised { rate, promise: slo.policy.promise(rate), late, unread: unread(config, slo) }
}

/// Returns the slowest page about data of an SLO that cannot be read.
fn unread(config: &Config, slo: &Slo) -> Option<(String, f64)> {
    let pages = |up: &Slo| Some((up.id(), up.policy.pages_after(up.traffic.rate, 1.0)?));
    let all: Option<Vec<_>> = config.availability_of(slo)?.into_iter().map(pages).collect();
    all?.into_iter().max_by(|(_, one), (_, other)| one.total_cmp(other))
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
        let silence = match (&self.unread, promise.missing_data_after) {
            (Some((up, seconds)), _) => {
                format!("without its metrics: {up} pages after {}", duration(*seconds))
            }
            (None, Some((seconds, severity))) => {
                format!("worst case without traffic: a {severity} after {}", duration(seconds as f64))
            }
            (None, None) => "worst case without traffic: never told".to_owned(),
        };
        format!(
            "{outage}; {tenth}; at 1.0× budget {tickets} tickets a month; {silence} (at {})",
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
