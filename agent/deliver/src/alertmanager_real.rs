//! The contract with a real Alertmanager.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::*;
use lookout_model::sample::lifecycle;
use lookout_model::{Timestamp, TransitionRecord};
use lookout_runtime::clock::SystemClock;

const CONFIG: &str = "route:\n  receiver: nobody\nreceivers:\n  - name: nobody\n";

struct Alertmanager {
    base: String,
    client: reqwest::Client,
    _child: Child,
    _folder: TempDir,
}

impl Alertmanager {
    /// Starts the Debian binary on a free port. Somebody may take the port in between: then it is tried again.
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for _ in 0..5 {
            if let Some(started) = Self::try_start().await {
                return started;
            }
        }
        panic!("prometheus-alertmanager does not come up");
    }

    async fn try_start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("alertmanager.yml");
        std::fs::write(&config, CONFIG).unwrap();
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", folder.path().display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("starting prometheus-alertmanager: {error}; install the Debian package prometheus-alertmanager")
            });
        let base = format!("http://{address}");
        let client = http::client(false).unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while tokio::time::Instant::now() < deadline && child.try_wait().unwrap().is_none() {
            let ready = client.get(format!("{base}/-/ready")).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return Some(Self { base, client, _child: child, _folder: folder });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        None
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

fn delivery(transition: &TransitionRecord) -> Delivery {
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
    let kind = DestinationKind::Alertmanager { urls: vec![Url::parse(&real.base).unwrap()] };
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
