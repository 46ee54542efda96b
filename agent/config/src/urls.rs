//! The configuration of `lookout watch URL…`: one target and one SLO per URL, no file.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;
use lookout_engine::{
    EventRate, Grid, Guard, Method, Objective, Period, Policy, PromiseBound, Severity, Tier, TierDemand,
    Window,
};
use url::Url;

use super::assertion::Assertion;
use super::blackbox::Blackbox;
use super::config::{LISTEN, local_url};
use super::model::{
    AlertmanagerSettings, Config, Destination, DestinationKind, GateMinimum, GatePolicy, Indicator,
    LedgerLocation, Outputs, RateSource, Service, Slo, Traffic,
};
use super::objective::whole_seconds;
use super::secret::Secret;
use super::target::{Check, Family, HttpCheck, Target, default_timeout};

/// The period of the one SLO per URL.
const PERIOD: Window = Window::days(30);

/// Options of `watch` beside URLs.
#[derive(Debug, Clone)]
pub struct UrlOptions {
    /// Address that the agent listens on.
    pub listen: SocketAddr,
    /// Time between probes of one URL, a multiple of a second.
    pub interval: Duration,
    /// The share of probes that must be good.
    pub objective: Objective,
    /// A Slack incoming webhook that is told.
    pub slack: Option<Secret>,
    /// An Alertmanager that is told.
    pub alertmanager: Option<Url>,
}

impl Default for UrlOptions {
    /// Returns every five seconds, 99.9 %, nobody told.
    fn default() -> Self {
        Self {
            listen: LISTEN,
            interval: Duration::from_secs(5),
            objective: usual_objective(),
            slack: None,
            alertmanager: None,
        }
    }
}

#[expect(clippy::expect_used, reason = "a constant; the test below calls it")]
fn usual_objective() -> Objective {
    Objective::try_from_percent(99.9).expect("99.9 is a share")
}

/// A configuration that probes these URLs, keeps what it sees in memory and judges each by one SLO over 30 days.
///
/// The service is the host, the SLO its path; the grid is a second wide, so that a live view moves.
#[must_use]
pub fn config_of_urls(urls: &[Url], options: &UrlOptions) -> Config {
    let grid = Grid::try_new(1).unwrap_or(Grid::MINUTE);
    let interval = Duration::from_secs(whole_seconds(options.interval).max(1));
    let timeout = default_timeout(interval);
    let demand = TierDemand {
        objective: options.objective,
        period: PERIOD,
        rate: probe_rate(interval),
        bound: PromiseBound::default(),
        shortest: Window::seconds(2 * u64::from(grid.width_seconds())),
    };
    let mut names = BTreeSet::new();
    let mut services = BTreeMap::new();
    let (mut targets, mut slos) = (Vec::new(), Vec::new());
    for url in urls {
        let (service, slo) = unique(names_of(url), &mut names);
        let shown = without_secrets(url);
        let target = format!("{service}-{slo}");
        slos.push(Slo {
            name: slo,
            service: service.clone(),
            display_name: Some(shown.clone()),
            description: format!("{shown} answers with a status from 200 to 299"),
            file: PathBuf::new(),
            indicator: Indicator::Probe { target: target.clone(), certificate_days: None },
            policy: Policy {
                grid,
                objective: options.objective,
                period: Period::Rolling(PERIOD),
                method: Method::Occurrences,
                tiers: Tier::defaults_for(demand),
                guard: Guard::default(),
                conditions: Vec::new(),
                stale_after_seconds: whole_seconds(interval * 3 + timeout),
                data_alert: Some(Severity::Ticket),
            },
            calendar: None,
            labels: BTreeMap::new(),
            traffic: Traffic { rate: demand.rate, source: RateSource::Probe },
            page_within: Some(demand.bound),
            gate: GateMinimum::default(),
            time_zone: TimeZone::UTC,
        });
        targets.push(Arc::new(probe_of(target, url.clone(), interval, timeout)));
        let entry = Service { name: service.clone(), ..Service::default() };
        services.entry(service).or_insert(entry);
    }
    Config {
        listen: options.listen,
        external_url: local_url(options.listen),
        ledger: LedgerLocation::Memory,
        grid,
        environment: None,
        targets,
        discoveries: Vec::new(),
        scrapes: Vec::new(),
        prometheus: Vec::new(),
        destinations: destinations(options),
        blackbox: Blackbox::default(),
        gate: GatePolicy::default(),
        tokens: Vec::new(),
        otlp: None,
        hosts: Vec::new(),
        outputs: Outputs::default(),
        services,
        slos,
    }
}

#[expect(clippy::expect_used, reason = "an interval of a second or more has a rate")]
fn probe_rate(interval: Duration) -> EventRate {
    EventRate::try_every_seconds(interval.as_secs_f64()).expect("a positive interval has a rate")
}

/// Returns the URL as it is shown to everyone who reads a page or a message: a query often holds a key.
fn without_secrets(url: &Url) -> String {
    let mut shown = url.clone();
    // these fail only where there is neither user nor password
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.into()
}

fn probe_of(name: String, url: Url, interval: Duration, timeout: Duration) -> Target {
    Target {
        name,
        interval,
        timeout,
        family: Family::default(),
        resolver: None,
        labels: Vec::new(),
        off: None,
        maintenance: Vec::new(),
        group: None,
        down: None,
        allowed: None,
        check: Check::Http(Box::new(HttpCheck::get(url))),
        expect: [Assertion::status(vec![(200, 299)])].into(),
    }
}

fn destinations(options: &UrlOptions) -> Vec<Destination> {
    let slack = options.slack.clone().map(|url| ("slack", DestinationKind::SlackWebhook { url }));
    let alertmanager = options.alertmanager.clone();
    let alertmanager = alertmanager.map(|url| {
        let settings = AlertmanagerSettings { urls: vec![url], ..AlertmanagerSettings::default() };
        ("alertmanager", DestinationKind::Alertmanager(settings))
    });
    let kinds = slack.into_iter().chain(alertmanager);
    kinds.map(|(name, kind)| Destination::new(name, kind)).collect()
}

/// Service and SLO of a URL: its host with the port, and its path.
fn names_of(url: &Url) -> (String, String) {
    let host = url.host_str().unwrap_or_default();
    let service = match url.port() {
        Some(port) => format!("{host}-{port}"),
        None => host.to_owned(),
    };
    (as_name(&service, "service"), as_name(url.path(), "root"))
}

/// Turns a text into a name.
fn as_name(text: &str, otherwise: &str) -> String {
    let name: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' })
        .collect();
    let words = name.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    let name: String = words.trim_start_matches(['.', '_']).chars().take(50).collect();
    if name.is_empty() { otherwise.to_owned() } else { name }
}

/// Adds a number until nobody has the name; ids and alert names are made of letters and digits alone.
fn unique((service, slo): (String, String), taken: &mut BTreeSet<String>) -> (String, String) {
    let plain = |slo: &str| {
        let id = format!("{service}{slo}").to_ascii_lowercase();
        id.chars().filter(char::is_ascii_alphanumeric).collect::<String>()
    };
    let mut name = slo.clone();
    let mut n = 1_u32;
    while !taken.insert(plain(&name)) {
        n += 1;
        name = format!("{slo}-{n}");
    }
    (service, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(urls: &[&str]) -> Config {
        let urls: Vec<Url> = urls.iter().map(|url| url.parse().unwrap()).collect();
        config_of_urls(&urls, &UrlOptions::default())
    }

    #[test]
    fn every_url_becomes_a_target_with_an_slo_of_its_own() {
        let config = config(&[
            "http://127.0.0.1:8080/health",
            "http://127.0.0.1:8080/health?deep=1",
            "https://example.org/",
            "http://[::1]:1/a/b%20c",
        ]);
        let ids: Vec<String> = config.slos.iter().map(Slo::id).collect();
        assert_eq!(
            ids,
            ["127.0.0.1-8080-health", "127.0.0.1-8080-health-2", "example.org-root", "1-1-a-b-20c"]
        );
        for (target, slo) in config.targets.iter().zip(&config.slos) {
            assert!(matches!(&slo.indicator, Indicator::Probe { target: name, .. } if *name == target.name));
            assert!(target.timeout < target.interval);
            assert_eq!((slo.objective().percent(), slo.period()), (99.9, Window::days(30)));
            assert!(slo.tiers().len() == 4 && config.services.contains_key(&slo.service));
        }
        assert_eq!(
            config.slos[0].policy.stale_after_seconds, 18,
            "three rounds of 5 s and 2.5 s, rounded up"
        );
        assert_eq!(config.ledger, LedgerLocation::Memory);
        assert_eq!(config.external_url.as_str(), "http://127.0.0.1:9797/");
    }

    #[test]
    fn nothing_that_is_shown_holds_the_query_or_a_password() {
        let config = config(&["http://me:hunter2@127.0.0.1:8080/health?token=hunter2#hunter2"]);
        let slo = &config.slos[0];
        assert_eq!(slo.title(), "http://127.0.0.1:8080/health");
        assert_eq!(slo.description, "http://127.0.0.1:8080/health answers with a status from 200 to 299");
        assert!(!format!("{:?} {:?}", config.slos, config.services).contains("hunter2"));
        let Check::Http(http) = &config.targets[0].check else { panic!("a URL is requested over HTTP") };
        assert_eq!(http.url.query(), Some("token=hunter2"), "it is probed as it was given");
    }

    #[test]
    fn who_is_told_is_who_was_asked_for_and_secrets_stay_hidden() {
        let options = UrlOptions {
            slack: Some(Secret::new("https://hooks.slack.com/services/hunter2")),
            alertmanager: "http://127.0.0.1:9093".parse().ok(),
            ..UrlOptions::default()
        };
        let config = config_of_urls(&[], &options);
        let names: Vec<&str> = config.destinations.iter().map(|to| to.name.as_str()).collect();
        assert_eq!(names, ["slack", "alertmanager"]);
        assert!(!format!("{options:?}{config:?}").contains("hunter2"));
    }
}
