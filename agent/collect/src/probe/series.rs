//! Metrics of one target. Each series is registered once and kept, because a lookup by labels costs more than the count.

use std::sync::Arc;

use lookout_config::Target;
use lookout_model::Timestamp;
use lookout_runtime::events::names;
use lookout_runtime::recorder::with_trace;
use metrics::{Counter, Gauge, Histogram, Label};

use super::{Certificate, MissedReason, Outcome, Phases, Received, Verdict};

/// Ends of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Ok,
    Fail,
    Missed,
}

impl End {
    const ALL: [Self; 3] = [Self::Ok, Self::Fail, Self::Missed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fail => "fail",
            Self::Missed => "missed",
        }
    }
}

/// Series of a target.
#[derive(Debug)]
pub(super) struct Series {
    target: Arc<Target>,
    own: Outcomes,
    /// Those of all addresses, where the target is one of them.
    group: Option<Box<Group>>,
    /// Phases that were exported once, which are zero from then on when they do not happen.
    phases: [Option<Gauge>; 5],
    paused: Gauge,
    is_paused: Option<bool>,
}

/// Series of all addresses of a target.
#[derive(Debug)]
struct Group {
    outcomes: Outcomes,
    /// Good and failed rounds, where failures in a row are counted.
    rounds: Option<[Counter; 2]>,
}

impl Group {
    /// Registers the counters, with zero.
    fn of(name: &str, target: &Target) -> Self {
        let round = |end: End| metrics::counter!(names::PROBE_ROUNDS, "target" => name.to_owned(), "outcome" => end.as_str());
        let rounds = target.down.is_some().then(|| [End::Ok, End::Fail].map(round));
        Self { outcomes: Outcomes::of(name), rounds }
    }
}

/// Series of outcomes under one name.
#[derive(Debug)]
struct Outcomes {
    ends: [Counter; 3],
    /// Durations of probes that were good, and of those that failed; registered with the first of each.
    seconds: [Option<Histogram>; 2],
}

impl Outcomes {
    /// Registers the counters, with zero: a counter that is born with its first event hides that event from every rate.
    fn of(name: &str) -> Self {
        let counter = |end: End| metrics::counter!(names::PROBES, "target" => name.to_owned(), "outcome" => end.as_str());
        Self { ends: End::ALL.map(counter), seconds: Default::default() }
    }

    fn count(&self, end: End, slots: u64) {
        let [ok, fail, missed] = &self.ends;
        let counter = match end {
            End::Ok => ok,
            End::Fail => fail,
            End::Missed => missed,
        };
        counter.increment(slots);
    }

    fn record(&mut self, name: &str, end: End, took: f64) {
        self.count(end, 1);
        let [ok, fail] = &mut self.seconds;
        let seconds = if end == End::Ok { ok } else { fail };
        let register = || metrics::histogram!(names::PROBE_SECONDS, "target" => name.to_owned(), "outcome" => end.as_str());
        seconds.get_or_insert_with(register).record(took);
    }
}

impl Series {
    pub(super) fn of(target: &Arc<Target>) -> Self {
        Self {
            own: Outcomes::of(&target.name),
            group: target.group.as_deref().map(|name| Box::new(Group::of(name, target))),
            phases: Default::default(),
            paused: metrics::gauge!(names::PROBE_PAUSED, "target" => target.name.clone()),
            is_paused: None,
            target: Arc::clone(target),
        }
    }

    /// The name of the target, and that of all addresses where it is one of them.
    fn names(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.target.name).chain(&self.target.group)
    }

    pub(super) fn record(&mut self, outcome: &Outcome, at: Timestamp) {
        let end = match &outcome.verdict {
            Verdict::Ok => End::Ok,
            Verdict::Fail { reason, .. } => {
                let reason = reason.as_str();
                for name in self.names() {
                    metrics::counter!(names::PROBE_FAILURES, "target" => name.clone(), "reason" => reason)
                        .increment(1);
                }
                End::Fail
            }
        };
        let took = outcome.total.as_secs_f64();
        with_trace(&outcome.trace_id, at, || {
            self.own.record(&self.target.name, end, took);
            if let (Some(group), Some(name)) = (&mut self.group, &self.target.group) {
                group.outcomes.record(name, end, took);
            }
        });
        self.record_steps(outcome);
        self.record_phases(&outcome.phases);
        self.record_way(&outcome.received);
        if let Some(certificate) = &outcome.certificate {
            self.record_certificate(certificate);
        }
    }

    fn record_steps(&self, outcome: &Outcome) {
        for step in &outcome.steps {
            let outcome = if step.verdict == Verdict::Ok { "ok" } else { "fail" };
            let labels = [
                ("target", self.target.name.clone()),
                ("step", step.name.clone()),
                ("outcome", outcome.to_owned()),
            ];
            metrics::counter!(names::PROBE_STEPS, &labels).increment(1);
        }
    }

    /// Exports what a target asks for: resumed sessions, and tokens.
    fn record_way(&self, received: &Received) {
        let target = &self.target.name;
        if let Some(resumed) = received.resumed.filter(|_| self.target.check.resumes_tls()) {
            let kind = if resumed { "resumed" } else { "full" };
            metrics::counter!(names::PROBE_HANDSHAKES, "target" => target.clone(), "kind" => kind)
                .increment(1);
        }
        for one in &received.addresses {
            let outcome = if one.failure.is_none() { "ok" } else { "fail" };
            let family = if one.address.is_ipv4() { "4" } else { "6" };
            // an address would be a label that grows with every change of the name
            let labels = [("target", target.as_str()), ("family", family), ("outcome", outcome)]
                .map(|(name, value)| (name, value.to_owned()));
            metrics::counter!(names::PROBE_ADDRESSES, &labels).increment(1);
        }
        if let Some(time) = received.token_time {
            metrics::gauge!(names::PROBE_TOKEN_SECONDS, "target" => target.clone()).set(time.as_secs_f64());
        }
    }

    /// Exports when the certificate expires, whatever its verdict: that is when the figure is needed most.
    fn record_certificate(&self, certificate: &Certificate) {
        let ends = [
            ("leaf", Some(certificate.not_after_s)),
            ("sent", Some(certificate.sent_not_after_s)),
            ("verified", certificate.verified_not_after_s),
        ];
        for (chain, end) in ends {
            let Some(end) = end else { continue };
            let target = self.target.name.clone();
            metrics::gauge!(names::PROBE_CERTIFICATE_END, "target" => target, "chain" => chain)
                .set(end as f64);
        }
    }

    /// Exports the phases of the last probe. One that never happens for this target (TLS without TLS) is absent, not zero.
    fn record_phases(&mut self, phases: &Phases) {
        for ((phase, spent), gauge) in phases.named().into_iter().zip(&mut self.phases) {
            if gauge.is_none() && spent.is_some() {
                let target = self.target.name.clone();
                *gauge =
                    Some(metrics::gauge!(names::PROBE_PHASE_SECONDS, "target" => target, "phase" => phase));
            }
            if let Some(gauge) = gauge {
                gauge.set(spent.unwrap_or_default().as_secs_f64());
            }
        }
    }

    /// Counts a probe by whether the certificate is valid for the days that an SLO asks for.
    pub(super) fn count_certificate(&self, days: u32, is_valid: bool) {
        let outcome = if is_valid { End::Ok } else { End::Fail };
        for name in self.names() {
            let labels = [
                ("target", name.clone()),
                ("days", days.to_string()),
                ("outcome", outcome.as_str().to_owned()),
            ];
            metrics::counter!(names::PROBE_CERTIFICATES, &labels).increment(1);
        }
    }

    /// Counts a round of the probes of all addresses.
    pub(super) fn count_round(&self, is_good: bool) {
        if let Some([good, failed]) = self.group.as_ref().and_then(|group| group.rounds.as_ref()) {
            if is_good { good } else { failed }.increment(1);
        }
    }

    /// Exports whether the target is paused. Returns whether that is news.
    pub(super) fn set_paused(&mut self, is_paused: bool) -> bool {
        let is_news = self.is_paused != Some(is_paused);
        if is_news {
            self.paused.set(f64::from(u8::from(is_paused)));
            self.is_paused = Some(is_paused);
        }
        is_news
    }

    pub(super) fn missed(&self, reason: MissedReason, slots: u64) {
        self.own.count(End::Missed, slots);
        if let Some(group) = &self.group {
            group.outcomes.count(End::Missed, slots);
        }
        for name in self.names() {
            metrics::counter!(names::PROBE_MISSED, "target" => name.clone(), "reason" => reason.as_str())
                .increment(slots);
        }
    }
}

/// Sets the labels of a target: 1, or 0 when they are those of before a reload.
pub(super) fn set_info(target: &Arc<Target>, value: f64) {
    let Target { name, labels, check, .. } = &**target;
    let fixed = [("target", name.clone()), ("protocol", check.protocol().to_owned())];
    let labels = labels.iter().map(|(name, value)| (name.clone(), value.clone()));
    let labels: Vec<Label> = fixed
        .into_iter()
        .map(|(name, value)| Label::new(name, value))
        .chain(labels.map(|(name, value)| Label::new(name, value)))
        .collect();
    metrics::gauge!(names::PROBE_TARGET_INFO, labels).set(value);
}
