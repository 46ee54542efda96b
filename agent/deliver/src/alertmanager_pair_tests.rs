//! A pair of real Alertmanagers of which one is killed, or cut off, again and again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::alertmanager_real_tests::{Alertmanager, Place, delivery, free_address};
use super::test_server::Local;
use super::*;
use lookout_config::AlertmanagerSettings;
use lookout_model::format::rfc3339;
use lookout_model::sample::lifecycle;
use lookout_model::{Timestamp, TransitionRecord, incident_id};
use lookout_runtime::clock::SystemClock;

/// A proxy between the agent and one instance: the network that fails.
struct Network {
    address: SocketAddr,
    target: SocketAddr,
    server: JoinHandle<()>,
}

impl Network {
    async fn to(target: SocketAddr, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                connections.spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(target).await {
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        Self { address, target, server }
    }

    /// Cuts every connection and refuses new ones.
    async fn cut(self) -> [SocketAddr; 2] {
        self.server.abort();
        let _ = self.server.await;
        [self.target, self.address]
    }
}

/// The proxy of an instance whose clock is ahead: the times of alerts are by that clock, and so is the date of answers.
#[derive(Clone)]
struct Shifted {
    client: reqwest::Client,
    base: String,
    ahead_s: i64,
}

impl Shifted {
    /// Starts it. Returns its URL.
    async fn start(base: &str, ahead_s: i64) -> String {
        let client = http::client(false, http::Certificates::default()).unwrap();
        let shifted = Self { client, base: base.to_owned(), ahead_s };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(Self::pass).with_state(shifted);
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    async fn pass(
        axum::extract::State(shifted): axum::extract::State<Self>,
        uri: axum::http::Uri,
        body: axum::body::Bytes,
    ) -> axum::response::Response {
        let url = format!("{}{uri}", shifted.base);
        let request = if body.is_empty() {
            shifted.client.get(url)
        } else {
            let mut alerts: Vec<Value> = serde_json::from_slice(&body).unwrap();
            for alert in &mut alerts {
                for key in ["startsAt", "endsAt"] {
                    let at: Timestamp = alert[key].as_str().unwrap().parse().unwrap();
                    alert[key] = rfc3339(at.plus_millis(-1000 * shifted.ahead_s)).into();
                }
            }
            shifted.client.post(url).json(&alerts)
        };
        let answer = request.send().await.unwrap();
        let (status, date) = (answer.status(), answer.headers()["date"].to_str().unwrap().to_owned());
        let date = jiff::fmt::rfc2822::parse(&date).unwrap().timestamp();
        let date = date + jiff::SignedDuration::from_secs(shifted.ahead_s);
        let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).unwrap();
        let text = answer.text().await.unwrap();
        axum::response::IntoResponse::into_response((status, [("date", date)], text))
    }
}

/// Opening and end of an incident.
fn incident(name: &str) -> [TransitionRecord; 2] {
    let at = SystemClock.now() - Duration::from_secs(20);
    let [mut opened, .., mut resolved] = lifecycle(at, &["am"]);
    for transition in [&mut opened, &mut resolved] {
        let incident = &mut transition.notice.incident;
        incident.slo = name.to_owned();
        incident.id = incident_id(name, incident.cause, at);
        incident.peak = incident.severity;
        transition.notice.incident.severity = lookout_engine::Severity::Page;
        transition.notice.incident.peak = lookout_engine::Severity::Page;
        transition.notice.at = SystemClock.now();
    }
    [opened, resolved]
}

/// Returns the states of each SLO that were notified, in order.
fn notified(recorder: &Local) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in recorder.seen() {
        for alert in request.body["alerts"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            all.entry(text(&alert["labels"]["slo"])).or_default().push(text(&alert["status"]));
        }
    }
    all
}

async fn until(what: &str, reached: impl Fn() -> bool) {
    let waiting = async {
        while !reached() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("{what}"));
}

async fn restart(place: Place) -> Alertmanager {
    Alertmanager::start_at(place).await.unwrap_or_else(|_| panic!("it does not start again"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pair_of_which_one_is_killed_and_cut_off_notifies_of_everything_and_nothing_flaps() {
    let recorder = Local::start(vec![]).await;
    let gossip = [free_address(), free_address()];
    let hook = recorder.url("/notified");
    let mut first = restart(Place::free(&hook, Some(gossip))).await;
    let second = restart(Place::free(&hook, Some([gossip[1], gossip[0]]))).await;
    let target = second.base.strip_prefix("http://").unwrap().parse().unwrap();
    let mut network = Network::to(target, SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let urls =
        vec![Url::parse(&first.base).unwrap(), Url::parse(&format!("http://{}", network.address)).unwrap()];
    let kind = DestinationKind::Alertmanager(AlertmanagerSettings { urls, ..Default::default() });
    let manager = receiver(&Destination::new("am", kind), Arc::new(SystemClock)).unwrap();

    for round in 1..=2 {
        let name = |what: &str| format!("{what}-{round}");
        let [before, cut, killed] = ["before", "cut", "killed"].map(|what| incident(&name(what)));
        let names = [name("before"), name("cut"), name("killed")];
        let [a, b, c] = names.each_ref().map(String::as_str);
        manager.deliver(&delivery(&before[0])).await.unwrap();
        first.has(&[a]).await;
        second.has(&[a]).await;

        let place = first.kill().await;
        manager.deliver(&delivery(&killed[0])).await.unwrap();
        first = restart(place).await;
        manager.refresh(&[before[0].clone(), killed[0].clone()]).await.unwrap();
        first.has(&[a, c]).await;

        let [target, address] = network.cut().await;
        manager.deliver(&delivery(&cut[0])).await.unwrap();
        first.has(&[a, b, c]).await;
        second.has(&[a, c]).await;
        network = Network::to(target, address).await;
        manager.refresh(&[before[0].clone(), killed[0].clone(), cut[0].clone()]).await.unwrap();
        second.has(&[a, b, c]).await;
        let firing = |name: &&str| notified(&recorder).get(*name).is_some_and(|all| all[0] == "firing");
        until("each is notified", || [a, b, c].iter().all(firing)).await;

        // the end comes while the other one is away
        let place = first.kill().await;
        for one in [&before, &cut, &killed] {
            manager.deliver(&delivery(&one[1])).await.unwrap();
        }
        second.has(&[]).await;
        first = restart(place).await;
        manager.refresh(&[before[1].clone(), cut[1].clone(), killed[1].clone()]).await.unwrap();
        first.has(&[]).await;
        let over = |name: &&str| {
            notified(&recorder).get(*name).is_some_and(|all| all.ends_with(&["resolved".to_owned()]))
        };
        until("the end of each is notified", || [a, b, c].iter().all(over)).await;
    }
    for (name, states) in notified(&recorder) {
        let flaps = states.windows(2).any(|pair| pair == ["resolved", "firing"]);
        assert!(!flaps, "{name}: {states:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_a_pair_whose_clock_is_ten_minutes_off_starts_and_ends_alerts_with_the_other() {
    let recorder = Local::start(vec![]).await;
    let gossip = [free_address(), free_address()];
    let hook = recorder.url("/notified");
    let first = restart(Place::free(&hook, Some(gossip))).await;
    let second = restart(Place::free(&hook, Some([gossip[1], gossip[0]]))).await;
    // twice each way
    for (round, ahead_s) in [-600, 600, -600, 600].into_iter().enumerate() {
        let shifted = Shifted::start(&second.base, ahead_s).await;
        let urls = vec![Url::parse(&first.base).unwrap(), Url::parse(&shifted).unwrap()];
        let kind = DestinationKind::Alertmanager(AlertmanagerSettings { urls, ..Default::default() });
        let manager = receiver(&Destination::new("am", kind), Arc::new(SystemClock)).unwrap();
        let name = format!("slo-{round}");
        let [opened, resolved] = incident(&name);
        manager.deliver(&delivery(&opened)).await.unwrap();
        manager.refresh(std::slice::from_ref(&opened)).await.unwrap();
        first.has(&[&name]).await;
        second.has(&[&name]).await;
        manager.read_back().await;
        let [one, other] = &manager.instances()[..] else { panic!("two instances") };
        assert_eq!(one.clock_ahead_ms, Some(0));
        let ahead_ms = other.clock_ahead_ms.unwrap();
        assert!((ahead_ms - 1000 * ahead_s).abs() <= 2_000, "{ahead_ms}");
        assert_eq!((one.alerts.len(), &one.alerts), (1, &other.alerts));
        let firing = || notified(&recorder).get(&name).is_some_and(|all| all[0] == "firing");
        until("it is notified", firing).await;
        // one of them leaves the other a moment to notify
        first.has_decided().await;
        second.has_decided().await;
        manager.deliver(&delivery(&resolved)).await.unwrap();
        manager.refresh(std::slice::from_ref(&resolved)).await.unwrap();
        first.has(&[]).await;
        second.has(&[]).await;
        let over =
            || notified(&recorder).get(&name).is_some_and(|all| all.ends_with(&["resolved".to_owned()]));
        until("the end is notified", over).await;
    }
    for (name, states) in notified(&recorder) {
        let flaps = states.windows(2).any(|pair| pair == ["resolved", "firing"]);
        assert!(!flaps, "{name}: {states:?}");
    }
}
