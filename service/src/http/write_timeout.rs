//! Times out a client that reads slower than [`LEAST_BYTES`] per period. Such a client would hold the connection and its
//! response for as long as it likes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Bytes that the client must read in each period while some wait: less than the slowest line carries, more than a client
/// reads that only pretends. Linux tells of room only when about a third of its send buffer is free.
const LEAST_BYTES: usize = 1024;

/// A stream whose writes time out.
#[derive(Debug)]
pub(super) struct WriteTimeout<S> {
    stream: S,
    period: Duration,
    waiting: Option<Waiting>,
}

/// The bytes that were read since the client is behind, and the end of the period.
#[derive(Debug)]
struct Waiting {
    taken: usize,
    end: Pin<Box<Sleep>>,
}

impl<S> WriteTimeout<S> {
    pub(super) fn new(stream: S, period: Duration) -> Self {
        Self { stream, period, waiting: None }
    }

    /// Accounts for a write. Waiting ends only when all is sent: one byte now and then does not begin it anew.
    fn wrote(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match wrote {
            Poll::Ready(Ok(bytes)) => {
                if let Some(waiting) = &mut self.waiting {
                    waiting.taken = waiting.taken.saturating_add(bytes);
                }
                return wrote;
            }
            Poll::Ready(Err(_)) => return wrote,
            Poll::Pending => {}
        }
        let period = self.period;
        let begin = || Waiting { taken: 0, end: Box::pin(sleep(period)) };
        let waiting = self.waiting.get_or_insert_with(begin);
        loop {
            ready!(waiting.end.as_mut().poll(cx));
            if waiting.taken < LEAST_BYTES {
                let why = format!("less than {LEAST_BYTES} bytes were read in {period:?}");
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)));
            }
            waiting.taken = 0;
            waiting.end.as_mut().reset(Instant::now() + period);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteTimeout<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.wrote(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Comes when all that was to be sent has been written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        self.waiting = None;
        Poll::Ready(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const PERIOD: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn who_takes_nothing_or_next_to_nothing_is_given_up() {
        for bite in [0, 1, 300] {
            let (ours, mut theirs) = duplex(64);
            let mut ours = WriteTimeout::new(ours, PERIOD);
            let taking = tokio::spawn(async move {
                loop {
                    sleep(PERIOD).await;
                    let mut bytes = vec![0; bite];
                    let _given_up = theirs.read_exact(&mut bytes).await;
                }
            });
            let since = Instant::now();
            let error = ours.write_all(&[7; 100_000]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{bite}");
            assert!(since.elapsed() >= PERIOD, "{bite}: after {:?}", since.elapsed());
            taking.abort();
        }
    }

    #[tokio::test]
    async fn who_is_slow_gets_everything_and_silence_in_between_costs_nothing() {
        let (ours, mut theirs) = duplex(4096);
        let mut ours = WriteTimeout::new(ours, PERIOD);
        let taking = tokio::spawn(async move {
            let (mut all, mut bytes) = (0, [0; 2048]);
            while all < 2 * 100_000 {
                sleep(PERIOD / 50).await;
                all += theirs.read(&mut bytes).await.unwrap();
            }
        });
        for _ in 0..2 {
            ours.write_all(&[7; 100_000]).await.unwrap();
            ours.flush().await.unwrap();
            sleep(2 * PERIOD).await;
        }
        taking.await.unwrap();
    }
}
