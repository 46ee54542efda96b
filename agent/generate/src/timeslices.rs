//! Timeslices as PromQL: the bad share of a slice, and the mean over slices.
//!
//! Every evaluation records the bad share of the last slice's length; a window takes the samples at the ends of slices
//! only. A subquery does that: its steps are whole multiples of the slice since the epoch, like the agent's slices. So
//! slices tile the time, and each counts once, whenever the rules are evaluated. A slice without an event has no
//! sample.

use lookout_engine::{Method, Window};

use super::promql::identity;
use super::promql::{Sli, duration, indented};
use lookout_config::Slo;

/// Slices of an SLO.
#[derive(Debug, Clone)]
pub(super) struct Slice {
    method: Method,
    length: Window,
}

impl Slice {
    /// Creates the slices of an SLO; `None` for one that counts events.
    pub(super) fn of(slo: &Slo) -> Option<Self> {
        let method = slo.policy.method.clone();
        let length = Window::seconds(method.slices()?.width_seconds().into());
        Some(Self { method, length })
    }

    pub(super) const fn length(&self) -> Window {
        self.length
    }

    /// Returns the recorded series: the bad share of the slice that ends now, or 1 and 0 where slices are bad or good.
    pub(super) fn name(&self) -> String {
        let what = match self.method {
            Method::Timeslices { .. } => "bad",
            _ => "error",
        };
        format!("lookout:slice_{what}:ratio{}", self.length)
    }

    /// Returns the query of the bad share of the slice that ends now; no value without events.
    pub(super) fn worth(&self, sli: &Sli) -> String {
        let ratio = sli.bad_ratio(&self.length.to_string());
        match self.method {
            // a target has nine decimals; half of the last one absorbs the rounding of a division
            Method::Timeslices { target, .. } => {
                let allowed = 1_000_000_000 - (target.ratio() * 1e9).round() as u64;
                format!("(\n{}\n)\n> bool {}", indented(&ratio), (allowed * 10 + 5) as f64 / 1e10)
            }
            _ => ratio,
        }
    }

    /// Returns the value of a slice with this share of bad events.
    pub(super) fn worth_of(&self, bad: f64) -> f64 {
        match self.method {
            Method::Timeslices { target, .. } => f64::from(u8::from(bad > 1.0 - target.ratio() + 5e-10)),
            _ => bad,
        }
    }

    /// Returns the mean over the slices of a window. A window that ends inside a slice holds as many slices as any
    /// other, so the subquery is a second shorter than the window: the window's start is the end of an earlier slice.
    pub(super) fn mean(&self, slo: &Slo, window: Window) -> String {
        let length = self.length.as_seconds().max(1);
        let whole = window.as_seconds().div_ceil(length).max(1) * length;
        let range = duration(whole.saturating_sub(1));
        format!("avg_over_time({}{}[{range}:{}])", self.name(), identity(slo), self.length)
    }
}
