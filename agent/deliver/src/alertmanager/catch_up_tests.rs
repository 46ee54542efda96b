//! One of two instances is away while alerts begin and end, in simulated time.

use std::sync::Arc;

use lookout_model::sample::{T0, lifecycle};
use lookout_runtime::clock::TokioClock;

use super::refresh_tests::{InMemory, Pair, pair};
use super::*;

async fn deliver(receiver: &Arc<dyn Receiver>, transition: &TransitionRecord) {
    let (destination, notice) = ("chat".to_owned(), transition.notice.clone());
    let delivery = Delivery { id: 1, destination, notice, attempts: 0, unsure: false, thread: None };
    receiver.deliver(&delivery).await.unwrap();
}

/// Nothing is refreshed here: until the next refresh the instance would tell people of what is over.
#[tokio::test(start_paused = true)]
async fn an_instance_that_missed_something_catches_up_when_it_is_back() {
    let clock = TokioClock::starting_at(T0);
    let network = Arc::new(Pair::default());
    let receiver = pair(Box::new(InMemory(Arc::clone(&network), clock)), clock, false);
    for fault in 1..=2 {
        let [opened, .., resolved] = lifecycle(clock.now(), &["chat"]);
        deliver(&receiver, &opened).await;
        let firing = || ["one", "two"].map(|host| network.firing(host, clock.now()));
        assert_eq!(firing(), [1, 1], "fault {fault}");
        network.hang("two", true);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        deliver(&receiver, &opened).await;
        deliver(&receiver, &resolved).await;
        let [next, ..] = lifecycle(clock.now() - Duration::from_secs(60), &["chat"]);
        deliver(&receiver, &next).await;
        assert_eq!(firing(), [1, 0], "fault {fault}: two hangs");
        // the instance hangs for longer than a request waits
        tokio::time::sleep(Duration::from_secs(60)).await;
        network.hang("two", false);
        // the longest pause of the breaker, and the request that hangs
        tokio::time::sleep(Duration::from_secs(30) + http::TIMEOUT).await;
        assert_eq!(firing(), [1, 1], "fault {fault}: it learns of the newest state");
        let [.., over] = lifecycle(next.incident.detected_at, &["chat"]);
        deliver(&receiver, &over).await;
        assert_eq!(firing(), [0, 0], "fault {fault}");
        // away for a moment only
        network.hang("two", true);
        deliver(&receiver, &next).await;
        assert_eq!(firing(), [1, 0], "fault {fault}");
        network.hang("two", false);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(firing(), [1, 1], "fault {fault}: it is asked again soon");
        deliver(&receiver, &over).await;
        assert_eq!(firing(), [0, 0], "fault {fault}");
        tokio::time::sleep(Duration::from_secs(3600)).await;
    }
}
