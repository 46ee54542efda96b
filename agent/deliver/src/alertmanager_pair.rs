//! A pair of real Alertmanagers of which one is killed, or cut off, again and again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::alertmanager_real::{Alertmanager, Place, delivery, free_address};
use super::local::Local;
use super::*;
use lookout_model::sample::lifecycle;
use lookout_model::{TransitionRecord, incident_id};
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
    let kind = DestinationKind::Alertmanager { urls, token: None, watchdog: false };
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
