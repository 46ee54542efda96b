//! Thousands of alerts at a pair of which one instance hangs, in simulated time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use lookout_config::Destination;
use lookout_ledger::{DeliveryStore, Ledger as _, MemoryLedger};
use lookout_model::sample::{T0, lifecycle};
use lookout_runtime::clock::TokioClock;
use lookout_runtime::random::Random;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::alert::OUTLIVES;
use super::*;
use crate::{Ports, run};

const ALERTS: u32 = 3000;

/// Two instances that keep the ends of their alerts.
#[derive(Default)]
pub(super) struct Pair {
    /// By instance and start of the alert.
    ends: Mutex<BTreeMap<(String, String), Timestamp>>,
    /// The alerts that ended before they were repeated.
    expired: Mutex<BTreeSet<(String, String)>>,
    hanging: Mutex<BTreeSet<String>>,
    posts: Mutex<BTreeMap<String, usize>>,
}

/// The network between the agent and the pair.
pub(super) struct InMemory(pub(super) Arc<Pair>, pub(super) TokioClock);

#[async_trait]
impl Transport for InMemory {
    async fn send(&self, who: &str, request: RequestBuilder, _limit: usize) -> Result<http::Answer, Refused> {
        let request = request.build().unwrap();
        let host = request.url().host_str().unwrap().to_owned();
        if self.0.hanging.lock().unwrap().contains(&host) {
            tokio::time::sleep(http::TIMEOUT).await;
            return Err(Refused { error: format!("{who} hangs"), retry: Retry::Unsure });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = self.1.now();
        if let Some(body) = request.body().and_then(reqwest::Body::as_bytes) {
            *self.0.posts.lock().unwrap().entry(host.clone()).or_default() += 1;
            let alerts: Vec<serde_json::Value> = serde_json::from_slice(body).unwrap();
            for alert in alerts {
                let key = (host.clone(), alert["startsAt"].as_str().unwrap().to_owned());
                let end = alert["endsAt"].as_str().unwrap().parse().unwrap();
                let before = self.0.ends.lock().unwrap().insert(key.clone(), end);
                if before.is_some_and(|before| before < now) {
                    self.0.expired.lock().unwrap().insert(key);
                }
            }
        }
        Ok(http::Answer { status: 200, body: String::new(), retry_after: None, date: Some(now) })
    }
}

impl Pair {
    pub(super) fn hang(&self, host: &str, hangs: bool) {
        let mut hanging = self.hanging.lock().unwrap();
        if hangs {
            hanging.insert(host.to_owned())
        } else {
            hanging.remove(host)
        };
    }

    /// Returns the number of alerts that fire at an instance.
    pub(super) fn firing(&self, host: &str, now: Timestamp) -> usize {
        let ends = self.ends.lock().unwrap();
        ends.iter().filter(|((at, _), end)| at == host && **end > now).count()
    }
}

/// Returns incidents that opened one a second, each of an SLO of its own.
fn opened_before(now: Timestamp) -> Vec<TransitionRecord> {
    let opened = (1..=ALERTS).map(|n| {
        let [mut opened, ..] = lifecycle(now - n * Duration::from_secs(1), &["chat"]);
        opened.incident.slo = format!("slo-{n}");
        opened.notice.incident = opened.incident.clone();
        opened
    });
    opened.collect()
}

pub(super) fn pair(transport: Box<dyn Transport>, clock: TokioClock, watchdog: bool) -> Arc<dyn Receiver> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let urls = ["http://one:9093", "http://two:9093"].map(|url| Url::parse(url).unwrap());
    let settings = Settings { urls: urls.to_vec(), watchdog, ..Settings::default() };
    let destination =
        Destination::new("chat", lookout_config::DestinationKind::Alertmanager(settings.clone()));
    let client = http::client(false, http::Certificates::default()).unwrap();
    let (name, minimum) = (destination.name, destination.minimum);
    Arc::new(Alertmanager::new(name, minimum, &settings, (client, transport), Arc::new(clock)))
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_hangs_lets_no_alert_expire_at_the_healthy_one() {
    let now = T0 + Duration::from_secs(86_400);
    let clock = TokioClock::starting_at(now);
    let network = Arc::new(Pair::default());
    let receiver = pair(Box::new(InMemory(Arc::clone(&network), clock)), clock, true);
    let ledger = Arc::new(MemoryLedger::default());
    ledger.commit(&[], &opened_before(now)).await.unwrap();
    let ports = Ports {
        ledger: Arc::clone(&ledger) as Arc<dyn DeliveryStore>,
        clock: Arc::new(clock),
        random: Arc::new(Random::from_seed(1)),
        wake: Arc::new(Notify::new()),
        fallback: None,
    };
    assert!(OUTLIVES < Duration::from_secs(6 * 60), "the fault lasts longer");
    let stop = CancellationToken::new();
    network.hang("two", true);
    let running = tokio::spawn(run(receiver, ports, stop.clone()));
    // everything is delivered, and a round is over
    tokio::time::sleep(Duration::from_secs(90)).await;
    assert_eq!(ledger.waiting("chat").await.unwrap().1, 0);
    for fault in 1..=2 {
        for minute in 0..6 {
            let firing = network.firing("one", clock.now());
            assert!(firing >= ALERTS as usize, "fault {fault}, minute {minute}: {firing} fire");
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        network.hang("two", false);
        // a round, and the time limit of the request that hangs
        tokio::time::sleep(REFRESH + http::TIMEOUT + Duration::from_secs(5)).await;
        let firing = network.firing("two", clock.now());
        assert!(firing >= ALERTS as usize, "fault {fault}: {firing} fire at the other one");
        network.hang("two", true);
    }
    let expired = network.expired.lock().unwrap().iter().filter(|(host, _)| host == "one").count();
    assert_eq!(expired, 0);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_hangs_costs_one_time_limit_per_round() {
    let clock = TokioClock::starting_at(T0);
    let network = Arc::new(Pair::default());
    let receiver = pair(Box::new(InMemory(Arc::clone(&network), clock)), clock, false);
    let latest = opened_before(T0);
    receiver.refresh(&latest).await.unwrap();
    let posts = network.posts.lock().unwrap()["one"];
    assert_eq!(posts, (ALERTS as usize).div_ceil(BATCH));
    network.hang("one", true);
    network.hang("two", true);
    let begun = Instant::now();
    for _ in 0..2 {
        let refused = receiver.refresh(&latest).await.unwrap_err();
        assert_eq!(refused.retry, Retry::Unsure);
    }
    assert_eq!(begun.elapsed(), 2 * http::TIMEOUT, "the first batch that hangs ends the round");
}
