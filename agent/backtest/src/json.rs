//! Simulations and backtests as JSON for machines. A figure that does not exist is null.

use serde_json::{Value, json};

use super::labels::{Alarm, delay_s};
use super::promise::Promised;
use super::replay::Incident;
use super::report::notes;
use super::run::{Backtest, WhatIf};
use super::simulate::Simulation;
use lookout_config::Slo;
use lookout_model::format::rfc3339;

/// Returns a simulation as JSON.
#[must_use]
pub fn simulation_json(slo: &Slo, simulation: &Simulation, promised: &Promised) -> Value {
    let tiers = simulation.tiers.iter().map(|facts| {
        json!({
            "tier": facts.tier.to_string(),
            "severity": facts.tier.severity.as_str(),
            "threshold_ratio": facts.threshold,
            "reachable": facts.reachable,
            "least_failures": facts.least_bad,
            "events_in_long_window": facts.events,
            "held_by_guard": facts.held_by_guard,
            "budget_spent_ratio": facts.spends_ratio,
        })
    });
    let outages = simulation.outages.iter().map(|outage| {
        let tiers = simulation.tiers.iter().zip(&outage.tiers).map(|(facts, times)| {
            json!({
                "tier": facts.tier.to_string(),
                "fires_after_seconds": times.fires_s,
                "fires_after_closed_form_seconds": times.fires_closed_s,
                "lets_go_after_seconds": times.resets_s,
                "lets_go_after_closed_form_seconds": times.resets_closed_s,
                "budget_spent_ratio": times.spent_ratio,
            })
        });
        let conditions = outage.conditions.iter().map(|times| {
            json!({
                "condition": times.condition.to_string(),
                "fires_after_seconds": times.fires_s,
                "fires_after_closed_form_seconds": times.fires_closed_s,
                "lets_go_after_seconds": times.resets_s,
                "budget_spent_ratio": times.spent_ratio,
            })
        });
        json!({
            "name": outage.name,
            "bad_ratio": outage.bad_ratio,
            "tiers": tiers.collect::<Vec<_>>(),
            "conditions": conditions.collect::<Vec<_>>(),
        })
    });
    json!({
        "slo": slo.id(),
        "objective_percent": slo.objective().percent(),
        "period": slo.period_text(),
        "period_seconds": slo.period().as_seconds(),
        "interval_seconds": slo.policy.grid.width_seconds(),
        "events_per_second": simulation.rate.per_second(),
        "promise": promise_json(promised),
        "tiers": tiers.collect::<Vec<_>>(),
        "outages": outages.collect::<Vec<_>>(),
    })
}

fn promise_json(promised: &Promised) -> Value {
    let promise = &promised.promise;
    json!({
        "kept": promised.late.is_none(),
        "total_outage_pages_after_seconds": promise.outage_pages_after,
        "ten_percent_pages_after_seconds": promise.tenth_pages_after,
        "tickets_per_month_at_even_spend": promise.tickets_per_month,
        "missing_data_alert_after_seconds": promise.missing_data_after.map(|(seconds, _)| seconds),
        "unread_pages": promised.unread.as_ref().map(|(slo, _)| slo),
        "unread_pages_after_seconds": promised.unread.as_ref().map(|(_, seconds)| seconds),
        "missing_data_severity": promise.missing_data_after.map(|(_, severity)| severity.as_str()),
    })
}

/// Returns a backtest as JSON.
#[must_use]
pub fn backtest_json(backtest: &Backtest) -> Value {
    let policy = &backtest.policy;
    let outcome = &backtest.outcome;
    let (from, until) = backtest.span;
    let name =
        |index: &Option<usize>| index.and_then(|i| backtest.outages.get(i)).map(|(o, _)| o.name.clone());
    let incidents = outcome.incidents.iter().zip(&backtest.outage_of);
    let pages = backtest.naive.pages.iter().map(|(page, outage)| {
        json!({
            "from": rfc3339(page.from),
            "to": rfc3339(page.to),
            "bad": page.counts.bad,
            "total": page.counts.total(),
            "outage": name(outage),
        })
    });
    json!({
        "slo": backtest.slo,
        "objective_percent": policy.objective.percent(),
        "period": backtest.period,
        "period_seconds": policy.period.nominal().as_seconds(),
        "tiers": policy.tiers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "conditions": policy.conditions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "notes": notes(backtest),
        "data": {
            "from": rfc3339(from),
            "until": rfc3339(until),
            "slot_seconds": policy.grid.width_seconds(),
            "slots": backtest.observed.1,
            "slots_observed": backtest.observed.0,
            "good": backtest.total.good,
            "bad": backtest.total.bad,
        },
        "budget": {
            "left_ratio": outcome.budget.left_ratio,
            "lowest_left_ratio": outcome.lowest.left_ratio,
            "lowest_at": rfc3339(outcome.lowest.at),
        },
        "score": backtest.score,
        "incidents": incidents.map(|(incident, outage)| incident_json(backtest, incident, *outage)).collect::<Vec<_>>(),
        "outages": backtest.outages.iter().map(|(outage, found)| json!({
            "name": outage.name,
            "start": rfc3339(outage.start),
            "end": rfc3339(outage.end),
            "incident": found,
        })).collect::<Vec<_>>(),
        "naive": {
            "rule": backtest.naive.rule.to_string(),
            "score": backtest.naive.score,
            "pages": pages.collect::<Vec<_>>(),
        },
        "what_if": backtest.what_if.iter().map(what_if_json).collect::<Vec<_>>(),
    })
}

fn incident_json(backtest: &Backtest, incident: &Incident, outage: Option<usize>) -> Value {
    let to = incident.resolved_at.unwrap_or(backtest.span.1);
    let alarm = Alarm { from: incident.detected_at, to };
    let outage = outage.and_then(|index| backtest.outages.get(index)).map(|(outage, _)| outage);
    json!({
        "cause": incident.cause.as_str(),
        "opened": rfc3339(incident.detected_at),
        "resolved": incident.resolved_at.map(rfc3339),
        "first_tier": incident.first,
        "severity": incident.severity.as_str(),
        "peak": incident.peak.as_str(),
        "paged": incident.paged_at.map(rfc3339),
        "bad": incident.bad,
        "budget_spent_ratio": incident.spent_ratio,
        "outage": outage.map(|outage| &outage.name),
        "delay_seconds": outage.map(|outage| delay_s(outage, &alarm)),
    })
}

fn what_if_json(what: &WhatIf) -> Value {
    json!({
        "name": what.name,
        "unreachable_tiers": what.unreachable.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "score": what.score,
        "pages": what.pages,
        "budget_left_ratio": what.left_ratio,
        "lowest_left_ratio": what.lowest_ratio,
    })
}
