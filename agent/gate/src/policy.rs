//! The rules, and nothing else: no clock, no store, no network.

use jiff::SignedDuration;
use lookout_engine::{Cause, DataState, Severity, Window};
use sha2::{Digest as _, Sha256};

use super::answer::{Answer, Code, DecidedBy, Decision, Evidence, Reason};
use super::finding::{Finding, finding};
use super::present;
use super::question::Question;
use lookout_config::{GateMinimum, GatePolicy};
use lookout_evaluate::{SloStatus, Snapshot};
use lookout_model::{DeployClass, IncidentRecord, PauseCause};
use lookout_model::{Timestamp, format};

/// An evaluation that is older than so many intervals says nothing about now.
const TRUSTED_INTERVALS: i64 = 3;

/// Answers the question from what is known at `now`.
///
/// The id of the answer is derived from its content; whoever stores answers may put a unique one in its place.
#[must_use]
pub fn decide(question: &Question, snapshot: &Snapshot, policy: &GatePolicy, now: Timestamp) -> Answer {
    let slos: Vec<&SloStatus> = snapshot.slos.iter().filter(|slo| slo.service == question.service).collect();
    let mut findings = Vec::new();
    if snapshot.at == Snapshot::NEVER {
        findings.push(just_started(snapshot));
    } else {
        if slos.is_empty() {
            findings.push(unknown_service(&question.service, snapshot));
        }
        findings.extend(untimely(snapshot, now));
    }
    if snapshot.ledger_is_down {
        let text =
            "the ledger takes no writes, so what is known cannot be relied on; the agent's log says why";
        findings.push(finding(Decision::Hold, Evidence::Unknown, Code::DataStale, "", text.to_owned()));
    }
    let (off, watched): (Vec<_>, Vec<_>) = slos.iter().copied().partition(|slo| is_off(slo));
    let effect = if watched.is_empty() { Decision::Hold } else { Decision::Allow };
    findings.extend(off.into_iter().filter_map(|slo| left_out(slo, effect, snapshot.at)));
    for slo in &watched {
        findings.extend(judge(slo, question.class, &policy.for_slo(&slo.gate), snapshot.at));
    }
    findings.sort_by_key(|finding| core::cmp::Reverse((finding.effect, finding.evidence)));

    let asked_for = findings.iter().map(|finding| finding.effect).max().unwrap_or(Decision::Hold);
    let decision = if question.class.always_passes() { Decision::Allow } else { asked_for };
    if decision != asked_for {
        findings.insert(0, passed_over(question.class, asked_for, &findings));
    }
    // The evidence behind a hold or a denial is that of the findings that asked for it.
    let deciding =
        findings.iter().filter(|finding| decision == Decision::Allow || finding.effect == decision);
    let evidence = deciding.map(|finding| finding.evidence).max().unwrap_or(Evidence::Unknown);

    let evaluated_at = jiff::Timestamp::try_from(now).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let valid_for = SignedDuration::try_from(policy.valid_for).unwrap_or(SignedDuration::ZERO);
    let mut answer = Answer {
        decision,
        decided_by: DecidedBy::Policy,
        evidence,
        reasons: findings.into_iter().map(|finding| finding.reason).collect(),
        minimum_detectable_effect: None,
        evaluated_at,
        valid_until: evaluated_at.saturating_add(valid_for).unwrap_or(evaluated_at),
        data_age_seconds: data_age(&watched, snapshot, now),
        decision_id: String::new(),
        policy_hash: policy_hash(policy, &slos),
    };
    answer.decision_id = content_id(question, &answer);
    answer
}

/// Names the findings that a class of change passes over.
fn passed_over(class: DeployClass, asked_for: Decision, findings: &[Finding]) -> Finding {
    let against = findings.iter().filter(|finding| finding.effect != Decision::Allow).count();
    let text = format!(
        "PASSED OVER: a {class} always passes; {} below would {asked_for} any other change",
        format::several(against, "finding"),
    );
    finding(Decision::Allow, Evidence::Unknown, Code::PassedOver, "", text)
}

/// Names a policy: the same rules have the same short hash.
#[must_use]
pub fn policy_hash(policy: &GatePolicy, slos: &[&SloStatus]) -> String {
    let mut text = format!(
        "gate/2 minimum_budget={} valid_for_ms={} minimum_observed_ms={} minimum_events={} idle_is_normal={}",
        policy.minimum_budget,
        policy.valid_for.as_millis(),
        policy.minimum_observed.as_millis(),
        policy.minimum_events,
        policy.idle_is_normal,
    );
    for slo in slos.iter().filter(|slo| slo.gate != GateMinimum::default()) {
        text.push_str(&format!(" {}={:?}", slo.id, slo.gate));
    }
    short_hash(&[&text])
}

fn content_id(question: &Question, answer: &Answer) -> String {
    let content = serde_json::to_string(answer).unwrap_or_default();
    format!("dec-{}", short_hash(&[&question.service, question.class.as_str(), &content]))
}

fn short_hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Age of the oldest data; `None` as soon as one SLO has none.
fn data_age(slos: &[&SloStatus], snapshot: &Snapshot, now: Timestamp) -> Option<f64> {
    let since_snapshot = now.seconds_since(snapshot.at).max(0.0);
    let ages: Option<Vec<f64>> = slos.iter().map(|slo| slo.data_age_s.and_then(finite)).collect();
    ages?.into_iter().reduce(f64::max).map(|age| age.max(0.0) + since_snapshot)
}

fn unknown_service(service: &str, snapshot: &Snapshot) -> Finding {
    let mut known: Vec<&str> = snapshot.slos.iter().map(|slo| slo.service.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    let known = if known.is_empty() { "none is known yet".to_owned() } else { known.join(", ") };
    let text = format!("no SLO belongs to a service named {service:?}; known services: {known}");
    finding(Decision::Hold, Evidence::Unknown, Code::UnknownService, "", text)
}

/// Nothing is known of any service yet, and soon will be.
fn just_started(snapshot: &Snapshot) -> Finding {
    let text = format!(
        "the agent has just started; the first evaluation is at most {} away",
        format::duration(f64::from(snapshot.interval_s))
    );
    finding(Decision::Hold, Evidence::Unknown, Code::DataStale, "", text)
}

/// Finds a snapshot that is about another time than now.
fn untimely(snapshot: &Snapshot, now: Timestamp) -> Option<Finding> {
    let trusted_ms = i64::from(snapshot.interval_s.max(1)) * 1000 * TRUSTED_INTERVALS;
    let age_ms = now.millis_since(snapshot.at);
    let (code, text) = if age_ms > trusted_ms {
        let text =
            format!("the last evaluation was {}: the agent does not keep up", format::ago(snapshot.at, now));
        (Code::DataStale, text)
    } else if age_ms < -trusted_ms {
        let ahead = format::duration(age_ms.saturating_neg() as f64 / 1000.0);
        (Code::ClockSkew, format!("the last evaluation lies {ahead} in the future: a clock is wrong"))
    } else {
        return None;
    };
    let mut finding = finding(Decision::Hold, Evidence::Unknown, code, "", text);
    finding.reason.measured = Some(age_ms as f64 / 1000.0);
    finding.reason.threshold = Some(trusted_ms as f64 / 1000.0);
    Some(finding)
}

fn judge(slo: &SloStatus, class: DeployClass, policy: &GatePolicy, at: Timestamp) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        slo.incidents.iter().filter_map(|incident| open_incident(slo, incident, class)).collect();
    findings.extend(budget(slo, class, policy));
    findings.extend(paused(slo, at));
    match data(slo, policy) {
        Some(finding) => findings.push(finding),
        None => findings.extend(present::judge(slo, class, policy, at)),
    }
    findings.extend(stored_implausible(slo));
    if findings.is_empty() {
        findings.push(all_is_well(slo, policy));
    }
    findings.extend(quarantined(slo));
    findings.extend(undelivered(slo));
    findings
}

/// Returns whether the configuration leaves a target of the SLO out.
fn is_off(slo: &SloStatus) -> bool {
    slo.paused.as_ref().is_some_and(|pause| pause.cause == PauseCause::Off) && slo.incidents.is_empty()
}

/// An SLO that is not measured here takes no part, and whoever reads the answer knows of it. Alone it allows nothing.
fn left_out(slo: &SloStatus, effect: Decision, at: Timestamp) -> Option<Finding> {
    let text = format!("{}: not measured here, {}", slo.title, slo.paused.as_ref()?.text(at));
    let evidence = if effect == Decision::Allow { Evidence::Good } else { Evidence::Unknown };
    Some(finding(effect, evidence, Code::TargetOff, &slo.id, text))
}

/// Nobody looks at present, so nothing can be said about now.
fn paused(slo: &SloStatus, at: Timestamp) -> Option<Finding> {
    let pause = slo.paused.as_ref()?;
    let text = format!("{}: {}", slo.title, pause.text(at));
    Some(finding(Decision::Hold, Evidence::InsufficientData, Code::TargetPaused, &slo.id, text))
}

/// Counts that cannot be true are in the ledger: nobody knows which figure of that time is true.
fn stored_implausible(slo: &SloStatus) -> Option<Finding> {
    let implausible = slo.implausible.as_ref().filter(|implausible| implausible.stored)?;
    let text = format!("{}: {}", slo.title, implausible.text());
    Some(finding(Decision::Hold, Evidence::Unknown, Code::ImplausibleCounts, &slo.id, text))
}

/// Counts that cannot be true were not counted. They stop no change, and whoever reads the answer knows of them.
fn quarantined(slo: &SloStatus) -> Option<Finding> {
    let implausible = slo.implausible.as_ref().filter(|implausible| !implausible.stored)?;
    let text = format!("{}: {}", slo.title, implausible.text());
    Some(finding(Decision::Allow, Evidence::Good, Code::ImplausibleCounts, &slo.id, text))
}

/// Messages about the SLO were refused for good. They stop no change, and whoever reads the answer knows that a page
/// about it may reach nobody.
fn undelivered(slo: &SloStatus) -> Option<Finding> {
    if slo.refused_by.is_empty() {
        return None;
    }
    let text = format!(
        "{}: messages about it do not arrive at {}; correct the destination, or retry with `lookout deliver retry`",
        slo.title,
        slo.refused_by.join(", "),
    );
    Some(finding(Decision::Allow, Evidence::Good, Code::PagesUndelivered, &slo.id, text))
}

fn open_incident(slo: &SloStatus, incident: &IncidentRecord, class: DeployClass) -> Option<Finding> {
    if incident.resolved_at.is_some() {
        return None;
    }
    let burns = incident.cause == Cause::Burn;
    let severity = incident.severity;
    // A fix need not wait for the end of the incident that it mends, only for the end of the failure itself.
    let effect = match (class, incident.cause) {
        (DeployClass::Fix, Cause::CrashLoop | Cause::TargetDown) => Decision::Hold,
        (DeployClass::Fix, _) => Decision::Allow,
        _ => Decision::Deny,
    };
    let code = if burns && severity == Severity::Page { Code::BurnFast } else { Code::IncidentOpen };
    let evidence = if burns { Evidence::Bad } else { Evidence::Unknown };
    let why = format::cause(incident.cause);
    let since = format::date_time(incident.detected_at);
    let text = format!("{}: a {severity} is open since {since}, because {why} ({})", slo.title, incident.id);
    let mut finding = finding(effect, evidence, code, &slo.id, text);
    if burns {
        measure_burn(slo, severity, &mut finding.reason);
    }
    Some(finding)
}

/// Fills in the tier that burns fastest against its factor.
fn measure_burn(slo: &SloStatus, severity: Severity, reason: &mut Reason) {
    let tiers = slo.evidence.tiers.iter().filter(|tier| tier.severity == severity);
    let measured = tiers.filter_map(|tier| {
        let burn = tier.long_burn.and_then(finite)?;
        let factor = finite(tier.factor).filter(|factor| *factor > 0.0)?;
        Some((tier.firing, burn / factor, burn, tier))
    });
    let worst = measured.max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    if let Some((_, _, burn, tier)) = worst {
        reason.measured = Some(burn);
        reason.threshold = finite(tier.factor);
        reason.window = Some(Window::seconds(tier.long_s).to_string());
        reason.samples = Some(tier.long_total);
    }
}

fn budget(slo: &SloStatus, class: DeployClass, policy: &GatePolicy) -> Option<Finding> {
    let evidence = &slo.evidence;
    let Some(left) = finite(evidence.budget_left_ratio) else {
        let text = format!("{}: what is left of the error budget is not known", slo.title);
        return Some(finding(Decision::Hold, Evidence::Unknown, Code::DataStale, &slo.id, text));
    };
    if left > policy.minimum_budget {
        return None;
    }
    let effect = if class == DeployClass::Fix { Decision::Allow } else { Decision::Deny };
    let title = &slo.title;
    let text = if left <= 0.0 {
        format!("{title}: the error budget is spent ({} left)", format::percent(left))
    } else {
        let asked = format::percent(policy.minimum_budget);
        format!("{title}: {} of the error budget is left, {asked} is asked for", format::percent(left))
    };
    let mut finding = finding(effect, Evidence::Bad, Code::BudgetExhausted, &slo.id, text);
    fill_budget(slo, policy, &mut finding.reason);
    Some(finding)
}

fn data(slo: &SloStatus, policy: &GatePolicy) -> Option<Finding> {
    let (evidence, title) = (&slo.evidence, &slo.title);
    let age = slo.data_age_s.and_then(finite);
    let counted = evidence.total > 0;
    let (effect, weight, code, text) = match evidence.data_state {
        DataState::Ok if counted => return None,
        DataState::Idle if counted => {
            if policy.idle_is_normal {
                return None;
            }
            let text = format!("{title}: no traffic now, so nothing can be said about now");
            (Decision::Hold, Evidence::InsufficientData, Code::NoTraffic, text)
        }
        DataState::Insufficient if counted => {
            let text = format!("{title}: too few events to judge now");
            (Decision::Hold, Evidence::InsufficientData, Code::TooFewSamples, text)
        }
        DataState::Ok | DataState::Idle | DataState::Insufficient => {
            let text = format!("{title}: not one event in the whole period, so nothing can be said");
            (Decision::Hold, Evidence::InsufficientData, Code::TooFewSamples, text)
        }
        DataState::Stale => {
            let ago =
                age.map_or_else(|| "too long ago".to_owned(), |age| format!("{} ago", format::duration(age)));
            let text = format!("{title}: the last observation was {ago}");
            (Decision::Hold, Evidence::Unknown, Code::DataStale, text)
        }
        DataState::Partial => {
            let silent = evidence.components.iter().filter(|component| component.is_silent());
            let silent: Vec<&str> = silent.map(|component| component.title.as_str()).collect();
            let text = format!("{title}: nothing is known of {} of its components", silent.join(" and "));
            (Decision::Hold, Evidence::Unknown, Code::DataStale, text)
        }
        DataState::NoData => {
            let text = format!("{title}: nothing has been observed yet");
            (Decision::Hold, Evidence::Unknown, Code::DataStale, text)
        }
    };
    let mut finding = finding(effect, weight, code, &slo.id, text);
    finding.reason.samples = Some(evidence.total);
    if code == Code::DataStale {
        finding.reason.measured = age;
    } else {
        finding.reason.window = Some(evidence.period_text());
    }
    Some(finding)
}

fn all_is_well(slo: &SloStatus, policy: &GatePolicy) -> Finding {
    let left = format::percent(slo.evidence.budget_left_ratio);
    let text = format!("{}: {left} of the error budget is left and nothing burns too fast", slo.title);
    let mut finding = finding(Decision::Allow, Evidence::Good, Code::BudgetLeft, &slo.id, text);
    fill_budget(slo, policy, &mut finding.reason);
    finding
}

fn fill_budget(slo: &SloStatus, policy: &GatePolicy, reason: &mut Reason) {
    let corrected = &slo.evidence.corrected;
    if corrected.seconds > 0 {
        let excluded = format::duration(corrected.seconds as f64);
        let named = corrected.entries.len() as u64 + corrected.more;
        let by = if named == 1 { "a correction excludes" } else { "corrections exclude" };
        reason.text.push_str(&format!("; {by} {excluded} of the period"));
    }
    reason.measured = finite(slo.evidence.budget_left_ratio);
    reason.threshold = finite(policy.minimum_budget);
    reason.window = Some(slo.evidence.period_text());
    reason.samples = Some(slo.evidence.total);
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
