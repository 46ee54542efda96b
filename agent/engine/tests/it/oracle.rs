//! An independent oracle, from the definitions of The Site Reliability Workbook, chapter 5: burn rate, multiwindow
//! multi-burn-rate alerts and error budget. It keeps every slot in a plain list and knows nothing of the engine.

use lookout_engine::{
    BurnFactor, Cause, Counts, Evaluator, Grid, Guard, Method, Objective, Period, Policy, Severity, Slot,
    Tier, Window,
};

const CASES: u64 = 630;

/// Knuth's MMIX generator.
struct Noise(u64);

impl Noise {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 32) * end) >> 32
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// A pair of windows in slots, with a burn rate in hundredths.
#[derive(Debug, Clone, Copy)]
struct Pair {
    page: bool,
    long: usize,
    short: usize,
    factor_hundredths: u64,
}

/// Good and bad events of one slot; `None` where nobody looked.
type SlotCounts = Option<(u64, u64)>;

#[derive(Debug)]
struct Case {
    width: u32,
    /// Bad events allowed among 100,000.
    budget_per_100k: u64,
    period: usize,
    pairs: Vec<Pair>,
    slots: Vec<SlotCounts>,
}

impl Case {
    fn random(noise: &mut Noise) -> Self {
        let width = noise.of(&[1, 5, 10, 30, 60]);
        let pairs = (0..1 + noise.below(3)).map(|index| {
            let short = 2 + noise.below(12) as usize;
            Pair {
                page: index == 0,
                long: short * (2 + noise.below(11) as usize),
                short,
                factor_hundredths: noise.of(&[50, 100, 300, 600, 1440, 2000]),
            }
        });
        let pairs: Vec<Pair> = pairs.collect();
        let mut slots = Vec::new();
        while slots.len() < 600 {
            let traffic = noise.of(&[1, 3, 20, 500, 100_000]);
            let bad_per_mille = noise.of(&[0, 0, 0, 1, 5, 20, 100, 500, 1000]);
            let silent = slots.len() > 100 && noise.below(8) == 0;
            for _ in 0..5 + noise.below(90) {
                let total = noise.below(traffic + 1);
                let bad = (0..total.min(1000)).filter(|_| noise.below(1000) < bad_per_mille).count() as u64;
                let bad = if total > 1000 { bad * (total / 1000) } else { bad };
                slots.push((!silent).then_some((total - bad, bad)));
            }
        }
        let budget_per_100k = noise.of(&[10_000, 5000, 1000, 500, 100, 50]);
        // fixed windows of the period are those of slots: at most six hours
        let period = (noise.of(&[100, 250, 400]) as u32).min(6 * 3600 / width) as usize;
        Self { width, budget_per_100k, period, pairs, slots }
    }

    fn policy(&self) -> Policy {
        let window = |slots: usize| Window::seconds(slots as u64 * u64::from(self.width));
        let tier = |pair: &Pair| {
            let severity = if pair.page { Severity::Page } else { Severity::Ticket };
            let factor = BurnFactor::try_new(pair.factor_hundredths as f64 / 100.0).unwrap();
            Tier::new(severity, window(pair.long), window(pair.short), factor)
        };
        Policy {
            grid: Grid::try_new(self.width).unwrap(),
            objective: Objective::try_from_percent(100.0 - self.budget_per_100k as f64 / 1000.0).unwrap(),
            period: Period::Rolling(window(self.period)),
            method: Method::Occurrences,
            tiers: self.pairs.iter().map(tier).collect(),
            guard: Guard { minimum_events: 0, minimum_bad: 0, minimum_slots: 0, confidence: None },
            conditions: Vec::new(),
            stale_after_seconds: u64::from(3 * self.width),
            data_alert: None,
        }
    }
}

/// The workbook's alerts over a plain list of slots.
struct Oracle<'a> {
    case: &'a Case,
    firing: Vec<bool>,
    /// Good and bad events before each slot.
    sums: Vec<(u64, u64)>,
    /// The last observed slot up to each slot, and the first one from it on.
    around: Vec<(Option<usize>, usize)>,
}

impl<'a> Oracle<'a> {
    fn new(case: &'a Case) -> Self {
        let (mut sums, mut sum) = (vec![(0, 0)], (0, 0));
        for (good, bad) in case.slots.iter().map(|seen| seen.unwrap_or((0, 0))) {
            sum = (sum.0 + good, sum.1 + bad);
            sums.push(sum);
        }
        let (mut around, mut last) = (Vec::new(), None);
        for (slot, seen) in case.slots.iter().enumerate() {
            last = seen.map(|_| slot).or(last);
            around.push((last, usize::MAX));
        }
        let mut first = usize::MAX;
        for (slot, (seen, (_, after))) in case.slots.iter().zip(&mut around).enumerate().rev() {
            first = if seen.is_some() { slot } else { first };
            *after = first;
        }
        Self { case, firing: vec![false; case.pairs.len()], sums, around }
    }

    /// Good, bad and observed slots of the last `slots`. A gap is more than three slots without an observation.
    fn window(&self, now: usize, slots: usize) -> (u64, u64, u64) {
        let from = (now + 1).saturating_sub(slots);
        let (good, bad) =
            (self.sums[now + 1].0 - self.sums[from].0, self.sums[now + 1].1 - self.sums[from].1);
        let observed = (from..=now).filter(|&slot| {
            let (before, after) = self.around[slot];
            let after = after.min(now + 1);
            before.is_some_and(|before| slot == before || after - before - 1 <= 3)
        });
        (good, bad, observed.count() as u64)
    }

    /// bad ÷ total > factor × budget, where unseen slots are clean or not looked at.
    fn burns(&self, now: usize, slots: usize, pair: &Pair, unseen_is_clean: bool) -> bool {
        let (good, bad, observed) = self.window(now, slots);
        let share = |n: u64| u128::from(n);
        let (seen, asked) = if unseen_is_clean { (observed, slots as u64) } else { (1, 1) };
        share(bad) * share(seen) * 100 * 100_000
            > share(good + bad)
                * share(asked)
                * share(pair.factor_hundredths)
                * share(self.case.budget_per_100k)
    }

    fn step(&mut self, now: usize) -> Option<Severity> {
        // nothing changes while data are stale
        let last = self.around[now].0;
        if last.is_some_and(|last| now - last <= 3) {
            for (index, pair) in self.case.pairs.iter().enumerate() {
                let burns = |slots, clean| self.burns(now, slots, pair, clean);
                self.firing[index] = if self.firing[index] {
                    let (good, bad, observed) = self.window(now, pair.short);
                    let unproven = 2 * observed < pair.short as u64;
                    let short_agrees = good + bad == 0 || burns(pair.short, false);
                    unproven || (burns(pair.long, false) && short_agrees)
                } else {
                    burns(pair.long, true) && burns(pair.short, true)
                };
            }
        }
        let pairs = self.case.pairs.iter().zip(&self.firing).filter(|(_, firing)| **firing);
        pairs.map(|(pair, _)| if pair.page { Severity::Page } else { Severity::Ticket }).max()
    }

    /// 1 − bad ÷ (total × budget), with the unseen part of the period clean.
    fn budget_left(&self, now: usize) -> f64 {
        let (good, bad, observed) = self.window(now, self.case.period);
        if good + bad == 0 {
            return 1.0;
        }
        let expected = (good + bad) as f64 * self.case.period as f64 / observed as f64;
        1.0 - bad as f64 / (expected * self.case.budget_per_100k as f64 / 100_000.0)
    }
}

#[test]
fn random_cases_agree_with_the_definitions_of_the_workbook() {
    let mut noise = Noise(2016);
    let mut changes = 0;
    for number in 0..CASES {
        let case = Case::random(&mut noise);
        let mut evaluator = Evaluator::new(case.policy(), Slot(-1));
        let mut oracle = Oracle::new(&case);
        let mut before = None;
        for (now, seen) in case.slots.iter().enumerate() {
            if let Some((good, bad)) = *seen {
                let _ = evaluator.record(Slot(now as i64), Counts { good, bad });
            }
            let assessment = evaluator.assess(Slot(now as i64));
            let decision = evaluator.decide(&assessment);
            evaluator.accept(decision);
            let severity = evaluator.open(Cause::Burn).map(|open| open.severity);
            let expected = oracle.step(now);
            assert_eq!(
                severity, expected,
                "case {number}, slot {now}: {:?} {:?}",
                case.pairs, assessment.tiers
            );
            let (left, expected) = (assessment.budget.left_ratio, oracle.budget_left(now));
            let near = (left - expected).abs() <= 1e-9 * expected.abs().max(1.0);
            assert!(near, "case {number}, slot {now}: {left}, not {expected}");
            changes += usize::from(severity != before);
            before = severity;
        }
    }
    assert!(changes > 2000, "only {changes} changes of incidents");
}
