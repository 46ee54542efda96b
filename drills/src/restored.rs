//! Saved and restored data: counts side by side, times beside the promised ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};

/// The largest loss that is tolerated.
const RECOVERY_POINT: Duration = Duration::from_secs(15 * 60);
/// The longest a restore may take.
const RECOVERY_TIME: Duration = Duration::from_secs(60 * 60);
/// The interval of backups in docs/backups.md.
const EVERY: Duration = Duration::from_secs(10 * 60);

/// The records of a backup of the service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Records {
    /// The lines of each kind, as they are written.
    pub(super) kinds: BTreeMap<String, BTreeSet<String>>,
    /// The ids of all records.
    pub(super) ids: BTreeSet<String>,
}

impl Records {
    /// Reads the file of `titanic backup`: records as `{"kind": {…}}`, then a line with their numbers.
    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
        Self::of(&text).with_context(|| format!("reading {}", file.display()))
    }

    fn of(text: &str) -> Result<Self> {
        let mut records = Self::default();
        let mut promised = None;
        for line in text.lines() {
            let value: Map<String, Value> = serde_json::from_str(line).context("a line is no JSON object")?;
            if let Some(counts) = value.get("counts") {
                promised = Some(counts.clone());
                continue;
            }
            for (kind, record) in value {
                let id = record.get("id").and_then(Value::as_str).context("a record without id")?;
                records.ids.insert(id.to_owned());
                records.kinds.entry(kind).or_default().insert(line.to_owned());
            }
        }
        let counts = promised.as_ref().and_then(Value::as_object).context("the backup is cut off")?;
        for (kind, count) in counts {
            let found = records.kinds.entry(kind.clone()).or_default().len();
            ensure!(count.as_u64() == Some(found as u64), "{count} {kind} are promised, {found} are there");
        }
        Ok(records)
    }

    /// Returns the number of records of a kind.
    pub(super) fn count(&self, kind: &str) -> usize {
        self.kinds.get(kind).map_or(0, BTreeSet::len)
    }

    /// Returns whether every record is also among others, unchanged.
    pub(super) fn is_within(&self, others: &Self) -> bool {
        let within = |(kind, lines): (&String, &BTreeSet<String>)| {
            others.kinds.get(kind).is_some_and(|o| lines.is_subset(o))
        };
        self.kinds.iter().all(within)
    }
}

/// A number that must be the same after the restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) what: String,
    pub(super) saved: String,
    pub(super) restored: String,
}

/// Compares two backups kind by kind: the number of records, and how many of the saved are unchanged.
pub(super) fn compare_records(name: &str, saved: &Records, restored: &Records) -> Vec<Compared> {
    let nothing = BTreeSet::new();
    let kinds: BTreeSet<_> = saved.kinds.keys().chain(restored.kinds.keys()).collect();
    let mut rows = Vec::new();
    for kind in kinds {
        let of = |records: &Records| records.kinds.get(kind).unwrap_or(&nothing).clone();
        let (before, after) = (of(saved), of(restored));
        let alike = before.intersection(&after).count();
        for (what, restored) in [(kind.as_str(), after.len()), ("  of them unchanged", alike)] {
            let (saved, restored) = (before.len().to_string(), restored.to_string());
            rows.push(Compared { what: format!("{name}: {what}"), saved, restored });
        }
    }
    rows
}

/// Two reports of `lookout ledger … --json`, number by number.
pub(super) fn compare_ledgers(saved: &Value, restored: &Value) -> Vec<Compared> {
    let mut rows: Vec<Compared> = Vec::new();
    let names = |report: &Value| -> BTreeSet<String> { slos(report).map(|(id, _)| id).collect() };
    for id in names(saved).union(&names(restored)) {
        let of = |report| slos(report).find(|(name, _)| name == id).map(|(_, counts)| counts);
        rows.push(row(&format!("good/bad events of {id}"), of(saved), of(restored)));
    }
    let numbers =
        ["incidents", "transitions", "deliveries", "deploys", "decisions", "corrections", "objectives"];
    for number in numbers {
        let of = |report: &Value| report.get(number).map(Value::to_string);
        rows.push(row(number, of(saved), of(restored)));
    }
    let of = |report: &Value| report.get("decisions_hash")?.as_str()?.get(..12).map(str::to_owned);
    rows.push(row("hash of the last decision", of(saved), of(restored)));
    rows
}

fn row(what: &str, saved: Option<String>, restored: Option<String>) -> Compared {
    let text = |number: Option<String>| number.unwrap_or_else(|| "nothing".to_owned());
    Compared { what: format!("ledger: {what}"), saved: text(saved), restored: text(restored) }
}

/// SLOs with `good/bad`.
fn slos(report: &Value) -> impl Iterator<Item = (String, String)> {
    let listed = report.get("slos").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    listed.iter().filter_map(|slo| {
        let number = |name| slo.get(name).and_then(Value::as_u64);
        Some((slo.get("id")?.as_str()?.to_owned(), format!("{}/{}", number("good")?, number("bad")?)))
    })
}

/// Bad and all events by SLO, as a backup tells them.
pub(super) fn saved_events(report: &Value) -> Vec<(String, u64, u64)> {
    events(report, |slo| {
        let (good, bad) = (slo.get("good")?.as_u64()?, slo.get("bad")?.as_u64()?);
        Some((slo.get("id")?.as_str()?.to_owned(), bad, good + bad))
    })
}

/// The same, as the agent tells them.
pub(super) fn told_events(slos: &Value) -> Vec<(String, u64, u64)> {
    events(slos, |slo| {
        let evidence = slo.get("evidence")?;
        let text = |name| slo.get(name).and_then(Value::as_str);
        let id = format!("{}-{}", text("service")?, text("slo")?);
        Some((id, evidence.get("bad")?.as_u64()?, evidence.get("total")?.as_u64()?))
    })
}

fn events(report: &Value, read: impl Fn(&Value) -> Option<(String, u64, u64)>) -> Vec<(String, u64, u64)> {
    let listed = report.get("slos").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut events: Vec<_> = listed.iter().filter_map(read).collect();
    events.sort();
    events
}

/// Prints them side by side and returns those that differ.
pub(super) fn print_compared(rows: &[Compared]) -> Vec<&Compared> {
    println!("\n{:<60} {:>14} {:>14}", "", "at the backup", "restored");
    let differ = |row: &&Compared| row.saved != row.restored;
    for row in rows {
        let mark = if differ(&row) { "  DIFFERS" } else { "" };
        println!("{:<60} {:>14} {:>14}{mark}", row.what, row.saved, row.restored);
    }
    rows.iter().filter(differ).collect()
}

/// Formats a duration.
#[derive(Debug, Clone)]
pub(super) struct Took {
    pub(super) what: String,
    pub(super) time: Duration,
}

/// The times of a drill.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// Backups, by what was backed up.
    pub(super) backups: Vec<Took>,
    /// The oldest write that was lost, by where: how long before the disaster it was acknowledged.
    pub(super) lost: Vec<Took>,
    /// Restores, by what was restored.
    pub(super) restores: Vec<Took>,
    /// From the disaster to the first good answer, by who gave it.
    pub(super) back: Vec<Took>,
}

impl Times {
    /// Prints them beside what was promised and returns what was not kept.
    pub(super) fn print(&self) -> Vec<String> {
        let mut broken = Vec::new();
        println!("\n{:<60} {:>14} {:>14}", "", "measured", "promised");
        let mut line = |what: String, time: Duration, most: Option<Duration>| {
            let promised = most.map_or_else(String::new, |most| format!("≤ {} min", most.as_secs() / 60));
            println!("{}", format!("{what:<60} {:>14} {promised:>14}", span(time)).trim_end());
            if most.is_some_and(|most| time > most) {
                broken.push(format!("{what}: {}", span(time)));
            }
        };
        let longest = self.backups.iter().map(|took| took.time).max().unwrap_or_default();
        for took in &self.backups {
            line(format!("backup of {}", took.what), took.time, None);
        }
        for took in &self.lost {
            line(
                format!("{}: the oldest write that was lost, its age", took.what),
                took.time,
                Some(RECOVERY_POINT),
            );
        }
        let most = format!("most that is lost with a backup every {} min", EVERY.as_secs() / 60);
        line(most, EVERY + longest, Some(RECOVERY_POINT));
        for took in &self.restores {
            line(format!("restore of {}, and the comparison", took.what), took.time, None);
        }
        for took in &self.back {
            line(format!("disaster to {}", took.what), took.time, Some(RECOVERY_TIME));
        }
        broken
    }
}

fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match time.as_secs() / 60 {
        0 => format!("{seconds:.2} s"),
        minutes => format!("{minutes} min {:.2} s", seconds - (minutes * 60) as f64),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn records(passengers: &[&str], calls: &[&str]) -> Records {
        let mut text = String::new();
        for (kind, ids) in [("passengers", passengers), ("calls", calls)] {
            ids.iter().for_each(|id| text += &format!("{{\"{kind}\":{{\"id\":\"{id}\"}}}}\n"));
        }
        let (passengers, calls) = (passengers.len(), calls.len());
        Records::of(&format!("{text}{{\"counts\":{{\"passengers\":{passengers},\"calls\":{calls}}}}}\n"))
            .unwrap()
    }

    #[test]
    fn a_missing_and_an_exchanged_record_are_seen() {
        let saved = records(&["a", "b", "c"], &["d"]);
        let differs = |restored: &Records| {
            let rows = compare_records("x", &saved, restored);
            print_compared(&rows).iter().map(|row| row.what.clone()).collect::<Vec<_>>()
        };
        assert!(differs(&saved).is_empty());
        assert_eq!(differs(&records(&["a", "b"], &["d"])), ["x: passengers", "x:   of them unchanged"]);
        assert_eq!(differs(&records(&["a", "b", "d"], &["d"])), ["x:   of them unchanged"]);
        assert_eq!(differs(&records(&["a", "b", "c", "d"], &["d"])), ["x: passengers"]);
        assert_eq!(differs(&records(&["a", "b", "c"], &[])), ["x: calls", "x:   of them unchanged"]);
        assert_eq!(differs(&Records::default()).len(), 4);
        assert!(saved.is_within(&records(&["a", "b", "c", "x"], &["d"])));
        assert!(!saved.is_within(&records(&["a", "b", "c", "x"], &["e"])));
        assert!(Records::of("{\"calls\":{\"id\":\"d\"}}\n").is_err(), "cut off");
    }

    #[test]
    fn every_number_of_a_ledger_is_held_against_the_backup() {
        let saved = json!({"slos": [{"id": "a", "good": 5, "bad": 1}], "incidents": 1, "transitions": 1,
            "deliveries": 0, "deploys": 7, "decisions": 9, "corrections": 0, "objectives": 1,
            "decisions_hash": "0123456789abcdef"});
        assert!(print_compared(&compare_ledgers(&saved, &saved)).is_empty());
        for (pointer, value) in [
            ("/slos/0/good", json!(6)),
            ("/slos/0/bad", json!(0)),
            ("/slos/0/id", json!("b")),
            ("/slos", json!([])),
            ("/deploys", json!(6)),
            ("/decisions", Value::Null),
            ("/decisions_hash", json!("1123456789abcdef")),
        ] {
            let mut restored = saved.clone();
            *restored.pointer_mut(pointer).unwrap() = value;
            let rows = compare_ledgers(&saved, &restored);
            assert!(!print_compared(&rows).is_empty(), "{pointer}");
        }
    }

    #[test]
    fn a_promise_that_is_not_kept_is_named() {
        let took = |what: &str, seconds| Took { what: what.to_owned(), time: Duration::from_secs(seconds) };
        let kept = Times { backups: vec![took("a", 300)], back: vec![took("a", 3600)], ..Times::default() };
        assert!(kept.print().is_empty());
        let slow = Times {
            backups: vec![took("a", 301)],
            lost: vec![took("a", 901)],
            restores: vec![took("a", 9000)],
            back: vec![took("a", 3601)],
        };
        assert_eq!(slow.print().len(), 3, "a restore has no promise of its own");
    }
}
