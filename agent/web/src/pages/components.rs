//! The components of a composite on its page, with their data state and burn.

use super::row::data_text;
use crate::State;
use lookout_engine::DataState;
use lookout_evaluate::SloStatus;
use lookout_ledger::{CountSeries, LedgerError};
use lookout_model::format;
use lookout_model::{ComponentEvidence, Timestamp};

/// The table of components.
#[derive(Debug)]
pub(super) struct Table {
    /// The window that the page calls lately.
    pub(super) lately: String,
    pub(super) period: String,
    /// True if weights count.
    pub(super) weighed: bool,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) symbol: &'static str,
    pub(super) data: String,
    pub(super) title: String,
    pub(super) objective: String,
    pub(super) weight: String,
    pub(super) lately: String,
    pub(super) lately_share: String,
    pub(super) period: String,
    pub(super) share: String,
}

impl Table {
    /// Returns the table; `None` for an SLO with one indicator.
    pub(super) fn of(slo: &SloStatus) -> Option<Self> {
        let evidence = &slo.evidence;
        if evidence.components.is_empty() {
            return None;
        }
        let lately = evidence.tiers.iter().map(|tier| tier.long_s).min().unwrap_or(evidence.period_s);
        Some(Self {
            lately: format::duration(lately as f64),
            period: format::duration(evidence.period_s as f64),
            weighed: evidence.components.iter().any(|component| component.weight.is_some()),
            rows: evidence.components.iter().map(row).collect(),
        })
    }
}

fn row(component: &ComponentEvidence) -> Row {
    let events = |bad: u64, total: u64| format!("{} of {}", format::count(bad), format::count(total));
    let burns = component.lately_burn_share.is_some_and(|share| share > 0.0);
    let symbol = match component.data_state {
        _ if component.is_silent() => "unknown",
        _ if burns => "spent",
        DataState::Idle => "quiet",
        _ => "met",
    };
    Row {
        symbol,
        data: data_text(component.data_state),
        title: component.title.clone(),
        objective: format::objective(component.objective_percent),
        weight: component.weight.map_or_else(|| format::NONE.to_owned(), |weight| weight.to_string()),
        lately: events(component.lately_bad, component.lately_total),
        lately_share: format::percent_good(component.lately_burn_share),
        period: events(component.bad, component.total),
        share: format::percent_good(component.burn_share),
    }
}

/// Returns all counts of an SLO, summed over its components.
pub(super) async fn counts(
    state: &State,
    slo: &SloStatus,
    since: Timestamp,
) -> Result<CountSeries, LedgerError> {
    let spec = state.config.slos.iter().find(|spec| spec.id() == slo.id);
    let ids = spec.map_or_else(
        || vec![slo.id.clone()],
        |spec| spec.streams().into_iter().map(|stream| stream.id).collect(),
    );
    let mut all = CountSeries::default();
    for id in ids {
        all = all.merged(state.ledger.counts(&id, since).await?);
    }
    Ok(all)
}
