//! Groups over a durable ledger and real connections: nobody is flooded, nothing is lost.

use std::time::Duration;

use lookout_engine::Change;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::test_server::{Local, Reply};
use super::*;
use lookout_ledger::{DeliveryStore, Ledger, SqliteLedger, WriteThroughLedger};
use lookout_model::sample::lifecycle;
use lookout_model::{Timestamp, TransitionRecord, incident_id};
use lookout_runtime::clock::SystemClock;
use lookout_runtime::random::Random;

const WAIT: Duration = Duration::from_millis(300);

fn webhook(local: &Local) -> Arc<dyn Receiver> {
    let kind = DestinationKind::SlackWebhook { url: Secret::new(local.url("/hook")) };
    let destination = Destination { group_wait: WAIT, ..Destination::new("chat", kind) };
    receiver(&destination, Arc::new(SystemClock)).unwrap()
}

fn web_api(local: &Local) -> Arc<dyn Receiver> {
    let kind = DestinationKind::SlackApi {
        api_url: Url::parse(&local.url("/api/")).unwrap(),
        token: Secret::new("xoxb-secret"),
        channel: "#ops".to_owned(),
    };
    let destination = Destination { group_wait: WAIT, ..Destination::new("chat", kind) };
    receiver(&destination, Arc::new(SystemClock)).unwrap()
}

/// Returns one change of the `n`th SLO, of one of these services.
fn change_of(n: usize, services: &[&str], change: usize, begun: Timestamp) -> TransitionRecord {
    let mut transition = lifecycle(begun, &["chat"])[change].clone();
    let service = services[n % services.len()];
    for incident in [&mut transition.incident, &mut transition.notice.incident] {
        incident.service = service.to_owned();
        incident.slo = format!("slo-{n}");
        incident.slo_id = format!("{service}-slo-{n}");
        incident.id = incident_id(&incident.slo_id, incident.cause, begun);
    }
    transition
}

fn all(n: usize, services: &[&str], change: usize, begun: Timestamp) -> Vec<TransitionRecord> {
    (0..n).map(|n| change_of(n, services, change, begun)).collect()
}

struct Scene {
    ledger: Arc<dyn Ledger>,
    wake: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

impl Scene {
    fn over(ledger: Arc<dyn Ledger>, receiver: Arc<dyn Receiver>) -> Self {
        let wake = Arc::new(Notify::new());
        let ports = Ports {
            ledger: Arc::clone(&ledger) as Arc<dyn DeliveryStore>,
            clock: Arc::new(SystemClock),
            random: Arc::new(Random::from_seed(1)),
            wake: Arc::clone(&wake),
            fallback: None,
        };
        let task = tokio::spawn(run(receiver, ports, CancellationToken::new()));
        Self { ledger, wake, task }
    }

    async fn store(&self, transitions: &[TransitionRecord]) {
        self.ledger.commit(&[], transitions).await.unwrap();
        self.wake.notify_waiters();
    }

    async fn drained(&self) {
        let drained = async {
            while self.ledger.waiting("chat").await.unwrap().1 > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), drained).await.expect("the outbox drains");
    }
}

async fn ledger(folder: &tempfile::TempDir) -> Arc<dyn Ledger> {
    let path = folder.path().join("ledger.db");
    Arc::new(WriteThroughLedger::open(&path, Arc::new(SystemClock)).await.unwrap())
}

fn texts(local: &Local, path: &str) -> Vec<String> {
    let seen = local.seen();
    seen.iter().filter(|one| one.path.ends_with(path)).map(|one| slack_as_text(&one.body)).collect()
}

fn accepted(ts: &str) -> Reply {
    Reply::Json(json!({ "ok": true, "channel": "C1", "ts": ts }))
}

#[tokio::test]
async fn two_hundred_slos_of_a_service_are_one_message_and_its_end() {
    let local = Local::start(vec![]).await;
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::over(ledger(&folder).await, webhook(&local));
    let begun = SystemClock.now();
    let started = tokio::time::Instant::now();
    scene.store(&all(120, &["titanic"], 0, begun)).await;
    scene.store(&(120..200).map(|n| change_of(n, &["titanic"], 0, begun)).collect::<Vec<_>>()).await;
    local.seen_at_least(1).await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    scene.drained().await;
    assert!(texts(&local, "/hook")[0].starts_with("[TICKET] titanic: 200 incidents at once"));
    scene.store(&all(200, &["titanic"], 1, begun)).await;
    scene.drained().await;
    let eased_at = SystemClock.now();
    scene.store(&all(200, &["titanic"], 2, begun)).await;
    scene.drained().await;
    let accepted = scene.ledger.has_accepted("chat", eased_at).await.unwrap();
    assert!(!accepted, "nothing was sent, which proves nothing about the receiver");
    for n in 0..200 {
        scene.store(&[change_of(n, &["titanic"], 3, begun)]).await;
    }
    scene.drained().await;
    let texts = texts(&local, "/hook");
    assert_eq!(texts.len(), 3, "{texts:#?}");
    assert!(texts[1].starts_with("[PAGE] titanic: 200 incidents at once"), "{}", texts[1]);
    assert!(texts[2].starts_with("[RESOLVED] titanic: 200 incidents over"), "{}", texts[2]);
}

#[tokio::test]
async fn the_web_api_edits_the_message_of_a_group_as_it_changes() {
    let local = Local::start((0..20).map(|_| accepted("17.5")).collect()).await;
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::over(ledger(&folder).await, web_api(&local));
    let begun = SystemClock.now();
    scene.store(&all(3, &["titanic"], 0, begun)).await;
    scene.drained().await;
    scene.store(&[change_of(3, &["titanic"], 0, begun)]).await;
    scene.drained().await;
    assert!(texts(&local, "chat.update")[0].contains("titanic: 4 incidents at once"), "it joins");
    scene.store(&[change_of(0, &["titanic"], 1, begun)]).await;
    scene.drained().await;
    scene.store(&[change_of(1, &["titanic"], 3, begun)]).await;
    scene.drained().await;
    let edited = texts(&local, "chat.update");
    assert!(edited[1].contains("[PAGE] titanic: 4 incidents at once"), "{}", edited[1]);
    assert!(edited[2].contains("[PAGE] titanic: 3 of 4 incidents open"), "{}", edited[2]);
    assert!(
        edited[2].lines().rfind(|line| line.contains("• ")).unwrap().contains("[RESOLVED] titanic slo-1")
    );
    scene.store(&[0, 2, 3].map(|n| change_of(n, &["titanic"], 3, begun))).await;
    scene.drained().await;
    let seen = local.seen();
    let posts: Vec<&Value> =
        seen.iter().filter(|one| one.path.ends_with("postMessage")).map(|one| &one.body).collect();
    let heads: Vec<String> =
        posts.iter().map(|body| slack_as_text(body).lines().next().unwrap().to_owned()).collect();
    assert_eq!(heads[0], "[TICKET] titanic: 3 incidents at once");
    assert!(heads[1].starts_with("[TICKET] titanic slo-3"), "{heads:?}");
    assert!(heads[2].starts_with("[PAGE] titanic slo-0"), "{heads:?}");
    assert_eq!(heads[3], "[RESOLVED] titanic: 4 incidents over");
    assert_eq!(heads.len(), 4);
    let broadcast: Vec<&Value> = posts.iter().map(|body| &body["reply_broadcast"]).collect();
    assert_eq!(broadcast, [&Value::Null, &json!(false), &json!(true), &json!(false)]);
    assert!(posts[1..].iter().all(|body| body["thread_ts"] == "17.5"));
    assert!(texts(&local, "chat.update").last().unwrap().contains("[RESOLVED] titanic: 4 incidents over"));
}

#[tokio::test]
async fn the_end_is_told_once_though_a_part_of_it_is_tried_again() {
    let local = Local::start(vec![accepted("17.5"), Reply::Status(500, ""), Reply::Status(500, "")]).await;
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::over(ledger(&folder).await, web_api(&local));
    let begun = SystemClock.now();
    scene.store(&all(4, &["titanic"], 0, begun)).await;
    scene.drained().await;
    scene.store(&[change_of(0, &["titanic"], 3, begun)]).await;
    local.seen_at_least(3).await;
    (0..8).for_each(|_| local.then(accepted("17.5")));
    // the first waits for another try meanwhile
    scene.store(&[1, 2, 3].map(|n| change_of(n, &["titanic"], 3, begun))).await;
    scene.drained().await;
    let posts = texts(&local, "postMessage");
    let ends: Vec<&String> = posts.iter().filter(|text| text.starts_with("[RESOLVED]")).collect();
    assert_eq!(ends.len(), 1, "{posts:#?}");
    assert!(ends[0].starts_with("[RESOLVED] titanic: 4 incidents over"), "{}", ends[0]);
}

#[tokio::test]
async fn the_end_is_told_once_though_incidents_end_while_a_message_waits_for_its_turn() {
    let local = Local::start(vec![accepted("17.1")]).await;
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::over(ledger(&folder).await, web_api(&local));
    let begun = SystemClock.now();
    scene.store(&[change_of(0, &["search"], 0, begun)]).await;
    scene.drained().await;
    // twice, each with a thread of its own
    for (round, ts) in ["17.5", "17.6"].into_iter().enumerate() {
        let change = |n: usize, change: usize| change_of(10 * round + n, &["titanic"], change, begun);
        local.then(accepted(ts));
        scene.store(&[0, 1, 2, 3].map(|n| change(n, 0))).await;
        scene.drained().await;
        let (seen, free) = (local.seen().len(), Arc::new(Notify::new()));
        local.then(Reply::Held(json!({ "ok": true }), Arc::clone(&free)));
        (0..20).for_each(|_| local.then(accepted(ts)));
        // the message of the other service is under way while the ends of the first two wait for their turn
        let other = change_of(0, &["search"], [1, 2][round], begun);
        scene.store(&[other, change(0, 3), change(1, 3)]).await;
        local.seen_at_least(seen + 1).await;
        scene.store(&[change(2, 3), change(3, 3)]).await;
        free.notify_one();
        scene.drained().await;
        local.heal();
        let posts = texts(&local, "postMessage");
        let ends = posts.iter().filter(|text| text.starts_with("[RESOLVED]")).count();
        assert_eq!(ends, round + 1, "{posts:#?}");
        assert!(posts.last().unwrap().starts_with("[RESOLVED] titanic: 4 incidents over"), "{posts:#?}");
        let edits = texts(&local, "chat.update");
        assert!(edits.last().unwrap().contains("[RESOLVED] titanic: 4 incidents over"), "{edits:#?}");
    }
}

#[tokio::test]
async fn a_storm_across_services_is_a_digest() {
    let local = Local::start(vec![]).await;
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::over(ledger(&folder).await, webhook(&local));
    let begun = SystemClock.now();
    let services = ["a", "b", "c", "d", "e"];
    scene.store(&all(50, &services, 0, begun)).await;
    scene.drained().await;
    scene.store(&all(50, &services, 3, begun)).await;
    scene.drained().await;
    let texts = texts(&local, "/hook");
    let heads: Vec<&str> = texts.iter().map(|text| text.lines().next().unwrap()).collect();
    assert_eq!(
        heads,
        ["[TICKET] 5 services: 50 incidents at once", "[RESOLVED] 5 services: 50 incidents over"]
    );
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_group_loses_nothing_and_doubles_one_marked_message() {
    let begun = SystemClock.now();
    // before the message, and while it is under way
    for arrived in [0, 0, 1, 1] {
        let local = Local::start(vec![Reply::Hang]).await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        let first: Arc<dyn Ledger> = Arc::new(SqliteLedger::open(&path).await.unwrap());
        let scene = Scene::over(Arc::clone(&first), webhook(&local));
        scene.store(&all(20, &["titanic"], 0, begun)).await;
        local.seen_at_least(arrived).await;
        scene.task.abort();
        assert!(scene.task.await.unwrap_err().is_cancelled());
        drop((scene.ledger, first));
        local.heal();
        let again: Arc<dyn Ledger> =
            Arc::new(WriteThroughLedger::open(&path, Arc::new(SystemClock)).await.unwrap());
        let scene = Scene::over(again, webhook(&local));
        scene.drained().await;
        let heads: Vec<String> =
            texts(&local, "/hook").iter().map(|text| text.lines().next().unwrap().to_owned()).collect();
        let whole = "[TICKET] titanic: 20 incidents at once";
        let mut expected = vec![whole.to_owned()];
        expected.extend((arrived == 1).then(|| format!("{whole} (re-sent)")));
        assert_eq!(heads, expected);
        let told = scene.ledger.latest_transitions(begun).await.unwrap();
        assert_eq!((told.len(), told[0].change), (20, Change::Opened));
    }
}
