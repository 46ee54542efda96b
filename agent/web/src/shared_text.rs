//! A text that takes long to write, written once for all who ask meanwhile.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

/// Pause after a text in multiples of the time that it took, so that no client keeps a core busy.
const PAUSE: u32 = 3;
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The text that was written last, while someone may still want it.
#[derive(Debug, Clone, Default)]
pub struct SharedText(Arc<Mutex<Option<Written>>>);

#[derive(Debug)]
struct Written {
    text: Bytes,
    began: Instant,
    /// The instant from which another one may be written.
    next: Instant,
}

impl SharedText {
    /// Returns a text that was begun after this call.
    pub(crate) async fn get(&self, write: impl FnOnce() -> String) -> Bytes {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some(written) = last.as_ref() {
            if written.began >= asked {
                return written.text.clone();
            }
            sleep_until(written.next).await;
        }
        let began = Instant::now();
        let text = Bytes::from(write());
        let next = Instant::now() + (began.elapsed() * PAUSE).min(LONGEST_PAUSE);
        *last = Some(Written { text: text.clone(), began, next });
        text
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a text is written on a thread that may block")]
    async fn many_who_ask_at_once_share_a_text_and_a_later_one_gets_a_new_one() {
        let (shared, written) = (SharedText::default(), Arc::new(AtomicUsize::new(0)));
        let ask = || {
            let (shared, written) = (shared.clone(), Arc::clone(&written));
            tokio::spawn(async move {
                let write = move || {
                    std::thread::sleep(Duration::from_millis(20));
                    written.fetch_add(1, Ordering::SeqCst).to_string()
                };
                shared.get(write).await
            })
        };
        let asked: Vec<_> = (0..100).map(|_| ask()).collect();
        for task in asked {
            task.await.unwrap();
        }
        let first = written.load(Ordering::SeqCst);
        assert!((1..=2).contains(&first), "{first} texts for one hundred");
        let began = Instant::now();
        assert_eq!(ask().await.unwrap(), first.to_string(), "it is begun after the question");
        assert!(began.elapsed() >= Duration::from_millis(20) * PAUSE, "{:?}", began.elapsed());
    }
}
