//! The gate's truth table, cell by cell, with the real agent in real states and the real client.
//!
//! One agent scrapes a page per service. What a state needs of the past is in its ledger before it starts; what it needs of
//! the present the pages show.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use lookout_ledger::{Ledger as _, SqliteLedger};
use lookout_model::CountRow;
use lookout_runtime::clock::{Clock as _, SystemClock};
use serde_json::Value;

use super::support::{Lookout, run_to_end};

const CLASSES: [&str; 5] = ["feature", "config", "fix", "security", "rollback"];

/// Seconds of a slot, and requests in one.
const SLOT: i64 = 2;
const PER_SLOT: u64 = 200;

const TIERS: &str = "page 1h/5m x14.4; page 2h/10m x6; ticket 1h/5m x2";

/// The page of a service from the start of the test on.
#[derive(Clone, Copy, PartialEq)]
enum Page {
    /// So many requests of a hundred fail.
    Failing(u64),
    /// No request comes.
    Quiet,
    /// One request came after the first scrape.
    One,
    /// Every scrape meets a new process.
    Crashing,
    /// It cannot be read.
    Gone,
    /// No request fails; a second page, of the other component, cannot be read.
    HalfGone,
    /// No request fails; a target of the service refuses connections.
    Down,
}

/// A service in one state.
struct Case {
    /// The state, by its name in the table.
    state: &'static str,
    service: &'static str,
    page: Page,
    /// Seconds of the past from a second before the start on, with the percent of requests that failed.
    past: &'static [(i64, u64)],
    /// Bad events that one slot of the past has beside them.
    more: u64,
    annotations: &'static str,
    /// A sign of the state in what the agent shows of the service's SLOs.
    reached: fn(&Value) -> bool,
}

fn status(slo: &Value, status: &str) -> bool {
    slo["evidence"]["present"]["status"] == status
}

fn has_incident(slo: &Value, cause: &str, severity: &str) -> bool {
    let incidents = slo["incidents"].as_array();
    incidents.is_some_and(|all| all.iter().any(|one| one["cause"] == cause && one["severity"] == severity))
}

const HEALTHY_PAST: &[(i64, u64)] = &[(7200, 0)];

fn cases() -> Vec<Case> {
    let case = |state, service, page, past, annotations, reached| Case {
        more: 0,
        state,
        service,
        page,
        past,
        annotations,
        reached,
    };
    let tiers = "";
    vec![
        case("healthy", "healthy", Page::Failing(0), HEALTHY_PAST, tiers, |slo| {
            status(slo, "healthy") && slo["evidence"]["present"]["observed_window_s"] == 300
        }),
        case("young: one good event ever", "one-event", Page::One, &[], tiers, |slo| {
            slo["evidence"]["total"] == 1
        }),
        case(
            "young: half of the present window was observed",
            "young",
            Page::Failing(0),
            &[(150, 0)],
            tiers,
            |slo| status(slo, "young") && slo["evidence"]["total"].as_u64() > Some(10_000),
        ),
        // seconds old, and nothing succeeds
        case("failing, nobody is paged yet", "all-fails", Page::Failing(100), &[], tiers, |slo| {
            status(slo, "failing") && slo["sli_ratio"] == 0.0 && has_no_incident(slo)
        }),
        // a total outage of half a minute
        case(
            "failing, nobody is paged yet",
            "outage",
            Page::Failing(10),
            &[(7200, 0), (40, 10)],
            tiers,
            |slo| status(slo, "failing") && has_no_incident(slo),
        ),
        case(
            "failing, nobody is paged yet",
            "held",
            Page::Failing(4),
            &[(7200, 0), (1800, 4)],
            "lookout.dev/tiers: page 1h/5m x14.4 for 1h; page 2h/10m x90",
            |slo| slo["evidence"]["tiers"][0]["pending"] == true && status(slo, "failing"),
        ),
        // the failure stopped, and its tier still waits for the hold time
        case(
            "a tier is pending",
            "pending",
            Page::Failing(0),
            &[(7200, 0), (1958, 4), (158, 0)],
            "lookout.dev/tiers: page 1h/5m x14.4 for 1h; page 2h/10m x90",
            |slo| slo["evidence"]["tiers"][0]["pending"] == true && !status(slo, "failing"),
        ),
        case("paging, and it fails", "paging", Page::Failing(100), &[(7200, 0), (600, 100)], tiers, |slo| {
            status(slo, "paging") && has_incident(slo, "burn", "page")
        }),
        case(
            "recovering: a page is open, the failure is over",
            "recovering",
            Page::Failing(0),
            &[(7200, 0), (780, 100), (180, 0)],
            tiers,
            |slo| status(slo, "recovering") && has_incident(slo, "burn", "page"),
        ),
        case(
            "a ticket is open",
            "ticket",
            Page::Failing(0),
            &[(7200, 0), (1800, 1), (60, 0)],
            "lookout.dev/tiers: page 1h/5m x14.4; ticket 1h/30m x2",
            |slo| status(slo, "ticket") && has_incident(slo, "burn", "ticket"),
        ),
        case(
            "an incident about missing data is open",
            "missing",
            Page::Gone,
            HEALTHY_PAST,
            "lookout.dev/tiers: page 2m/1m x14.4",
            |slo| has_incident(slo, "data_missing", "ticket"),
        ),
        case("a crash loop", "crashing", Page::Crashing, HEALTHY_PAST, tiers, |slo| {
            has_incident(slo, "crash_loop", "page")
        }),
        case("the probes of a target fail in a row", "down", Page::Down, HEALTHY_PAST, tiers, |slo| {
            has_incident(slo, "target_down", "page")
        }),
        case(
            "traffic is missing",
            "no-traffic",
            Page::Quiet,
            HEALTHY_PAST,
            "lookout.dev/conditions: ticket idle 6s",
            |slo| has_incident(slo, "traffic_missing", "ticket"),
        ),
        case("the budget is spent", "spent", Page::Failing(0), &[(10_800, 100), (10_200, 0)], tiers, |slo| {
            status(slo, "spent")
        }),
        case("idle", "idle", Page::Quiet, &[], tiers, |slo| status(slo, "idle")),
        case(
            "too few events now",
            "few-events",
            Page::Failing(0),
            HEALTHY_PAST,
            "lookout.dev/minimum-events: \"100000000\"",
            |slo| slo["evidence"]["data_state"] == "insufficient",
        ),
        case("stale", "stale", Page::Gone, HEALTHY_PAST, "lookout.dev/data-alert: \"off\"", |slo| {
            status(slo, "stale")
        }),
        case("partial: a component is silent", "partial", Page::HalfGone, HEALTHY_PAST, tiers, |slo| {
            slo["evidence"]["data_state"] == "partial"
        }),
        case("no data", "no-data", Page::Gone, &[], "lookout.dev/data-alert: \"off\"", |slo| {
            status(slo, "no data")
        }),
        Case {
            more: 1 << 53,
            ..case(
                "counts that cannot be true are in the ledger",
                "implausible",
                Page::Failing(0),
                HEALTHY_PAST,
                tiers,
                |slo| slo["implausible"]["stored"] == true && status(slo, "healthy"),
            )
        },
    ]
}

fn has_no_incident(slo: &Value) -> bool {
    slo["incidents"].as_array().is_some_and(Vec::is_empty)
}

/// Pages by service, and the begin of the test in milliseconds.
#[derive(Clone)]
struct Service {
    pages: BTreeMap<&'static str, Page>,
    start_ms: i64,
}

async fn metrics(State(service): State<Service>, UrlPath(name): UrlPath<String>) -> Response {
    let Some(page) = service.pages.get(name.as_str()) else { return StatusCode::NOT_FOUND.into_response() };
    let now_ms = SystemClock.now().as_millis();
    let total = (now_ms - service.start_ms) as u64 * PER_SLOT / (SLOT as u64 * 1000);
    let text = |started_s: f64, good: u64, bad: u64| {
        format!(
            "process_start_time_seconds {started_s}\nrequests_total{{code=\"200\"}} {good}\n\
             requests_total{{code=\"500\"}} {bad}\n"
        )
    };
    let started_s = service.start_ms as f64 / 1000.0 - 86_400.0;
    match page {
        Page::HalfGone | Page::Down => text(started_s, total, 0),
        Page::Failing(percent) => text(started_s, total - total * percent / 100, total * percent / 100),
        Page::Quiet => text(started_s, 0, 0),
        Page::One => text(started_s, u64::from(now_ms - service.start_ms > 5_000), 0),
        Page::Crashing => text(now_ms as f64 / 1000.0 - 0.5, 50, 0),
        Page::Gone => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
    .into_response()
}

fn write(folder: &Path, cases: &[Case], address: std::net::SocketAddr) {
    let mut config = format!("listen: 127.0.0.1:0\nledger: lookout.db\ninterval: {SLOT}s\nscrapes:\n");
    for Case { service, page, annotations, .. } in cases {
        let up = if *page == Page::Crashing { "page" } else { "\"off\"" };
        config +=
            &format!("  - {{ name: {service}, url: \"http://{address}/{service}/metrics\", up: {up} }}\n");
        if *page == Page::HalfGone {
            config += &format!(
                "  - {{ name: {service}-gone, url: \"http://{address}/gone/metrics\", up: \"off\" }}\n"
            );
            std::fs::write(folder.join(format!("{service}.slo.yaml")), composite(service)).unwrap();
            continue;
        }
        let own = |key: &str| annotations.contains(key);
        let tiers = if own("tiers") { String::new() } else { format!("    lookout.dev/tiers: {TIERS}\n") };
        let extra = if annotations.is_empty() { String::new() } else { format!("    {annotations}\n") };
        let spec = format!(
            "apiVersion: openslo/v1\nkind: SLO\nmetadata:\n  name: requests\n  annotations:\n{tiers}{extra}    \
             lookout.dev/expected-rate: 100/s\n    lookout.dev/page-within: \"off\"\nspec:\n  service: {service}\n  \
             budgetingMethod: Occurrences\n  timeWindow: [{{ duration: 1d, isRolling: true }}]\n  \
             objectives: [{{ targetPercent: 99.9 }}]\n  indicator:\n    spec:\n      ratioMetric:\n        counter: true\n        \
             bad: {{ metricSource: {{ type: scrape, spec: {{ source: {service}, selector: 'requests_total{{code=\"500\"}}' }} }} }}\n        \
             total: {{ metricSource: {{ type: scrape, spec: {{ source: {service}, selector: requests_total }} }} }}\n"
        );
        std::fs::write(folder.join(format!("{service}.slo.yaml")), spec).unwrap();
    }
    config += "targets:\n";
    for Case { service, .. } in cases.iter().filter(|case| case.page == Page::Down) {
        config += &format!(
            "  - {{ name: {service}, timeout: 1s, tcp: {{ address: \"127.0.0.1:1\" }}, \
             down: {{ after: 2, service: {service} }} }}\n"
        );
    }
    std::fs::write(folder.join("lookout.yaml"), config).unwrap();
}

/// The spec of a composite of two pages, one of which cannot be read.
fn composite(service: &str) -> String {
    let objective = |name: &str, source: &str| {
        format!(
            "    - displayName: {name}\n      targetPercent: 99.9\n      indicator:\n        spec:\n          ratioMetric:\n            counter: true\n            \
             bad: {{ metricSource: {{ type: scrape, spec: {{ source: {source}, selector: 'requests_total{{code=\"500\"}}' }} }} }}\n            \
             total: {{ metricSource: {{ type: scrape, spec: {{ source: {source}, selector: requests_total }} }} }}\n"
        )
    };
    format!(
        "apiVersion: openslo/v1\nkind: SLO\nmetadata:\n  name: requests\n  annotations:\n    \
         lookout.dev/composite: worst-of\n    lookout.dev/expected-rate: 100/s\n    lookout.dev/page-within: \"off\"\nspec:\n  \
         service: {service}\n  budgetingMethod: RatioTimeslices\n  timeWindow: [{{ duration: 1d, isRolling: true }}]\n  objectives:\n{}{}",
        objective("here", service),
        objective("gone", &format!("{service}-gone"))
    )
}

/// Counts of a service up to now: each part of its past lasts until the next one begins.
fn rows(case: &Case, now_s: i64) -> Vec<CountRow> {
    let end = now_s - now_s % SLOT;
    let row = |start_s: i64| {
        let (_, percent) = case.past.iter().rfind(|(ago, _)| start_s >= end - ago)?;
        let bad = PER_SLOT * percent / 100;
        let component = if case.page == Page::HalfGone { "/here" } else { "" };
        let slo_id = format!("{}-requests{component}", case.service);
        Some(CountRow { slo_id, start_s, width_s: SLOT as u32, good: PER_SLOT - bad, bad })
    };
    let longest = case.past.iter().map(|(ago, _)| *ago).max().unwrap_or(0);
    let mut rows: Vec<CountRow> = (0..longest / SLOT).filter_map(|n| row(end - longest + n * SLOT)).collect();
    if let Some(row) = rows.first_mut() {
        row.bad += case.more;
    }
    rows
}

/// Exit codes of the table in the documentation, by state and class.
fn table() -> BTreeMap<String, Vec<i32>> {
    let table = include_str!("../../../docs/gate-truth-table.md");
    let code = |cell: &str| cell.split(['(', ')']).nth(1)?.parse().ok();
    let row = |line: &str| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let state = cells.next()?.to_owned();
        let codes: Vec<i32> = cells.filter_map(code).collect();
        (codes.len() == CLASSES.len()).then_some((state, codes))
    };
    table.lines().filter_map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cell_of_the_truth_table_is_what_the_real_gate_answers() {
    let (folder, cases, table) = (tempfile::tempdir().unwrap(), cases(), table());
    let reached: BTreeSet<&str> = cases.iter().map(|case| case.state).collect();
    let left: Vec<&String> = table.keys().filter(|state| !reached.contains(state.as_str())).collect();
    // messages are refused in `refused`, which asks the gate too. An agent tells the present of every SLO; the policy
    // answers for evidence that an older one wrote
    assert_eq!(left, ["healthy, and messages about it are refused", "the present is not known"]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    write(folder.path(), &cases, listener.local_addr().unwrap());
    let ledger = SqliteLedger::open(&folder.path().join("lookout.db")).await.unwrap();
    let now = SystemClock.now();
    for case in &cases {
        ledger.commit(&rows(case, now.as_seconds()), &[]).await.unwrap();
    }
    ledger.close().await;
    drop(ledger);
    let pages = cases.iter().map(|case| (case.service, case.page)).collect();
    let service = Service { pages, start_ms: SystemClock.now().as_millis() };
    let router = Router::new().route("/{service}/metrics", get(metrics)).with_state(service);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });

    let agent = Lookout::run(&folder.path().join("lookout.yaml"));
    let mut waiting: Vec<&Case> = cases.iter().collect();
    let mut wrong = Vec::new();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(90);
    while !waiting.is_empty() && tokio::time::Instant::now() < deadline {
        let slos = agent.get("/api/v1/slos").await;
        let slos = slos["slos"].as_array().unwrap();
        let reached =
            |case: &Case| slos.iter().any(|slo| slo["service"] == case.service && (case.reached)(slo));
        let (there, rest): (Vec<&Case>, Vec<&Case>) = waiting.into_iter().partition(|case| reached(case));
        waiting = rest;
        // a state does not last: its row is asked for as soon as it is reached
        for case in there {
            for (class, expected) in CLASSES.iter().zip(&table[case.state]) {
                let answer = run_to_end(&[
                    "gate",
                    "check",
                    "--url",
                    &agent.url,
                    "--service",
                    case.service,
                    "--class",
                    class,
                ]);
                if answer.status.code() != Some(*expected) {
                    let said = String::from_utf8_lossy(&answer.stdout).into_owned();
                    wrong.push(format!(
                        "{} ({}), {class}: {:?}, not {expected}: {said}",
                        case.state,
                        case.service,
                        answer.status.code()
                    ));
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let slos = agent.get("/api/v1/slos").await;
    let missed: Vec<&str> = waiting.iter().map(|case| case.service).collect();
    let shown: Vec<&Value> = slos["slos"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|slo| missed.iter().any(|name| slo["service"] == *name))
        .collect();
    assert!(missed.is_empty(), "never seen: {missed:?}: {}", serde_json::to_string_pretty(&shown).unwrap());
    assert_eq!(wrong, Vec::<String>::new());
}
