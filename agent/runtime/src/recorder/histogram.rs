//! A histogram with fixed bounds, and the last trace of each of its buckets.

use core::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{GaugeFn as _, HistogramFn};

use super::exemplar::{Trace, current};
use crate::exposition::{Format, write_count, write_series, write_value};

/// Bounds of buckets. They rise.
pub(super) struct Bounds {
    values: Box<[f64]>,
    /// The end of the line of each bucket, before its count: `0.005"} `. The last one has all samples.
    texts: Box<[Box<str>]>,
}

impl Bounds {
    pub(super) fn new(values: &[f64]) -> Self {
        let text = |bound: &f64| {
            let mut text = String::new();
            write_value(&mut text, *bound);
            (text + "\"} ").into_boxed_str()
        };
        let texts = values.iter().map(text).chain(["+Inf\"} ".into()]).collect();
        Self { values: values.into(), texts }
    }
}

pub(super) struct Histogram {
    bounds: Arc<Bounds>,
    /// Samples by the first bound that is not below them; the last place is for those above all bounds.
    counts: Box<[AtomicU64]>,
    /// The bits of the sum.
    sum: AtomicU64,
    exemplars: Mutex<Vec<Exemplar>>,
}

/// A sample that leads to a trace.
#[derive(Debug, Clone, Copy)]
struct Exemplar {
    place: usize,
    value: f64,
    trace: Trace,
}

impl Histogram {
    pub(super) fn new(bounds: Arc<Bounds>) -> Self {
        let counts = (0..=bounds.values.len()).map(|_| AtomicU64::default()).collect();
        Self { bounds, counts, sum: AtomicU64::default(), exemplars: Mutex::default() }
    }

    fn keep(&self, exemplar: Exemplar) {
        let mut all = self.exemplars.lock().unwrap_or_else(PoisonError::into_inner);
        match all.iter_mut().find(|kept| kept.place == exemplar.place) {
            Some(kept) => *kept = exemplar,
            None => {
                // most series fill one or two of their buckets
                all.reserve_exact(1);
                all.push(exemplar);
            }
        }
    }

    /// Writes buckets, sum and count.
    pub(super) fn write(&self, out: &mut String, name: &str, labels: &str, format: Format) {
        let exemplars = match format {
            Format::Text => Vec::new(),
            Format::OpenMetrics => self.exemplars.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        };
        let comma = if labels.is_empty() { "" } else { "," };
        let begin = [name, "_bucket{", labels, comma, "le=\""].concat();
        let mut count = 0_u64;
        for (place, (text, samples)) in self.bounds.texts.iter().zip(&self.counts).enumerate() {
            count = count.saturating_add(samples.load(Ordering::Acquire));
            out.push_str(&begin);
            out.push_str(text);
            write_count(out, count);
            if let Some(Exemplar { value, trace, .. }) = exemplars.iter().find(|kept| kept.place == place) {
                let at = trace.at.as_seconds_f64();
                // writing to a string cannot fail
                let _ = write!(out, " # {{trace_id=\"{:032x}\"}} {value} {at:.3}", trace.id);
            }
            out.push('\n');
        }
        let sum = f64::from_bits(self.sum.load(Ordering::Acquire));
        write_series(out, [name, "_sum"], labels);
        write_value(out, sum);
        out.push('\n');
        write_series(out, [name, "_count"], labels);
        write_count(out, count);
        out.push('\n');
    }
}

impl HistogramFn for Histogram {
    fn record(&self, value: f64) {
        if !value.is_finite() {
            return;
        }
        let place = self.bounds.values.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::AcqRel);
        }
        self.sum.increment(value);
        if let Some(trace) = current() {
            self.keep(Exemplar { place, value, trace });
        }
    }
}
