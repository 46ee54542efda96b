//! Survivors by class, sex and age.

use serde_json::{Map, Value, json};

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

/// Returns the counts of all groups and of everyone, as clients see them. Everyone has a sex in the list, so that the sum
/// of those groups is everyone.
#[must_use]
pub fn stats_of(mut groups: Vec<(Grouping, Group)>) -> Value {
    // `0-9` to `70+`, then `unknown`: the order of their letters.
    groups.sort_by(|(_, a), (_, b)| a.label.cmp(&b.label));
    let of = |wanted| groups.iter().filter(move |(grouping, _)| *grouping == wanted).map(|(_, group)| group);
    let counted = |wanted, name: &str| -> Value {
        let labelled = |group: &Group| {
            let mut value = counts(group.total, group.survived);
            let class = group.label.parse::<i64>().ok().filter(|_| wanted == Grouping::Class);
            value.insert(name.to_owned(), class.map_or_else(|| json!(group.label), |class| json!(class)));
            value
        };
        of(wanted).map(labelled).collect()
    };
    let sum = |count: fn(&Group) -> i64| of(Grouping::Sex).map(count).sum();
    let mut stats = counts(sum(|group| group.total), sum(|group| group.survived));
    stats.insert(String::from("by_class"), counted(Grouping::Class, "class"));
    stats.insert(String::from("by_sex"), counted(Grouping::Sex, "sex"));
    stats.insert(String::from("by_age_band"), counted(Grouping::Age, "age_band"));
    Value::Object(stats)
}

/// The counts of a group. The rate has four decimals, and is null where the group is empty.
#[expect(clippy::cast_precision_loss, reason = "people, not 2^52 of them")]
fn counts(total: i64, survived: i64) -> Map<String, Value> {
    let rate = (total > 0).then(|| (survived as f64 / total as f64 * 10_000.0).round() / 10_000.0);
    let (total, survived, rate) = (json!(total), json!(survived), json!(rate));
    [("total", total), ("survived", survived), ("survival_rate", rate)]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_ordered_and_nobody_has_no_rate() {
        let group = |label: &str, total, survived| Group { label: label.to_owned(), total, survived };
        let stats = stats_of(vec![
            (Grouping::Age, group("unknown", 2, 1)),
            (Grouping::Age, group("0-9", 1, 0)),
            (Grouping::Sex, group("female", 3, 1)),
        ]);
        assert_eq!(
            stats,
            json!({"total": 3, "survived": 1, "survival_rate": 0.3333, "by_class": [],
                "by_sex": [{"sex": "female", "total": 3, "survived": 1, "survival_rate": 0.3333}],
                "by_age_band": [{"age_band": "0-9", "total": 1, "survived": 0, "survival_rate": 0.0},
                    {"age_band": "unknown", "total": 2, "survived": 1, "survival_rate": 0.5}]})
        );
        assert_eq!(stats_of(Vec::new())["survival_rate"], json!(null));
    }
}
