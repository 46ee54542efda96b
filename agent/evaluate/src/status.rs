//! One SLO as the API, the pages and the exports show it.

use lookout_engine::{Assessment, Evaluator};

use super::{SloStatus, component, implausible, notice};
use lookout_config::{Indicator, Slo};
use lookout_model::{Corrected, GridTime, ImplausibleCounts, IncidentRecord};

/// State of an SLO beside its assessment.
pub(super) struct SloState<'k> {
    pub(super) incidents: Vec<IncidentRecord>,
    pub(super) resolved: Vec<IncidentRecord>,
    pub(super) corrected: Corrected,
    pub(super) implausible: Option<&'k ImplausibleCounts>,
}

pub(super) fn of(
    slo: &Slo,
    report: &Assessment,
    evaluator: &Evaluator,
    SloState { incidents, resolved, corrected, implausible }: SloState<'_>,
) -> SloStatus {
    let at = slo.policy.grid.end_of(report.at);
    let width = f64::from(slo.policy.grid.width_seconds());
    SloStatus {
        at,
        id: slo.id(),
        service: slo.service.clone(),
        slo: slo.name.clone(),
        title: slo.title().to_owned(),
        description: slo.description.clone(),
        source: match slo.indicator {
            Indicator::Probe { .. } => "probe".to_owned(),
            Indicator::Scrape { .. } => "scrape".to_owned(),
            Indicator::Up { .. } => "up".to_owned(),
            Indicator::Prometheus { .. } => "prometheus".to_owned(),
            Indicator::Composite(_) => "composite".to_owned(),
        },
        alert: slo.alert_name(),
        evidence: notice::evidence(slo, report, corrected),
        sli_ratio: report.period.counts.bad_ratio().map(|bad| 1.0 - bad),
        data_age_s: match report.components.as_slice() {
            [] => evaluator
                .last_observed()
                .map(|last| (report.at.0.saturating_sub(last.0)).max(0) as f64 * width),
            _ => component::oldest_age_seconds(slo, report),
        },
        incidents,
        resolved,
        implausible: implausible::shown(implausible, at),
        paused: None,
        refused_by: Vec::new(),
        gate: slo.gate,
    }
}
