//! Selection of incidents by service, SLO and label.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Condition on the SLO of an incident. An empty list or map selects everything; what is written must hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matcher {
    /// Services, of which one must be that of the SLO.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// Ids of SLOs (`<service>-<slo>`), of which one must be that of the SLO.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slos: Vec<String>,
    /// Labels of the SLO, each with the values of which one must be its own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Vec<String>>,
}

impl Matcher {
    /// Returns whether it selects every SLO.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.services.is_empty() && self.slos.is_empty() && self.labels.is_empty()
    }

    /// Returns whether it selects an SLO.
    #[must_use]
    pub fn selects(&self, service: &str, slo_id: &str, labels: &BTreeMap<String, String>) -> bool {
        let one_of = |values: &[String], value: &str| values.iter().any(|one| one == value);
        (self.services.is_empty() || one_of(&self.services, service))
            && (self.slos.is_empty() || one_of(&self.slos, slo_id))
            && self
                .labels
                .iter()
                .all(|(name, values)| labels.get(name).is_some_and(|value| one_of(values, value)))
    }
}

impl std::fmt::Display for Matcher {
    /// Writes `service checkout, label team=payments|search`, or `every SLO`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if !self.services.is_empty() {
            parts.push(format!("service {}", self.services.join("|")));
        }
        if !self.slos.is_empty() {
            parts.push(format!("SLO {}", self.slos.join("|")));
        }
        parts.extend(self.labels.iter().map(|(name, values)| format!("label {name}={}", values.join("|"))));
        if parts.is_empty() { f.write_str("every SLO") } else { f.write_str(&parts.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_must_hold_together() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let labels = BTreeMap::from([("team".to_owned(), "payments".to_owned())]);
        let selects = |matcher: &Matcher| matcher.selects("shop", "shop-orders", &labels);
        let mut matcher = Matcher::default();
        assert!(selects(&matcher) && matcher.is_empty());
        assert_eq!(matcher.to_string(), "every SLO");
        matcher.services = words(&["other", "shop"]);
        assert!(selects(&matcher));
        matcher.labels = BTreeMap::from([("team".to_owned(), words(&["search", "payments"]))]);
        assert!(selects(&matcher));
        assert_eq!(matcher.to_string(), "service other|shop, label team=search|payments");
        matcher.slos = words(&["shop-carts"]);
        assert!(!selects(&matcher));
        matcher.slos = words(&["shop-orders"]);
        assert!(selects(&matcher));
        matcher.labels.insert("tier".to_owned(), words(&["gold"]));
        assert!(!selects(&matcher), "an SLO without the label is not selected");
    }
}
