//! Journeys: requests that share variables, with a result per step, and cleanup that is made whatever fails before.

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use lookout_config::{Credentials, HttpCheck, JourneyCheck, JourneyStep, Phase, Secret, Target};
use tokio::time::Instant;
use url::Url;

use super::assert::verdict;
use super::attempt::{Attempt, Facts, Failure};
use super::protocol::{Context, Protocol};
use super::{Phases, Reason, StepOutcome, Verdict};

/// Values of the variables, by their place in the journey.
type Values = Vec<Option<Secret>>;

#[async_trait]
impl Protocol for JourneyCheck {
    async fn run(&self, context: &Context<'_>, attempt: &mut Attempt) -> Result<(), Failure> {
        let mut values: Values = self.variables.iter().map(|variable| variable.value.clone()).collect();
        // cleanup gets a quarter of the time, whatever the steps before it use up
        let reserve = if self.has_cleanup() { context.target.timeout / 4 } else { Duration::ZERO };
        let until = attempt.deadline.checked_sub(reserve).unwrap_or(attempt.deadline);
        let mut failure: Option<Failure> = None;
        for step in &self.steps {
            // a request whose variables were never extracted has nothing to clean up
            let is_known = step.needs.iter().all(|index| matches!(values.get(*index), Some(Some(_))));
            if (failure.is_some() && !step.always) || !is_known {
                continue;
            }
            let until = if step.always { attempt.deadline } else { until };
            if let Err(failed) = take(context, attempt, step, &mut values, until).await {
                failure.get_or_insert(failed);
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

/// Makes one step and records its result.
async fn take(
    context: &Context<'_>,
    attempt: &mut Attempt,
    step: &JourneyStep,
    values: &mut Values,
    until: Instant,
) -> Result<(), Failure> {
    let before = attempt.timer.snapshot();
    let started = Instant::now();
    (attempt.facts, attempt.received, attempt.events) = (Facts::default(), 0, None);
    attempt.helper = None;
    let target = Target { expect: step.expect.clone(), ..context.target.clone() };
    let keeps_body = step.extract.iter().any(|(_, extraction)| extraction.subject.needs_body());
    let inner = Context { target: &target, keeps_body, ..*context };
    let ran = match fill_in(&step.http, values) {
        Some(http) => tokio::time::timeout_at(until, http.run(&inner, attempt)).await,
        None => Ok(Err(Failure::new(Reason::Write, "a value makes no URL, or one of another place"))),
    };
    attempt.note_first_byte();
    let ran = ran.unwrap_or_else(|_| Err(attempt.cut(until.saturating_duration_since(started))));
    attempt.timer.resume();
    let phases = difference(&attempt.timer.snapshot(), &before);
    let total = phases.named().into_iter().filter_map(|(_, spent)| spent).sum();
    let judged = match ran {
        Ok(()) => {
            let wanted = (&*target.expect, step.extract.as_slice());
            context.judge.judge(&target, wanted, &mut attempt.facts, (&phases, total), until).await
        }
        Err(failure) => failure.into(),
    };
    for (index, value) in judged.extracted {
        if let Some(slot) = values.get_mut(index) {
            *slot = Some(value);
        }
    }
    let judged = judged.verdict;
    let told = match &judged {
        Ok(()) => Verdict::Ok,
        Err(failure) => verdict(Failure::new(failure.reason, failure.detail.clone())),
    };
    let status = attempt.facts.status;
    attempt.steps.push(StepOutcome { name: step.name.clone(), verdict: told, total, phases, status });
    judged
        .map_err(|failure| Failure::new(failure.reason, format!("step `{}`: {}", step.name, failure.detail)))
}

fn difference(now: &Phases, before: &Phases) -> Phases {
    let mut phases = Phases::default();
    for phase in Phase::ALL {
        let spent = now.get(phase).unwrap_or_default().saturating_sub(before.get(phase).unwrap_or_default());
        *phases.get_mut(phase) = Some(spent).filter(|spent| !spent.is_zero());
    }
    phases
}

/// The request with its placeholders replaced; none when the result is no URL, or one of another place.
fn fill_in(template: &HttpCheck, values: &Values) -> Option<HttpCheck> {
    let known = |index: usize| values.get(index).and_then(Option::as_ref).map(Secret::reveal);
    let plain = |text: &str| JourneyCheck::fill(text, |index| known(index).map(str::to_owned));
    let encoded = |text: &str| JourneyCheck::fill(text, |index| known(index).map(percent_encoded));
    let filled = |secret: &Secret| Secret::new(plain(secret.reveal()));
    let mut http = template.clone();
    // a URL is parsed without such segments, and would be that of a folder above
    if template.url.path_segments().into_iter().flatten().any(|segment| is_dots(&encoded(segment))) {
        return None;
    }
    http.url = Url::parse(&encoded(template.url.as_str())).ok()?;
    for (_, header) in &mut http.headers {
        *header = filled(header);
    }
    http.body = http.body.map(|body| plain(&body));
    http.authorization = match http.authorization {
        Credentials::Bearer(token) => Credentials::Bearer(filled(&token)),
        Credentials::Basic { username, password } => {
            Credentials::Basic { username: plain(&username), password: filled(&password) }
        }
        Credentials::None => Credentials::None,
    };
    Some(http)
}

/// Returns whether a segment of a path is `.` or `..`, also with encoded dots.
fn is_dots(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

/// A value for one part of a URL: it can end neither a segment nor a parameter. Dots stay.
fn percent_encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
