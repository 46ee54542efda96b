//! The cost of the engine, as one JSON object for `cargo xtask bench slo`.
#![expect(clippy::print_stdout, reason = "the figures are its output")]
#![expect(clippy::disallowed_methods, reason = "the kernel tells the processor time of a thread in a file")]

use std::hint::black_box;
use std::time::Duration;

use lookout_engine::{
    Counts, Evaluator, Grid, Guard, Method, Objective, Period, Policy, Severity, Slot, Tier, Window,
};

const SLOS: usize = 10_000;
const TICKS: i64 = 90;
/// Copies have no room to grow; the first ticks make it.
const WARM_UP: i64 = 3;
const WIDTH_S: u32 = 10;
const SLOTS_PER_DAY: i64 = 8640;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--seed").skip(1);
    let seed = arguments.next().map_or(Ok(7), |text| text.parse())?;
    let policy = policy()?;
    let mut noise = Noise(seed);

    let mut most = || u64::from(u32::MAX) - noise.below(1000);
    let worst = filled(&policy, || Counts { good: most(), bad: most() });
    let mut noise = Noise(seed);
    let usual = filled(&policy, || thousand_a_second(&mut noise));
    let (usual_bytes, worst_bytes) = (usual.state_bytes(), worst.state_bytes());
    drop(worst);

    let ticks = tick_all(&usual, seed)?;
    let year_s = replay(&policy, seed)?;
    let list = |values: &[f64]| values.iter().map(|v| format!("{v:.6}")).collect::<Vec<_>>().join(",");
    println!(
        "{{\"slos\":{SLOS},\"usual_bytes\":{usual_bytes},\"worst_bytes\":{worst_bytes},\
         \"year_s\":{year_s:.6},\"tick_ms\":[{}]}}",
        list(&ticks)
    );
    Ok(())
}

fn policy() -> Result<Policy, Failure> {
    let period = Window::days(30);
    Ok(Policy {
        grid: Grid::try_new(WIDTH_S)?,
        objective: Objective::try_from_percent(99.9)?,
        period: Period::Rolling(period),
        tiers: Tier::defaults(period),
        method: Method::Occurrences,
        guard: Guard::default(),
        conditions: Vec::new(),
        stale_after_seconds: 180,
        data_alert: Some(Severity::Ticket),
    })
}

/// Knuth's MMIX generator: the same figures for the same seed, and no dependency.
struct Noise(u64);

impl Noise {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 32) * end) >> 32
    }
}

/// A thousand requests a second of which one in a thousand fails, unevenly.
fn thousand_a_second(noise: &mut Noise) -> Counts {
    let bad = noise.below(21);
    Counts { good: 9_000 + noise.below(2_000) - bad, bad }
}

/// An evaluator after 31 days.
fn filled(policy: &Policy, mut counts: impl FnMut() -> Counts) -> Evaluator {
    let mut evaluator = Evaluator::new(policy.clone(), Slot(-1));
    for slot in 0..31 * SLOTS_PER_DAY {
        evaluator.record(Slot(slot), counts());
        tick(&mut evaluator, Slot(slot));
    }
    evaluator
}

fn tick(evaluator: &mut Evaluator, slot: Slot) -> bool {
    let report = evaluator.assess(slot);
    let decision = evaluator.decide(&report);
    let pages = decision.transitions.iter().any(|change| change.incident.severity == Severity::Page);
    evaluator.accept(decision);
    black_box(report);
    pages
}

/// CPU milliseconds of a tick of all SLOs, all of them in turn: record, close, measure, decide, accept.
fn tick_all(usual: &Evaluator, seed: u64) -> Result<Vec<f64>, Failure> {
    let mut all = vec![usual.clone(); SLOS];
    let mut noise = Noise(seed);
    let counts: Vec<Counts> = (0..1009).map(|_| thousand_a_second(&mut noise)).collect();
    let mut times = Vec::new();
    let first = 31 * SLOTS_PER_DAY;
    for slot in first..first + WARM_UP + TICKS {
        let began = cpu_time()?;
        for (evaluator, counts) in all.iter_mut().zip(counts.iter().cycle()) {
            evaluator.record(Slot(slot), *counts);
            tick(evaluator, Slot(slot));
        }
        let took = (cpu_time()? - began).as_secs_f64() * 1e3;
        if slot >= first + WARM_UP {
            times.push(took);
        }
    }
    Ok(times)
}

/// The processor time of this thread.
fn cpu_time() -> Result<Duration, Failure> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split_whitespace().next().ok_or("schedstat is empty")?.parse()?;
    Ok(Duration::from_nanos(nanoseconds))
}

/// CPU seconds a year of ten-second slots takes in one evaluator, which is what a backtest spends in the engine.
fn replay(policy: &Policy, seed: u64) -> Result<f64, Failure> {
    let mut noise = Noise(seed);
    let half_the_budget =
        |noise: &mut Noise| Counts { good: 9_000 + noise.below(2_000), bad: noise.below(11) };
    let counts: Vec<Counts> = (0..1009).map(|_| half_the_budget(&mut noise)).collect();
    let mut evaluator = Evaluator::new(policy.clone(), Slot(-1)).for_replay();
    let began = cpu_time()?;
    for (slot, counts) in (0..365 * SLOTS_PER_DAY).zip(counts.iter().cycle()) {
        evaluator.record(Slot(slot), *counts);
        if black_box(evaluator.budget_if_quiet(Slot(slot))).is_none() {
            black_box(tick(&mut evaluator, Slot(slot)));
        }
    }
    Ok((cpu_time()? - began).as_secs_f64())
}
