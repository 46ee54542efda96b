//! Survivors by class, sex and age.

use serde::{Serialize, Serializer};

/// The properties by which passengers are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    /// First, second, third.
    Class,
    /// Female, male.
    Sex,
    /// Ten years each, and those of unknown age.
    Age,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The name of the group.
    pub label: String,
    /// Number of people.
    pub total: i64,
    /// Number of survivors.
    pub survived: i64,
}

/// The counts of all groups, and of all passengers.
#[derive(Debug, Serialize)]
pub struct Stats {
    #[serde(flatten)]
    all: Counts,
    by_class: Vec<OfClass>,
    by_sex: Vec<OfSex>,
    by_age_band: Vec<OfAge>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Counts {
    total: i64,
    survived: i64,
    survival_rate: Rate,
}

/// A share to four decimals; absent where the group is empty.
#[derive(Debug, Clone, Copy)]
struct Rate {
    survived: i64,
    total: i64,
}

#[derive(Debug, Serialize)]
struct OfClass {
    class: i64,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Debug, Serialize)]
struct OfSex {
    sex: String,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Debug, Serialize)]
struct OfAge {
    /// `20-29`, `70+` or `unknown`.
    age_band: String,
    #[serde(flatten)]
    counts: Counts,
}

impl Counts {
    fn of(total: i64, survived: i64) -> Self {
        Self { total, survived, survival_rate: Rate { survived, total } }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.total == 0 {
            return serializer.serialize_none();
        }
        #[expect(clippy::cast_precision_loss, reason = "people, not 2^52 of them")]
        let share = self.survived as f64 / self.total as f64;
        serializer.serialize_f64((share * 10_000.0).round() / 10_000.0)
    }
}

impl Stats {
    /// Puts the groups in order. Everyone has a sex in the list, so that their sum is everyone.
    #[must_use]
    pub fn of(mut groups: Vec<(Grouping, Group)>) -> Self {
        // `0-9` to `70+`, then `unknown`: the order of their letters.
        groups.sort_by(|(_, a), (_, b)| a.label.cmp(&b.label));
        let mut stats =
            Self { all: Counts::of(0, 0), by_class: Vec::new(), by_sex: Vec::new(), by_age_band: Vec::new() };
        let (mut total, mut survived) = (0, 0);
        for (grouping, group) in groups {
            let counts = Counts::of(group.total, group.survived);
            match grouping {
                Grouping::Class => {
                    let class = group.label.parse().unwrap_or_default();
                    stats.by_class.push(OfClass { class, counts });
                }
                Grouping::Sex => {
                    (total, survived) = (total + group.total, survived + group.survived);
                    stats.by_sex.push(OfSex { sex: group.label, counts });
                }
                Grouping::Age => stats.by_age_band.push(OfAge { age_band: group.label, counts }),
            }
        }
        stats.all = Counts::of(total, survived);
        stats
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn groups_are_ordered_and_nobody_has_no_rate() {
        let group = |label: &str, total, survived| Group { label: label.to_owned(), total, survived };
        let stats = Stats::of(vec![
            (Grouping::Age, group("unknown", 2, 1)),
            (Grouping::Age, group("0-9", 1, 0)),
            (Grouping::Sex, group("female", 3, 1)),
        ]);
        assert_eq!(
            serde_json::to_value(stats).unwrap(),
            json!({"total": 3, "survived": 1, "survival_rate": 0.3333, "by_class": [],
                "by_sex": [{"sex": "female", "total": 3, "survived": 1, "survival_rate": 0.3333}],
                "by_age_band": [{"age_band": "0-9", "total": 1, "survived": 0, "survival_rate": 0.0},
                    {"age_band": "unknown", "total": 2, "survived": 1, "survival_rate": 0.5}]})
        );
        assert_eq!(serde_json::to_value(Stats::of(Vec::new())).unwrap()["survival_rate"], json!(null));
    }
}
