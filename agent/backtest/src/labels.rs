//! Labelled outages, and the score of alarms against them.

use std::path::Path;
use std::time::Duration;

use lookout_model::Timestamp;
use serde::Serialize;

use super::{Bounds, LoadError, csv, instant};

/// Largest number of outages in a file.
const LIMIT: usize = 10_000;

/// Labelled outage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// The start.
    pub start: Timestamp,
    /// The end.
    pub end: Timestamp,
    /// The name.
    pub name: String,
}

/// Reads `start,end,name` lines; a header is optional. Outages come back in the order in which they began.
///
/// # Errors
/// Fails when the file cannot be read; else the first line that is wrong.
pub fn read(path: &Path) -> Result<Vec<Outage>, LoadError> {
    let mut outages = Vec::new();
    let mut first = true;
    csv::lines(path, |text| {
        if std::mem::take(&mut first) && text.to_ascii_lowercase().starts_with("start,end") {
            return Ok(());
        }
        if outages.len() == LIMIT {
            return Err(format!("there are more than {LIMIT} outages"));
        }
        outages.push(outage(text)?);
        Ok(())
    })?;
    outages.sort_by_key(|outage: &Outage| (outage.start, outage.end));
    Ok(outages)
}

fn outage(text: &str) -> Result<Outage, String> {
    let mut cells = text.splitn(3, ',').map(str::trim);
    let (Some(start), Some(end)) = (cells.next(), cells.next()) else {
        return Err(format!("expected `start,end,name`, found `{}`", instant::shown(text)));
    };
    let (start, end) = (instant::parse(start)?, instant::parse(end)?);
    if end <= start {
        return Err("this outage ends before it begins".to_owned());
    }
    let name = cells.next().filter(|name| !name.is_empty()).unwrap_or("unnamed");
    let quoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
    let name = quoted.map_or_else(|| name.to_owned(), |name| name.replace("\"\"", "\""));
    Ok(Outage { start, end, name })
}

/// Alarm: a stretch of time in which someone was paged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alarm {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// Assignment of alarms to outages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Matched {
    /// For every alarm the first outage it belongs to.
    pub(super) outage_of: Vec<Option<usize>>,
    /// For every outage the first alarm that belongs to it.
    pub(super) alarm_of: Vec<Option<usize>>,
}

/// Assigns alarms to outages. An alarm belongs to an outage when it fires during it, or begins within the grace after
/// it.
pub(super) fn matched(alarms: &[Alarm], outages: &[Outage], grace: Duration) -> Matched {
    let belong = |alarm: &Alarm, outage: &Outage| {
        let sounds_until = outage.end + grace;
        alarm.from <= sounds_until && alarm.to > outage.start
    };
    let outage_of = alarms.iter().map(|alarm| outages.iter().position(|outage| belong(alarm, outage)));
    let alarm_of = outages.iter().map(|outage| alarms.iter().position(|alarm| belong(alarm, outage)));
    Matched { outage_of: outage_of.collect(), alarm_of: alarm_of.collect() }
}

/// Score of alarms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// All alarms.
    pub alarms: usize,
    /// The alarms that belong to an outage.
    pub right: usize,
    /// The outages within the bounds.
    pub outages: usize,
    /// The outages with an alarm.
    pub found: usize,
    /// The precision: right alarms of all alarms; `None` without an alarm.
    pub precision: Option<f64>,
    /// The recall: outages found of all outages; `None` without an outage.
    pub recall: Option<f64>,
    /// The median time from the beginning of an outage to its alarm; none when no outage was found.
    pub median_delay_s: Option<f64>,
}

impl Score {
    pub(super) fn of(alarms: &[Alarm], outages: &[Outage], matched: &Matched) -> Self {
        let share = |part: usize, all: usize| (all > 0).then(|| part as f64 / all as f64);
        let right = matched.outage_of.iter().flatten().count();
        let found = matched.alarm_of.iter().flatten().count();
        let delays = outages
            .iter()
            .zip(&matched.alarm_of)
            .filter_map(|(outage, alarm)| Some(delay_s(outage, alarms.get((*alarm)?)?)));
        Self {
            alarms: alarms.len(),
            right,
            outages: outages.len(),
            found,
            precision: share(right, alarms.len()),
            recall: share(found, outages.len()),
            median_delay_s: median(delays.collect()),
        }
    }
}

/// Returns the seconds from the beginning of an outage to an alarm; zero when it fired already.
pub(super) fn delay_s(outage: &Outage, alarm: &Alarm) -> f64 {
    alarm.from.seconds_since(outage.start).max(0.0)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle).copied()?;
    let lower = if values.len().is_multiple_of(2) { values.get(middle - 1).copied()? } else { upper };
    Some(f64::midpoint(lower, upper))
}

/// Returns the outages that lie at least partly inside, and the number of the others.
pub(super) fn inside(outages: &[Outage], bounds: Bounds) -> (Vec<Outage>, usize) {
    let inside = |outage: &&Outage| outage.start < bounds.until && outage.end > bounds.from;
    let kept: Vec<Outage> = outages.iter().filter(inside).cloned().collect();
    let left_out = outages.len() - kept.len();
    (kept, left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage(start_ms: i64, end_ms: i64) -> Outage {
        let (start, end) = (Timestamp::from_millis(start_ms), Timestamp::from_millis(end_ms));
        Outage { start, end, name: String::new() }
    }

    fn alarm(from_ms: i64, to_ms: i64) -> Alarm {
        Alarm { from: Timestamp::from_millis(from_ms), to: Timestamp::from_millis(to_ms) }
    }

    fn parsed(text: &str) -> Result<Vec<Outage>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|error| error.to_string().rsplit_once("labels.csv").unwrap().1.to_owned())
    }

    #[test]
    fn outages_are_read_in_the_order_of_their_beginning() {
        let text = "start,end,name\n1970-01-01T00:10:00Z,1970-01-01T00:20:00Z,\"db, \"\"main\"\"\"\n0,60\n";
        let read = parsed(text).unwrap();
        assert_eq!(
            read.iter()
                .map(|o| (o.start.as_seconds(), o.end.as_seconds(), o.name.as_str()))
                .collect::<Vec<_>>(),
            [(0, 60, "unnamed"), (600, 1200, "db, \"main\"")]
        );
        assert_eq!(parsed("60,0,x\n").unwrap_err(), ":1: this outage ends before it begins");
        assert!(parsed("start,end,name\n60\n").unwrap_err().starts_with(":2: expected `start,end,name`"));
        assert!(parsed("0,later,x\n").unwrap_err().contains("`later` is no time"));
    }

    #[test]
    fn false_alarms_cost_precision_and_missed_outages_recall() {
        let outages = [outage(100, 200), outage(500, 600), outage(900, 950)];
        let alarms = [alarm(10, 20), alarm(120, 300), alarm(604, 700), alarm(800, 901)];
        let found = matched(&alarms, &outages, Duration::from_millis(5));
        assert_eq!(found.outage_of, [None, Some(0), Some(1), Some(2)]);
        let score = Score::of(&alarms, &outages, &found);
        assert_eq!((score.right, score.alarms, score.found, score.outages), (3, 4, 3, 3));
        assert_eq!((score.precision, score.recall), (Some(0.75), Some(1.0)));
        assert_eq!(score.median_delay_s, Some(0.02), "delays of 20, 104 and 0 ms");
        let strict = matched(&alarms, &outages, Duration::from_millis(3));
        assert_eq!(strict.alarm_of, [Some(1), None, Some(3)]);
    }

    #[test]
    fn nothing_to_compare_is_no_perfect_score() {
        let score = Score::of(&[], &[], &matched(&[], &[], Duration::from_millis(0)));
        assert_eq!((score.precision, score.recall, score.median_delay_s), (None, None, None));
    }

    #[test]
    fn outages_outside_the_data_are_left_out() {
        let bounds = Bounds { from: Timestamp::from_millis(100), until: Timestamp::from_millis(200) };
        let (kept, left_out) =
            inside(&[outage(0, 100), outage(0, 101), outage(199, 300), outage(200, 300)], bounds);
        assert_eq!((kept, left_out), (vec![outage(0, 101), outage(199, 300)], 2));
    }
}
