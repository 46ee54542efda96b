//! Pages wait neither for tickets nor for a receiver that does not take them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use async_trait::async_trait;
use lookout_engine::{Change, Severity};
use lookout_ledger::{DeliveryStore, Ledger as _, MemoryLedger};
use lookout_model::Timestamp;
use lookout_model::sample::{T0, lifecycle};
use lookout_model::{Delivery, DeliveryResult, TransitionRecord};
use lookout_runtime::clock::{Clock, TokioClock};

use super::*;
use crate::{Grouping, Refused, Retry};

/// The behaviour of a receiver.
#[derive(Clone, Copy)]
enum Behaviour {
    /// Takes each message, after a while.
    Takes(Duration),
    /// Does not answer until the time limit of the client is over.
    Hangs,
    /// Refuses each message.
    Refuses(Retry),
}

/// Receiver that takes one message at a time, and records what it took.
struct Chat {
    grouping: Grouping,
    behaviour: Mutex<Behaviour>,
    took: Mutex<Vec<(u64, Severity, Change)>>,
    asked: AtomicUsize,
    start: Instant,
}

#[async_trait]
impl Receiver for Chat {
    fn name(&self) -> &str {
        "chat"
    }

    fn concurrency(&self) -> usize {
        1
    }

    fn grouping(&self) -> Grouping {
        self.grouping
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Option<String>, Refused> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let error = "scripted".to_owned();
        let behaviour = *self.behaviour.lock().unwrap();
        match behaviour {
            Behaviour::Takes(pause) => tokio::time::sleep(pause).await,
            Behaviour::Hangs => {
                tokio::time::sleep(Duration::from_secs(10)).await;
                return Err(Refused { error, retry: Retry::Unsure });
            }
            Behaviour::Refuses(retry) => return Err(Refused { error, retry }),
        }
        let (notice, second) = (&delivery.notice, self.start.elapsed().as_secs());
        self.took.lock().unwrap().push((second, notice.incident.severity, notice.change));
        Ok(None)
    }
}

/// Clock that can be set.
struct SetClock(TokioClock, AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        self.0.now().plus_millis(self.1.load(Ordering::Relaxed))
    }
}

struct Scene {
    chat: Arc<Chat>,
    clock: Arc<SetClock>,
    ledger: Arc<MemoryLedger>,
    wake: Arc<Notify>,
}

impl Scene {
    fn open(behaviour: Behaviour) -> Self {
        Self::grouped(Grouping::Alone, behaviour)
    }

    fn grouped(grouping: Grouping, behaviour: Behaviour) -> Self {
        let (took, start) = (Mutex::default(), Instant::now());
        let (behaviour, asked) = (Mutex::new(behaviour), AtomicUsize::new(0));
        let chat = Arc::new(Chat { grouping, behaviour, took, asked, start });
        let (ledger, wake) = (Arc::new(MemoryLedger::default()), Arc::new(Notify::new()));
        let clock = Arc::new(SetClock(TokioClock::starting_at(T0), AtomicI64::new(0)));
        let ports = Ports {
            ledger: Arc::clone(&ledger) as Arc<dyn DeliveryStore>,
            clock: clock.clone(),
            random: Arc::new(Random::from_seed(7)),
            wake: Arc::clone(&wake),
            fallback: Some("mail".to_owned()),
        };
        tokio::spawn(run(Arc::clone(&chat) as Arc<dyn Receiver>, ports, CancellationToken::new()));
        Self { chat, clock, ledger, wake }
    }

    /// Stores the beginning of incidents now.
    async fn begin(&self, severity: Severity, count: u32) -> Vec<TransitionRecord> {
        self.begin_at("chat", severity, count).await
    }

    async fn begin_at(&self, destination: &str, severity: Severity, count: u32) -> Vec<TransitionRecord> {
        let salt = if severity == Severity::Page { 1_000 } else { 0 };
        let opens = |number| {
            let at = self.clock.now() + Duration::from_millis(1) * (salt + number);
            let [mut opened, ..] = lifecycle(at, &[destination]);
            opened.incident.severity = severity;
            opened.notice.incident = opened.incident.clone();
            opened
        };
        let opened: Vec<_> = (0..count).map(opens).collect();
        self.store(&opened).await;
        opened
    }

    /// Stores the end of an incident now.
    async fn end(&self, opened: &TransitionRecord) {
        let mut over = opened.clone();
        (over.change, over.at) = (Change::Resolved, self.clock.now());
        over.incident.resolved_at = Some(over.at);
        (over.notice.change, over.notice.at) = (over.change, over.at);
        over.notice.incident = over.incident.clone();
        self.store(&[over]).await;
    }

    async fn store(&self, transitions: &[TransitionRecord]) {
        self.ledger.commit(&[], transitions).await.unwrap();
        self.wake.notify_waiters();
    }

    fn behave(&self, behaviour: Behaviour) {
        *self.chat.behaviour.lock().unwrap() = behaviour;
    }

    fn took(&self) -> Vec<(u64, Severity, Change)> {
        self.chat.took.lock().unwrap().clone()
    }

    /// Takes what the fallback has to tell.
    async fn mail(&self) -> Vec<(Severity, Change)> {
        let mut told = Vec::new();
        while let [delivery, ..] = self.ledger.due_deliveries("mail", T0, 9).await.unwrap().as_slice() {
            told.push((delivery.notice.incident.severity, delivery.notice.change));
            self.ledger.begin_attempt(delivery.id, T0).await.unwrap();
            let delivered = DeliveryResult::Delivered { thread: None };
            self.ledger.end_attempt(delivery.id, T0, &delivered).await.unwrap();
        }
        told
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_its_destination_does_not_take_is_tried_elsewhere_within_a_minute() {
    let patience = Retry::After(Duration::from_secs(3600));
    for behaviour in [Behaviour::Hangs, Behaviour::Refuses(Retry::BackOff), Behaviour::Refuses(patience)] {
        let scene = Scene::open(behaviour);
        // twice, and healed in between
        for _ in 0..2 {
            scene.begin(Severity::Ticket, 1).await;
            let opened = scene.begin(Severity::Page, 2).await;
            tokio::time::sleep(Duration::from_secs(50)).await;
            assert_eq!(scene.mail().await, [], "it may still be taken");
            tokio::time::sleep(Duration::from_secs(12)).await;
            assert_eq!(scene.mail().await, [(Severity::Page, Change::Opened); 2], "and no ticket");
            tokio::time::sleep(Duration::from_secs(7200)).await;
            assert_eq!((scene.mail().await, scene.took()), (vec![], vec![]), "once is enough");
            scene.end(&opened[0]).await;
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(scene.mail().await, [(Severity::Page, Change::Resolved)], "and its end");
            scene.behave(Behaviour::Takes(Duration::ZERO));
            tokio::time::sleep(Duration::from_secs(130)).await;
            let mut took: Vec<_> =
                scene.took().iter().map(|(_, severity, change)| (*severity, *change)).collect();
            took.sort_unstable_by_key(|(severity, change)| (*severity, *change != Change::Opened));
            let mut expected = [
                (Severity::Ticket, Change::Opened),
                (Severity::Page, Change::Opened),
                (Severity::Page, Change::Opened),
                (Severity::Page, Change::Resolved),
            ];
            expected.sort_unstable_by_key(|(severity, change)| (*severity, *change != Change::Opened));
            assert_eq!((took, scene.mail().await), (expected.to_vec(), vec![]), "each once");
            scene.chat.took.lock().unwrap().clear();
            scene.behave(behaviour);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_overtakes_tickets_that_wait() {
    let scene = Scene::open(Behaviour::Takes(Duration::from_secs(1)));
    scene.begin(Severity::Ticket, 200).await;
    // twice, in the middle of a round that was read before
    for millis in [5500, 47_500] {
        tokio::time::sleep(Duration::from_millis(millis) - scene.chat.start.elapsed()).await;
        scene.begin(Severity::Page, 1).await;
    }
    tokio::time::sleep(Duration::from_secs(300)).await;
    let took = scene.took();
    let pages: Vec<u64> =
        took.iter().filter(|(_, severity, _)| *severity == Severity::Page).map(|(at, ..)| *at).collect();
    assert_eq!((took.len(), pages), (202, vec![7, 49]), "behind the one that is under way");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_takes_nothing_is_not_tried_for_every_message() {
    for behaviour in [Behaviour::Hangs, Behaviour::Refuses(Retry::BackOff)] {
        let scene = Scene::open(behaviour);
        // twice, and healed in between
        for round in 1..=2 {
            scene.begin(Severity::Ticket, 100).await;
            tokio::time::sleep(Duration::from_secs(600)).await;
            let asked = scene.chat.asked.swap(0, Ordering::Relaxed);
            assert!((15..=40).contains(&asked), "{asked} requests in ten minutes");
            scene.behave(Behaviour::Takes(Duration::ZERO));
            tokio::time::sleep(Duration::from_secs(120)).await;
            assert_eq!((scene.took().len(), scene.ledger.waiting("chat").await.unwrap().1), (round * 100, 0));
            scene.behave(behaviour);
            scene.chat.asked.store(0, Ordering::Relaxed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_alone_delays_no_other() {
    let scene = Scene::open(Behaviour::Refuses(Retry::BackOff));
    scene.begin(Severity::Ticket, 1).await;
    // twice, after many failures of the first one
    for minute in [10, 20] {
        scene.behave(Behaviour::Refuses(Retry::BackOff));
        tokio::time::sleep(Duration::from_secs(minute * 60) - scene.chat.start.elapsed()).await;
        scene.behave(Behaviour::Takes(Duration::ZERO));
        scene.begin(Severity::Page, 1).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let pages: Vec<u64> =
            scene.took().iter().filter(|one| one.1 == Severity::Page).map(|(at, ..)| *at).collect();
        assert_eq!(pages.last(), Some(&(minute * 60)), "at once");
        tokio::time::sleep(Duration::from_secs(70)).await;
        scene.begin(Severity::Ticket, 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_of_batches_that_fails_is_tried_once_in_a_while() {
    let scene = Scene::grouped(Grouping::Batched, Behaviour::Refuses(Retry::BackOff));
    // twice, with ten batches that wait
    for _ in 0..2 {
        let before = scene.chat.asked.load(Ordering::Relaxed);
        scene.begin(Severity::Ticket, 1000).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let tries = scene.chat.asked.load(Ordering::Relaxed) - before;
        assert!((3..=12).contains(&tries), "{tries} tries in a minute");
        scene.behave(Behaviour::Takes(Duration::ZERO));
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(scene.ledger.waiting("chat").await.unwrap().1, 0);
        scene.behave(Behaviour::Refuses(Retry::BackOff));
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_keeps_no_page_from_the_fallback() {
    let scene = Scene::open(Behaviour::Hangs);
    // twice
    for _ in 0..2 {
        scene.begin(Severity::Page, 1).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        scene.clock.1.fetch_sub(3_600_000, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(scene.mail().await, [], "it may still be taken");
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert_eq!(scene.mail().await, [(Severity::Page, Change::Opened)]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_of_a_chain_has_its_own_time() {
    let scene = Scene::open(Behaviour::Hangs);
    // twice: a page that another destination did not take for a minute
    for _ in 0..2 {
        let pages = scene.begin_at("first", Severity::Page, 1).await;
        tokio::time::sleep(Duration::from_secs(58)).await;
        assert!(scene.ledger.forward(&pages[0].notice, "chat").await.unwrap());
        scene.wake.notify_waiters();
        tokio::time::sleep(Duration::from_secs(45)).await;
        assert_eq!(scene.mail().await, [], "the second one may still take it");
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(scene.mail().await, [(Severity::Page, Change::Opened)]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_due_when_the_outbox_begins_anew() {
    let scene = Scene::open(Behaviour::Refuses(Retry::After(Duration::from_secs(60))));
    // twice: the instant of the next try lies ahead of a clock that was set back
    for _ in 0..2 {
        scene.begin(Severity::Ticket, 1).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        scene.clock.1.fetch_sub(3_600_000, Ordering::Relaxed);
        let now = scene.clock.now();
        assert_eq!(scene.ledger.due_deliveries("chat", now, 9).await.unwrap(), []);
        assert_eq!(scene.ledger.retry_dead_letters(Some("chat"), now).await.unwrap(), 0);
        assert_eq!(scene.ledger.due_deliveries("chat", now, 9).await.unwrap().len(), 1);
        scene.behave(Behaviour::Takes(Duration::ZERO));
        tokio::time::sleep(Duration::from_secs(130)).await;
        assert_eq!(scene.ledger.waiting("chat").await.unwrap().1, 0);
        scene.behave(Behaviour::Refuses(Retry::After(Duration::from_secs(60))));
    }
}
