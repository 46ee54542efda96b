//! The recorder behind the `metrics` facade: series as atomic numbers, rendered as text.
//!
//! A series costs its labels and its numbers, and a sample of a histogram goes into its bucket at once. So memory does not
//! grow with the number of samples, and nothing has to be folded together later.

mod exemplar;
mod histogram;
mod table;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use metrics::{Counter, Gauge, Key, KeyName, Metadata, SharedString, Unit};

use crate::exposition::{Format, Kind, write_count, write_series, write_value};
pub use exemplar::with_trace;
use histogram::{Bounds, Histogram};
use table::Table;

/// Collects metrics. Clones share one collection.
#[derive(Clone)]
pub struct Recorder(Arc<Collection>);

struct Collection {
    /// Bounds of histograms by name, and those of all others.
    bounds: BTreeMap<&'static str, Arc<Bounds>>,
    other_bounds: Arc<Bounds>,
    help: RwLock<BTreeMap<String, SharedString>>,
    counters: Table<AtomicU64>,
    gauges: Table<AtomicU64>,
    histograms: Table<Histogram>,
}

impl core::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Recorder")
    }
}

impl Recorder {
    /// A recorder whose histograms have buckets at `bounds`, except those that are named. Bounds rise.
    #[must_use]
    pub fn new(bounds: &[f64], named: &[(&'static str, &[f64])]) -> Self {
        Self(Arc::new(Collection {
            bounds: named.iter().map(|(name, bounds)| (*name, Arc::new(Bounds::new(bounds)))).collect(),
            other_bounds: Arc::new(Bounds::new(bounds)),
            help: RwLock::default(),
            counters: Table::default(),
            gauges: Table::default(),
            histograms: Table::default(),
        }))
    }

    /// Writes every family, sorted by name and labels. A value that is not finite is left out: a gap is visible, while NaN
    /// spreads to every sum.
    pub fn write(&self, out: &mut String, format: Format) {
        let help = self.0.help.read().unwrap_or_else(PoisonError::into_inner);
        let head = |out: &mut String, name: &str, kind| {
            format.write_head(out, name, kind, help.get(name).map(AsRef::as_ref));
        };
        self.0.counters.each(|name, series| {
            head(out, name, Kind::Counter);
            for (labels, value) in series {
                write_series(out, [name, ""], labels);
                write_count(out, value.load(Ordering::Acquire));
                out.push('\n');
            }
        });
        self.0.gauges.each(|name, series| {
            let finite =
                series.iter().map(|(labels, value)| (labels, f64::from_bits(value.load(Ordering::Acquire))));
            let mut finite = finite.filter(|(_, value)| value.is_finite()).peekable();
            if finite.peek().is_some() {
                head(out, name, Kind::Gauge);
            }
            for (labels, value) in finite {
                write_series(out, [name, ""], labels);
                write_value(out, value);
                out.push('\n');
            }
        });
        self.0.histograms.each(|name, series| {
            head(out, name, Kind::Histogram);
            for (labels, histogram) in series {
                histogram.write(out, name, labels, format);
            }
        });
    }

    /// Forgets every series with a label. A counter that is registered again begins at zero.
    pub fn forget(&self, label: &str, value: &str) {
        self.0.counters.forget(label, value);
        self.0.gauges.forget(label, value);
        self.0.histograms.forget(label, value);
    }

    /// Returns every family as text.
    #[must_use]
    pub fn text(&self, format: Format) -> String {
        let mut out = String::new();
        self.write(&mut out, format);
        out
    }

    fn describe(&self, name: &KeyName, help: SharedString) {
        let mut all = self.0.help.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(name.as_str().to_owned(), help);
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&name, help);
    }

    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&name, help);
    }

    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, help: SharedString) {
        self.describe(&name, help);
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.0.counters.series(key, AtomicU64::default))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.0.gauges.series(key, AtomicU64::default))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        let bounds = self.0.bounds.get(key.name()).unwrap_or(&self.0.other_bounds);
        metrics::Histogram::from_arc(self.0.histograms.series(key, || Histogram::new(Arc::clone(bounds))))
    }
}

#[cfg(test)]
mod tests;
