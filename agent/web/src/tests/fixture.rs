//! Services, SLOs, incidents and probes in every state.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use lookout_engine::{
    Cause, DataState, EventRate, Grid, Guard, Method, Objective, Period, Policy, Severity, Status, Tier,
    Window,
};
use sha2::Digest as _;

use super::ledger::FakeLedger;
use crate::{
    BlackboxView, DiscoveryFailure, DiscoveryRow, DiscoveryView, HeartbeatSink, Made, ProbeMaker, ProbeRow,
    ProbeView, ReceiverRow, ReceiverView, RefusedConfigs, State,
};
use lookout_config::{
    Blackbox, Config, GateMinimum, GatePolicy, Indicator, LedgerLocation, Outputs, RateSource, Service, Slo,
    Token, Traffic,
};
use lookout_evaluate::{Board, SloStatus, Snapshot};
use lookout_export::{Host, detached_recorder};
use lookout_ledger::{CountSeries, CountSpan, Resolution};
use lookout_model::sample::present;
use lookout_model::{
    ConditionEvidence, ConditionKind, Corrected, DeployClass, DeployRecord, Evidence, IncidentRecord, Scope,
    TierEvidence, Timestamp,
};
use lookout_runtime::clock::Clock;
use lookout_runtime::random::Random;

/// 2026-01-01T03:12:40Z, when nobody wants to be woken.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_767_237_160);

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Parts of a [`State`] that a test can change.
pub(crate) struct Fixture {
    pub(crate) snapshot: Snapshot,
    pub(crate) config: Config,
    pub(crate) refused: RefusedConfigs,
    pub(crate) ledger: Arc<FakeLedger>,
    pub(crate) probes: Vec<ProbeRow>,
    pub(crate) discoveries: Vec<DiscoveryRow>,
    pub(crate) receivers: Vec<ReceiverRow>,
}

impl Fixture {
    /// Returns a state without SLOs.
    pub(crate) fn empty() -> Self {
        Self {
            snapshot: Snapshot {
                at: NOW - Duration::from_secs(3),
                interval_s: 10,
                ledger_is_down: false,
                slos: Vec::new(),
            },
            config: config(),
            refused: RefusedConfigs::default(),
            ledger: Arc::default(),
            probes: Vec::new(),
            discoveries: Vec::new(),
            receivers: Vec::new(),
        }
    }

    /// Returns a state of three objectives, all met.
    pub(crate) fn healthy() -> Self {
        let mut fixture = Self::empty();
        for (name, title, left) in [
            ("probes", "Passengers can reach us", 0.92),
            ("requests", "Requests succeed", 0.637),
            ("latency", "Answers within 250 ms", 0.21),
        ] {
            fixture.add(name, title, left);
        }
        fixture.probes = vec![probe("home", true, ""), probe("stats", true, "")];
        fixture.ledger.incidents.lock().unwrap().push(incident(
            "requests",
            Severity::Ticket,
            Some(NOW - Duration::from_secs(40_000)),
        ));
        fixture.ledger.deploys.lock().unwrap().push(DeployRecord {
            id: "dep-1".to_owned(),
            idempotency_key: "run-812".to_owned(),
            service: "titanic".to_owned(),
            environment: "production".to_owned(),
            version: "1.4.2".to_owned(),
            commit: "9f2c41d07be3".to_owned(),
            actor: "pipeline".to_owned(),
            class: DeployClass::Feature,
            started_at: NOW - Duration::from_secs(1500),
        });
        let day = (0..1440_i64).map(|minute| CountSpan {
            start_s: (NOW.as_seconds() / 60 - 1440 + minute) * 60,
            resolution: Resolution::Minute,
            counts: counts(minute),
        });
        *fixture.ledger.counts.lock().unwrap() = CountSeries::new(day.collect(), None);
        fixture
    }

    /// Returns a state with an open page, an overspent budget, a silent source and one without traffic.
    pub(crate) fn burning() -> Self {
        let mut fixture = Self::healthy();
        fixture.add("search", "Search answers", 1.0);
        fixture.add("bookings", "Bookings are stored", 0.8);
        let open = incident("requests", Severity::Page, None);
        fixture.ledger.incidents.lock().unwrap().insert(0, open.clone());
        let requests = &mut fixture.snapshot.slos[1];
        requests.incidents.push(open);
        requests.evidence.present = Some(present(Status::Paging));
        requests.evidence.budget_left_ratio = -0.43;
        requests.evidence.seconds_to_exhaustion = Some(0.0);
        requests.sli_ratio = Some(0.998_57);
        requests.evidence.tiers[0] = tier(Severity::Page, 3600, 300, 14.4, Some(37.2), true);
        requests.evidence.tiers[1] = tier(Severity::Page, 21_600, 1800, 6.0, Some(6.9), true);
        requests.evidence.tiers[2].held = Some("1 of 3 bad events".to_owned());
        requests.evidence.tiers[2].held_by_guard = true;
        requests.evidence.conditions.push(ConditionEvidence {
            severity: Severity::Ticket,
            kind: ConditionKind::BudgetLeft,
            condition: "ticket budget-left 10%".to_owned(),
            window_s: None,
            measured: Some(-0.43),
            threshold: 0.1,
            release: 0.15,
            exceeded: true,
            firing: true,
            held: None,
        });
        fixture.snapshot.slos[0].evidence.seconds_to_exhaustion = Some(1_900_000.0);
        fixture.snapshot.slos[2].evidence.seconds_to_exhaustion = None;
        let search = &mut fixture.snapshot.slos[3];
        set_data_state(search, DataState::Stale, Status::Stale);
        search.data_age_s = Some(1260.0);
        let bookings = &mut fixture.snapshot.slos[4];
        set_data_state(bookings, DataState::Idle, Status::Idle);
        bookings.evidence.seconds_to_exhaustion = None;
        for tier in &mut bookings.evidence.tiers {
            (tier.short_burn, tier.long_burn) = (None, None);
        }
        fixture.probes[1] = probe("stats", false, "status 503, expected 200-299");
        fixture
    }

    /// Returns a state in which every text from outside tries to be markup.
    pub(crate) fn hostile() -> Self {
        let mut fixture = Self::burning();
        let bad = "<script>alert(\"x\")</script>'&";
        for slo in &mut fixture.snapshot.slos {
            slo.title = format!("title {bad}");
            slo.description = format!("description {bad}");
        }
        let service = fixture.config.services.get_mut("titanic").unwrap();
        service.display_name = Some(format!("service {bad}"));
        service.description = format!("about {bad}");
        service.owner = Some(format!("owner {bad}"));
        let failure = Some(DiscoveryFailure { text: bad.to_owned(), since: NOW });
        let row =
            DiscoveryRow { target: bad.to_owned(), source: "dns", addresses: 2, succeeded_at: None, failure };
        fixture.discoveries = vec![row];
        fixture.probes = vec![ProbeRow { url_without_secrets: bad.to_owned(), ..probe(bad, false, bad) }];
        for incident in fixture.ledger.incidents.lock().unwrap().iter_mut() {
            (incident.service, incident.slo) = (bad.to_owned(), bad.to_owned());
            incident.id = bad.to_owned();
        }
        for deploy in fixture.ledger.deploys.lock().unwrap().iter_mut() {
            (deploy.version, deploy.commit, deploy.actor) = (bad.to_owned(), bad.to_owned(), bad.to_owned());
            deploy.environment = bad.to_owned();
        }
        fixture.config.outputs.dashboard_url = Some(format!("javascript:{bad}"));
        fixture
    }

    pub(crate) fn add(&mut self, name: &str, title: &str, left: f64) {
        self.snapshot.slos.push(status(name, title, left));
        self.config.slos.push(spec(name));
    }

    /// Adds the token `secret` with these scopes.
    pub(crate) fn with_token(mut self, scopes: &[&str]) -> Self {
        self.config.tokens.push(Token {
            name: "pipeline".to_owned(),
            sha256: sha2::Sha256::digest("secret").into(),
            scopes: Scope::ALL.iter().copied().filter(|scope| scopes.contains(&scope.as_str())).collect(),
        });
        self
    }

    pub(crate) fn state(&self) -> State {
        let (probes, receivers) = (self.probes.clone(), self.receivers.clone());
        let discoveries = self.discoveries.clone();
        State {
            board: Board::new(self.snapshot.clone()),
            ledger: self.ledger.clone(),
            clock: Arc::new(FixedClock),
            config: Arc::new(self.config.clone()),
            refused: self.refused.clone(),
            pauses: lookout_collect::probe::Pauses::default(),
            heartbeats: HeartbeatSink::new(|_| FixedClock.now()),
            recorder: detached_recorder(),
            metrics: Default::default(),
            host: Arc::new(Host::new()),
            probes: ProbeView::new(move || probes.clone()),
            discoveries: DiscoveryView::new(move || discoveries.clone()),
            receivers: ReceiverView::new(move || receivers.clone()),
            blackbox: BlackboxView::new(|| "probe_success{target=\"home\"} 1\n".to_owned()),
            probe_maker: ProbeMaker::new(async |_| Made::Unknown("no probe".to_owned())),
            random: Arc::new(Random::from_seed(7)),
            wake: Arc::default(),
        }
    }
}

fn counts(minute: i64) -> lookout_engine::Counts {
    match minute {
        300..330 => lookout_engine::Counts::ZERO,
        700..720 => lookout_engine::Counts { good: 55, bad: 5 },
        1425.. => lookout_engine::Counts { good: 42, bad: 18 },
        _ => lookout_engine::Counts { good: 60, bad: 0 },
    }
}

fn config() -> Config {
    let titanic = Service {
        name: "titanic".to_owned(),
        display_name: Some("Titanic".to_owned()),
        description: "The passenger API".to_owned(),
        owner: Some("Ship's office".to_owned()),
    };
    Config {
        listen: "127.0.0.1:9797".parse().unwrap(),
        external_url: "http://127.0.0.1:9797".parse().unwrap(),
        ledger: LedgerLocation::Memory,
        grid: Grid::try_new(10).unwrap(),
        environment: None,
        targets: Vec::new(),
        discoveries: Vec::new(),
        scrapes: Vec::new(),
        prometheus: Vec::new(),
        destinations: Vec::new(),
        blackbox: Blackbox::default(),
        gate: GatePolicy::default(),
        tokens: Vec::new(),
        otlp: None,
        hosts: Vec::new(),
        outputs: Outputs { runbook_url: Some("https://wiki/{alert}".to_owned()), ..Outputs::default() },
        services: BTreeMap::from([("titanic".to_owned(), titanic)]),
        slos: Vec::new(),
    }
}

fn spec(name: &str) -> Slo {
    Slo {
        name: name.to_owned(),
        service: "titanic".to_owned(),
        display_name: None,
        description: String::new(),
        file: "slo/titanic.yaml".into(),
        indicator: Indicator::Probe { target: "home".to_owned(), certificate_days: None },
        policy: Policy {
            grid: Grid::try_new(10).unwrap(),
            objective: Objective::try_from_percent(99.9).unwrap(),
            period: Period::Rolling(Window::days(30)),
            method: Method::Occurrences,
            tiers: Tier::defaults(Window::days(30)),
            guard: Guard::default(),
            conditions: Vec::new(),
            stale_after_seconds: 60,
            data_alert: Some(Severity::Page),
        },
        calendar: None,
        labels: BTreeMap::new(),
        traffic: Traffic { rate: EventRate::try_per_second(10.0).unwrap(), source: RateSource::Assumed },
        page_within: None,
        gate: GateMinimum::default(),
        time_zone: TimeZone::UTC,
    }
}

fn tier(
    severity: Severity,
    long_s: u64,
    short_s: u64,
    factor: f64,
    burn: Option<f64>,
    firing: bool,
) -> TierEvidence {
    let (long_bad, long_total) = if firing { (1072, 28_800) } else { (9, 28_800) };
    TierEvidence {
        severity,
        long_s,
        short_s,
        factor,
        long_burn: burn,
        short_burn: burn.map(|burn| burn * 1.1),
        long_coverage: 1.0,
        short_coverage: 1.0,
        long_bad,
        long_total,
        firing,
        pending: false,
        held_by_guard: false,
        held: None,
        release_factor: None,
    }
}

/// Sets the state of the data and the state for people that follows from it.
pub(crate) fn set_data_state(slo: &mut SloStatus, state: DataState, status: Status) {
    slo.evidence.data_state = state;
    slo.evidence.present = Some(present(status));
}

fn status(name: &str, title: &str, left: f64) -> SloStatus {
    SloStatus {
        at: Timestamp::EPOCH,
        id: format!("titanic-{name}"),
        service: "titanic".to_owned(),
        slo: name.to_owned(),
        title: title.to_owned(),
        description: "A bad event is a request that a passenger has to repeat.".to_owned(),
        source: "probe".to_owned(),
        alert: format!("Titanic{}{}", name[..1].to_uppercase(), &name[1..]),
        evidence: Evidence {
            components: Vec::new(),
            objective_percent: 99.9,
            period_s: 30 * 86_400,
            calendar: None,
            versions: Vec::new(),
            data_state: DataState::Ok,
            budget_left_ratio: left,
            seconds_to_exhaustion: Some(left * 30.0 * 86_400.0 / 0.44),
            bad: 1234,
            total: 1_234_567,
            tiers: vec![
                tier(Severity::Page, 3600, 300, 14.4, Some(0.31), false),
                tier(Severity::Page, 21_600, 1800, 6.0, Some(0.28), false),
                tier(Severity::Ticket, 86_400, 7200, 3.0, Some(0.4), false),
                tier(Severity::Ticket, 259_200, 21_600, 1.0, Some(0.35), false),
            ],
            present: Some(present(Status::Healthy)),
            corrected: Corrected::default(),
            conditions: Vec::new(),
        },
        sli_ratio: Some(1.0 - (1.0 - left) * 0.001),
        data_age_s: Some(1.5),
        incidents: Vec::new(),
        resolved: Vec::new(),
        implausible: None,
        refused_by: Vec::new(),
        paused: None,
        gate: GateMinimum::default(),
    }
}

fn incident(slo: &str, severity: Severity, resolved_at: Option<Timestamp>) -> IncidentRecord {
    let detected_at = resolved_at.map_or(NOW - Duration::from_secs(760), |at| at - Duration::from_secs(5400));
    IncidentRecord {
        id: format!("inc-{:08x}", detected_at.as_millis() as u32),
        slo_id: format!("titanic-{slo}"),
        service: "titanic".to_owned(),
        slo: slo.to_owned(),
        cause: Cause::Burn,
        severity,
        peak: severity,
        started_at: None,
        detected_at,
        recovered_at: None,
        reopens_until: None,
        resolved_at,
    }
}

fn probe(target: &str, ok: bool, detail: &str) -> ProbeRow {
    ProbeRow {
        target: target.to_owned(),
        url_without_secrets: format!("http://127.0.0.1:8080/{target}"),
        ok,
        detail: detail.to_owned(),
        total_ms: 12,
        at: NOW - Duration::from_millis(4200),
        addresses: Vec::new(),
    }
}
