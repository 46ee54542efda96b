//! The burn rate over the windows of an SLO as a row of blocks, from the longest window to the shortest: it grows towards the
//! right when the fault gets worse.

use std::collections::BTreeMap;

use lookout_engine::Cause;
use lookout_model::Notice;
use lookout_model::format::{burn, window};

const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// A window without events.
const NOTHING: char = '·';
/// Fewer windows show no trend.
const FEWEST: usize = 3;

/// Returns the row and its meaning; `None` where nothing burns or there are too few windows.
pub(super) fn trend(notice: &Notice) -> Option<String> {
    let is_measured =
        notice.incident.cause == Cause::Burn && notice.own_fault.is_none() && notice.rehearsal.is_none();
    let mut rates: BTreeMap<u64, Option<f64>> = BTreeMap::new();
    for tier in notice.evidence.tiers.iter().filter(|_| is_measured) {
        rates.insert(tier.long_s, tier.long_burn);
        rates.insert(tier.short_s, tier.short_burn);
    }
    let (shortest, longest) = (*rates.keys().next()?, *rates.keys().next_back()?);
    let highest = rates.values().flatten().copied().fold(0.0, f64::max);
    if rates.len() < FEWEST || !(highest > 0.0 && highest.is_finite()) {
        return None;
    }
    let row: String = rates.values().rev().map(|rate| block(*rate, highest)).collect();
    Some(format!("{row} burn from {} to {}, at most {}", window(longest), window(shortest), burn(highest)))
}

fn block(rate: Option<f64>, highest: f64) -> char {
    let Some(rate) = rate else { return NOTHING };
    let level = (rate / highest).clamp(0.0, 1.0) * (BLOCKS.len() - 1) as f64;
    let reached = BLOCKS.iter().zip(0_u8..).filter(|(_, at)| f64::from(*at) <= level.round());
    reached.last().map_or(NOTHING, |(block, _)| *block)
}

#[cfg(test)]
mod tests {
    use lookout_model::sample::{T0, lifecycle, without_data};

    use super::*;

    fn told(rates: [Option<f64>; 4]) -> Option<String> {
        let [opened, ..] = lifecycle(T0, &[]);
        let mut notice = opened.notice;
        let tier = notice.evidence.tiers[0].clone();
        let windows = [(259_200, 21_600), (3_600, 300)].iter().zip(rates.chunks(2));
        notice.evidence.tiers = windows
            .map(|(&(long_s, short_s), rates)| {
                let (long_burn, short_burn) = (rates[0], rates[1]);
                lookout_model::TierEvidence { long_s, short_s, long_burn, short_burn, ..tier.clone() }
            })
            .collect();
        trend(&notice)
    }

    #[test]
    fn a_row_goes_from_the_longest_window_to_the_shortest() {
        let row = |rates: [f64; 4]| told(rates.map(Some)).unwrap();
        assert_eq!(row([0.0, 2.0, 7.0, 14.0]), "▁▂▅█ burn from 3d to 5m, at most 14×");
        assert_eq!(row([14.0, 14.0, 14.0, 0.5]), "███▁ burn from 3d to 5m, at most 14×");
        assert_eq!(
            told([Some(1.0), None, Some(0.0), Some(2.0)]).unwrap(),
            "▅·▁█ burn from 3d to 5m, at most 2×"
        );
    }

    #[test]
    fn there_is_no_row_where_nothing_burns() {
        assert_eq!(told([Some(0.0); 4]), None);
        assert_eq!(told([None; 4]), None);
        assert_eq!(told([Some(f64::INFINITY); 4]), None);
        let [opened, ..] = lifecycle(T0, &[]);
        assert_eq!(trend(&without_data(opened.notice)), None);
    }
}
