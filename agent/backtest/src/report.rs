//! Simulations and backtests as text for people.

use core::fmt::Write as _;

use lookout_engine::{Cause, Window};
use lookout_model::Timestamp;

use super::conditions::ConditionTimes;
use super::labels::{Alarm, Outage, Score, delay_s};
use super::promise::Promised;
use super::replay::Incident;
use super::run::{self, Backtest, WhatIf};
use super::simulate::{Simulation, TierTimes};
use lookout_config::Slo;
use lookout_model::format::{NONE, count, date_time, duration, percent, printable, rate, score, several};

/// Largest number of rows of a list; it shows the number of the others.
const LIST_LIMIT: usize = 100;

/// Renders a simulation.
#[must_use]
pub fn simulation_text(slo: &Slo, simulation: &Simulation, promised: &Promised) -> String {
    let policy = &slo.policy;
    let mut text = format!(
        "{}  {} over {}, {}, evaluated every {}\n{}\n\n",
        slo.id(),
        policy.objective,
        slo.period_text(),
        rate(simulation.rate.per_second()),
        width(policy.grid.width_seconds()),
        promised.line(),
    );
    let header = ["tier", "fires above", "least failures", "in", "spends when it fires"];
    let rows = simulation.tiers.iter().map(|facts| {
        let held = if facts.held_by_guard { " (guard)" } else { "" };
        let least =
            facts.least_bad.map_or_else(|| "cannot fire".to_owned(), |n| format!("{}{held}", count(n)));
        vec![
            facts.tier.to_string(),
            format!("{} bad", percent(facts.threshold)),
            least,
            format!("{} events", count(facts.events)),
            format!("{} of the budget", percent(facts.spends_ratio)),
        ]
    });
    text += &table(&header, &rows.collect::<Vec<_>>());
    for outage in &simulation.outages {
        // Writing to a string cannot fail.
        let _ = write!(text, "\noutage: {} ({} bad)\n", outage.name, percent(outage.bad_ratio));
        let header = ["  tier", "fires after", "closed form", "lets go after", "closed form", "budget spent"];
        let rows = simulation.tiers.iter().zip(&outage.tiers);
        let rows = rows.map(|(facts, times)| times_row(&facts.tier.to_string(), times));
        let rows = rows.chain(outage.conditions.iter().map(condition_row));
        text += &table(&header, &rows.collect::<Vec<_>>());
    }
    for facts in simulation.unreachable() {
        let _ = write!(
            text,
            "\nerror: `{}` can never fire: it asks for more than {} bad events\n",
            facts.tier,
            percent(facts.threshold)
        );
    }
    if let Some(error) = promised.error() {
        let _ = write!(text, "\nerror: {error}\n");
    }
    text
}

fn times_row(tier: &str, times: &TierTimes) -> Vec<String> {
    let measured =
        |seconds: Option<u64>, none: &str| seconds.map_or_else(|| none.to_owned(), |s| duration(s as f64));
    let closed = |seconds: Option<f64>| seconds.map_or_else(|| NONE.to_owned(), duration);
    vec![
        format!("  {tier}"),
        measured(times.fires_s, "never"),
        closed(times.fires_closed_s),
        measured(times.resets_s, NONE),
        closed(times.resets_closed_s),
        times.spent_ratio.map_or_else(|| NONE.to_owned(), percent),
    ]
}

fn condition_row(times: &ConditionTimes) -> Vec<String> {
    let row = TierTimes {
        fires_s: times.fires_s,
        fires_closed_s: times.fires_closed_s,
        resets_s: times.resets_s,
        resets_closed_s: None,
        spent_ratio: times.spent_ratio,
    };
    times_row(&times.condition.to_string(), &row)
}

/// Renders a backtest.
#[must_use]
pub fn backtest_text(backtest: &Backtest) -> String {
    let mut text = head(backtest);
    text += &incidents(backtest);
    text += &outages(backtest);
    text += &naive(backtest);
    text += &what_if(backtest);
    text
}

fn head(backtest: &Backtest) -> String {
    let policy = &backtest.policy;
    let (from, until) = backtest.span;
    let tiers: Vec<String> = policy.tiers.iter().map(ToString::to_string).collect();
    let (seen, slots) = backtest.observed;
    let missing = slots.saturating_sub(seen as u64);
    let outcome = &backtest.outcome;
    let mut text = format!(
        "{}  {} over {}\n\
         tiers   {}\n\
         data    {} to {}, {} slots of {}, {} of them without data\n\
         events  {}, {} of them bad ({})\n\
         budget  {} left at the end, {} at the least ({})\n",
        backtest.slo,
        policy.objective,
        backtest.period,
        tiers.join("; "),
        date_time(from),
        date_time(until),
        count(slots),
        width(policy.grid.width_seconds()),
        count(missing),
        count(backtest.total.total()),
        count(backtest.total.bad),
        backtest.total.bad_ratio().map_or_else(|| NONE.to_owned(), percent),
        percent(outcome.budget.left_ratio),
        percent(outcome.lowest.left_ratio),
        date_time(outcome.lowest.at),
    );
    if !policy.conditions.is_empty() {
        let conditions: Vec<String> = policy.conditions.iter().map(ToString::to_string).collect();
        text += &format!("besides {}\n", conditions.join("; "));
    }
    for note in notes(backtest) {
        text += &format!("note    {note}\n");
    }
    text
}

/// Returns the differences between the replay and a live agent.
pub(super) fn notes(backtest: &Backtest) -> Vec<String> {
    let policy = &backtest.policy;
    let used = policy.grid.width_seconds();
    let mut notes = Vec::new();
    if used != backtest.wanted_width_s {
        notes.push(format!(
            "evaluated every {}, as fine as the counts are; the agent would do so every {}",
            width(used),
            width(backtest.wanted_width_s)
        ));
    }
    for tier in policy.tiers.iter().filter(|tier| tier.short.as_seconds() < 2 * u64::from(used)) {
        notes.push(format!("`{tier}` has a short window of less than two slots of these counts"));
    }
    for tier in policy.tiers.iter().filter(|tier| !tier.is_reachable(policy.objective)) {
        notes.push(format!("`{tier}` can never fire at {}", policy.objective));
    }
    if backtest.outages_left_out > 0 {
        let left_out = several(backtest.outages_left_out, "labelled outage");
        notes.push(format!("{left_out} outside the time of these counts left out"));
    }
    notes
}

fn incidents(backtest: &Backtest) -> String {
    let incidents = &backtest.outcome.incidents;
    let pages = run::pages(incidents);
    let mut text = format!("\n{}, {}\n", several(incidents.len(), "incident"), several(pages, "page"));
    let rows: Vec<Vec<String>> = incidents
        .iter()
        .zip(&backtest.outage_of)
        .take(LIST_LIMIT)
        .map(|(incident, outage)| incident_row(backtest, incident, *outage))
        .collect();
    if !rows.is_empty() {
        text += &table(&INCIDENT_HEADER, &rows);
    }
    text + &left_out(incidents.len())
}

/// Columns of [`incident_row`].
pub(super) const INCIDENT_HEADER: [&str; 8] =
    ["opened", "resolved", "lasted", "first to fire", "peak", "delay", "budget spent", "outage"];

/// Returns the cells of an incident.
pub(super) fn incident_row(backtest: &Backtest, incident: &Incident, outage: Option<usize>) -> Vec<String> {
    let until = backtest.span.1;
    let alarm = alarm(incident, until);
    let outage = outage.and_then(|index| backtest.outages.get(index)).map(|(outage, _)| outage);
    let unlabelled = match (incident.cause, backtest.outages.is_empty()) {
        (Cause::Burn, false) => "none: a false alarm",
        _ => NONE,
    };
    vec![
        date_time(incident.detected_at),
        incident.resolved_at.map_or_else(|| "still open".to_owned(), date_time),
        duration(alarm.to.seconds_since(alarm.from)),
        incident.first.clone().unwrap_or_else(|| "no data".to_owned()),
        incident.peak.to_string(),
        outage.map_or_else(|| NONE.to_owned(), |outage| duration(delay_s(outage, &alarm))),
        match incident.cause {
            Cause::Burn => percent(incident.spent_ratio),
            Cause::DataMissing | Cause::CrashLoop | Cause::TrafficMissing | Cause::TargetDown => {
                NONE.to_owned()
            }
        },
        outage.map_or_else(|| unlabelled.to_owned(), |outage| printable(&outage.name)),
    ]
}

fn alarm(incident: &Incident, until: Timestamp) -> Alarm {
    Alarm { from: incident.detected_at, to: incident.resolved_at.unwrap_or(until) }
}

fn outages(backtest: &Backtest) -> String {
    if backtest.outages.is_empty() {
        return "\nno labelled outages: precision and recall need --labels\n".to_owned();
    }
    let mut text = format!("\n{}\n", several(backtest.outages.len(), "labelled outage"));
    let rows: Vec<Vec<String>> = backtest
        .outages
        .iter()
        .take(LIST_LIMIT)
        .map(|(outage, found)| outage_row(backtest, outage, *found))
        .collect();
    text += &table(&OUTAGE_HEADER, &rows);
    text += &left_out(backtest.outages.len());
    text + &format!("\n{}\n", score_text(&backtest.score, "incident"))
}

/// Columns of [`outage_row`].
pub(super) const OUTAGE_HEADER: [&str; 4] = ["outage", "began", "lasted", "found"];

/// Returns the cells of an outage.
pub(super) fn outage_row(backtest: &Backtest, outage: &Outage, found: Option<usize>) -> Vec<String> {
    let incident = found.and_then(|index| backtest.outcome.incidents.get(index));
    let found = incident.map_or_else(
        || "never".to_owned(),
        |incident| {
            let delay = delay_s(outage, &alarm(incident, backtest.span.1));
            let who = incident.first.clone().unwrap_or_else(|| "missing data".to_owned());
            format!("after {} by {who}", duration(delay))
        },
    );
    let lasted = duration(outage.end.seconds_since(outage.start));
    vec![printable(&outage.name), date_time(outage.start), lasted, found]
}

/// Returns precision and recall in a line.
pub(super) fn score_text(of: &Score, one: &str) -> String {
    format!(
        "precision {} ({} of {} about an outage), recall {} ({} of {} found)",
        score(of.precision),
        of.right,
        several(of.alarms, one),
        score(of.recall),
        of.found,
        several(of.outages, "outage"),
    )
}

fn naive(backtest: &Backtest) -> String {
    let naive = &backtest.naive;
    let mut text = format!("\na naive threshold instead: {}\n", naive.rule);
    if backtest.outages.is_empty() {
        return text + &format!("{}\n", several(naive.pages.len(), "page"));
    }
    let _ = writeln!(text, "{}", score_text(&naive.score, "page"));
    let wrong: Vec<_> = naive.pages.iter().filter(|(_, outage)| outage.is_none()).collect();
    for (page, _) in wrong.iter().take(LIST_LIMIT) {
        let _ = writeln!(
            text,
            "  false page at {}, for {} bad of {}, over after {}",
            date_time(page.from),
            count(page.counts.bad),
            count(page.counts.total()),
            duration(page.to.seconds_since(page.from)),
        );
    }
    text + &left_out(wrong.len())
}

fn what_if(backtest: &Backtest) -> String {
    if backtest.what_if.is_empty() {
        return String::new();
    }
    "\nwhat if\n".to_owned() + &table(&WHAT_IF_HEADER, &what_if_rows(backtest))
}

/// Columns of [`what_if_rows`].
pub(super) const WHAT_IF_HEADER: [&str; 8] =
    ["policy", "incidents", "pages", "precision", "recall", "median delay", "budget left", "at the least"];

/// Returns the cells of every policy, those of the spec and the naive threshold included.
pub(super) fn what_if_rows(backtest: &Backtest) -> Vec<Vec<String>> {
    let outcome = &backtest.outcome;
    let own = WhatIf {
        name: "as specified".to_owned(),
        unreachable: Vec::new(),
        score: backtest.score,
        pages: run::pages(&outcome.incidents),
        left_ratio: outcome.budget.left_ratio,
        lowest_ratio: outcome.lowest.left_ratio,
    };
    let delay = |score: &Score| score.median_delay_s.map_or_else(|| NONE.to_owned(), duration);
    let mut rows: Vec<Vec<String>> = core::iter::once(&own)
        .chain(&backtest.what_if)
        .map(|what| {
            let dead = match what.unreachable.len() {
                0 => String::new(),
                n => format!(" ({} can never fire)", several(n, "tier")),
            };
            vec![
                format!("{}{dead}", what.name),
                what.score.alarms.to_string(),
                what.pages.to_string(),
                score(what.score.precision),
                score(what.score.recall),
                delay(&what.score),
                percent(what.left_ratio),
                percent(what.lowest_ratio),
            ]
        })
        .collect();
    let naive = &backtest.naive;
    let pages = naive.pages.len().to_string();
    rows.push(vec![
        naive.rule.to_string(),
        pages.clone(),
        pages,
        score(naive.score.precision),
        score(naive.score.recall),
        delay(&naive.score),
        NONE.to_owned(),
        NONE.to_owned(),
    ]);
    rows
}

fn left_out(all: usize) -> String {
    match all.checked_sub(LIST_LIMIT) {
        Some(more) if more > 0 => format!("  … and {more} more (--json has them all)\n"),
        _ => String::new(),
    }
}

fn width(seconds: u32) -> Window {
    Window::seconds(u64::from(seconds))
}

/// Renders rows as columns, left-aligned, two spaces between.
fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    let wide = |row: &Vec<String>| row.iter().map(|cell| cell.chars().count()).collect::<Vec<_>>();
    let widths = rows.iter().fold(wide(&header), |widths, row| {
        widths.iter().zip(wide(row)).map(|(width, cell)| cell.max(*width)).collect()
    });
    core::iter::once(&header).chain(rows).fold(String::new(), |text, row| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        text + cells.collect::<Vec<_>>().join("  ").trim_end() + "\n"
    })
}
