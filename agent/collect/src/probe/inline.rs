//! A future that wakes itself is polled again at once, without the scheduler.
//!
//! The parts of an exchange of HTTP wake each other within one task. The scheduler would queue that task again and wake
//! another thread to help, twice for every probe, which costs as much as the connection.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Polls in a row before the scheduler has its turn: a future whose share of the thread is used up wakes itself for ever.
const POLLS: usize = 16;

/// A future that is polled again at once when it was woken while it was polled.
pub(super) struct Inline<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    wakes: Arc<Wakes>,
    waker: Waker,
}

impl<T> Inline<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        let wakes =
            Arc::new(Wakes { state: AtomicU8::new(WAITING), task: Mutex::new(Waker::noop().clone()) });
        Self { future: Box::pin(future), waker: Arc::clone(&wakes).into(), wakes }
    }
}

impl<T> Future for Inline<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Self { future, wakes, waker } = &mut *self;
        wakes.task.lock().unwrap_or_else(PoisonError::into_inner).clone_from(context.waker());
        for _ in 0..POLLS {
            wakes.state.store(POLLING, Ordering::Release);
            if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                return Poll::Ready(result);
            }
            let waits = wakes.state.compare_exchange(POLLING, WAITING, Ordering::AcqRel, Ordering::Acquire);
            if waits.is_ok() {
                return Poll::Pending;
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The state of the future, and the waker of the task that polls it.
struct Wakes {
    state: AtomicU8,
    task: Mutex<Waker>,
}

const WAITING: u8 = 0;
const POLLING: u8 = 1;
const WOKEN: u8 = 2;

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::AcqRel) == WAITING {
            self.task.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicUsize);

    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// A future that wakes itself some times before it ends.
    fn waking(times: usize) -> Inline<()> {
        let mut left = times;
        Inline::new(std::future::poll_fn(move |context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        }))
    }

    fn poll<T>(future: &mut Inline<T>, task: &Arc<Counted>) -> bool {
        let waker = Arc::clone(task).into();
        Pin::new(future).poll(&mut Context::from_waker(&waker)).is_ready()
    }

    #[test]
    fn a_future_that_wakes_itself_needs_no_scheduler() {
        let task = Arc::<Counted>::default();
        assert!(poll(&mut waking(POLLS - 1), &task));
        assert_eq!(task.0.load(Ordering::Acquire), 0);
    }

    #[test]
    fn one_that_goes_on_waking_itself_gives_way_each_time() {
        let task = Arc::<Counted>::default();
        let mut future = waking(2 * POLLS);
        assert!(!poll(&mut future, &task) && !poll(&mut future, &task));
        assert_eq!(task.0.load(Ordering::Acquire), 2);
        assert!(poll(&mut future, &task));
    }

    #[test]
    fn a_wake_from_outside_reaches_the_task_that_polled_last() {
        let [before, now] = [(); 2].map(|()| Arc::<Counted>::default());
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let mut future = Inline::new(receiver);
        assert!(!poll(&mut future, &before) && !poll(&mut future, &now));
        sender.send(()).unwrap();
        assert_eq!((before.0.load(Ordering::Acquire), now.0.load(Ordering::Acquire)), (0, 1));
        assert!(poll(&mut future, &now));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn no_wake_is_lost_between_threads() {
        let rounds = async {
            for _ in 0..10_000 {
                let (sender, receiver) = tokio::sync::oneshot::channel();
                let sent = tokio::spawn(async move { sender.send(()) });
                Inline::new(receiver).await.unwrap();
                sent.await.unwrap().unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), rounds).await.expect("every wake arrives");
    }
}
