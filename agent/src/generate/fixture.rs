//! The config of the watched passenger API, as the specs in `slo/` say it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use lookout_engine::{EventRate, Grid, Guard, Method, Objective, Period, Policy, Severity, Tier, Window};

use lookout_config::{Config, GateMinimum, Indicator, RateSource, Slo, Traffic, load_with};

/// The root of the project.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What the engine is told by default.
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

/// The config of `slo/`, whatever the environment of the test.
pub(super) fn titanic() -> Config {
    load_with(&root().join("slo"), &|_| None).unwrap().0
}
