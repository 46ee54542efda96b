//! The rules about now: an answer needs evidence, and what fails now is never let through.

use std::time::Duration;

use lookout_config::GatePolicy;
use lookout_model::{DeployClass, PresentEvidence, Timestamp, format};

use super::answer::{Code, Decision, Evidence};
use super::finding::{Finding, finding};
use lookout_evaluate::SloStatus;

/// Finds what speaks against a change in the present of an SLO. `at` is the end of the slot that it describes.
pub(super) fn judge(slo: &SloStatus, class: DeployClass, policy: &GatePolicy, at: Timestamp) -> Vec<Finding> {
    let Some(present) = &slo.evidence.present else {
        let text = format!("{}: its present is not known", slo.title);
        return vec![finding(Decision::Hold, Evidence::Unknown, Code::DataStale, &slo.id, text)];
    };
    let mut findings: Vec<Finding> = failing(slo, present, class).into_iter().collect();
    findings.extend(pending(slo));
    findings.extend(unobserved(slo, present, policy, at));
    findings.extend(unseen(slo, policy));
    findings
}

/// The SLO fails now. A fix that is meant to end the failure waits too: it passes as `rollback`, or when the SLO recovers.
fn failing(slo: &SloStatus, present: &PresentEvidence, class: DeployClass) -> Option<Finding> {
    if !present.failing {
        return None;
    }
    let effect = if class == DeployClass::Fix { Decision::Hold } else { Decision::Deny };
    let window = format::window(present.window_s);
    let text = format!(
        "{}: fails now, {} of {} events of the last {window} were bad ({} of the even spend)",
        slo.title,
        format::count(present.bad),
        format::count(present.total),
        format::burn(present.burn),
    );
    let mut finding = finding(effect, Evidence::Bad, Code::FailingNow, &slo.id, text);
    finding.reason.measured = present.burn.filter(|burn| burn.is_finite());
    finding.reason.window = Some(window);
    finding.reason.samples = Some(present.total);
    Some(finding)
}

/// A tier burns above its factor and waits for its hold time or for the guard.
fn pending(slo: &SloStatus) -> Option<Finding> {
    let tier = slo.evidence.tiers.iter().filter(|tier| tier.pending).max_by_key(|tier| tier.severity)?;
    let window = format::window(tier.long_s);
    let why = tier.held.as_deref().unwrap_or("its hold time is not over");
    let text =
        format!("{}: burns above {}× over {window} and is about to alert: {why}", slo.title, tier.factor);
    let mut finding = finding(Decision::Hold, Evidence::Bad, Code::BurnPending, &slo.id, text);
    finding.reason.measured = tier.long_burn.filter(|burn| burn.is_finite());
    finding.reason.threshold = Some(tier.factor).filter(|factor| factor.is_finite());
    finding.reason.window = Some(window);
    finding.reason.samples = Some(tier.long_total);
    Some(finding)
}

/// Too little time was observed.
fn unobserved(
    slo: &SloStatus,
    present: &PresentEvidence,
    policy: &GatePolicy,
    at: Timestamp,
) -> Option<Finding> {
    let minimum = policy.minimum_observed.as_secs();
    let window_missing = present.window_s.saturating_sub(present.observed_window_s);
    let missing = window_missing.max(minimum.saturating_sub(present.observed_s));
    if missing == 0 {
        return None;
    }
    let (asked, seen) = match window_missing {
        0 => (minimum, present.observed_s),
        _ => (present.window_s.max(minimum), present.observed_window_s),
    };
    let duration = |seconds: u64| format::duration(seconds as f64);
    let ready_at = at + Duration::from_secs(missing);
    let text = format!(
        "{}: {} of the last {} were observed; enough in {} if data keep coming, at {}",
        slo.title,
        duration(seen),
        duration(asked),
        duration(missing),
        format::time(ready_at, at),
    );
    let mut finding =
        finding(Decision::Hold, Evidence::InsufficientData, Code::TooLittleObserved, &slo.id, text);
    finding.reason.measured = Some(seen as f64);
    finding.reason.threshold = Some(asked as f64);
    finding.reason.samples = Some(slo.evidence.total);
    Some(finding)
}

/// Too few events were seen.
fn unseen(slo: &SloStatus, policy: &GatePolicy) -> Option<Finding> {
    let (seen, asked) = (slo.evidence.total, policy.minimum_events);
    if seen >= asked {
        return None;
    }
    let text = format!(
        "{}: {} of the {} events asked for were seen in the period",
        slo.title,
        format::count(seen),
        format::count(asked)
    );
    let mut finding = finding(Decision::Hold, Evidence::InsufficientData, Code::TooFewSamples, &slo.id, text);
    finding.reason.measured = Some(seen as f64);
    finding.reason.threshold = Some(asked as f64);
    finding.reason.samples = Some(seen);
    Some(finding)
}
