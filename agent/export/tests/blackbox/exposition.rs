//! Expositions in the text format, and how two of them differ.

use std::collections::{BTreeMap, BTreeSet};

/// Values by series: the name with its labels.
pub(super) type Exposition = BTreeMap<String, f64>;

/// Most by which two durations may differ: both programs share a busy machine.
const TOLERANCE: f64 = 1.2;

/// Reads an exposition. Comments are left out, and labels are sorted.
pub(super) fn parse(text: &str) -> Exposition {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (sorted(series), value.parse().unwrap())
        })
        .collect()
}

fn sorted(series: &str) -> String {
    let Some((name, labels)) = series.split_once('{') else { return series.to_owned() };
    let labels: BTreeSet<&str> =
        labels.trim_end_matches('}').split("\",").map(|label| label.trim_end_matches('"')).collect();
    let labels: Vec<String> = labels.into_iter().map(|label| format!("{label}\"")).collect();
    format!("{name}{{{}}}", labels.join(","))
}

/// Returns the series that differ, and how. Facts in labels are told by the label.
pub(super) fn compare(theirs: &Exposition, ours: &Exposition) -> Vec<(String, String)> {
    let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for series in names {
        let told = match (theirs.get(series), ours.get(series)) {
            (Some(theirs), Some(ours)) if equal(series, *theirs, *ours) => continue,
            (Some(theirs), Some(ours)) => format!("{theirs} there, {ours} here"),
            (theirs, ours) => format!("{theirs:?} there, {ours:?} here: {series}"),
        };
        let name = if series.contains("_info{") {
            series.split('{').next().unwrap().to_owned()
        } else {
            series.clone()
        };
        found.entry(name).and_modify(|held| *held = format!("{held}; {told}")).or_insert(told);
    }
    found.into_iter().collect()
}

fn equal(series: &str, theirs: f64, ours: f64) -> bool {
    let is_duration = series.contains("duration_seconds") || series.contains("lookup_time_seconds");
    if is_duration { (theirs - ours).abs() <= TOLERANCE } else { (theirs - ours).abs() < 0.5 }
}
