//! A stream that ends when its client reads too slowly: such a client holds a connection and its answer for as long as it
//! likes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// The slowest speed at which a client may read. Every line carries more.
pub(crate) const MIN_BYTES_PER_SECOND: u32 = 1024;

/// A stream whose client must keep pace.
#[derive(Debug)]
pub(crate) struct Paced<S> {
    stream: S,
    /// The time for which a client may be slower than the minimum.
    allowance: Duration,
    /// The end of the allowance while bytes wait for the client. Every byte that it reads moves the end.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    pub(crate) fn new(stream: S, allowance: Duration) -> Self {
        Self { stream, allowance, deadline: None }
    }

    /// Passes the result of a write on, or an error if the client is too slow.
    fn after_write(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                if let Some(deadline) = &mut self.deadline {
                    let seconds =
                        f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / f64::from(MIN_BYTES_PER_SECOND);
                    let earned = deadline.deadline() + Duration::from_secs_f64(seconds);
                    // what was read fast earns no pause later
                    deadline.as_mut().reset(earned.min(Instant::now() + self.allowance));
                }
                written
            }
            Poll::Ready(Err(_)) => written,
            Poll::Pending => {
                let allowance = self.allowance;
                let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(allowance)));
                ready!(deadline.as_mut().poll(cx));
                let text = format!("the client reads fewer than {MIN_BYTES_PER_SECOND} bytes a second");
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.after_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.after_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Flushes. Then nothing waits for the client.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        self.deadline = None;
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

    const ALLOWANCE: Duration = Duration::from_secs(10);
    const BYTES: usize = 100_000;

    /// Writes to a client that reads `bite` bytes in every second, after it has read `first` at once.
    async fn write_to(first: usize, bite: usize) -> (io::Result<()>, Duration) {
        let (ours, mut theirs) = duplex(64);
        let mut ours = Paced::new(ours, ALLOWANCE);
        let client = tokio::spawn(async move {
            theirs.read_exact(&mut vec![0; first]).await.unwrap();
            let mut bytes = vec![0; bite];
            loop {
                sleep(Duration::from_secs(1)).await;
                if theirs.read_exact(&mut bytes).await.is_err() {
                    return std::future::pending::<()>().await;
                }
            }
        });
        let began = Instant::now();
        let written = match ours.write_all(&[7; BYTES]).await {
            Ok(()) => ours.flush().await,
            Err(error) => Err(error),
        };
        client.abort();
        (written, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_below_the_minimum_is_ended_also_after_a_fast_start() {
        for (first, bite) in [(0, 0), (0, 1), (0, 300), (0, 900), (90_000, 0), (90_000, 300)] {
            let (written, took) = write_to(first, bite).await;
            assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut, "{first} {bite}");
            let longest = ALLOWANCE.mul_f64(1024.0 / (1024.0 - bite as f64)) + Duration::from_secs(2);
            assert!(took >= ALLOWANCE && took <= longest, "{first} {bite}: after {took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_above_the_minimum_gets_everything() {
        for bite in [1100, 5000, BYTES / 2] {
            let (written, _) = write_to(0, bite).await;
            assert!(written.is_ok(), "{bite}: {written:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_after_an_answer_costs_nothing() {
        let (ours, mut theirs) = duplex(64);
        let mut ours = Paced::new(ours, ALLOWANCE);
        tokio::spawn(async move { tokio::io::copy(&mut theirs, &mut tokio::io::sink()).await });
        for _ in 0..3 {
            ours.write_all(&[7; BYTES]).await.unwrap();
            ours.flush().await.unwrap();
            sleep(10 * ALLOWANCE).await;
        }
    }
}
