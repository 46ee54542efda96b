//! A dialogue: bytes that are sent, and expressions that the peer's bytes must match.

use lookout_config::Step;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::Reason;
use super::super::attempt::Failure;
use super::super::net::Io;
use crate::wording::{bounded, chain};

/// Bytes of a peer that are kept.
const RECEIVED_LIMIT: usize = 64 * 1024;

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
        loop {
            let pending = self.received.get(self.consumed..).unwrap_or_default();
            if let Some(end) = find(pending) {
                let start = self.consumed;
                self.consumed += end;
                return Ok(self.received.get(start..self.consumed).unwrap_or_default());
            }
            if self.received.len() >= RECEIVED_LIMIT {
                return Err(self.unmatched(awaited, "and sent more than 64 KiB"));
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
