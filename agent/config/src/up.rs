//! The SLO about the availability of a scraped neighbour.
//!
//! Counters show no event while their service refuses connections. Every scrape is therefore an event of an SLO of its
//! own. It belongs to the service whose SLOs count there. Its name is `up` where the scrape has the name of that service,
//! and `NAME-up` for any other scrape `NAME`. It also sees a process that starts again and again.

use std::path::PathBuf;

use jiff::tz::TimeZone;
use lookout_engine::{
    Condition, EventRate, Guard, Method, Objective, Period, Policy, PromiseBound, Severity, Tier, TierDemand,
    Window,
};

use super::model::{Config, GateMinimum, Indicator, RateSource, Scrape, Slo, Traffic};
use super::traffic::shortest_seconds;

/// The objective of a neighbour's availability, in percent.
const OBJECTIVE_PERCENT: f64 = 99.0;

/// The period of its budget.
const PERIOD: Window = Window::days(30);

/// Starts within [`CRASH_LOOP_WINDOW`] that are a crash loop. Kubernetes starts a failing container six times in ten
/// minutes.
const CRASH_LOOP_STARTS: u32 = 3;
const CRASH_LOOP_WINDOW: Window = Window::minutes(10);

/// Adds the SLO of every scrape that some SLO counts at, unless its name is taken.
pub(super) fn add_up_slos(config: &mut Config) {
    let added: Vec<Slo> = config.scrapes.iter().filter_map(|scrape| up_slo(config, scrape)).collect();
    for slo in added {
        if !config.slos.iter().any(|known| known.id() == slo.id()) {
            config.slos.push(slo);
        }
    }
}

impl Config {
    /// Returns the availability SLOs of the scrapes that an SLO counts at, when each of its streams has one. They tell an
    /// outage of the data in its place.
    #[must_use]
    pub fn availability_of(&self, slo: &Slo) -> Option<Vec<&Slo>> {
        let tells = |source: &str| {
            self.slos
                .iter()
                .find(|slo| matches!(&slo.indicator, Indicator::Up { source: own } if own == source))
        };
        let streams = slo.streams();
        let told: Option<Vec<&Slo>> = streams
            .iter()
            .map(|stream| match stream.indicator {
                Indicator::Scrape { source, .. } => tells(source),
                _ => None,
            })
            .collect();
        told.filter(|told| !told.is_empty())
    }
}

fn up_slo(config: &Config, scrape: &Scrape) -> Option<Slo> {
    let severity = scrape.up?;
    let counts_here = |slo: &&Slo| {
        slo.streams().iter().any(
            |stream| matches!(stream.indicator, Indicator::Scrape { source, .. } if *source == scrape.name),
        )
    };
    let user = config.slos.iter().find(counts_here)?;
    let rate = EventRate::try_every_seconds(f64::from(config.grid.width_seconds())).ok()?;
    let name = if scrape.name == user.service { "up".to_owned() } else { format!("{}-up", scrape.name) };
    Some(Slo {
        name,
        service: user.service.clone(),
        display_name: Some(format!("The metrics of {} can be read", scrape.name)),
        description: "A bad event is a scrape that was refused, timed out or could not be read.".to_owned(),
        file: PathBuf::new(),
        indicator: Indicator::Up { source: scrape.name.clone() },
        policy: policy(config, severity, rate)?,
        calendar: None,
        labels: user.labels.clone(),
        traffic: Traffic { rate, source: RateSource::Probe },
        page_within: (severity == Severity::Page).then(PromiseBound::default),
        gate: GateMinimum::default(),
        time_zone: TimeZone::UTC,
    })
}

fn policy(config: &Config, severity: Severity, rate: EventRate) -> Option<Policy> {
    let objective = Objective::try_from_percent(OBJECTIVE_PERCENT).ok()?;
    let slot = config.grid.width_seconds();
    let shortest = Window::seconds(shortest_seconds(Some(config.grid), None));
    let bound = PromiseBound::default();
    let mut tiers = Tier::defaults_for(TierDemand { objective, period: PERIOD, rate, bound, shortest });
    tiers.iter_mut().for_each(|tier| tier.severity = tier.severity.min(severity));
    Some(Policy {
        grid: config.grid,
        objective,
        period: Period::Rolling(PERIOD),
        method: Method::Occurrences,
        tiers,
        guard: Guard::default(),
        conditions: vec![Condition::restarts(severity, CRASH_LOOP_STARTS, CRASH_LOOP_WINDOW)],
        stale_after_seconds: u64::from(slot) * 3,
        data_alert: Some(Severity::Ticket),
    })
}
