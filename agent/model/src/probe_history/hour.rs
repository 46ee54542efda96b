//! An hour of probes, and its bytes.
//!
//! The first byte is the level of coarseness. A cell follows for each span in which something happened. Its first byte holds
//! the gap since the cell before (2 bits), whether probes failed and slots were missed (a bit each), and the number of its
//! buckets (4 bits). Each bucket is a byte: its distance from the bucket before, and its probes (4 bits each). A number
//! that does not fit into its bits follows.

use std::collections::BTreeMap;

use super::bytes::{put, take, take_byte};
use super::counts::{BUCKETS, ProbeCounts};

const MINUTES: u8 = 60;

/// Levels from fine to coarse: minutes of a span, and halvings of the resolution of durations. The last one always fits.
const LEVELS: [(u8, u8); 11] =
    [(1, 0), (1, 1), (5, 0), (5, 1), (15, 0), (15, 1), (15, 2), (60, 0), (60, 2), (60, 3), (60, 4)];

/// Largest value of two bits, and of four: a number follows.
const GAP_FOLLOWS: u64 = 3;
const FOLLOWS: u64 = 15;

const FAILED: u8 = 1 << 2;
const MISSED: u8 = 1 << 3;

/// An hour of probes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProbeHour {
    /// Place in [`LEVELS`].
    level: u8,
    /// Probes by the minute in which their span begins.
    cells: BTreeMap<u8, ProbeCounts>,
}

/// Part of an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Minutes since the hour began.
    pub minute: u8,
    /// Its length in minutes.
    pub minutes: u8,
}

fn level(place: u8) -> (u8, u8) {
    LEVELS.get(usize::from(place)).or(LEVELS.last()).copied().unwrap_or((MINUTES, 0))
}

impl ProbeHour {
    /// Adds the probes of a minute of the hour.
    pub fn add(&mut self, minute: u8, counts: &ProbeCounts) {
        let (minutes, _) = level(self.level);
        let start = minute.min(MINUTES - 1) / minutes * minutes;
        self.cells.entry(start).or_default().add(counts);
    }

    /// Returns the spans in which something happened, and what.
    pub fn spans(&self) -> impl Iterator<Item = (Span, &ProbeCounts)> {
        let (minutes, _) = level(self.level);
        self.cells.iter().map(move |(minute, counts)| (Span { minute: *minute, minutes }, counts))
    }

    /// Encodes the hour, as coarse as it must be to take no more than `limit` bytes.
    #[must_use]
    pub fn encode(&self, limit: usize) -> Vec<u8> {
        let last = LEVELS.len() as u8 - 1;
        let levels = self.level.min(last)..last;
        let fitting = levels.map(|place| self.encode_at(place)).find(|bytes| bytes.len() <= limit);
        fitting.unwrap_or_else(|| self.encode_at(last))
    }

    fn encode_at(&self, place: u8) -> Vec<u8> {
        let (minutes, shift) = level(place);
        let mut cells: BTreeMap<u8, ProbeCounts> = BTreeMap::new();
        for (minute, counts) in &self.cells {
            cells.entry(minute / minutes).or_default().add(counts);
        }
        let mut bytes = vec![place];
        let mut next = 0;
        let mut first_bucket = 0;
        for (cell, counts) in &cells {
            let counts = counts.coarser(shift);
            encode_cell(&mut bytes, u64::from(cell - next), first_bucket, &counts);
            next = cell + 1;
            first_bucket = counts.durations().first().map_or(first_bucket, |(bucket, _)| *bucket);
        }
        bytes
    }

    /// Reads what [`ProbeHour::encode`] wrote; nothing when the bytes are damaged.
    #[must_use]
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let place = take_byte(&mut bytes).filter(|place| usize::from(*place) < LEVELS.len())?;
        let (minutes, shift) = level(place);
        let mut cells = BTreeMap::new();
        let (mut next, mut first_bucket) = (0_u64, 0);
        while !bytes.is_empty() {
            let (gap, counts) = decode_cell(&mut bytes, first_bucket)?;
            let cell = next.checked_add(gap)?;
            let minute =
                cell.checked_mul(u64::from(minutes)).filter(|minute| *minute < u64::from(MINUTES))?;
            first_bucket = counts.durations().first().map_or(first_bucket, |(bucket, _)| *bucket);
            cells.insert(u8::try_from(minute).ok()?, finer(&counts, shift)?);
            next = cell + 1;
        }
        Some(Self { level: place, cells })
    }
}

/// Names coarse buckets by the last one that they hold, so that bounds stay bounds.
fn finer(counts: &ProbeCounts, shift: u8) -> Option<ProbeCounts> {
    let durations = counts.durations().iter().map(|(bucket, probes)| {
        let last = ((u16::from(*bucket) + 1) << shift) - 1;
        u8::try_from(last.min(u16::from(BUCKETS - 1))).ok().map(|bucket| (bucket, *probes))
    });
    Some(ProbeCounts::of_parts(durations.collect::<Option<_>>()?, counts.failed(), counts.missed()))
}

fn encode_cell(bytes: &mut Vec<u8>, gap: u64, first_bucket: u8, counts: &ProbeCounts) {
    let durations = counts.durations();
    let buckets = durations.len() as u64;
    let mut flags = (gap.min(GAP_FOLLOWS) | buckets.min(FOLLOWS) << 4) as u8;
    if counts.failed() > 0 {
        flags |= FAILED;
    }
    if counts.missed() > 0 {
        flags |= MISSED;
    }
    bytes.push(flags);
    for (number, follows) in [
        (gap, gap >= GAP_FOLLOWS),
        (counts.failed(), counts.failed() > 0),
        (counts.missed(), counts.missed() > 0),
        (buckets, buckets >= FOLLOWS),
    ] {
        if follows {
            put(bytes, number);
        }
    }
    let mut before = None;
    for (bucket, probes) in durations {
        let distance = match before {
            None => zigzag(*bucket, first_bucket),
            // buckets rise
            Some(before) => u64::from(bucket - before) - 1,
        };
        let fewer = probes.saturating_sub(1);
        bytes.push((distance.min(FOLLOWS) | fewer.min(FOLLOWS) << 4) as u8);
        for number in [distance, fewer] {
            if number >= FOLLOWS {
                put(bytes, number);
            }
        }
        before = Some(*bucket);
    }
}

/// Reads a cell: the gap before it, and its counts.
fn decode_cell(bytes: &mut &[u8], first_bucket: u8) -> Option<(u64, ProbeCounts)> {
    let flags = take_byte(bytes)?;
    let mut following = |bits: u64, follows: bool| if follows { take(bytes) } else { Some(bits) };
    let gap = u64::from(flags) & GAP_FOLLOWS;
    let gap = following(gap, gap == GAP_FOLLOWS)?;
    let failed = following(0, flags & FAILED != 0)?;
    let missed = following(0, flags & MISSED != 0)?;
    let buckets = u64::from(flags >> 4);
    let buckets = following(buckets, buckets == FOLLOWS)?;
    let mut durations = Vec::new();
    let mut before = None;
    for _ in 0..buckets.min(u64::from(BUCKETS)) {
        let byte = u64::from(take_byte(bytes)?);
        let mut following = |bits: u64| if bits == FOLLOWS { take(bytes) } else { Some(bits) };
        let distance = following(byte & FOLLOWS)?;
        let probes = following(byte >> 4)?.checked_add(1)?;
        let bucket = match before {
            None => unzigzag(distance, first_bucket)?,
            Some(before) => u8::try_from(distance.checked_add(u64::from(before))?.checked_add(1)?).ok()?,
        };
        if bucket >= BUCKETS {
            return None;
        }
        durations.push((bucket, probes));
        before = Some(bucket);
    }
    Some((gap, ProbeCounts::of_parts(durations, failed, missed)))
}

/// The distance between two buckets as a number that is small in both directions.
const fn zigzag(bucket: u8, from: u8) -> u64 {
    if bucket >= from { (bucket - from) as u64 * 2 } else { (from - bucket) as u64 * 2 - 1 }
}

fn unzigzag(distance: u64, from: u8) -> Option<u8> {
    let half = u8::try_from(distance.div_ceil(2)).ok()?;
    if distance.is_multiple_of(2) { from.checked_add(half) } else { from.checked_sub(half) }
}
