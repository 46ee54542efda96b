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

/// The text that was written last. Its memory is that of the next one: megabytes that come and go leave holes in the heap.
#[derive(Debug, Clone, Default)]
pub struct SharedText(Arc<Mutex<Option<Rendered>>>);

#[derive(Debug)]
struct Rendered {
    text: Arc<Text>,
    began: Instant,
    /// The instant from which another one may be written.
    next: Instant,
}

impl SharedText {
    /// Returns a text that was begun after this call.
    pub(crate) async fn get(&self, write: impl FnOnce(&mut String)) -> Bytes {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some(written) = last.as_ref() {
            if written.began >= asked {
                return Share::of(&written.text);
            }
            sleep_until(written.next).await;
        }
        // a client that still reads keeps its text
        let before = last.take().and_then(|written| Arc::into_inner(written.text));
        let mut text = before.map(|Text(text)| text).unwrap_or_default();
        text.clear();
        let began = Instant::now();
        write(&mut text);
        let next = Instant::now() + (began.elapsed() * PAUSE).min(LONGEST_PAUSE);
        if text.capacity() / 2 > text.len() {
            text.shrink_to_fit();
        }
        let text = Arc::new(Text(text));
        let shared = Share::of(&text);
        *last = Some(Rendered { text, began, next });
        shared
    }
}

/// A text that answers share.
#[derive(Debug)]
struct Text(String);

/// One of those who keep a text.
struct Share(Arc<Text>);

impl Share {
    fn of(text: &Arc<Text>) -> Bytes {
        Bytes::from_owner(Self(Arc::clone(text)))
    }
}

impl AsRef<[u8]> for Share {
    fn as_ref(&self) -> &[u8] {
        self.0.0.as_bytes()
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
                let write = move |text: &mut String| {
                    std::thread::sleep(Duration::from_millis(20));
                    text.push_str(&written.fetch_add(1, Ordering::SeqCst).to_string());
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
    #[tokio::test]
    async fn a_text_that_nobody_reads_lends_its_memory_and_one_that_is_read_stays() {
        let shared = SharedText::default();
        let write = |letter: char| move |text: &mut String| text.extend(std::iter::repeat_n(letter, 1000));
        let first = shared.get(write('a')).await;
        let place = first.as_ptr();
        drop(first);
        let second = shared.get(write('b')).await;
        assert_eq!((second.as_ptr(), second.len()), (place, 1000));
        let third = shared.get(write('c')).await;
        assert!(second.iter().all(|letter| *letter == b'b'), "a client still reads it");
        assert!(third.iter().all(|letter| *letter == b'c') && third.len() == 1000);
    }
}
