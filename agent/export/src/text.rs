//! The text of `/metrics`: first the recorded metrics, then the figures of the snapshot.
//!
//! The `slo:*` family has Sloth's names and labels, so that dashboards and rules written for Sloth work unchanged. Its
//! figures are those of the generated rules: the ratio of a window and the present burn are of the time that was observed;
//! burn and budget of the period count unobserved time as clean. A figure without an event is absent, never zero and
//! never NaN.

use std::collections::BTreeMap;

use lookout_engine::{Cause, Objective};

use super::component;
use super::family::Families;
use super::host::Host;
use super::labels::{SharedLabels, written};
use lookout_evaluate::{SloStatus, Snapshot};
use lookout_runtime::events::names;
use lookout_runtime::exposition::Format;
use lookout_runtime::recorder::Recorder;

/// Writes all metrics, without what ends a text of the format.
pub fn render(
    out: &mut String,
    recorder: &Recorder,
    snapshot: &Snapshot,
    host: &Host,
    external_url: &str,
    format: Format,
) {
    recorder.write(out, format);
    let mut families = Families::default();
    // dashboards link to the agent by this address
    let version = [("version", env!("CARGO_PKG_VERSION")), ("external_url", external_url)];
    families.gauge(names::BUILD_INFO, "Which lookout this is; always 1.", &version, 1.0);
    let mut shared = SharedLabels::default();
    for slo in &snapshot.slos {
        sloth_families(&mut families, &mut shared, slo);
        lookout_families(&mut families, &mut shared, slo);
    }
    host.figures().add_to(&mut families);
    families.write(out, format);
}

fn sloth_families(families: &mut Families, shared: &mut SharedLabels, slo: &SloStatus) {
    let evidence = &slo.evidence;
    let own = written([("sloth_id", &slo.id), ("sloth_service", &slo.service), ("sloth_slo", &slo.slo)]);
    let written = own.as_str();
    let labels = (written, &[]);
    // The engine's type prints 99.9 % as 0.999 and not as 0.9990000000000001.
    let objective = Objective::try_from_percent(evidence.objective_percent);
    let (objective, budget) =
        objective.map_or((f64::NAN, f64::NAN), |objective| (objective.ratio(), objective.budget_ratio()));
    for (seconds, ratio) in ratios_by_window(slo, budget) {
        let Some(window) = shared.window(seconds) else { continue };
        let help = "Share of bad events in the observed time of the window.";
        families.gauge(&window.ratio, help, [written, window.of_sloth.as_str()], ratio);
    }
    let days = evidence.period_s as f64 / 86_400.0;
    families.gauge("slo:objective:ratio", "Share of events that must be good.", labels, objective);
    families.gauge("slo:error_budget:ratio", "Share of events that may be bad.", labels, budget);
    families.gauge("slo:time_period:days", "Length of the budget period.", labels, days);
    let shortest = evidence.tiers.iter().min_by_key(|tier| tier.short_s);
    if let Some(burn) = shortest.and_then(|tier| observed(tier.short_burn, tier.short_coverage)) {
        let help = "Burn rate over the observed time of the shortest window.";
        families.gauge("slo:current_burn_rate:ratio", help, labels, burn);
    }
    if evidence.total > 0 && evidence.has_budget() {
        let left = evidence.budget_left_ratio;
        let help = "Burn rate over the period; time that was not observed counts as clean.";
        families.gauge("slo:period_burn_rate:ratio", help, labels, 1.0 - left);
        let help = "Share of the error budget that is left, negative when overspent; time that was not observed counts as clean.";
        families.gauge("slo:period_error_budget_remaining:ratio", help, labels, left);
    }
    let percent = evidence.objective_percent.to_string();
    let version = concat!("lookout-", env!("CARGO_PKG_VERSION"));
    let more = [
        ("sloth_mode", "lookout"),
        ("sloth_objective", percent.as_str()),
        ("sloth_spec", "openslo/v1"),
        ("sloth_version", version),
    ];
    families.gauge("sloth_slo_info", "The SLO; always 1.", (written, &more), 1.0);
}

/// Returns the burn rate of the observed time of a window.
fn observed(burn: Option<f64>, coverage: f64) -> Option<f64> {
    burn.filter(|_| coverage > 0.0).map(|burn| burn / coverage)
}

/// Returns shares of bad events by window length, where there were events.
fn ratios_by_window(slo: &SloStatus, budget: f64) -> BTreeMap<u64, f64> {
    let evidence = &slo.evidence;
    let windows = evidence.tiers.iter().flat_map(|tier| {
        [
            (tier.long_s, tier.long_burn, tier.long_coverage),
            (tier.short_s, tier.short_burn, tier.short_coverage),
        ]
    });
    let mut ratios: BTreeMap<u64, f64> = windows
        .filter_map(|(seconds, burn, coverage)| Some((seconds, observed(burn, coverage)? * budget)))
        .collect();
    // a calendar period is no window: its length changes, and so would the name of its series
    if let Some(good) = slo.sli_ratio.filter(|_| evidence.calendar.is_none()) {
        ratios.insert(evidence.period_s, 1.0 - good);
    }
    ratios
}

fn lookout_families(families: &mut Families, shared: &mut SharedLabels, slo: &SloStatus) {
    let evidence = &slo.evidence;
    let own = written([("service", &slo.service), ("slo", &slo.slo)]);
    let written = own.as_str();
    let labels = (written, &[]);
    let states =
        shared.data_states.iter().map(|(state, label)| (label.as_str(), *state == evidence.data_state));
    families.states(names::SLO_DATA_STATE, "1 for the state the data are in, else 0.", written, states);
    let current = slo.status();
    let states = shared.statuses.iter().map(|(status, label)| (label.as_str(), *status == current));
    families.states(names::SLO_STATUS, "1 for the state of the SLO for people, else 0.", written, states);
    if evidence.total > 0 && evidence.has_budget() {
        let help = "Share of the error budget that is left; negative when overspent.";
        families.gauge(names::SLO_BUDGET_LEFT, help, labels, evidence.budget_left_ratio);
    }
    if let Some(seconds) = evidence.seconds_to_exhaustion {
        let help = "Time until the budget is gone at the present burn rate; absent when nothing burns.";
        families.gauge(names::SLO_EXHAUSTION, help, labels, seconds);
    }
    if let Some(implausible) = &slo.implausible {
        let help = "Begin of the last slot whose counts cannot be true; absent a day later, unless the ledger has them.";
        let stored = [("stored", if implausible.stored { "true" } else { "false" })];
        families.gauge(names::SLO_IMPLAUSIBLE, help, (written, &stored), implausible.at.as_seconds_f64());
    }
    let help = "Seconds of the period that corrections exclude.";
    families.gauge(names::SLO_CORRECTED, help, labels, evidence.corrected.seconds as f64);
    let good = evidence.total.saturating_sub(evidence.bad);
    for (result, events) in [("good", good), ("bad", evidence.bad)] {
        let help = "Events of the period, as they are now: old ones leave as new ones come.";
        families.gauge(names::SLO_EVENTS, help, (written, &[("result", result)]), events as f64);
    }
    coverage_families(families, shared, slo, written);
    incident_families(families, shared, slo, written);
    component::add_to(families, slo, written);
}

/// Observed seconds of every window of a tier, and the seconds it asks for.
fn coverage_families(families: &mut Families, shared: &mut SharedLabels, slo: &SloStatus, written: &str) {
    let windows = slo
        .evidence
        .tiers
        .iter()
        .flat_map(|tier| [(tier.long_s, tier.long_coverage), (tier.short_s, tier.short_coverage)]);
    let windows: BTreeMap<u64, f64> = windows.collect();
    for (seconds, coverage) in windows {
        let Some(window) = shared.window(seconds) else { continue };
        let labels = [written, window.own.as_str()];
        let asked = seconds as f64;
        let help =
            "Observed seconds of a window of a tier; unseen time counts as clean before the tier fires.";
        families.gauge(names::SLO_WINDOW_OBSERVED, help, labels, asked * coverage);
        let help = "Length of a window of a tier.";
        families.gauge(names::SLO_WINDOW, help, labels, asked);
    }
}

fn incident_families(families: &mut Families, shared: &SharedLabels, slo: &SloStatus, written: &str) {
    for incident in slo.incidents.iter().chain(&slo.resolved) {
        let labels = (written, &[("cause", incident.cause.as_str())]);
        for (family, help, at) in [
            (
                names::INCIDENT_STARTED,
                "Begin of the first bad slot of the latest incident.",
                incident.started_at,
            ),
            (
                names::INCIDENT_DETECTED,
                "End of the slot in which its first alert fired.",
                Some(incident.detected_at),
            ),
            (
                names::INCIDENT_RECOVERED,
                "End of its last bad slot; absent while that is not known.",
                incident.recovered_at,
            ),
            (
                names::INCIDENT_RESOLVED,
                "End of the slot in which its last alert resolved; absent while it is open.",
                incident.resolved_at,
            ),
        ] {
            if let Some(at) = at {
                families.gauge(family, help, labels, at.as_seconds_f64());
            }
        }
    }
    // few SLOs are about a row of probes, and the others need no series of it
    let has_row = slo.evidence.conditions.iter().any(|seen| seen.kind.cause() == Cause::TargetDown);
    let kinds = shared.incidents.iter().filter(|(cause, ..)| has_row || *cause != Cause::TargetDown);
    let states = kinds.map(|(cause, severity, label)| {
        let is_open = slo.incidents.iter().any(|incident| {
            incident.resolved_at.is_none() && incident.cause == *cause && incident.severity == *severity
        });
        (label.as_str(), is_open)
    });
    families.states(names::INCIDENT_OPEN, "1 while an incident is open, else 0.", written, states);
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
