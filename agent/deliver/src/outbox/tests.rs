//! The outbox under simulated time.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use tokio::sync::watch;

use super::*;
use crate::{Refused, Retry};
use lookout_ledger::{DeliveryStore, Ledger as _, MemoryLedger};
use lookout_model::Delivery;
use lookout_model::TransitionRecord;
use lookout_model::sample::{T0, lifecycle};
use lookout_runtime::clock::TokioClock;

/// Receiver that answers as scripted, and records every delivery with its time.
struct Scripted {
    answers: Mutex<VecDeque<Retry>>,
    told: watch::Sender<Vec<(u64, String)>>,
    refreshed: watch::Sender<usize>,
    start: Instant,
}

#[async_trait]
impl Receiver for Scripted {
    fn name(&self) -> &str {
        "chat"
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Option<String>, Refused> {
        let second = self.start.elapsed().as_secs();
        self.told.send_modify(|told| told.push((second, delivery.notice.change.to_string())));
        match self.answers.lock().unwrap().pop_front() {
            Some(retry) => Err(Refused { error: "scripted".to_owned(), retry }),
            None => Ok(None),
        }
    }

    async fn refresh(&self, latest: &[TransitionRecord]) -> Result<(), Refused> {
        self.refreshed.send_modify(|n| *n += latest.len());
        Ok(())
    }

    fn refresh_every(&self) -> Option<Duration> {
        Some(Duration::from_secs(30))
    }
}

struct Scene {
    receiver: Arc<Scripted>,
    ledger: Arc<MemoryLedger>,
    ports: Ports,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Scene {
    fn open(answers: impl Into<VecDeque<Retry>>) -> Self {
        Self::with_fallback(answers, None)
    }

    fn with_fallback(answers: impl Into<VecDeque<Retry>>, fallback: Option<&str>) -> Self {
        let receiver = Arc::new(Scripted {
            answers: Mutex::new(answers.into()),
            told: watch::Sender::new(Vec::new()),
            refreshed: watch::Sender::new(0),
            start: Instant::now(),
        });
        let ledger = Arc::new(MemoryLedger::default());
        let ports = Ports {
            ledger: Arc::clone(&ledger) as Arc<dyn DeliveryStore>,
            clock: Arc::new(TokioClock::starting_at(T0)),
            random: Arc::new(Random::from_seed(7)),
            wake: Arc::new(Notify::new()),
            fallback: fallback.map(str::to_owned),
        };
        let stop = CancellationToken::new();
        let port = Arc::clone(&receiver) as Arc<dyn Receiver>;
        let task = tokio::spawn(run(port, ports.clone(), stop.clone()));
        Self { receiver, ledger, ports, stop, task }
    }

    async fn store(&self, transitions: &[TransitionRecord]) {
        self.ledger.commit(&[], transitions).await.unwrap();
        self.ports.wake.notify_waiters();
    }

    async fn told(&self, n: usize) -> Vec<(u64, String)> {
        let mut told = self.receiver.told.subscribe();
        let told = tokio::time::timeout(Duration::from_secs(7200), told.wait_for(|told| told.len() >= n));
        told.await.unwrap().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_stored_transition_goes_out_at_once() {
    let scene = Scene::open([]);
    tokio::time::sleep(Duration::from_secs(7)).await;
    scene.store(&lifecycle(T0, &["chat", "other"])).await;
    let told = scene.told(4).await;
    let changes: Vec<_> = told.iter().map(|(second, change)| (*second, change.as_str())).collect();
    assert_eq!(changes, [(7, "opened"), (7, "escalated"), (7, "eased"), (7, "resolved")]);
    scene.stop.cancel();
    scene.task.await.unwrap();
    assert_eq!(scene.ports.ledger.waiting("chat").await.unwrap(), (None, 0));
    assert_eq!(scene.ports.ledger.waiting("other").await.unwrap().1, 4);
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_to_a_minute_and_it_is_never_given_up() {
    let scene = Scene::open([Retry::BackOff; 60]);
    let [opened, ..] = lifecycle(T0, &["chat"]);
    scene.store(&[opened]).await;
    let seconds: Vec<u64> = scene.told(61).await.into_iter().map(|(second, _)| second).collect();
    let pauses: Vec<u64> = seconds.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] <= 1 && pauses[3] >= 3, "{pauses:?}");
    assert!(pauses.iter().all(|&pause| pause <= 61), "{pauses:?}");
    assert!(pauses[8..].iter().all(|&pause| pause >= 29), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_asks_for_silence_gets_it() {
    let scene = Scene::open([Retry::After(Duration::from_secs(40))]);
    let [first, ..] = lifecycle(T0, &["chat"]);
    let [second, ..] = lifecycle(T0 + Duration::from_millis(1), &["chat"]);
    scene.store(&[first]).await;
    scene.told(1).await;
    scene.store(&[second]).await;
    let seconds: Vec<u64> = scene.told(3).await.into_iter().map(|(second, _)| second).collect();
    assert_eq!(seconds, [0, 40, 40], "also not about another incident");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_asks_for_an_hour_is_asked_again_after_a_minute() {
    let scene = Scene::open([Retry::After(Duration::from_secs(3600))]);
    let [first, ..] = lifecycle(T0, &["chat"]);
    scene.store(&[first]).await;
    let seconds: Vec<u64> = scene.told(2).await.into_iter().map(|(second, _)| second).collect();
    assert_eq!(seconds, [0, 60]);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_asks_to_be_asked_again_at_once_is_not() {
    let scene = Scene::open([Retry::After(Duration::ZERO); 8]);
    let [first, ..] = lifecycle(T0, &["chat"]);
    scene.store(&[first]).await;
    let seconds: Vec<u64> = scene.told(9).await.into_iter().map(|(second, _)| second).collect();
    assert!(seconds[8] >= 60, "pauses grow as without a wish: {seconds:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hopeless_one_is_given_up_and_the_next_goes_out() {
    let scene = Scene::open([Retry::Never, Retry::Unsure]);
    let [opened, escalated, ..] = lifecycle(T0, &["chat"]);
    scene.store(&[opened, escalated]).await;
    let changes: Vec<_> = scene.told(3).await.into_iter().map(|(_, change)| change).collect();
    assert_eq!(changes, ["opened", "escalated", "escalated"]);
}

#[tokio::test(start_paused = true)]
async fn open_incidents_are_refreshed_every_half_minute() {
    let scene = Scene::open([]);
    let [opened, ..] = lifecycle(T0, &["chat"]);
    scene.store(&[opened]).await;
    scene.told(1).await;
    tokio::time::sleep(Duration::from_secs(121)).await;
    assert_eq!(*scene.receiver.refreshed.borrow(), 5, "at once and four times since");
}

/// An alert would end, fire and end again at its receiver.
#[tokio::test(start_paused = true)]
async fn an_end_that_waits_to_be_told_is_not_repeated() {
    let scene = Scene::open([]);
    for fault in 1..=2 {
        scene.receiver.answers.lock().unwrap().extend([Retry::BackOff; 60]);
        let before = *scene.receiver.refreshed.borrow();
        let [opened, _, _, resolved] = lifecycle(scene.ports.clock.now(), &["chat"]);
        scene.store(&[opened, resolved]).await;
        tokio::time::sleep(Duration::from_secs(65)).await;
        let refreshed = *scene.receiver.refreshed.borrow() - before;
        assert_eq!(refreshed, 0, "fault {fault}: the end waits");
        scene.receiver.answers.lock().unwrap().clear();
        // the longest pause between two attempts, and one between two refreshes
        tokio::time::sleep(Duration::from_secs(95)).await;
        let last = scene.receiver.told.borrow().last().map(|(_, change)| change.clone());
        assert_eq!(last.as_deref(), Some("resolved"), "fault {fault}");
        assert!(
            *scene.receiver.refreshed.borrow() > before,
            "fault {fault}: the end was told, and is repeated"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_message_goes_to_the_fallback_and_is_a_dead_letter_too() {
    let scene = Scene::with_fallback([Retry::Never], Some("mail"));
    let [opened, escalated, ..] = lifecycle(T0, &["chat"]);
    scene.store(&[opened.clone(), escalated]).await;
    scene.told(2).await;
    let ledger = &scene.ports.ledger;
    let due = ledger.due_deliveries("mail", T0, 9).await.unwrap();
    assert_eq!(due.iter().map(|delivery| &delivery.notice).collect::<Vec<_>>(), [&opened.notice]);
    assert_eq!(ledger.dead_letters().await.unwrap().len(), 1);
    assert_eq!(ledger.retry_dead_letters(Some("chat"), T0).await.unwrap(), 1);
    scene.ports.wake.notify_waiters();
    scene.told(3).await;
    assert_eq!(ledger.waiting("mail").await.unwrap().1, 1, "once is enough");
}

#[tokio::test(start_paused = true)]
async fn the_fallback_hears_of_the_end_of_what_it_was_told() {
    let scene = Scene::with_fallback([Retry::Never, Retry::Never], Some("mail"));
    let [opened, escalated, _, resolved] = lifecycle(T0, &["chat"]);
    let [.., elsewhere] = lifecycle(T0 + Duration::from_secs(1), &["chat"]);
    scene.store(&[opened.clone(), escalated.clone(), resolved.clone()]).await;
    scene.told(3).await;
    scene.store(&[elsewhere]).await;
    scene.told(4).await;
    let ledger = &scene.ports.ledger;
    let mut heard = Vec::new();
    while let [delivery] = ledger.due_deliveries("mail", T0, 9).await.unwrap().as_slice() {
        heard.push(delivery.notice.clone());
        ledger.begin_attempt(delivery.id, T0).await.unwrap();
        let told = lookout_model::DeliveryResult::Delivered { thread: None };
        ledger.end_attempt(delivery.id, T0, &told).await.unwrap();
    }
    assert_eq!(heard, [opened.notice, escalated.notice, resolved.notice], "and of no other incident");
}
