//! What is known of each component of a composite: whether it is heard of, its events, and what it is to blame for.
//!
//! Nothing is judged by these; they say where the burn of the whole comes from.

use crate::composite::Verdict;
use crate::counts::Counts;
use crate::history::History;
use crate::period::Period;
use crate::policy::Policy;
use crate::report::ComponentReport;
use crate::slot::{Grid, Slot};
use crate::state::DataState;
use crate::window::Window;

#[derive(Debug, Clone)]
struct Part {
    last: Option<Slot>,
    /// Events by slice.
    events: History,
    /// What it spent of slices, in billionths, as bad.
    blame: History,
}

/// The components of a composite, in its order; none of any other method.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    list: Vec<Part>,
    /// The window that says what happened lately.
    lately: Window,
    period: Period,
}

impl Parts {
    pub(crate) fn new(policy: &Policy, slices: Grid, over: Slot) -> Self {
        let period = policy.period;
        let lately = policy.tiers.iter().map(|tier| tier.long).min().unwrap_or(period.nominal());
        let windows = || [lately].into_iter().chain(period.rolling());
        let part = || Part {
            last: None,
            events: History::new(slices, windows(), over),
            blame: History::new(slices, windows(), over),
        };
        Self { list: (0..policy.method.components()).map(|_| part()).collect(), lately, period }
    }

    /// Begins to count a calendar period, from an instant on.
    pub(crate) fn begin_period(&mut self, from_seconds: i64) {
        for part in &mut self.list {
            part.events.begin_period(from_seconds);
            part.blame.begin_period(from_seconds);
        }
    }

    /// Notes that a component was heard of in a slot, whatever becomes of its counts.
    pub(crate) fn heard(&mut self, component: usize, slot: Slot) {
        if let Some(part) = self.list.get_mut(component) {
            part.last = part.last.max(Some(slot));
        }
    }

    pub(crate) fn add(&mut self, component: usize, slice: Slot, counts: Counts) {
        if let Some(part) = self.list.get_mut(component) {
            part.events.record(slice, counts);
        }
    }

    pub(crate) fn record(&mut self, slice: Slot, verdict: &Verdict) {
        for (part, bad) in self.list.iter_mut().zip(verdict.blame) {
            part.blame.record(slice, Counts { good: 0, bad });
        }
    }

    pub(crate) fn revise(&mut self, slice: Slot, before: &Verdict, after: &Verdict) {
        for (part, (gone, bad)) in self.list.iter_mut().zip(before.blame.into_iter().zip(after.blame)) {
            part.blame.revise(slice, Counts { good: 0, bad: gone }, Counts { good: 0, bad });
        }
    }

    pub(crate) fn close(&mut self, over: Slot) {
        for part in &mut self.list {
            part.events.close(over);
            part.blame.close(over);
        }
    }

    /// What there is to say about each at the end of a slot, `bad` being what the whole spent lately and in the period.
    pub(crate) fn report(&self, policy: &Policy, at: Slot, verdicts: &History) -> Vec<ComponentReport> {
        let lately = |history: &History| history.measure(self.lately).map_or(Counts::ZERO, |it| it.counts);
        let period = |history: &History| match self.period {
            Period::Rolling(window) => history.measure(window).map_or(Counts::ZERO, |it| it.counts),
            Period::Calendar { nominal } => history.measure_anchored(nominal).counts,
        };
        let share = |part: &Part, counts: &dyn Fn(&History) -> Counts| {
            let whole = counts(verdicts).bad;
            (whole > 0).then(|| (counts(&part.blame).bad as f64 / whole as f64).min(1.0))
        };
        let report = |part: &Part| ComponentReport {
            state: state(policy, part.last, at, lately(&part.events)),
            last_observed: part.last,
            lately: lately(&part.events),
            period: period(&part.events),
            lately_burn_share: share(part, &lately),
            period_burn_share: share(part, &period),
        };
        self.list.iter().map(report).collect()
    }

    pub(crate) fn state_bytes(&self) -> usize {
        let histories = |part: &Part| part.events.state_bytes() + part.blame.state_bytes();
        let inline = 2 * size_of::<History>();
        self.list.capacity() * size_of::<Part>()
            + self.list.iter().map(|part| histories(part) - inline).sum::<usize>()
    }
}

fn state(policy: &Policy, last: Option<Slot>, at: Slot, lately: Counts) -> DataState {
    match last {
        None => DataState::NoData,
        Some(last) if policy.grid.seconds_between(last, at) > policy.stale_after_seconds => DataState::Stale,
        Some(_) if lately.is_empty() => DataState::Idle,
        Some(_) => DataState::Ok,
    }
}
