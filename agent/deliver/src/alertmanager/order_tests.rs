//! One alert of several incidents, at an Alertmanager that does as it is told by the last post.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use lookout_engine::Change;
use lookout_model::sample::{T0, lifecycle};
use lookout_runtime::clock::TokioClock;
use url::Url;

use super::*;

/// An instance that keeps the last post about each SLO.
#[derive(Default)]
struct Last {
    fires: Mutex<BTreeMap<String, bool>>,
    /// Number of posts that are refused with patience.
    failing: AtomicU32,
    /// Seconds that the next post is under way.
    slow_s: AtomicU64,
    /// Number of posts, by SLO, that began to fire what was over.
    again: Mutex<BTreeMap<String, usize>>,
}

struct Network(Arc<Last>, TokioClock);

#[async_trait]
impl Transport for Network {
    async fn send(&self, who: &str, request: RequestBuilder, _limit: usize) -> Result<http::Answer, Refused> {
        let request = request.build().unwrap();
        let taken =
            || http::Answer { status: 200, body: String::new(), retry_after: None, date: Some(self.1.now()) };
        let Some(body) = request.body().and_then(reqwest::Body::as_bytes) else { return Ok(taken()) };
        tokio::time::sleep(Duration::from_secs(self.0.slow_s.swap(0, Ordering::SeqCst))).await;
        if self.0.failing.load(Ordering::SeqCst) > 0 {
            self.0.failing.fetch_sub(1, Ordering::SeqCst);
            return Err(Refused { error: format!("{who} answered 503"), retry: Retry::BackOff });
        }
        let alerts: Vec<serde_json::Value> = serde_json::from_slice(body).unwrap();
        for alert in alerts {
            let slo = alert["labels"]["slo"].as_str().unwrap().to_owned();
            let ends: Timestamp = alert["endsAt"].as_str().unwrap().parse().unwrap();
            let fires = ends > self.1.now();
            let before = self.0.fires.lock().unwrap().insert(slo.clone(), fires);
            if fires && before == Some(false) {
                *self.0.again.lock().unwrap().entry(slo).or_default() += 1;
            }
        }
        Ok(taken())
    }
}

struct Scene {
    last: Arc<Last>,
    clock: TokioClock,
    receiver: Arc<Alertmanager>,
}

impl Scene {
    fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let urls = vec![Url::parse("http://one:9093").unwrap()];
        let settings = Settings { urls, ..Settings::default() };
        let (last, clock) = (Arc::new(Last::default()), TokioClock::starting_at(T0));
        let client = http::client(false, http::Certificates::default()).unwrap();
        let transport: Box<dyn Transport> = Box::new(Network(Arc::clone(&last), clock));
        let name = "chat".to_owned();
        let receiver =
            Alertmanager::new(name, Severity::Ticket, &settings, (client, transport), Arc::new(clock));
        Self { last, clock, receiver: Arc::new(receiver) }
    }

    /// Returns the beginning of an incident now.
    fn opened(&self, slo: usize, id: &str) -> TransitionRecord {
        let [mut opened, ..] = lifecycle(self.clock.now(), &["chat"]);
        (opened.incident.id, opened.incident.slo) = (id.to_owned(), format!("slo-{slo}"));
        opened.notice.incident = opened.incident.clone();
        opened
    }

    /// Returns the end of an incident now.
    fn over(&self, opened: &TransitionRecord) -> TransitionRecord {
        let mut over = opened.clone();
        (over.change, over.at) = (Change::Resolved, self.clock.now());
        over.incident.resolved_at = Some(over.at);
        (over.notice.change, over.notice.at) = (over.change, over.at);
        over.notice.incident = over.incident.clone();
        over
    }

    /// Delivers a transition, as often as it takes. Returns the number of attempts.
    async fn deliver(&self, transition: &TransitionRecord) -> u32 {
        for attempt in 1.. {
            tokio::time::sleep(Duration::from_secs(5)).await;
            let delivery = Delivery {
                id: 1,
                destination: "chat".to_owned(),
                notice: transition.notice.clone(),
                attempts: attempt - 1,
                unsure: false,
                thread: None,
            };
            if self.receiver.deliver(&delivery).await.is_ok() {
                return attempt;
            }
        }
        unreachable!()
    }

    fn fires(&self, slo: usize) -> bool {
        self.last.fires.lock().unwrap()[&format!("slo-{slo}")]
    }

    fn fired_again(&self, slo: usize) -> usize {
        self.last.again.lock().unwrap().get(&format!("slo-{slo}")).copied().unwrap_or(0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_end_of_an_older_incident_does_not_end_the_alert_of_a_newer_one() {
    let scene = Scene::new();
    // twice, each with an end that is refused twice before it is taken
    for round in 0..2 {
        let older = scene.opened(1, &format!("older-{round}"));
        scene.deliver(&older).await;
        let end = scene.over(&older);
        scene.last.failing.store(2, Ordering::SeqCst);
        let newer = scene.opened(1, &format!("newer-{round}"));
        assert_eq!(scene.deliver(&newer).await, 3, "its first posts fail");
        scene.deliver(&end).await;
        assert!(scene.fires(1), "round {round}: the newer one is open");
        scene.last.failing.store(2, Ordering::SeqCst);
        assert_eq!(scene.deliver(&scene.over(&newer)).await, 3);
        assert!(!scene.fires(1), "round {round}: none is open");
    }
    assert_eq!(scene.fired_again(1), 1, "once, in the second round");
}

#[tokio::test(start_paused = true)]
async fn a_refresh_repeats_no_state_from_before_a_delivery() {
    let scene = Scene::new();
    let slos = BATCH * 2;
    // twice: an end is delivered while the first batch is under way, which has its alert or has not
    for round in 0..2 {
        let open: Vec<_> = (0..slos).map(|slo| scene.opened(slo, &format!("{slo}-{round}"))).collect();
        scene.receiver.refresh(&open).await.unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
        let before = [scene.fired_again(0), scene.fired_again(slos - 1)];
        scene.last.slow_s.store(20, Ordering::SeqCst);
        let refreshing = tokio::spawn({
            let (receiver, open) = (Arc::clone(&scene.receiver), open.clone());
            async move { receiver.refresh(&open).await }
        });
        tokio::time::sleep(Duration::from_secs(2)).await;
        for ended in [&open[0], &open[slos - 1]] {
            scene.deliver(&scene.over(ended)).await;
        }
        assert!(!scene.fires(0) && !scene.fires(slos - 1));
        refreshing.await.unwrap().unwrap();
        assert!(!scene.fires(0), "round {round}: the post under way is made good for");
        assert!(!scene.fires(slos - 1), "round {round}: the next batch has its end");
        assert_eq!(scene.fired_again(slos - 1), before[1], "round {round}");
        assert!(scene.fires(1), "the others fire");
        // healed: all are over, and refreshes say so
        let over: Vec<_> = open.iter().map(|one| scene.over(one)).collect();
        tokio::time::sleep(Duration::from_secs(30)).await;
        scene.receiver.refresh(&over).await.unwrap();
        assert!((0..slos).all(|slo| !scene.fires(slo)), "round {round}");
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
}
