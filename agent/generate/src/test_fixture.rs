//! The config of the watched passenger API, from the specs in `slo/`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use lookout_engine::{EventRate, Grid, Guard, Method, Objective, Period, Policy, Severity, Tier, Window};

use lookout_config::{Config, GateMinimum, Indicator, RateSource, Slo, Traffic, load_with};

/// Returns the root of the project.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Returns the default policy.
pub(super) fn policy(percent: f64, period: Window, grid: Grid) -> Policy {
    Policy {
        grid,
        objective: Objective::try_from_percent(percent).unwrap(),
        period: Period::Rolling(period),
        method: Method::Occurrences,
        tiers: Tier::defaults(period),
        guard: Guard::default(),
        conditions: Vec::new(),
        stale_after_seconds: u64::from(grid.width_seconds()) * 3,
        data_alert: Some(Severity::Page),
    }
}

pub(super) fn slo(name: &str, percent: f64, indicator: Indicator) -> Slo {
    Slo {
        name: name.to_owned(),
        service: "titanic".to_owned(),
        display_name: None,
        description: String::new(),
        file: PathBuf::new(),
        indicator,
        policy: policy(percent, Window::days(30), Grid::MINUTE),
        calendar: None,
        labels: BTreeMap::new(),
        traffic: Traffic { rate: EventRate::try_per_second(10.0).unwrap(), source: RateSource::Assumed },
        page_within: None,
        gate: GateMinimum::default(),
        time_zone: TimeZone::UTC,
    }
}

/// Returns the config of `slo/`, independent of the environment of the test.
pub(super) fn titanic() -> Config {
    load_with(&root().join("slo"), &|_| None).unwrap().0
}
