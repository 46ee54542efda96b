//! The components of a composite, as metrics.

use super::family::Families;
use lookout_evaluate::SloStatus;
use lookout_runtime::events::names;

/// Adds them. `written` are the labels of the SLO.
pub(super) fn add_to(families: &mut Families, slo: &SloStatus, written: &str) {
    for component in &slo.evidence.components {
        let name = [("component", component.name.as_str())];
        let labels = (written, &name);
        let help = "1 while a component of a composite is observed, 0 while it is silent.";
        let observed = f64::from(u8::from(!component.is_silent()));
        families.gauge(names::COMPONENT_OBSERVED, help, labels, observed);
        let [name] = name;
        let good = component.total.saturating_sub(component.bad);
        for (result, events) in [("good", good), ("bad", component.bad)] {
            let help = "Events of a component in the period, as they are now.";
            families.gauge(
                names::COMPONENT_EVENTS,
                help,
                (written, &[name, ("result", result)]),
                events as f64,
            );
        }
        if let Some(share) = component.lately_burn_share {
            let help =
                "Share of the composite's recent burn that this component causes; absent when nothing burnt.";
            families.gauge(names::COMPONENT_BURN, help, labels, share);
        }
    }
}
