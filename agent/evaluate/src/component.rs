//! Evidence about the components of a composite.

use lookout_engine::{Assessment, ComponentAssessment, Join, Method};

use lookout_config::Slo;
use lookout_model::ComponentEvidence;

pub(super) fn evidence(slo: &Slo, report: &Assessment) -> Vec<ComponentEvidence> {
    let Method::Composite(composite) = &slo.policy.method else { return Vec::new() };
    let weights = composite.components().iter().map(|part| match composite.join() {
        Join::Weights => Some(part.weight().value()),
        Join::WorstOf => None,
    });
    let known = slo.components().iter().zip(weights).zip(&report.components);
    known
        .map(|((component, weight), seen)| ComponentEvidence {
            name: component.name.clone(),
            title: component.title().to_owned(),
            weight,
            objective_percent: component.objective.percent(),
            data_state: seen.state,
            data_age_s: age_seconds(slo, report, seen),
            lately_bad: seen.recent.bad,
            lately_total: seen.recent.total(),
            bad: seen.period.bad,
            total: seen.period.total(),
            lately_burn_share: seen.recent_burn_share,
            burn_share: seen.period_burn_share,
        })
        .collect()
}

/// Seconds since the end of the last observed slot: of an SLO whose components are silent for different times, the
/// longest; `None` as soon as one of them was never observed.
pub(super) fn oldest_age_seconds(slo: &Slo, report: &Assessment) -> Option<f64> {
    let ages: Option<Vec<f64>> =
        report.components.iter().map(|component| age_seconds(slo, report, component)).collect();
    ages?.into_iter().reduce(f64::max)
}

fn age_seconds(slo: &Slo, report: &Assessment, component: &ComponentAssessment) -> Option<f64> {
    let width = f64::from(slo.policy.grid.width_seconds());
    component.last_observed.map(|last| report.at.0.saturating_sub(last.0).max(0) as f64 * width)
}
