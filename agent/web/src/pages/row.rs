//! Rows that several pages share: an SLO, an incident, a deploy.

use lookout_engine::{DataState, Severity, Status};

use super::Moment;
use super::corrected::CorrectedRow;
use crate::attention::Attention;
use crate::{chart, path};
use lookout_config::Config;
use lookout_evaluate::SloStatus;
use lookout_model::{DeployRecord, ImplausibleCounts, IncidentRecord, PresentEvidence};
use lookout_model::{Timestamp, format};

/// Returns the name of the symbol and colour of a state.
pub(super) const fn symbol(status: Status) -> &'static str {
    match status {
        Status::Paging => "page",
        Status::Failing => "failing",
        Status::Recovering => "recovering",
        Status::Ticket => "ticket",
        Status::NoData | Status::Stale => "unknown",
        Status::Spent => "spent",
        Status::Idle => "quiet",
        Status::Young => "young",
        Status::Healthy => "met",
    }
}

/// SLO as a table row.
#[derive(Debug)]
pub(super) struct SloRow {
    pub(super) symbol: &'static str,
    pub(super) word: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) href: String,
    pub(super) objective: String,
    pub(super) period: String,
    pub(super) sli: String,
    pub(super) budget: String,
    /// Markup made of numbers only.
    pub(super) bar: String,
    pub(super) burn: String,
    pub(super) exhausted: String,
    pub(super) data: String,
    pub(super) age: String,
    pub(super) incidents: Vec<IncidentRow>,
    pub(super) corrected: Option<CorrectedRow>,
    pub(super) implausible: Option<String>,
    pub(super) paused: Option<String>,
}

impl SloRow {
    pub(super) fn new(slo: &SloStatus, config: &Config, at: Timestamp, now: Timestamp) -> Self {
        let evidence = &slo.evidence;
        let known = evidence.total > 0 && evidence.has_budget();
        let age = slo.data_age_s.map(|age| age + now.seconds_since(at).max(0.0));
        let incidents = slo.incidents.iter();
        Self {
            symbol: symbol(slo.status()),
            word: format::status(&slo.evidence),
            title: slo.title.clone(),
            description: slo.description.clone(),
            href: href(&slo.service, &slo.slo),
            objective: format::objective(evidence.objective_percent),
            period: evidence.calendar.as_ref().map_or_else(
                || format::duration(evidence.period_s as f64),
                |calendar| format!("the {}", calendar.period),
            ),
            sli: format::percent_good(slo.sli_ratio),
            budget: if known { format::percent(evidence.budget_left_ratio) } else { format::NONE.to_owned() },
            bar: if known { chart::budget(evidence.budget_left_ratio) } else { String::new() },
            burn: present_burn(slo),
            exhausted: exhausted(slo),
            data: data_text(evidence.data_state),
            age: age.map_or_else(String::new, |age| format!("{} old", format::duration(age))),
            incidents: incidents.map(|incident| IncidentRow::new(incident, config, now)).collect(),
            corrected: CorrectedRow::new(&evidence.corrected, now),
            implausible: slo.implausible.as_ref().map(ImplausibleCounts::text),
            paused: slo.paused.as_ref().map(|pause| pause.text(now)),
        }
    }
}

/// Returns the path of an SLO's page.
pub(super) fn href(service: &str, slo: &str) -> String {
    format!("/slos/{}/{}", path::segment(service), path::segment(slo))
}

/// Returns the burn rate of the present window with its name; the time to exhaustion is computed from it.
fn present_burn(slo: &SloStatus) -> String {
    let burn = |present: &PresentEvidence| {
        format!("{} over {}", format::burn(present.burn), format::window(present.window_s))
    };
    slo.evidence.present.as_ref().map_or_else(|| format::NONE.to_owned(), burn)
}

pub(super) fn exhausted(slo: &SloStatus) -> String {
    match slo.evidence.seconds_to_exhaustion {
        Some(seconds) if seconds <= 0.0 => "spent".to_owned(),
        Some(seconds) => format!("in {}", format::duration(seconds)),
        None if slo.evidence.total > 0 => "nothing burns".to_owned(),
        None => format::NONE.to_owned(),
    }
}

pub(super) fn data_text(state: DataState) -> String {
    match state {
        DataState::Ok => "fresh".to_owned(),
        DataState::Idle => "no traffic".to_owned(),
        DataState::Insufficient => "too few events".to_owned(),
        DataState::NoData => "none yet".to_owned(),
        DataState::Stale => "stale".to_owned(),
        DataState::Partial => "incomplete".to_owned(),
    }
}

/// Incident as a table row.
#[derive(Debug)]
pub(super) struct IncidentRow {
    pub(super) id: String,
    pub(super) symbol: &'static str,
    /// `Page`, `Ticket`, or `Resolved`.
    pub(super) word: &'static str,
    pub(super) peak: String,
    pub(super) open: bool,
    pub(super) name: String,
    pub(super) href: String,
    pub(super) cause: &'static str,
    /// Begin of the first bad slot.
    pub(super) started: Moment,
    /// End of the slot in which the first alert fired.
    pub(super) detected: Moment,
    /// End of the last bad slot.
    pub(super) recovered: Option<Moment>,
    /// End of the slot in which the last alert let go.
    pub(super) resolved: Option<Moment>,
    /// Length of the fault.
    pub(super) lasted: String,
    pub(super) runbook: Option<String>,
    /// Acknowledgement and silence.
    pub(super) attention: Vec<String>,
}

impl IncidentRow {
    pub(super) fn new(incident: &IncidentRecord, config: &Config, now: Timestamp) -> Self {
        let open = incident.resolved_at.is_none();
        let (status, word) = match (open, incident.severity) {
            (false, _) => (Status::Healthy, "Resolved"),
            (true, Severity::Page) => (Status::Paging, "Page"),
            (true, Severity::Ticket) => (Status::Ticket, "Ticket"),
        };
        let lasted = incident.lasted(now);
        let slo = config.slos.iter().find(|slo| slo.id() == incident.slo_id);
        let alert = slo.map(|slo| slo.alert_name_for(incident.cause));
        Self {
            id: incident.id.clone(),
            symbol: symbol(status),
            word,
            peak: incident.peak.to_string(),
            open,
            name: format!("{} / {}", incident.service, incident.slo),
            href: href(&incident.service, &incident.slo),
            cause: format::cause(incident.cause),
            started: Moment::new(incident.began_at(), now),
            detected: Moment::new(incident.detected_at, now),
            recovered: incident.recovered_at.map(|at| Moment::new(at, now)),
            resolved: incident.resolved_at.map(|at| Moment::new(at, now)),
            lasted: lasted.map_or_else(|| format::NONE.to_owned(), format::elapsed),
            runbook: alert.and_then(|alert| runbook(config, &alert)),
            attention: Vec::new(),
        }
    }
}

impl IncidentRow {
    /// Returns the row with what people did about the incident.
    pub(super) fn attended(
        incident: &IncidentRecord,
        config: &Config,
        attention: &Attention,
        now: Timestamp,
    ) -> Self {
        Self { attention: attention.lines(incident), ..Self::new(incident, config, now) }
    }
}

/// Returns the address of an alert's runbook: on this server if it has runbooks, else the configured one.
pub(super) fn runbook(config: &Config, alert: &str) -> Option<String> {
    if config.outputs.runbooks.is_some() {
        return Some(format!("/runbooks/{}", path::segment(alert)));
    }
    let url = config.outputs.runbook_url.as_ref()?.replace("{alert}", &path::segment(alert));
    web_link(url)
}

/// Returns the address of an SLO's dashboard, if one is configured.
pub(super) fn dashboard(config: &Config, slo: &SloStatus) -> Option<String> {
    let url = config.outputs.dashboard_url.as_ref()?;
    web_link(
        url.replace("{service}", &path::segment(&slo.service)).replace("{slo}", &path::segment(&slo.slo)),
    )
}

/// Returns the URL if its scheme is one that a browser fetches: no link runs a script.
fn web_link(url: String) -> Option<String> {
    (url.starts_with("https://") || url.starts_with("http://")).then_some(url)
}

/// Deploy as a table row.
#[derive(Debug)]
pub(super) struct DeployRow {
    pub(super) service: String,
    pub(super) environment: String,
    pub(super) version: String,
    pub(super) commit: String,
    pub(super) actor: String,
    pub(super) class: String,
    pub(super) started: Moment,
}

impl DeployRow {
    pub(super) fn new(deploy: &DeployRecord, now: Timestamp) -> Self {
        Self {
            service: deploy.service.clone(),
            environment: deploy.environment.clone(),
            version: deploy.version.clone(),
            commit: deploy.commit.chars().take(10).collect(),
            actor: deploy.actor.clone(),
            class: deploy.class.to_string(),
            started: Moment::new(deploy.started_at, now),
        }
    }
}
