//! Counts of one SLO as one series, whatever the resolution they are kept at.

use lookout_engine::Counts;

/// The resolution of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The width of a slot in seconds, as it was counted.
    Slot(u32),
    /// Rolled up to a minute.
    Minute,
    /// Rolled up to a quarter of an hour.
    QuarterHour,
}

impl Resolution {
    /// Returns the width in seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Slot(seconds) => seconds,
            Self::Minute => 60,
            Self::QuarterHour => 900,
        }
    }
}

/// Counts of a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CountSpan {
    /// The first second, since the epoch.
    pub start_s: i64,
    /// The resolution, which gives the length of the span.
    pub resolution: Resolution,
    /// The counts.
    pub counts: Counts,
}

/// Counts of one SLO, oldest first. Late counts may lie inside a span that was rolled up before they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CountSeries {
    spans: Vec<CountSpan>,
    first_s: Option<i64>,
}

impl CountSeries {
    /// Creates a series of spans in any order. `first_s` is the first second that was ever counted, however long ago.
    #[must_use]
    pub fn new(mut spans: Vec<CountSpan>, first_s: Option<i64>) -> Self {
        spans.sort_by_key(|span| (span.start_s, span.resolution.seconds()));
        Self { spans, first_s }
    }

    /// Returns the spans, oldest first.
    #[must_use]
    pub fn spans(&self) -> &[CountSpan] {
        &self.spans
    }

    /// Returns the first second that was ever counted, however long ago.
    #[must_use]
    pub const fn first_s(&self) -> Option<i64> {
        self.first_s
    }

    /// Returns the width of the longest span in seconds; `None` without counts.
    #[must_use]
    pub fn coarsest_s(&self) -> Option<u32> {
        self.spans.iter().map(|span| span.resolution.seconds()).max()
    }

    /// Returns the sum of all counts.
    #[must_use]
    pub fn total(&self) -> Counts {
        self.spans.iter().map(|span| span.counts).sum()
    }

    /// Returns both series as one.
    #[must_use]
    pub fn merged(mut self, other: Self) -> Self {
        self.spans.extend(other.spans);
        let first_s = [self.first_s, other.first_s].into_iter().flatten().min();
        Self::new(self.spans, first_s)
    }

    /// Returns starts in seconds and counts of the spans of one kind.
    fn starts(&self, wanted: impl Fn(Resolution) -> bool) -> impl Iterator<Item = &CountSpan> {
        self.spans.iter().filter(move |span| wanted(span.resolution))
    }

    /// Returns the spans that were not rolled up: start, width and counts.
    #[must_use]
    pub fn slots(&self) -> Vec<(i64, u32, Counts)> {
        let slots = self.starts(|resolution| matches!(resolution, Resolution::Slot(_)));
        slots.map(|span| (span.start_s, span.resolution.seconds(), span.counts)).collect()
    }

    /// Returns the minutes by their number since the epoch.
    #[must_use]
    pub fn minutes(&self) -> Vec<(i64, Counts)> {
        let minutes = self.starts(|resolution| resolution == Resolution::Minute);
        minutes.map(|span| (span.start_s.div_euclid(60), span.counts)).collect()
    }

    /// Returns the quarters of an hour by their number since the epoch.
    #[must_use]
    pub fn quarters(&self) -> Vec<(i64, Counts)> {
        let quarters = self.starts(|resolution| resolution == Resolution::QuarterHour);
        quarters.map(|span| (span.start_s.div_euclid(900), span.counts)).collect()
    }
}
