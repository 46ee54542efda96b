//! `/`: the overall state in one sentence, then one table per service.

use std::cmp::Reverse;
use std::time::Duration;

use lookout_engine::Status;

use askama::Template;
use axum::extract;
use axum::response::Response;
use http::StatusCode;
use lookout_ledger::DeadLetter;
use lookout_model::{Timestamp, format};

use crate::attention::Attention;
use crate::path::segment;

use super::row::{DeployRow, IncidentRow, SloRow, symbol};
use super::{Moment, Shell, page};
use crate::{DiscoveryRow, State};
use lookout_evaluate::{SloStatus, Snapshot};

/// Number of incidents and deploys on the overview.
const RECENT: u32 = 5;

/// Number of intervals after which the headline calls an evaluation late.
const LATE_INTERVALS: u32 = 3;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    shell: Shell,
    headline: Headline,
    services: Vec<ServiceView>,
    probes: Vec<ProbeView>,
    incidents: Vec<IncidentRow>,
    deploys: Vec<DeployRow>,
    ledger_fails: bool,
    ledger_is_down: bool,
    dead_letters: Vec<String>,
    refused_config: Option<String>,
    lost_addresses: Vec<String>,
    agent: String,
}

/// Overall state in words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Headline {
    symbol: &'static str,
    text: String,
    detail: String,
}

struct ServiceView {
    name: String,
    description: String,
    owner: String,
    slos: Vec<SloRow>,
}

struct ProbeView {
    link: String,
    target: String,
    url: String,
    symbol: &'static str,
    word: &'static str,
    detail: String,
    took: String,
    at: Moment,
}

/// `GET /`
pub(crate) async fn show(extract::State(state): extract::State<State>) -> Response {
    let (snapshot, now) = (state.board.read(), state.clock.now());
    let incidents = state.ledger.incidents(None, RECENT).await;
    let attention = Attention::read(&state).await;
    let deploys = state.ledger.deploys(None, RECENT).await;
    let ledger_fails = incidents.is_err() || deploys.is_err();
    let headline = headline(&snapshot, now);
    let incidents = incidents.unwrap_or_default();
    let deploys = deploys.unwrap_or_default();
    let view = Overview {
        shell: Shell::new(&state, "overview", headline.text.clone()),
        headline,
        services: services(&state, &snapshot, now),
        probes: probes(&state, now),
        incidents: incidents
            .iter()
            .map(|row| IncidentRow::attended(row, &state.config, &attention, now))
            .collect(),
        deploys: deploys.iter().map(|row| DeployRow::new(row, now)).collect(),
        ledger_fails,
        ledger_is_down: snapshot.ledger_is_down,
        dead_letters: dead_letters(&state).await,
        refused_config: refused_config(&state, now),
        lost_addresses: lost_addresses(&state, now),
        agent: agent(&state),
    };
    page(StatusCode::OK, &view)
}

fn refused_config(state: &State, now: Timestamp) -> Option<String> {
    let refused = state.refused.get()?;
    Some(format!("{}: {}", format::ago(refused.at, now), refused.text))
}

/// Returns a sentence for each target whose addresses cannot be looked up.
fn lost_addresses(state: &State, now: Timestamp) -> Vec<String> {
    let sentence = |row: DiscoveryRow| {
        let failure = row.failure?;
        let kept = match (row.addresses, row.succeeded_at) {
            (0, _) => "no address is known, so that nobody probes it".to_owned(),
            (many, Some(at)) => format!("in use: {many}, found {}", format::ago(at, now)),
            (many, None) => format!("in use: {many}, read with the configuration"),
        };
        let (since, text) = (format::time(failure.since, now), format::printable(&failure.text));
        Some(format!("{} ({}): {text}. Failing since {since}; {kept}.", row.target, row.source))
    };
    state.discoveries.rows().into_iter().filter_map(sentence).take(RECENT as usize).collect()
}

/// Returns the sentence about the worst state. A late evaluation is never called good.
pub(super) fn headline(snapshot: &Snapshot, now: Timestamp) -> Headline {
    let (status, text) = sentence(snapshot, now);
    let updated = if snapshot.at == Snapshot::NEVER {
        format!("The first evaluation is at most {} away.", format::duration(f64::from(snapshot.interval_s)))
    } else if snapshot.slos.is_empty() {
        "Add SLO specs to lookout.yaml, then everything about them is shown here.".to_owned()
    } else {
        format!(
            "Evaluated {}, every {}.",
            format::ago(snapshot.at, now),
            format::duration(f64::from(snapshot.interval_s))
        )
    };
    Headline { symbol: symbol(status), text, detail: updated }
}

fn sentence(snapshot: &Snapshot, now: Timestamp) -> (Status, String) {
    let slos = &snapshot.slos;
    if snapshot.at == Snapshot::NEVER {
        return (Status::Idle, "The agent has just started".to_owned());
    }
    if slos.is_empty() {
        return (Status::Idle, "No objectives yet".to_owned());
    }
    let of = |status| slos.iter().filter(|slo| slo.status() == status).collect::<Vec<_>>();
    let (pages, tickets) = (of(Status::Paging), of(Status::Ticket));
    let interval = Duration::from_secs(snapshot.interval_s.max(1).into());
    let late = now.since(snapshot.at) > LATE_INTERVALS * interval;
    if late {
        let open = if pages.is_empty() {
            String::new()
        } else {
            format!("; {} open", format::several(pages.len(), "page"))
        };
        return (Status::NoData, format!("Nothing was evaluated for {}{open}", age(snapshot, now)));
    }
    if !pages.is_empty() {
        return (Status::Paging, format!("{}: {}", format::several(pages.len(), "page"), names(&pages)));
    }
    for (status, word) in [(Status::Failing, "failing, not yet paging"), (Status::Recovering, "recovering")] {
        let rows = of(status);
        if !rows.is_empty() {
            return (status, format!("{} {word}: {}", rows.len(), names(&rows)));
        }
    }
    if !tickets.is_empty() {
        return (
            Status::Ticket,
            format!("{}: {}", format::several(tickets.len(), "ticket"), names(&tickets)),
        );
    }
    let share = |n: usize, all: &str, some: &str| {
        if n == slos.len() { all.to_owned() } else { format!("{n} of {} objectives {some}", slos.len()) }
    };
    let (spent, quiet) = (of(Status::Spent), of(Status::Idle));
    let unknown = [of(Status::NoData), of(Status::Stale)].concat();
    if !unknown.is_empty() {
        let all = "Nothing is known about any objective";
        return (
            Status::NoData,
            share(unknown.len(), all, if unknown.len() == 1 { "has no data" } else { "have no data" }),
        );
    }
    if !spent.is_empty() {
        let some = if spent.len() == 1 { "has spent its budget" } else { "have spent their budget" };
        return (Status::Spent, share(spent.len(), "Every budget is spent", some));
    }
    if quiet.len() == slos.len() {
        return (Status::Idle, "Too little traffic to judge".to_owned());
    }
    let young = of(Status::Young);
    if !young.is_empty() {
        let some = if young.len() == 1 {
            "was observed for too short a time"
        } else {
            "were observed for too short a time"
        };
        return (Status::Young, share(young.len(), "Too little was observed yet to judge", some));
    }
    let met = if slos.len() == 1 {
        "The objective is met".to_owned()
    } else {
        format!("All {} objectives are met", slos.len())
    };
    (Status::Healthy, if quiet.is_empty() { met } else { format!("{met}, {} without traffic", quiet.len()) })
}

fn age(snapshot: &Snapshot, now: Timestamp) -> String {
    format::duration(now.seconds_since(snapshot.at))
}

/// Lists the names of at most three SLOs, then the number of the others.
fn names(slos: &[&SloStatus]) -> String {
    let first: Vec<&str> = slos.iter().take(3).map(|slo| slo.title.as_str()).collect();
    let more = slos.len().saturating_sub(first.len());
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{rest}", first.join(", "))
}

/// Returns the services, those with the worst SLO first; within a service the worst SLO first.
fn services(state: &State, snapshot: &Snapshot, now: Timestamp) -> Vec<ServiceView> {
    let mut grouped: Vec<(&str, Vec<&SloStatus>)> = Vec::new();
    for slo in &snapshot.slos {
        match grouped.iter_mut().find(|(name, _)| *name == slo.service) {
            Some((_, slos)) => slos.push(slo),
            None => grouped.push((&slo.service, vec![slo])),
        }
    }
    for (_, slos) in &mut grouped {
        slos.sort_by_key(|slo| Reverse(slo.status()));
    }
    grouped.sort_by_key(|(_, slos)| Reverse(slos.first().map(|slo| slo.status())));
    let view = |(name, slos): (&str, Vec<&SloStatus>)| {
        let service = state.config.services.get(name);
        let shown = service.and_then(|service| service.display_name.clone());
        ServiceView {
            name: shown.unwrap_or_else(|| name.to_owned()),
            description: service.map(|service| service.description.clone()).unwrap_or_default(),
            owner: service.and_then(|service| service.owner.clone()).unwrap_or_default(),
            slos: slos.iter().map(|slo| SloRow::new(slo, &state.config, snapshot.at, now)).collect(),
        }
    };
    grouped.into_iter().map(view).collect()
}

fn probes(state: &State, now: Timestamp) -> Vec<ProbeView> {
    let rows = state.probes.rows().into_iter();
    rows.map(|row| ProbeView {
        symbol: symbol(if row.ok { Status::Healthy } else { Status::Paging }),
        word: if row.ok { "Good" } else { "Failed" },
        detail: row.detail.chars().take(300).collect(),
        took: format!("{} ms", format::count(row.total_ms)),
        at: Moment::new(row.at, now),
        link: format!("/targets/{}", segment(&row.target)),
        target: row.target,
        url: row.url_without_secrets,
    })
    .collect()
}

/// Returns the resource use of the agent.
fn agent(state: &State) -> String {
    let figures = state.host.figures();
    let memory = figures.resident_bytes.map(|bytes| format!("{:.1} MB of memory", bytes as f64 / 1e6));
    let cpu = figures.cpu_percent.map(|percent| format!("{percent:.1} % of a CPU"));
    let parts: Vec<String> = [memory, cpu].into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!("The agent uses {}.", parts.join(" and ")) }
}

/// Returns a sentence for each dead letter.
async fn dead_letters(state: &State) -> Vec<String> {
    let letters = state.ledger.newest_dead_letters(RECENT).await.unwrap_or_default();
    let sentence = |letter: DeadLetter| {
        let DeadLetter { destination, incident_id, slo_id, change, error, .. } = letter;
        format!("{destination} does not know that {incident_id} of {slo_id} is {change}: {error}")
    };
    letters.into_iter().map(sentence).collect()
}
