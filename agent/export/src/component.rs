//! The components of a composite, as metrics.

use super::family::Families;
use lookout_evaluate::SloStatus;

pub(super) fn add_to(families: &mut Families, slo: &SloStatus) {
    for component in &slo.evidence.components {
        let labels = [
            ("service", slo.service.as_str()),
            ("slo", slo.slo.as_str()),
            ("component", component.name.as_str()),
        ];
        let help = "1 while a component of a composite is observed, 0 while it is silent.";
        let observed = f64::from(u8::from(!component.is_silent()));
        families.gauge("lookout_slo_component_observed", help, &labels, observed);
        let [service, name, place] = labels;
        let good = component.total.saturating_sub(component.bad);
        for (result, events) in [("good", good), ("bad", component.bad)] {
            let help = "Events of a component in the period, as they are now.";
            let labels = [service, name, place, ("result", result)];
            families.gauge("lookout_slo_component_period_events", help, &labels, events as f64);
        }
        if let Some(share) = component.lately_burn_share {
            let help = "Share of what a composite spent lately that the component is to blame for; absent when nothing was.";
            families.gauge("lookout_slo_component_burn_share", help, &labels, share);
        }
    }
}
