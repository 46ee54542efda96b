//! Shared parts of the tests of loops: a wall clock that can be set, and metrics as a user reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use lookout_model::Timestamp;

use super::scrape::samples;
use lookout_runtime::clock::{Clock, TokioClock};
use lookout_runtime::exposition::Format;
use lookout_runtime::recorder::Recorder;

/// Start of simulated time, on a whole hour.
pub(super) const START: Timestamp = Timestamp::from_seconds(1_799_996_400);

/// Moves with tokio's clock, and jumps when told to.
#[derive(Debug)]
pub(super) struct WallClock {
    steady: TokioClock,
    offset_ms: AtomicI64,
}

impl WallClock {
    pub(super) fn start() -> Arc<Self> {
        let steady = TokioClock::starting_at(START);
        Arc::new(Self { steady, offset_ms: AtomicI64::new(0) })
    }

    pub(super) fn jump(&self, by_ms: i64) {
        self.offset_ms.fetch_add(by_ms, Ordering::Relaxed);
    }
}

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.steady.now().as_millis() + self.offset_ms.load(Ordering::Relaxed))
    }
}

/// Records metrics of one test; `lend` it to the thread of the test.
pub(super) struct Meter(Recorder);

impl Meter {
    pub(super) fn new() -> Self {
        Self(Recorder::new(&[], &[]))
    }

    pub(super) fn lend(&self) -> metrics::LocalRecorderGuard<'_> {
        metrics::set_default_local_recorder(&self.0)
    }

    /// The value of a series with exactly these labels, as rendered; `None` when there is no such series.
    pub(super) fn value(&self, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let text = self.0.text(Format::Text);
        samples(&text)
            .map(Result::unwrap)
            .find(|sample| {
                sample.metric == metric
                    && sample.labels.len() == labels.len()
                    && labels.iter().all(|(label, value)| sample.label(label) == Some(value))
            })
            .map(|sample| sample.value)
    }
}
