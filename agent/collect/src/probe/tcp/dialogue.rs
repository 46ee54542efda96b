//! A dialogue: bytes that are sent, and expressions that the peer's bytes must match.

use std::time::Duration;

use lookout_config::Step;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::Reason;
use super::super::attempt::Failure;
use super::super::net::Io;
use crate::wording::{bounded, chain};

/// Bytes of a peer that are kept.
const RECEIVED_LIMIT: usize = 64 * 1024;

/// Bytes that are searched for what is awaited before the search slows down. A peer that sends byte by byte would
/// otherwise make the work grow with the square of what it sent.
const SEARCHED_AT_ONCE: usize = 1024 * 1024;

/// The pause before each further search, in which bytes gather.
const SEARCH_PAUSE: Duration = Duration::from_millis(50);

/// Characters of the peer's bytes that a failure shows.
const SHOWN: usize = 80;

/// A dialogue on a connection.
pub(in super::super) struct Dialogue<S> {
    stream: S,
    received: Vec<u8>,
    /// Bytes that expressions matched.
    consumed: usize,
}

impl<S: Io> Dialogue<S> {
    pub(in super::super) const fn new(stream: S) -> Self {
        Self { stream, received: Vec::new(), consumed: 0 }
    }

    pub(in super::super) fn received(&self) -> &[u8] {
        &self.received
    }

    pub(in super::super) fn into_received(self) -> Vec<u8> {
        self.received
    }

    /// Takes every step in order.
    pub(in super::super) async fn run(&mut self, steps: &[Step]) -> Result<(), Failure> {
        for step in steps {
            match step {
                Step::Send(bytes) => self.send(&bytes.0).await?,
                Step::Expect(pattern) => {
                    self.expect(pattern.as_str(), |received| pattern.find(received).map(|found| found.end()))
                        .await?;
                }
            }
        }
        Ok(())
    }

    pub(in super::super) async fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        written.await.map_err(|error| {
            Failure::new(Reason::Write, format!("the peer takes no more bytes: {}", chain(&error)))
        })
    }

    /// Reads until `find` tells the end of what is awaited, and consumes it. Returns what was consumed.
    pub(in super::super) async fn expect(
        &mut self,
        awaited: &str,
        find: impl Fn(&[u8]) -> Option<usize>,
    ) -> Result<&[u8], Failure> {
        let mut searched = 0;
        loop {
            let pending = self.received.get(self.consumed..).unwrap_or_default();
            searched += pending.len();
            if let Some(end) = find(pending) {
                let start = self.consumed;
                self.consumed += end;
                return Ok(self.received.get(start..self.consumed).unwrap_or_default());
            }
            if self.received.len() >= RECEIVED_LIMIT {
                return Err(self.unmatched(awaited, "and sent more than 64 KiB"));
            }
            if searched > SEARCHED_AT_ONCE {
                tokio::time::sleep(SEARCH_PAUSE).await;
            }
            let read = self.stream.read_buf(&mut self.received).await.map_err(|error| {
                Failure::new(Reason::Read, format!("the connection broke off: {}", chain(&error)))
            })?;
            if read == 0 {
                return Err(self.unmatched(awaited, "and closed the connection"));
            }
        }
    }

    fn unmatched(&self, awaited: &str, end: &str) -> Failure {
        let pending = String::from_utf8_lossy(self.received.get(self.consumed..).unwrap_or_default());
        let detail = format!("the peer sent {:?} {end}, expected `{awaited}`", bounded(&pending, SHOWN));
        Failure::new(Reason::Expect, detail)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::io::duplex;
    use tokio::time::{sleep, timeout};

    use super::*;

    /// Receives 20 bytes a millisecond, one after the other, and awaits a text until the deadline. Returns the bytes that
    /// were searched, and whether the text was found.
    async fn dripped(sent: usize) -> (usize, bool) {
        let (ours, mut theirs) = duplex(4096);
        let drip = async {
            for _ in 0..sent / 20 {
                for _ in 0..20 {
                    theirs.write_all(b"x").await.unwrap();
                    tokio::task::yield_now().await;
                }
                sleep(Duration::from_millis(1)).await;
            }
            theirs.write_all(b"END").await.unwrap();
            std::future::pending::<()>().await;
        };
        let (searched, mut dialogue) = (Cell::new(0), Dialogue::new(ours));
        let find = |bytes: &[u8]| {
            searched.set(searched.get() + bytes.len());
            bytes.windows(3).position(|text| text == b"END").map(|at| at + 3)
        };
        let found = tokio::select! {
            found = timeout(Duration::from_secs(5), dialogue.expect("END", find)) => {
                matches!(found, Ok(Ok(_)))
            }
            () = drip => unreachable!(),
        };
        (searched.get(), found)
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_drips_bytes_costs_no_more_than_its_deadline_allows() {
        for sent in [60_000, 100_000] {
            let (searched, found) = dripped(sent).await;
            let most = SEARCHED_AT_ONCE + RECEIVED_LIMIT * (5000 / SEARCH_PAUSE.as_millis() as usize);
            assert!(searched <= most, "{searched} of at most {most} bytes");
            assert!(
                searched < sent.min(RECEIVED_LIMIT).pow(2) / 40,
                "{searched}: no square of what was sent"
            );
            assert_eq!(found, sent < RECEIVED_LIMIT, "what comes late is found all the same");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_answer_is_searched_with_each_byte_and_without_a_pause() {
        let begun = tokio::time::Instant::now();
        let (_, found) = dripped(1000).await;
        assert!(found && begun.elapsed() < SEARCH_PAUSE + Duration::from_millis(10), "{:?}", begun.elapsed());
    }
}
