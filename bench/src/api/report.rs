//! Medians of the rounds, and ratios beside the targets. A ratio is taken within a round, where both saw the same machine.

use super::databases::Store;
use super::load::Pace;
use super::servers::Kind;
use super::{Arguments, Work};

/// One measurement of one server.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) round: u32,
    pub(super) store: Store,
    pub(super) work: Work,
    pub(super) pace: Pace,
    pub(super) kind: Kind,
    pub(super) answers: u64,
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    /// Of the server, for a thousand requests; and so below.
    pub(super) cpu_ms: f64,
    pub(super) database_ms: f64,
    pub(super) client_ms: f64,
    pub(super) megabytes: f64,
}

/// A target between two servers, for every kind of request.
struct Target {
    name: &'static str,
    ours: Kind,
    theirs: Kind,
    most: f64,
    /// True if requests per second in a closed loop are held against it too.
    throughput: bool,
}

const TARGETS: [Target; 3] = [
    Target { name: "logs / bare", ours: Kind::Logs, theirs: Kind::Bare, most: 1.15, throughput: true },
    Target { name: "traced / bare", ours: Kind::Traced, theirs: Kind::Bare, most: 1.3, throughput: true },
    Target { name: "logs / FastAPI", ours: Kind::Logs, theirs: Kind::Fastapi, most: 0.2, throughput: false },
];
const MAX_MEGABYTES: f64 = 20.0;

pub(super) fn print(samples: &[Sample], arguments: &Arguments) {
    let paces = [Pace::Closed(16), Pace::Closed(64), Pace::Rate(arguments.rate)];
    for line in measured(samples, paces).into_iter().chain(targets(samples, paces)) {
        println!("{line}");
    }
    println!(
        "\nCPU and DB are milliseconds on a processor for a thousand requests, of the server's own processes and of\n\
         PostgreSQL's; MB is the most memory seen with 64 connections. Medians of {} rounds of {} s; ratios are medians of\n\
         the ratios within each round. For requests/s the ratio is theirs / ours, so that less is better everywhere.",
        arguments.rounds, arguments.seconds
    );
}

/// A table for each database and work.
fn measured(samples: &[Sample], paces: [Pace; 3]) -> Vec<String> {
    let mut lines = Vec::new();
    for (store, work) in questions(samples) {
        let of: Vec<&Sample> =
            samples.iter().filter(|sample| sample.store == store && sample.work == work).collect();
        let title = format!("{}, {}", store.name(), work.name());
        let [sixteen, sixty_four, rate] = paces.map(|pace| pace.to_string());
        lines.push(format!("\n{title:<26}{sixteen:^34}{sixty_four:^34}{rate:^26}"));
        lines.push(format!(
            "{0:<26}{1:>8}{2:>8}{3:>8}{4:>8}  {1:>8}{2:>8}{3:>8}{4:>8}  {2:>8}{3:>8}{4:>8}{5:>8}{6:>8}{7:>8}",
            "", "req/s", "p50 ms", "p99 ms", "CPU", "DB", "client", "MB"
        ));
        let mut kinds: Vec<Kind> = Vec::new();
        of.iter().for_each(|sample| {
            if !kinds.contains(&sample.kind) {
                kinds.push(sample.kind);
            }
        });
        for kind in kinds {
            let [sixteen, sixty_four, rate] = paces.map(|pace| {
                let of = of.iter().filter(|sample| sample.kind == kind && sample.pace == pace);
                Cell::of(&of.map(|sample| (*sample).clone()).collect::<Vec<_>>())
            });
            let closed = |cell: &Cell| {
                format!(
                    "{:>8.0}{:>8.2}{:>8.2}{:>8.1}  ",
                    cell.per_second, cell.p50_ms, cell.p99_ms, cell.cpu_ms
                )
            };
            lines.push(format!(
                "{:<26}{}{}{:>8.2}{:>8.2}{:>8.1}{:>8.1}{:>8.1}{:>8.1}",
                kind.name(),
                closed(&sixteen),
                closed(&sixty_four),
                rate.p50_ms,
                rate.p99_ms,
                rate.cpu_ms,
                rate.database_ms,
                rate.client_ms,
                sixty_four.megabytes
            ));
        }
    }
    lines
}

/// Medians of one server, work and pace.
struct Cell {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_ms: f64,
    database_ms: f64,
    client_ms: f64,
    megabytes: f64,
}

impl Cell {
    fn of(samples: &[Sample]) -> Self {
        let of = |value: fn(&Sample) -> f64| median(samples.iter().map(value).collect());
        Self {
            per_second: of(|sample| sample.per_second),
            p50_ms: of(|sample| sample.p50_ms),
            p99_ms: of(|sample| sample.p99_ms),
            cpu_ms: of(|sample| sample.cpu_ms),
            database_ms: of(|sample| sample.database_ms),
            client_ms: of(|sample| sample.client_ms),
            megabytes: of(|sample| sample.megabytes),
        }
    }
}

/// Missing a target is told, not failed: the machine decides too.
fn targets(samples: &[Sample], paces: [Pace; 3]) -> Vec<String> {
    let [sixteen, sixty_four, rate] = paces;
    let mut lines = vec![format!(
        "\n{:<42}{:>14}{:>10}{:>10}{:>10}{:>10}{:>10}",
        "", "CPU, at rate", "CPU, 16", "CPU, 64", "req/s, 16", "req/s, 64", "target"
    )];
    for (store, work) in questions(samples) {
        for target in &TARGETS {
            let cpu = |pace| {
                ratio(samples, (store, work, pace), (target.ours, target.theirs), |sample| sample.cpu_ms)
            };
            let speed = |pace| {
                ratio(samples, (store, work, pace), (target.theirs, target.ours), |sample| sample.per_second)
            };
            let shown = [cpu(rate), cpu(sixteen), cpu(sixty_four), speed(sixteen), speed(sixty_four)];
            let [at_rate, .., slower_16, slower_64] = shown;
            if at_rate.is_nan() {
                continue;
            }
            let held = if target.throughput { vec![at_rate, slower_16, slower_64] } else { vec![at_rate] };
            let [a, b, c, d, e] = shown.map(|ratio| format!("{ratio:.2}x"));
            lines.push(format!(
                "{:<42}{a:>14}{b:>10}{c:>10}{d:>10}{e:>10}{:>10}  {}",
                format!("{}, {}: {}", store.name(), work.name(), target.name),
                format!("≤ {:.2}x", target.most),
                met(held.iter().all(|ratio| *ratio <= target.most))
            ));
        }
    }
    for kind in [Kind::Logs, Kind::Traced] {
        let of = samples.iter().filter(|sample| sample.kind == kind && sample.pace == sixty_four);
        let most = of.map(|sample| sample.megabytes).fold(f64::NAN, f64::max);
        if !most.is_nan() {
            lines.push(format!(
                "{:<42}{:>14}{:>50}  {}",
                format!("memory with 64 connections: {}", if kind == Kind::Logs { "logs" } else { "traced" }),
                format!("{most:.1} MB"),
                format!("≤ {MAX_MEGABYTES:.0} MB"),
                met(most <= MAX_MEGABYTES)
            ));
        }
    }
    lines
}

fn met(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

/// Requests and their database, in order.
fn questions(samples: &[Sample]) -> Vec<(Store, Work)> {
    let mut seen = Vec::new();
    for sample in samples {
        if !seen.contains(&(sample.store, sample.work)) {
            seen.push((sample.store, sample.work));
        }
    }
    seen
}

/// The median over rounds of what one server says of a measure in proportion to another; not a number where one is missing.
fn ratio(
    samples: &[Sample],
    (store, work, pace): (Store, Work, Pace),
    (above, below): (Kind, Kind),
    measure: impl Fn(&Sample) -> f64,
) -> f64 {
    let of = |kind: Kind| {
        samples
            .iter()
            .filter(move |one| one.store == store && one.work == work && one.pace == pace && one.kind == kind)
    };
    let pairs = of(above).filter_map(|above| {
        let below = of(below).find(|below| below.round == above.round)?;
        Some(measure(above) / measure(below))
    });
    median(pairs.collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let at = |place: usize| values.get(place).copied().unwrap_or(f64::NAN);
    if values.len() % 2 == 1 || values.is_empty() {
        at(middle)
    } else {
        f64::midpoint(at(middle - 1), at(middle))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(round: u32, kind: Kind, pace: Pace, cpu_ms: f64, per_second: f64) -> Sample {
        Sample {
            round,
            store: Store::Sqlite,
            work: Work::One,
            pace,
            kind,
            answers: 1,
            per_second,
            p50_ms: 0.5,
            p99_ms: 1.5,
            cpu_ms,
            database_ms: 0.0,
            client_ms: 10.0,
            megabytes: 19.0,
        }
    }

    const PACES: [Pace; 3] = [Pace::Closed(16), Pace::Closed(64), Pace::Rate(100)];

    /// The machine is half as fast in the second round and a fifth as fast in the third, for everybody.
    fn samples(logs: f64) -> Vec<Sample> {
        let rounds = [(1, 1.0), (2, 2.0), (3, 5.0)];
        rounds
            .into_iter()
            .flat_map(|(round, slow)| {
                PACES.into_iter().flat_map(move |pace| {
                    [
                        sample(round, Kind::Logs, pace, logs * slow, 1_000.0 / slow),
                        sample(round, Kind::Bare, pace, 100.0 * slow, 1_100.0 / slow),
                        sample(round, Kind::Fastapi, pace, 800.0 * slow, 100.0 / slow),
                    ]
                })
            })
            .collect()
    }

    #[test]
    fn targets_are_judged_within_rounds() {
        let said = |logs: f64, name: &str| {
            let lines = targets(&samples(logs), PACES);
            let line = lines.iter().find(|line| line.contains(name)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert!(said(112.0, "logs / bare").ends_with("1.12x 1.12x 1.12x 1.10x 1.10x ≤ 1.15x met"));
        assert!(said(120.0, "logs / bare").ends_with("1.20x 1.20x 1.20x 1.10x 1.10x ≤ 1.15x MISSED"));
        assert!(said(120.0, "logs / FastAPI").ends_with("≤ 0.20x met"), "{}", said(120.0, "logs / FastAPI"));
        assert!(said(120.0, "memory").ends_with("19.0 MB ≤ 20 MB met"));
        assert!(!targets(&samples(1.0), PACES).iter().any(|line| line.contains("traced")));
    }

    #[test]
    fn every_server_has_a_line_of_medians() {
        let lines = measured(&samples(120.0), PACES);
        let line = lines.iter().find(|line| line.starts_with(Kind::Logs.name())).unwrap();
        assert_eq!(line.matches("500").count(), 2, "requests per second of the second round: {line}");
        assert_eq!(line.matches("240.0").count(), 3, "CPU of the second round: {line}");
        assert_eq!(lines.len(), 2 + 3);
    }

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), 3.0);
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert!(median(Vec::new()).is_nan());
    }
}
