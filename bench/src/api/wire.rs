//! One connection that is kept, and just as much of HTTP/1.1 as the servers at hand speak.
//!
//! Not a client for all occasions: it shares two cores with what it measures, and whatever it takes makes every server
//! look as slow as the slowest.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// More than any head and body we ask for.
const MAX_BYTES: usize = 1 << 20;

pub(super) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// The request for a path.
pub(super) fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\n\r\n").into_bytes()
}

impl Wire {
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true).context("asking to send at once")?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads the whole answer. Returns its status.
    pub(super) async fn ask(&mut self, request: &[u8]) -> Result<u16> {
        self.exchange(request).await.map(|(status, _)| status)
    }

    /// The same, with the body.
    pub(super) async fn ask_for_body(&mut self, request: &[u8]) -> Result<(u16, Vec<u8>)> {
        let (status, start) = self.exchange(request).await?;
        Ok((status, self.buffer.get(start..).unwrap_or_default().to_vec()))
    }

    /// Returns the status and where in the buffer the body begins; nothing comes after it, because nothing was asked yet.
    async fn exchange(&mut self, request: &[u8]) -> Result<(u16, usize)> {
        self.stream.write_all(request).await.context("sending a request")?;
        self.buffer.clear();
        let head = loop {
            self.read_more().await?;
            if let Some(head) = Head::read(&self.buffer)? {
                break head;
            }
        };
        let whole = head.bytes + head.body_bytes;
        ensure!(whole <= MAX_BYTES, "an answer of {whole} bytes is more than was asked for");
        while self.buffer.len() < whole {
            self.read_more().await?;
        }
        ensure!(self.buffer.len() == whole, "an answer is longer than it says");
        Ok((head.status, head.bytes))
    }

    async fn read_more(&mut self) -> Result<()> {
        let read = self.stream.read_buf(&mut self.buffer).await.context("reading an answer")?;
        ensure!(read > 0, "the server hung up");
        ensure!(self.buffer.len() <= MAX_BYTES, "an answer is longer than {MAX_BYTES} bytes");
        Ok(())
    }
}

/// The needed parts of the head of an answer.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    bytes: usize,
    body_bytes: usize,
}

impl Head {
    /// Nothing yet where the end is still to come.
    fn read(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
        let head = std::str::from_utf8(bytes.get(..end).unwrap_or_default()).context("reading a head")?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let Some(status) = status else { bail!("this is no answer of HTTP/1.1: {head}") };
        let length = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        let body_bytes = length.with_context(|| format!("no content-length in {head}"))?;
        Ok(Some(Self { status, bytes: end + 4, body_bytes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_what_comes_after_it() {
        let head = b"HTTP/1.1 404 Not Found\r\nDate: today\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(Head::read(head).unwrap(), Some(Head { status: 404, bytes: 58, body_bytes: 2 }));
        assert_eq!(Head::read(&head[..50]).unwrap(), None);
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(Head::read(chunked).unwrap_err().to_string().contains("no content-length"));
        assert!(Head::read(b"220 mail.example\r\n\r\n").is_err());
    }

    #[tokio::test]
    async fn answers_come_one_after_the_other_on_one_connection() {
        let route = axum::routing::get(async |uri: axum::http::Uri| "x".repeat(uri.path().len() * 10_000));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(route);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let mut wire = Wire::open(address).await.unwrap();
        for path in ["/", "/ab", "/"] {
            let (status, body) = wire.ask_for_body(&request(path)).await.unwrap();
            assert_eq!((status, body.len()), (200, path.len() * 10_000));
        }
    }
}
