//! The contract with a real Alertmanager.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::*;
use lookout_config::AlertmanagerSettings;
use lookout_model::sample::lifecycle;
use lookout_model::{Timestamp, TransitionRecord};
use lookout_runtime::clock::SystemClock;

/// Place of an instance, which it keeps over restarts.
pub(super) struct Place {
    folder: TempDir,
    address: SocketAddr,
    /// Its own address for gossip, and that of the other one.
    cluster: Option<[SocketAddr; 2]>,
    /// True if it answers only who shows the certificate `client.pem` of its folder.
    tls: bool,
}

pub(super) struct Alertmanager {
    pub(super) base: String,
    pub(super) client: reqwest::Client,
    child: Child,
    pub(super) place: Place,
}

pub(super) fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Place {
    /// Returns a place on a free port for an instance that posts notifications to a URL.
    pub(super) fn free(notified: &str, cluster: Option<[SocketAddr; 2]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "route:\n  receiver: all\n  group_by: [service, slo, severity]\n  group_wait: 0s\n  \
             group_interval: 1s\ninhibit_rules:\n  - {{ source_matchers: [slo=\"source\"], target_matchers: [slo=\"target\"], \
             equal: [service] }}\nreceivers:\n  - name: all\n    webhook_configs: [{{ url: \"{notified}\" }}]\n"
        );
        std::fs::write(folder.path().join("alertmanager.yml"), config).unwrap();
        Self { folder, address: free_address(), cluster, tls: false }
    }
}

impl Place {
    /// Returns a place on a free port for an instance that demands a certificate of its clients.
    pub(super) async fn with_tls() -> Self {
        let place = Self { tls: true, ..Self::free("http://127.0.0.1:1/", None) };
        for name in ["server", "client", "stranger"] {
            let [key, certificate] = ["key", "pem"].map(|ending| place.file(&format!("{name}.{ending}")));
            test_certificate::make(&key, &certificate).await;
        }
        let config = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  \
                      client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: client.pem\n";
        std::fs::write(place.folder.path().join("web.yml"), config).unwrap();
        place
    }

    pub(super) fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    /// Returns the certificate of its folder with this name, and the key.
    pub(super) fn identity(&self, name: &str) -> (String, Secret) {
        (self.read(&format!("{name}.pem")), Secret::new(self.read(&format!("{name}.key"))))
    }

    fn client(&self) -> reqwest::Client {
        if !self.tls {
            return http::client(false, http::Certificates::default()).unwrap();
        }
        let (ca, (certificate, key)) = (self.read("server.pem"), self.identity("client"));
        let certificates = http::Certificates { ca: Some(&ca), identity: Some((&certificate, &key)) };
        http::client(true, certificates).unwrap()
    }
}

impl Alertmanager {
    /// Starts the Debian binary on a free port. Somebody may take the port in between: then it is tried again.
    pub(super) async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for _ in 0..5 {
            if let Ok(started) = Self::start_at(Place::free("http://127.0.0.1:1/", None)).await {
                return started;
            }
        }
        panic!("prometheus-alertmanager does not come up");
    }

    /// Starts it, or returns the place when it ends at once.
    pub(super) async fn start_at(place: Place) -> Result<Self, Place> {
        let folder = place.folder.path().display();
        let mut command = Command::new("prometheus-alertmanager");
        command
            .arg(format!("--config.file={folder}/alertmanager.yml"))
            .arg(format!("--storage.path={folder}"))
            .arg(format!("--web.listen-address={}", place.address));
        match place.cluster {
            None => command.arg("--cluster.listen-address="),
            Some([own, other]) => command
                .arg(format!("--cluster.listen-address={own}"))
                .arg(format!("--cluster.peer={other}"))
                .args(["--cluster.peer-timeout=250ms", "--cluster.gossip-interval=50ms"])
                .arg("--cluster.settle-timeout=1s"),
        };
        if place.tls {
            command.arg(format!("--web.config.file={folder}/web.yml"));
        }
        command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("starting prometheus-alertmanager: {error}; install the Debian package prometheus-alertmanager")
        });
        let scheme = if place.tls { "https" } else { "http" };
        let base = format!("{scheme}://localhost:{}", place.address.port());
        let base = if place.tls { base } else { format!("http://{}", place.address) };
        let client = place.client();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while tokio::time::Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            let ready = client.get(format!("{base}/-/ready")).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(Self { base, client, child, place });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(place)
    }

    /// Kills it as `kill -9` does. It can be started again at its place.
    pub(super) async fn kill(mut self) -> Place {
        self.child.kill().await.unwrap();
        self.place
    }

    async fn metric(&self, series: &str) -> f64 {
        let text =
            self.client.get(format!("{}/metrics", self.base)).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series}")).parse().unwrap()
    }

    /// Returns how many alerts it has refused.
    async fn refused(&self) -> f64 {
        self.metric("alertmanager_alerts_invalid_total{version=\"v2\"}").await
    }

    /// Waits until it has decided whether to notify of what is active: each flush asks the log of notifications once, after
    /// it left the other instance its time. What ends in that time is notified as active once more.
    pub(super) async fn has_decided(&self) {
        const ASKED: &str = "alertmanager_nflog_queries_total";
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        let before = self.metric(ASKED).await;
        while self.metric(ASKED).await <= before {
            assert!(tokio::time::Instant::now() < deadline, "no flush of {}", self.base);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until exactly the alerts of these SLOs are active.
    pub(super) async fn has(&self, slos: &[&str]) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            let alerts = self.alerts().await;
            let mut active: Vec<_> =
                alerts.iter().map(|alert| alert["labels"]["slo"].as_str().unwrap()).collect();
            active.sort_unstable();
            if active == slos {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "active: {active:?}, wanted: {slos:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn alerts(&self) -> Vec<Value> {
        let url = format!("{}/api/v2/alerts", self.base);
        self.client.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// Waits until exactly these severities are active.
    async fn active(&self, severities: &[&str]) -> Vec<Value> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let alerts = self.alerts().await;
            let mut active: Vec<_> =
                alerts.iter().map(|alert| alert["labels"]["severity"].as_str().unwrap()).collect();
            active.sort_unstable();
            if active == severities {
                return alerts;
            }
            assert!(tokio::time::Instant::now() < deadline, "active: {active:?}, wanted: {severities:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(super) fn delivery(transition: &TransitionRecord) -> Delivery {
    Delivery {
        id: 1,
        destination: "am".to_owned(),
        notice: transition.notice.clone(),
        attempts: 0,
        unsure: false,
        thread: None,
    }
}

#[tokio::test]
async fn a_real_alertmanager_holds_escalates_and_resolves() {
    let real = Alertmanager::start().await;
    let kind = DestinationKind::Alertmanager(AlertmanagerSettings {
        urls: vec![Url::parse(&real.base).unwrap()],
        ..Default::default()
    });
    let destination = Destination::new("am", kind);
    let clock = Arc::new(SystemClock);
    let manager = receiver(&destination, clock.clone()).unwrap();
    let detected_at = clock.now() - Duration::from_secs(13 * 60);
    let story = lifecycle(detected_at, &["am"]);

    manager.deliver(&delivery(&story[0])).await.unwrap();
    let alert = real.active(&["warning"]).await.remove(0);
    let labels = serde_json::json!({
        "alertname": "TitanicRequestsAvailability", "severity": "warning", "service": "titanic",
        "slo": "requests-availability", "env": "production",
    });
    assert_eq!(alert["labels"], labels);
    let annotations = alert["annotations"].as_object().unwrap();
    let notice = &story[0].notice;
    assert_eq!(annotations["summary"], "The error budget of titanic requests-availability burns too fast.");
    assert_eq!(annotations["runbook_url"], notice.runbook_url);
    assert_eq!(annotations["dashboard_url"], notice.dashboard_url);
    assert_eq!(annotations["budget_remaining"], "38 %");
    assert_eq!(annotations["burn_rate_short"], "4.25×");
    let description = annotations["description"].as_str().unwrap();
    assert!(
        description.contains("At this rate the 30-day budget (38 % left) is gone in 19 h."),
        "{description}"
    );
    assert_eq!(alert["generatorURL"], notice.explain_url);
    let time = |key: &str| alert[key].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(time("startsAt"), detected_at);
    let outlives = time("endsAt").since(clock.now());
    assert!((220..=240).contains(&outlives.as_secs()), "{outlives:?}");

    manager.deliver(&delivery(&story[1])).await.unwrap();
    let page = real.active(&["critical"]).await.remove(0);
    assert_eq!(page["startsAt"], alert["startsAt"], "the incident began when it began");
    manager.refresh(std::slice::from_ref(&story[1])).await.unwrap();
    real.active(&["critical"]).await;

    manager.deliver(&delivery(&story[2])).await.unwrap();
    real.active(&["warning"]).await;
    manager.deliver(&delivery(&story[3])).await.unwrap();
    real.active(&[]).await;
    manager.refresh(std::slice::from_ref(&story[3])).await.unwrap();
    real.active(&[]).await;
}

/// A clock that differs from that of the machine, and so from that of Alertmanager.
struct Skewed(i64);

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus_millis(self.0)
    }
}

#[tokio::test]
async fn a_clock_ten_minutes_off_delays_no_start_and_no_end() {
    let real = Alertmanager::start().await;
    // twice each way
    for (round, skew_ms) in [600_000, -600_000, 600_000, -600_000].into_iter().enumerate() {
        let urls = vec![Url::parse(&real.base).unwrap()];
        let kind = DestinationKind::Alertmanager(AlertmanagerSettings { urls, ..Default::default() });
        let clock = Arc::new(Skewed(skew_ms));
        let manager = receiver(&Destination::new("am", kind), clock.clone()).unwrap();
        let [mut opened, .., mut resolved] = lifecycle(clock.now() - Duration::from_secs(30), &["am"]);
        let slo = format!("slo-{round}");
        for transition in [&mut opened, &mut resolved] {
            transition.notice.incident.slo.clone_from(&slo);
        }
        resolved.notice.at = clock.now();
        manager.deliver(&delivery(&opened)).await.unwrap();
        real.has(&[&slo]).await;
        let alert = real.alerts().await.remove(0);
        let ends_at: Timestamp = alert["endsAt"].as_str().unwrap().parse().unwrap();
        let outlives = ends_at.since(SystemClock.now()).as_secs();
        assert!(outlives >= 200, "{skew_ms}: {outlives}");
        manager.refresh(std::slice::from_ref(&opened)).await.unwrap();
        real.has(&[&slo]).await;
        manager.deliver(&delivery(&resolved)).await.unwrap();
        real.has(&[]).await;
        manager.refresh(std::slice::from_ref(&resolved)).await.unwrap();
        real.has(&[]).await;
    }
}

#[tokio::test]
async fn a_poison_alert_spoils_no_other_and_is_left_out_of_refreshes() {
    let real = Alertmanager::start().await;
    let urls = vec![Url::parse(&real.base).unwrap()];
    let kind =
        DestinationKind::Alertmanager(AlertmanagerSettings { urls, watchdog: true, ..Default::default() });
    let manager = receiver(&Destination::new("am", kind), Arc::new(SystemClock)).unwrap();
    let begun = SystemClock.now() - Duration::from_secs(60);
    let open = |n: u64, slo: &str| {
        let [mut opened, ..] = lifecycle(begun + Duration::from_secs(n), &["am"]);
        opened.notice.incident.slo = slo.to_owned();
        opened.notice.incident.id = format!("inc-{n}");
        opened
    };
    let mut all: Vec<TransitionRecord> = (0..5).map(|n| open(n, &format!("slo-{n}"))).collect();
    // no date of RFC 3339 has such a year
    all[2].notice.incident.detected_at = Timestamp::from_seconds(-200_000_000_000);
    assert_eq!(manager.deliver(&delivery(&all[2])).await.unwrap_err().retry, Retry::Never);
    let mut refused = real.refused().await;
    for round in 0..2 {
        all.push(open(10 + round, &format!("slo-{}", 10 + round)));
        manager.refresh(&all).await.unwrap();
        assert_eq!(real.refused().await, refused, "it is left out");
        assert!(
            manager.deliver(&delivery(&all[2])).await.is_err(),
            "its next transition is tried all the same"
        );
        refused = real.refused().await;
    }
    let mut active = real.alerts().await;
    active.retain(|alert| alert["labels"]["alertname"] != "LookoutWatchdog");
    assert_eq!(active.len(), 6, "{active:#?}");
    assert_eq!(real.alerts().await.len(), 7, "the watchdog fires too");
}
