//! Conditions and the guards that hold them, as text: `budget left 8 % (alerts below 10 %)`.

use lookout_model::format::{count, duration, percent, several, window};
use lookout_model::{ConditionEvidence, ConditionKind, Evidence, Notice};

/// Returns the measurement of a condition and its threshold.
#[must_use]
pub fn condition_text(condition: &ConditionEvidence) -> String {
    let (measurement, alerts) = (measurement(condition), threshold_text(condition));
    match &condition.held {
        Some(held) => format!("{measurement} ({alerts}); held: {held}"),
        None => format!("{measurement} ({alerts})"),
    }
}

/// Returns the conditions that keep the incident of a notice open.
pub(super) fn firing(notice: &Notice) -> Vec<&ConditionEvidence> {
    let cause = notice.incident.cause;
    let mine = |condition: &&ConditionEvidence| condition.firing && condition.kind.cause() == cause;
    notice.evidence.conditions.iter().filter(mine).collect()
}

/// Returns the alerts that the guard holds, with the reason; empty when it holds none.
pub(super) fn held(evidence: &Evidence) -> String {
    let tiers = evidence.tiers.iter().filter_map(|tier| {
        let held = tier.held.as_ref()?;
        Some(format!("{} {}/{}: {held}", tier.severity, window(tier.long_s), window(tier.short_s)))
    });
    let conditions = evidence.conditions.iter().filter_map(|condition| {
        let held = condition.held.as_ref()?;
        Some(format!("{}: {held}", condition.condition))
    });
    tiers.chain(conditions).collect::<Vec<_>>().join("; ")
}

/// Returns the measurement of a condition without its threshold.
pub(super) fn measurement(condition: &ConditionEvidence) -> String {
    let within = window(condition.window_s.unwrap_or(0));
    match (condition.kind, condition.measured) {
        (ConditionKind::BudgetLeft, Some(left)) if left < 0.0 => {
            format!("budget overspent by {}", percent(-left))
        }
        (ConditionKind::BudgetLeft, Some(left)) => format!("budget left {}", percent(left)),
        (ConditionKind::BudgetDrop, Some(spent)) => {
            format!("{} of the budget spent in {within}", percent(spent))
        }
        (ConditionKind::Exhaustion, Some(seconds)) if seconds <= 0.0 => {
            format!("budget gone and burning on in {within}")
        }
        (ConditionKind::Exhaustion, Some(seconds)) => {
            format!("budget gone in {} at the burn of {within}", duration(seconds))
        }
        (ConditionKind::Exhaustion, None) => format!("budget not going down in {within}"),
        (ConditionKind::NoData, Some(seconds)) => format!("no data for {}", duration(seconds)),
        (ConditionKind::Idle, Some(seconds)) => format!("no events for {}", duration(seconds)),
        (ConditionKind::Traffic, Some(share)) => {
            format!("{} of the traffic of the same {within} a week before", percent(share))
        }
        (ConditionKind::Restarts, Some(starts)) => {
            format!("the process started {} times in {within}", count(starts as u64))
        }
        (ConditionKind::Down, Some(failures)) if failures < 1.0 => "the last probe was good".to_owned(),
        (ConditionKind::Down, Some(failures)) if failures < 2.0 => "the last probe failed".to_owned(),
        (ConditionKind::Down, Some(failures)) => {
            format!("the last {} probes failed", count(failures as u64))
        }
        _ => "nothing to measure".to_owned(),
    }
}

/// Returns the threshold of firing; for a firing condition that recovers, the threshold of release.
fn threshold_text(condition: &ConditionEvidence) -> String {
    let (threshold, release) = (condition.threshold, condition.release);
    let measured = condition.measured.unwrap_or(f64::INFINITY);
    match condition.kind {
        ConditionKind::BudgetLeft if condition.firing && measured >= threshold => {
            format!("alerts below {} until {}", percent(threshold), percent(release))
        }
        ConditionKind::BudgetLeft => format!("alerts below {}", percent(threshold)),
        ConditionKind::BudgetDrop if condition.firing && measured < threshold => {
            format!("alerts from {} until below {}", percent(threshold), percent(release))
        }
        ConditionKind::BudgetDrop => format!("alerts from {}", percent(threshold)),
        ConditionKind::Exhaustion if condition.firing && measured >= threshold => {
            format!("alerts below {} until {}", duration(threshold), duration(release))
        }
        ConditionKind::Exhaustion => format!("alerts below {}", duration(threshold)),
        ConditionKind::Traffic => format!("alerts below {}", percent(threshold)),
        ConditionKind::Restarts if condition.firing && measured < threshold => {
            let window = window(condition.window_s.unwrap_or(0));
            format!("alerts from {} until {window} pass without a start", count(threshold as u64))
        }
        ConditionKind::Restarts => format!("alerts from {}", count(threshold as u64)),
        ConditionKind::Down if condition.firing && measured < threshold => {
            format!("alerts until {} in a row are good", several(release as usize, "probe"))
        }
        ConditionKind::Down => format!("alerts from {} in a row", count(threshold as u64)),
        ConditionKind::NoData | ConditionKind::Idle => format!("alerts after {}", duration(threshold)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use lookout_engine::Severity;
    use lookout_model::sample::{T0, lifecycle};

    fn condition(
        kind: ConditionKind,
        measured: Option<f64>,
        (threshold, release): (f64, f64),
        firing: bool,
    ) -> ConditionEvidence {
        ConditionEvidence {
            severity: Severity::Ticket,
            kind,
            condition: format!("ticket {kind:?}"),
            window_s: Some(3600),
            measured,
            threshold,
            release,
            exceeded: firing,
            firing,
            held: None,
        }
    }

    #[test]
    fn a_condition_is_one_line() {
        for (kind, measured, thresholds, line) in [
            (ConditionKind::BudgetLeft, Some(0.08), (0.1, 0.15), "budget left 8 % (alerts below 10 %)"),
            (
                ConditionKind::BudgetLeft,
                Some(0.12),
                (0.1, 0.15),
                "budget left 12 % (alerts below 10 % until 15 %)",
            ),
            (
                ConditionKind::BudgetLeft,
                Some(-0.2),
                (0.1, 0.15),
                "budget overspent by 20 % (alerts below 10 %)",
            ),
            (
                ConditionKind::BudgetDrop,
                Some(0.06),
                (0.05, 0.04),
                "6 % of the budget spent in 1h (alerts from 5 %)",
            ),
            (
                ConditionKind::BudgetDrop,
                Some(0.045),
                (0.05, 0.04),
                "4.5 % of the budget spent in 1h (alerts from 5 % until below 4 %)",
            ),
            (
                ConditionKind::Exhaustion,
                Some(18_000.0),
                (86_400.0, 108_000.0),
                "budget gone in 5 h at the burn of 1h (alerts below 1 d)",
            ),
            (
                ConditionKind::Exhaustion,
                Some(0.0),
                (86_400.0, 108_000.0),
                "budget gone and burning on in 1h (alerts below 1 d)",
            ),
            (ConditionKind::NoData, Some(720.0), (600.0, 600.0), "no data for 12 min (alerts after 10 min)"),
            (
                ConditionKind::Idle,
                Some(3720.0),
                (3600.0, 3600.0),
                "no events for 1 h 2 min (alerts after 1 h)",
            ),
            (
                ConditionKind::Traffic,
                Some(0.12),
                (0.3, 0.3),
                "12 % of the traffic of the same 1h a week before (alerts below 30 %)",
            ),
            (ConditionKind::Down, Some(4.0), (3.0, 2.0), "the last 4 probes failed (alerts from 3 in a row)"),
            (
                ConditionKind::Down,
                Some(0.0),
                (3.0, 2.0),
                "the last probe was good (alerts until 2 probes in a row are good)",
            ),
            (
                ConditionKind::Restarts,
                Some(5.0),
                (3.0, 1.0),
                "the process started 5 times in 1h (alerts from 3)",
            ),
        ] {
            let shown = condition_text(&condition(kind, measured, thresholds, true));
            assert_eq!(shown, line);
        }
    }

    #[test]
    fn a_message_names_the_condition_that_fires_and_what_is_held() {
        let [opened, ..] = lifecycle(T0, &[]);
        let mut notice = opened.notice;
        notice.evidence.tiers.iter_mut().for_each(|tier| tier.firing = false);
        notice.evidence.tiers[0].held = Some("1 of 3 bad events".to_owned());
        notice.evidence.conditions = vec![
            condition(ConditionKind::BudgetLeft, Some(0.08), (0.1, 0.15), true),
            condition(ConditionKind::NoData, Some(3.0), (600.0, 600.0), false),
        ];
        let message = Message::of(&notice);
        assert_eq!(message.headline, "[TICKET] titanic requests-availability: budget left 8 %");
        let field =
            |name: &str| message.fields.iter().find(|(of, _)| of == name).map(|(_, value)| value.as_str());
        assert_eq!(field("Condition"), Some("budget left 8 % (alerts below 10 %)"));
        assert_eq!(field("Held"), Some("page 1h/5m: 1 of 3 bad events"));
    }
}
