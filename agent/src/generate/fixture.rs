//! The config of the watched passenger API, as the specs in `slo/` say it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lookout_engine::{Grid, Guard, Objective, Policy, Severity, Tier, Window};

use super::promql::matcher;
use crate::spec::{
    Config, GatePolicy, Indicator, LedgerLocation, MatchOp, Outputs, Ratio, Scrape, Selector, Service, Slo,
};

/// The root of the project.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What the engine is told by default.
pub(super) fn policy(percent: f64, period: Window, grid: Grid) -> Policy {
    Policy {
        grid,
        objective: Objective::try_from_percent(percent).unwrap(),
        period,
        tiers: Tier::defaults(period),
        guard: Guard::default(),
        stale_after_seconds: u64::from(grid.width_seconds()) * 3,
        data_alert: Some(Severity::Page),
    }
}

pub(super) fn slo(name: &str, percent: f64, indicator: Indicator) -> Slo {
    Slo {
        name: name.to_owned(),
        service: "titanic".to_owned(),
        display_name: None,
        description: String::new(),
        file: PathBuf::new(),
        indicator,
        policy: policy(percent, Window::days(30), Grid::MINUTE),
        labels: BTreeMap::new(),
    }
}

fn requests(suffix: &str, further: &[(&str, MatchOp, &str)]) -> Selector {
    let mut matchers = vec![matcher("http_route", MatchOp::Regex, "/api/.*")];
    matchers.extend(further.iter().map(|(label, op, value)| matcher(label, *op, value)));
    Selector { metric: format!("http_server_request_duration_seconds_{suffix}"), matchers }
}

/// Three objectives of one service.
pub(super) fn titanic() -> Config {
    let scraped = |ratio| Indicator::Scrape { source: "titanic".to_owned(), ratio };
    let errors = Ratio::Bad {
        bad: requests("count", &[("http_response_status_code", MatchOp::Regex, "5..")]),
        total: requests("count", &[]),
    };
    let fast = Ratio::Good {
        good: requests("bucket", &[("le", MatchOp::Equal, "0.25")]),
        total: requests("count", &[]),
    };
    let mut slos = vec![
        slo("probes-availability", 99.9, Indicator::Probe { target: "titanic-health".to_owned() }),
        slo("requests-availability", 99.9, scraped(errors)),
        slo("requests-latency", 99.0, scraped(fast)),
    ];
    for (slo, (title, text)) in slos.iter_mut().zip([
        ("Titanic answers probes", "A bad event is a health probe from outside that failed: a client that tried then got no good answer."),
        ("Titanic answers requests", "A bad event is an API request that was answered with a 5xx status: the client got an error for something that was not its fault."),
        ("Titanic answers fast", "A bad event is an API request that took longer than 250 ms: the client waited."),
    ]) {
        slo.display_name = Some(title.to_owned());
        slo.description = text.to_owned();
    }
    Config {
        listen: "127.0.0.1:9797".parse().unwrap(),
        external_url: "https://lookout.example.com".parse().unwrap(),
        ledger: LedgerLocation::Memory,
        grid: Grid::MINUTE,
        environment: None,
        targets: Vec::new(),
        scrapes: vec![Scrape {
            name: "titanic".to_owned(),
            url: "http://127.0.0.1:8081/metrics".parse().unwrap(),
            timeout: std::time::Duration::from_secs(5),
            job: Some("titanic".to_owned()),
        }],
        destinations: Vec::new(),
        gate: GatePolicy::default(),
        tokens: Vec::new(),
        otlp_endpoint: None,
        outputs: Outputs {
            alerts: Some(root().join("alerts")),
            dashboards: Some(root().join("dashboards")),
            runbooks: Some(root().join("runbooks")),
            runbook_url: Some("https://lookout.example.com/runbooks/{alert}".to_owned()),
            dashboard_url: Some("https://grafana.example.com/d/lookout-{service}?var-slo={slo}".to_owned()),
        },
        services: BTreeMap::from([(
            "titanic".to_owned(),
            Service {
                name: "titanic".to_owned(),
                display_name: Some("Titanic".to_owned()),
                description: "The passenger API.".to_owned(),
                owner: Some("passenger-api".to_owned()),
            },
        )]),
        slos,
    }
}
