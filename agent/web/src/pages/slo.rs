//! `/slos/{service}/{slo}`: one SLO in full: budget, tiers against their factors, history, incidents.

use std::time::Duration;

use askama::Template;
use axum::extract::{self, Path};
use axum::response::Response;
use http::StatusCode;
use lookout_engine::{Counts, Objective, Severity, Tier, Window};

use crate::attention::Attention;

use super::row::{IncidentRow, SloRow, dashboard, runbook};
use super::{Moment, Shell, components, not_found, page};
use crate::{State, chart};
use lookout_deliver::condition_text;
use lookout_evaluate::{SloStatus, Snapshot};
use lookout_ledger::CountSeries;
use lookout_model::{ConditionEvidence, Ranges, TierEvidence, VersionEvidence, expand};
use lookout_model::{Timestamp, format};

/// Number of incidents of all SLOs that are searched for those of this one, and number of those shown.
const SEARCHED: u32 = 500;
const MAX_INCIDENTS: usize = 20;

/// Number of columns of the history, and the longest time they cover.
const BINS: u32 = 96;
const LONGEST_HISTORY: Duration = Duration::from_secs(86_400);

#[derive(Template)]
#[template(path = "slo.html")]
struct View {
    shell: Shell,
    slo: SloRow,
    service: String,
    source: String,
    good: String,
    bad: String,
    total: String,
    tiers: Vec<TierRow>,
    conditions: Vec<ConditionRow>,
    components: Option<components::Table>,
    versions: Vec<VersionRow>,
    detection: Vec<Detection>,
    history: Option<History>,
    incidents: Vec<IncidentRow>,
    ledger_fails: bool,
    runbook: Option<String>,
    dashboard: Option<String>,
}

struct ConditionRow {
    symbol: &'static str,
    word: &'static str,
    condition: String,
    now: String,
}

struct TierRow {
    symbol: &'static str,
    word: String,
    severity: String,
    long: String,
    short: String,
    factor: String,
    long_burn: String,
    short_burn: String,
    /// Markup made of numbers only.
    bar: String,
    events: String,
}

struct Detection {
    tier: String,
    total: String,
    tenth: String,
    hundredth: String,
    reset: String,
}

/// Objective of the period, when there were several.
struct VersionRow {
    from: Moment,
    objective: String,
    events: String,
}

struct History {
    /// Markup made of numbers only.
    chart: String,
    span: String,
    text: String,
}

/// `GET /slos/{service}/{slo}`
pub(crate) async fn show(
    extract::State(state): extract::State<State>,
    Path((service, name)): Path<(String, String)>,
) -> Response {
    let (snapshot, now) = (state.board.read(), state.clock.now());
    let Some(slo) = snapshot.slos.iter().find(|slo| slo.service == service && slo.slo == name) else {
        let text = if snapshot.at == Snapshot::NEVER {
            format!(
                "The agent has just started; the first evaluation is at most {} s away.",
                snapshot.interval_s
            )
        } else {
            "There is no such SLO. The overview lists all that are evaluated.".to_owned()
        };
        return not_found(&state, text);
    };
    let incidents = state.ledger.incidents(None, SEARCHED).await;
    let attention = Attention::read(&state).await;
    let since = now - horizon(slo);
    let counts = components::counts(&state, slo, since).await;
    let corrections = state.ledger.corrections_in_force(since).await;
    let ledger_fails = incidents.is_err() || counts.is_err() || corrections.is_err();
    let corrections = corrections.unwrap_or_default();
    let mine = corrections.iter().filter(|correction| correction.scope.covers(&slo.service, &slo.id));
    let excluded = expand(mine, since, now, Duration::from_secs(60));
    let spec = state.config.slos.iter().find(|spec| spec.id() == slo.id);
    let row = SloRow::new(slo, &state.config, snapshot.at, now);
    let mine = incidents.unwrap_or_default().into_iter().filter(|incident| incident.slo_id == slo.id);
    let view = View {
        shell: Shell::new(&state, "", format!("{}: {}", row.word, row.title)),
        service: slo.service.clone(),
        source: slo.source.clone(),
        good: format::count(slo.evidence.total.saturating_sub(slo.evidence.bad)),
        bad: format::count(slo.evidence.bad),
        total: format::count(slo.evidence.total),
        tiers: slo.evidence.tiers.iter().map(tier_row).collect(),
        conditions: slo.evidence.conditions.iter().map(condition_row).collect(),
        components: components::Table::of(slo),
        versions: slo.evidence.versions.iter().map(|version| version_row(version, now)).collect(),
        detection: spec.map(detection).unwrap_or_default(),
        history: counts.ok().map(|counts| history(slo, &counts, &excluded, now)),
        incidents: mine
            .take(MAX_INCIDENTS)
            .map(|incident| IncidentRow::attended(&incident, &state.config, &attention, now))
            .collect(),
        ledger_fails,
        runbook: runbook(&state.config, &slo.alert),
        dashboard: dashboard(&state.config, slo),
        slo: row,
    };
    page(StatusCode::OK, &view)
}

fn version_row(version: &VersionEvidence, now: Timestamp) -> VersionRow {
    VersionRow {
        from: Moment::new(version.from, now),
        objective: format::objective(version.objective_percent),
        events: format!("{} of {}", format::count(version.bad), format::count(version.total)),
    }
}

/// Returns the row of a tier. It shows both windows, because both decide.
fn tier_row(tier: &TierEvidence) -> TierRow {
    let above = |burn: Option<f64>| burn.is_some_and(|burn| burn > tier.factor);
    let (symbol, word) = match (tier.firing, above(tier.long_burn), above(tier.short_burn)) {
        (true, _, _) if tier.severity == Severity::Page => ("page", "Fires"),
        (true, _, _) => ("ticket", "Fires"),
        (false, _, _) if tier.held_by_guard => ("quiet", "Held"),
        (false, true, true) => ("ticket", "Waits for its hold time"),
        (false, true, false) => ("quiet", "Recovering"),
        (false, false, true) => ("spent", "Rising"),
        (false, false, false) if tier.long_burn.is_none() => ("unknown", "No events"),
        (false, false, false) => ("met", "Calm"),
    };
    let word = match &tier.held {
        Some(held) if !tier.firing => format!("{word}: {held}"),
        _ => word.to_owned(),
    };
    let window = |seconds| Window::seconds(seconds).to_string();
    TierRow {
        symbol,
        word,
        severity: tier.severity.to_string(),
        long: window(tier.long_s),
        short: window(tier.short_s),
        factor: match tier.release_factor {
            Some(until) => format!("{}× until {until}×", tier.factor),
            None => format!("{}×", tier.factor),
        },
        long_burn: format::burn(tier.long_burn),
        short_burn: format::burn(tier.short_burn),
        bar: chart::burn(tier.long_burn, tier.factor),
        events: format!("{} of {}", format::count(tier.long_bad), format::count(tier.long_total)),
    }
}

fn condition_row(condition: &ConditionEvidence) -> ConditionRow {
    let (symbol, word) = match (condition.firing, condition.exceeded) {
        (true, _) if condition.severity == Severity::Page => ("page", "Fires"),
        (true, _) => ("ticket", "Fires"),
        (false, _) if condition.held.is_some() => ("quiet", "Held"),
        (false, true) => ("ticket", "Waits for its hold time"),
        (false, false) => ("met", "Calm"),
    };
    ConditionRow { symbol, word, condition: condition.condition.clone(), now: condition_text(condition) }
}

/// Returns the time to detection of each tier, in closed form.
fn detection(slo: &lookout_config::Slo) -> Vec<Detection> {
    let objective = slo.objective();
    slo.tiers().iter().map(|tier| detection_row(tier, objective)).collect()
}

fn detection_row(tier: &Tier, objective: Objective) -> Detection {
    let after = |seconds: Option<f64>| seconds.map_or_else(|| "never".to_owned(), format::duration);
    Detection {
        tier: format!("{} {}/{}", tier.severity, tier.long, tier.short),
        total: after(tier.detection_seconds(objective, 1.0)),
        tenth: after(tier.detection_seconds(objective, 0.1)),
        hundredth: after(tier.detection_seconds(objective, 0.01)),
        reset: after(tier.reset_seconds(objective, 1.0)),
    }
}

fn horizon(slo: &SloStatus) -> Duration {
    Duration::from_secs(slo.evidence.period_s).clamp(Duration::from_secs(BINS.into()), LONGEST_HISTORY)
}

fn history(slo: &SloStatus, stored: &CountSeries, excluded: &Ranges, now: Timestamp) -> History {
    let horizon = horizon(slo);
    let (start, width) = (now - horizon, horizon / BINS);
    let mut bins = vec![Counts::ZERO; BINS as usize];
    for span in stored.spans() {
        let at = Timestamp::from_seconds(span.start_s);
        let place = usize::try_from(at.since(start).as_nanos() / width.as_nanos());
        if let Some(bin) = place.ok().filter(|_| at >= start).and_then(|place| bins.get_mut(place)) {
            *bin += span.counts;
        }
    }
    let (with_bad, worst) = bins
        .iter()
        .filter_map(|bin| bin.bad_ratio())
        .fold((0_usize, 0.0_f64), |(n, worst), bad| (n + usize::from(bad > 0.0), worst.max(bad)));
    let bin = format::elapsed(width);
    let text = match (with_bad, bins.iter().all(|bin| bin.is_empty())) {
        (_, true) => format!("No events in {}.", format::elapsed(horizon)),
        (0, _) => "No bad event.".to_owned(),
        (n, _) => {
            let worst = format::percent_good(Some(worst));
            format!(
                "Bad events in {n} of {BINS} columns of {bin}; in the worst, {worst} of all events were bad."
            )
        }
    };
    let corrected: Vec<bool> = (0..BINS)
        .map(|bin| start + bin * width)
        .map(|from| excluded.between(from, from + width).next().is_some())
        .collect();
    let text = match corrected.iter().filter(|corrected| **corrected).count() {
        0 => text,
        n => format!(
            "{text} {n} columns stand on a band: all or part of their time is corrected and does not count."
        ),
    };
    History { chart: chart::history(&bins, &corrected), span: format::elapsed(horizon), text }
}
