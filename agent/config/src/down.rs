//! The SLO of a target with `down`: an incident about failures in a row.
//!
//! It has no objective (0 %), so that it has neither tiers nor a budget that could be spent. It exists so that its incident
//! is one like any other: stored, routed, delivered, shown and asked for by the gate.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use lookout_engine::{Condition, EventRate, Guard, Method, Objective, Period, Policy, Severity, Window};
use lookout_model::format::several;

use super::diagnostic::Diagnostic;
use super::model::{Config, GateMinimum, Indicator, RateSource, Service, Slo, Traffic};
use super::objective::{silence, whole_seconds};
use super::target::{Discovery, Down, Target};

/// The period that its share of good probes is shown for.
const PERIOD: Window = Window::days(30);

/// Adds the SLO of every target with `down`. Returns a finding for each name that is taken.
pub(super) fn add_down_slos(file: &Path, config: &mut Config) -> Vec<Diagnostic> {
    // the addresses of a target are one: they have one incident, and it is there before the first of them is found
    let stand_ins = config.discoveries.iter().map(Discovery::stand_in);
    let mut names = BTreeSet::new();
    let targets = stand_ins.chain(config.targets.iter().map(AsRef::as_ref));
    let targets = targets.filter(|target| target.down.is_some() && names.insert(target.declared_name()));
    let added: Vec<Slo> =
        targets.filter_map(|target| down_slo(config, target, target.down.as_ref()?)).collect();
    let mut findings = Vec::new();
    for slo in added {
        if config.slos.iter().any(|known| known.id() == slo.id()) {
            let message = format!("`down` makes an SLO {}, and there is one of that name", slo.id());
            findings.push(Diagnostic::whole_file(file, message, "give the other SLO another name"));
            continue;
        }
        let service = || Service { name: slo.service.clone(), ..Service::default() };
        config.services.entry(slo.service.clone()).or_insert_with(service);
        config.slos.push(slo);
    }
    findings
}

fn down_slo(config: &Config, target: &Target, down: &Down) -> Option<Slo> {
    let name = target.declared_name();
    let counts = |slo: &&Slo| matches!(&slo.indicator, Indicator::Probe { target: counted, certificate_days: None } if counted == name);
    let user = config.slos.iter().find(counts);
    let service = down.service.clone().or_else(|| user.map(|slo| slo.service.clone()));
    let mut labels = user.map(|slo| slo.labels.clone()).unwrap_or_default();
    labels.extend(target.labels.iter().cloned());
    let slot = Duration::from_secs(config.grid.width_seconds().into());
    // missing data of a target are told once
    let is_told = user.is_some_and(|slo| slo.policy.data_alert.is_some());
    let policy = Policy {
        grid: config.grid,
        objective: Objective::try_from_percent(0.0).ok()?,
        period: Period::Rolling(PERIOD),
        method: Method::Occurrences,
        tiers: Vec::new(),
        guard: Guard::default(),
        conditions: vec![Condition::down(down.severity, down.after, down.up_after)],
        stale_after_seconds: whole_seconds(silence(slot, target.interval, target.timeout)),
        data_alert: (!is_told).then_some(Severity::Ticket),
    };
    let rate = EventRate::try_every_seconds(target.interval.as_secs_f64()).ok()?;
    let has_addresses = target.group.is_some();
    let row = |count: u32, what| several(usize::try_from(count).unwrap_or(usize::MAX), what);
    Some(Slo {
        name: format!("{name}-probes"),
        service: service.unwrap_or_else(|| name.to_owned()),
        display_name: Some(format!("The probes of {name}")),
        description: format!(
            "The target is down after {} in a row{}, and up after {} in a row{}.",
            row(down.after, "failed probe"),
            if has_addresses { " at every address" } else { "" },
            row(down.up_after, "good probe"),
            if has_addresses { " at one of them" } else { "" },
        ),
        file: PathBuf::new(),
        indicator: Indicator::Probe { target: name.to_owned(), certificate_days: None },
        policy,
        calendar: None,
        labels,
        traffic: Traffic { rate, source: RateSource::Probe },
        page_within: None,
        gate: GateMinimum::default(),
        time_zone: TimeZone::UTC,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Diagnostics, load_with};
    use lookout_engine::Cause;

    const SPEC: &str = "apiVersion: openslo/v1
kind: SLO
metadata: { name: NAME, labels: { team: deck } }
spec:
  service: shop
  indicator:
    spec:
      ratioMetric:
        counter: true
        good: { metricSource: { type: probe, spec: { target: api, outcome: ok } } }
        total: { metricSource: { type: probe, spec: { target: api } } }
  timeWindow: [{ duration: 30d, isRolling: true }]
  budgetingMethod: Occurrences
  objectives: [{ targetPercent: 99 }]
";

    fn loaded(targets: &str, slo: Option<&str>) -> Result<Config, Diagnostics> {
        let folder = tempfile::tempdir().unwrap();
        let slos = if slo.is_some() { "[\"*.slo.yaml\"]" } else { "[]" };
        let text = format!("interval: 10s\nslos: {slos}\ntargets:\n{targets}");
        std::fs::write(folder.path().join("lookout.yaml"), text).unwrap();
        let spec = slo.map(|name| SPEC.replace("NAME", name)).unwrap_or_default();
        std::fs::write(folder.path().join("a.slo.yaml"), spec).unwrap();
        load_with(&folder.path().join("lookout.yaml"), &|_| None).map(|(config, _)| config)
    }

    const TARGET: &str = "  - { name: api, interval: 1m, timeout: 4s, labels: { zone: a }, http: { url: \"http://api.test/\" }, down: DOWN }\n";

    fn target(down: &str) -> String {
        TARGET.replace("DOWN", down)
    }

    #[test]
    fn a_target_needs_no_slo_to_be_down() {
        let config = loaded(&target("{}"), None).unwrap();
        let [slo] = config.slos.as_slice() else { panic!("{:?}", config.slos) };
        assert_eq!(
            (slo.id().as_str(), slo.alert_name_for(Cause::TargetDown).as_str()),
            ("api-api-probes", "ApiApiProbesDown")
        );
        assert_eq!(
            slo.causes().filter(|cause| *cause != Cause::Burn).collect::<Vec<_>>(),
            [Cause::DataMissing, Cause::TargetDown]
        );
        assert_eq!(slo.policy.conditions, [Condition::down(Severity::Page, 3, 2)]);
        assert_eq!((slo.policy.tiers.len(), slo.policy.stale_after_seconds), (0, 184));
        assert_eq!(slo.labels.get("zone").map(String::as_str), Some("a"));
        assert_eq!(
            slo.description,
            "The target is down after 3 failed probes in a row, and up after 2 good probes in a row."
        );
        assert!(config.services.contains_key("api"));
    }

    #[test]
    fn with_an_slo_it_belongs_to_the_same_service_and_missing_data_are_told_once() {
        let config =
            loaded(&target("{ after: 1, up_after: 1, severity: ticket }"), Some("requests")).unwrap();
        let slo = config.slo("shop-api-probes").unwrap();
        assert_eq!((slo.service.as_str(), slo.policy.data_alert), ("shop", None));
        assert_eq!(slo.policy.conditions, [Condition::down(Severity::Ticket, 1, 1)]);
        assert_eq!(slo.labels.keys().collect::<Vec<_>>(), ["team", "zone"]);
        let own = loaded(&target("{ service: edge }"), Some("requests")).unwrap();
        assert_eq!(own.slo("edge-api-probes").map(|slo| slo.service.as_str()), Some("edge"));
    }

    #[test]
    fn discovered_addresses_have_one_slo_before_and_after_they_are_found() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("list.json"), r#"[{"targets": ["10.0.0.1:1", "10.0.0.2:1"]}]"#)
            .unwrap();
        for discover in ["files: [list.json]", "dns: { names: [shop.test] }"] {
            let target =
                "{ name: shop, tcp: { address: \"{{address}}\" }, down: { after: 2 }, discover: { SOURCE } }";
            let text = format!("slos: []\ntargets: [{}]\n", target.replace("SOURCE", discover));
            std::fs::write(folder.path().join("lookout.yaml"), text).unwrap();
            let (with_secrets, _) = load_with(&folder.path().join("lookout.yaml"), &|_| None).unwrap();
            let without = crate::load_without_secrets(folder.path()).unwrap().0;
            for config in [with_secrets, without] {
                let [slo] = config.slos.as_slice() else { panic!("{discover}: {:?}", config.slos) };
                assert_eq!((slo.id().as_str(), slo.service.as_str()), ("shop-shop-probes", "shop"));
                assert_eq!(
                    slo.description,
                    "The target is down after 2 failed probes in a row at every address, and up after 2 good probes \
                     in a row at one of them."
                );
                assert_eq!(
                    slo.indicator,
                    Indicator::Probe { target: "shop".to_owned(), certificate_days: None }
                );
            }
        }
    }

    #[test]
    fn a_name_that_is_taken_is_refused_and_not_dropped() {
        let found = loaded(&target("{}"), Some("api-probes")).unwrap_err().to_string();
        assert!(
            found.contains("`down` makes an SLO shop-api-probes, and there is one of that name"),
            "{found}"
        );
    }
}
