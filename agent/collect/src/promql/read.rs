//! One turn: the two questions of an SLO, and good and bad events by slot out of their answers.

use std::collections::BTreeMap;

use lookout_engine::{Counts, Slot};
use lookout_model::{GridTime, Timestamp};

use super::counters::{Counters, Standing};
use super::ports::Ports;
use super::windowed::Windowed;
use lookout_config::Prometheus;
use lookout_promql::client::{Answer, Error, Question};
use lookout_runtime::events::names;

/// The slots of one turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) from: i64,
    /// The slot after the last one.
    pub(super) to: i64,
    pub(super) now: Timestamp,
}

/// Counts by slot.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) slots: BTreeMap<i64, Counts>,
    /// The newest slot with data.
    pub(super) newest: Option<i64>,
}

/// Asks both questions of a pair, counts how that went, and returns the answers and the length of the longer one.
async fn ask_both(
    server: &Prometheus,
    ports: &Ports,
    questions: [Question; 2],
) -> Result<([Answer; 2], usize), Error> {
    let [part, total] = questions;
    let part = ask_one(server, ports, &part).await?;
    let total = ask_one(server, ports, &total).await?;
    let bytes = part.bytes.max(total.bytes);
    Ok(([part, total], bytes))
}

async fn ask_one(server: &Prometheus, ports: &Ports, question: &Question) -> Result<Answer, Error> {
    let answered = ports.query_api.query(server, question).await;
    let source = server.name.clone();
    match &answered {
        Ok(_) => metrics::counter!(names::PROMQL, "source" => source, "outcome" => "ok").increment(1),
        Err(error) => metrics::counter!(
            names::PROMQL, "source" => source, "outcome" => "fail", "reason" => error.reason()
        )
        .increment(1),
    }
    answered
}

/// Reads the samples of a span and counts them; from where the live counters stand, when it goes on from there.
pub(super) async fn read_counters(
    counters: &Counters,
    live: &mut Option<Standing>,
    server: &Prometheus,
    ports: &Ports,
    span: Span,
) -> Result<(Counted, usize), Error> {
    let grid = ports.grid;
    let second = |slot: i64| grid.start_of(Slot(slot)).as_seconds();
    let (from_s, to_s) = (second(span.from), second(span.to));
    let (samples, bytes) = ask_both(server, ports, counters.samples(from_s, to_s)).await?;
    let mut standing = match live.take_if(|standing| standing.at_s == from_s) {
        Some(standing) => standing,
        None => {
            let (before, _) = ask_both(server, ports, counters.before(from_s)).await?;
            Standing::at(from_s, before)
        }
    };
    // an uneven number of scrape intervals, so that neither one missed scrape nor jitter is a gap
    let bridge_s = i64::try_from(server.scrape_interval.as_secs().saturating_mul(5) / 2).unwrap_or(i64::MAX);
    let tally = standing.advance(samples, to_s, grid, bridge_s.max(i64::from(grid.width_seconds())));
    if tally.resets > 0 {
        tracing::debug!(promql.source = %server.name, counters = tally.resets, "counters started again");
    }
    let mut skewed = 0;
    let counts = |(slot, (part, total)): (i64, (u64, u64))| {
        skewed += u64::from(part > total);
        let within = part.min(total);
        let rest = total - within;
        let counts = match counters.part_is_bad {
            true => Counts { good: rest, bad: within },
            false => Counts { good: within, bad: rest },
        };
        (slot, counts)
    };
    let counted = Counted { slots: tally.slots.into_iter().map(counts).collect(), newest: tally.newest };
    if skewed > 0 {
        metrics::counter!(names::SCRAPE_SKEWS, "source" => server.name.clone()).increment(skewed);
    }
    if live.as_ref().is_none_or(|live| live.at_s <= standing.at_s) {
        *live = Some(standing);
    }
    Ok((counted, bytes))
}

/// Reads whole windows.
pub(super) async fn read_windows(
    windowed: &mut Windowed,
    (first, after): (i64, i64),
    server: &Prometheus,
    ports: &Ports,
) -> Result<(Counted, usize), Error> {
    let (answers, bytes) = ask_both(server, ports, windowed.questions(first, after)).await?;
    let (slots, newest) = windowed.count(answers);
    let slots = slots.into_iter().map(|(slot, (good, bad))| (slot, Counts { good, bad })).collect();
    Ok((Counted { slots, newest }, bytes))
}
