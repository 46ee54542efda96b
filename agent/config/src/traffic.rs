//! The traffic of an SLO and the time within which a total outage pages.
//!
//! The rate of events decides which tiers can work. A probe's interval is its rate. Counters have a rate that only the
//! annotation `lookout.dev/expected-rate` tells; without it [`ASSUMED_PER_SECOND`] is assumed, and said.

use std::time::Duration;

use lookout_engine::{EventRate, Grid, Guard, LatePage, Policy, PromiseBound};
use lookout_model::format;

use super::known::Known;
use super::metadata::Metadata;
use super::model::{Indicator, RateSource, Traffic};
use super::rates::read_rate;
use super::reader::{At, Reader};
use super::yaml::Value;
use crate::keys::openslo::slo_annotations;

/// Events per second of an SLO whose rate nobody declares.
const ASSUMED_PER_SECOND: f64 = 10.0;

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
    let Some(at) = metadata.annotation(slo_annotations::EXPECTED_RATE) else { return Some(derived) };
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

/// Returns the traffic that follows from an indicator.
fn derive(indicator: Option<&Indicator>, known: &Known) -> Option<Traffic> {
    let slot =
        known.grid.map_or(f64::from(crate::known::GRID_SECONDS), |grid| f64::from(grid.width_seconds()));
    let (rate, source) = match indicator {
        Some(Indicator::Probe { target, .. }) => {
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
    let Some(at) = metadata.annotation(slo_annotations::PAGE_WITHIN) else { return Some(Some(usual)) };
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
    let written = metadata.annotation(slo_annotations::TIERS);
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
        cures.push(format!("declare the real rate in `{}`", slo_annotations::EXPECTED_RATE.name));
    }
    cures.push(format!(
        "allow more time in `{}` (`off` for no page at all)",
        slo_annotations::PAGE_WITHIN.name
    ));
    let help = cures.join(", or ");
    reader.error(written.unwrap_or(objective), message, help);
}

/// Returns the shortest window that a grid and slices of time can measure, in seconds.
pub(super) fn shortest_seconds(grid: Option<Grid>, slices: Option<Grid>) -> u64 {
    let slots = grid.map_or(1, |grid| 2 * u64::from(grid.width_seconds()));
    slots.max(slices.map_or(1, |slices| u64::from(slices.width_seconds())))
}
