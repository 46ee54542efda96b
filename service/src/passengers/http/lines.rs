//! The lines of an import, read as they come, within limits of their number, their size and their time.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::StatusCode;
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout};

use crate::http::error::Problem;

/// The longest line that is read.
pub(super) const LINE_BYTES: usize = 8 * 1024;
/// The most bytes of an import.
pub(super) const MOST_BYTES: u64 = 64 * 1024 * 1024;
/// Time limit for the whole import.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(300);
/// Time that an import may wait for its client in all, beside a second for each `LEAST_BYTES_PER_SECOND` that came.
const PATIENCE: Duration = Duration::from_secs(10);
/// The rate below which a client uses up the patience.
const LEAST_BYTES_PER_SECOND: u64 = 1024;

/// The lines of a body.
pub(super) struct Lines {
    body: BodyDataStream,
    cut: Cutter,
    most: u64,
    number: u64,
    ends: Instant,
    patience: Duration,
    /// The time that was spent on waiting for the client.
    waited: Duration,
    over: bool,
}

impl Lines {
    /// Reads at most so many lines.
    pub(super) fn of(body: Body, most: u64) -> Self {
        let (cut, ends) = (Cutter::default(), Instant::now() + TIME_LIMIT);
        let (body, waited) = (body.into_data_stream(), Duration::ZERO);
        Self { body, cut, most, number: 0, ends, patience: PATIENCE, waited, over: false }
    }

    /// Returns the next line with its number. What has not become a whole line when a body breaks off is forgotten.
    pub(super) async fn next(&mut self) -> Result<Option<(u64, Line)>, Problem> {
        loop {
            if let Some(line) = self.cut.next(self.over) {
                if self.number >= self.most {
                    let detail = format!("an import may have at most {} lines", self.most);
                    let status = StatusCode::PAYLOAD_TOO_LARGE;
                    return Err(Problem::new(status, "too_many_lines", "Too many lines", detail));
                }
                self.number += 1;
                return Ok(Some((self.number, line)));
            }
            if self.over {
                return Ok(None);
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), Problem> {
        let began = Instant::now();
        let earned = Duration::from_secs(self.cut.bytes / LEAST_BYTES_PER_SECOND);
        let patience = (self.patience + earned).saturating_sub(self.waited).min(self.patience);
        let limit = patience.min(self.ends.saturating_duration_since(began));
        let read = timeout(limit, self.body.next()).await;
        self.waited += began.elapsed();
        match read {
            Ok(Some(Ok(bytes))) if self.cut.bytes + bytes.len() as u64 > MOST_BYTES => {
                Err(Problem::too_large_for(MOST_BYTES))
            }
            Ok(Some(Ok(bytes))) => {
                self.cut.push(&bytes);
                Ok(())
            }
            Ok(Some(Err(_))) => {
                let detail = "the body could not be read to its end";
                Err(Problem::new(StatusCode::BAD_REQUEST, "body_unreadable", "Unreadable body", detail))
            }
            Ok(None) => {
                self.over = true;
                Ok(())
            }
            Err(_) => {
                let detail = "the next lines did not come in time";
                Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "Request timeout", detail))
            }
        }
    }
}

/// Bytes cut into lines. Of a line that is too long no more is held than the limit.
#[derive(Debug, Default)]
struct Cutter {
    ready: VecDeque<Line>,
    open: Vec<u8>,
    too_long: bool,
    bytes: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Text(Vec<u8>),
    TooLong,
    Blank,
}

impl Cutter {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        let mut parts = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            if self.open.len() + part.len() > LINE_BYTES {
                self.too_long = true;
                self.open.clear();
            }
            if !self.too_long {
                self.open.extend_from_slice(part);
            }
            if parts.peek().is_some() {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        let text = std::mem::take(&mut self.open);
        self.ready.push_back(match std::mem::take(&mut self.too_long) {
            true => Line::TooLong,
            false if text.trim_ascii().is_empty() => Line::Blank,
            false => Line::Text(text),
        });
    }

    /// The next whole line. The last one may lack its end, once nothing more will come.
    fn next(&mut self, last: bool) -> Option<Line> {
        if last && self.ready.is_empty() && (self.too_long || !self.open.is_empty()) {
            self.close();
        }
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Bytes;
    use futures_util::stream;

    use super::*;

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let long = "x".repeat(LINE_BYTES + 1);
        let body = format!("one\r\n\n{long}\ntwo\n  \n{}", &long[1..]);
        let text = |text: &str| Line::Text(text.as_bytes().to_vec());
        for size in [1, 2, 7, 4096, body.len()] {
            let mut lines = Cutter::default();
            body.as_bytes().chunks(size).for_each(|part| lines.push(part));
            let mut met: Vec<_> = std::iter::from_fn(|| lines.next(false)).collect();
            assert_eq!(met.len(), 5, "the last line might go on");
            met.extend(std::iter::from_fn(|| lines.next(true)));
            let expected =
                [text("one\r"), Line::Blank, Line::TooLong, text("two"), Line::Blank, text(&long[1..])];
            assert!(met == expected, "in parts of {size}");
            assert_eq!(lines.bytes, body.len() as u64);
        }
    }

    /// Reads a body that comes in equal pieces, and returns how long it was waited for and what ended it.
    async fn trickle(piece: usize, every: Duration) -> (Duration, Option<&'static str>) {
        let began = Instant::now();
        let body = stream::unfold(0, move |sent| async move {
            tokio::time::sleep(every).await;
            (sent < 5).then(|| (Ok::<_, Infallible>(Bytes::from(vec![b'\n'; piece])), sent + 1))
        });
        let mut lines = Lines::of(Body::from_stream(body), u64::MAX);
        lines.patience = Duration::from_secs(1);
        let end = loop {
            match lines.next().await {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(problem) => break Some(problem.code()),
            }
        };
        (began.elapsed(), end)
    }

    #[tokio::test]
    async fn a_client_that_sends_too_slowly_is_not_waited_for() {
        let millis = Duration::from_millis;
        let (slow, fast, silent) =
            tokio::join!(trickle(1, millis(400)), trickle(2048, millis(300)), trickle(1 << 20, millis(1500)));
        assert_eq!(slow.1, Some("request_timeout"), "after {:?}", slow.0);
        assert!(fast.1.is_none() && fast.0 > millis(1400), "{fast:?}");
        assert_eq!(silent.1, Some("request_timeout"), "a fast start is no excuse for silence");
    }
}
