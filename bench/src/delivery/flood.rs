//! Clients that take the port: readers that stand still, connections that stay idle, heads that come slowly.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Clients that ask again and again and read nothing.
const READERS: usize = 256;
/// Connections on which nothing is sent.
const IDLE: usize = 10_000;
/// Addresses that send a head of a request byte by byte.
const SLOW_ADDRESSES: u8 = 50;
/// Time between two bytes of a head.
const BYTE_EVERY: Duration = Duration::from_millis(500);

/// Clients of a flood. Dropping it ends them.
pub(super) struct Flood {
    /// Connections that were opened.
    pub(super) opened: usize,
    _held: Vec<TcpStream>,
    _tasks: JoinSet<()>,
}

impl Flood {
    /// Opens all connections.
    pub(super) async fn begin(address: SocketAddr) -> Result<Self> {
        let (mut held, mut tasks) = (Vec::new(), JoinSet::new());
        let mut opened = 0;
        for _ in 0..READERS {
            let mut stream = TcpStream::connect(address).await.context("connecting")?;
            opened += 1;
            tasks.spawn(async move {
                let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(50);
                // it ends when the agent gives up, and the connection with it
                while stream.write_all(&request).await.is_ok() {}
            });
        }
        for number in 1..=SLOW_ADDRESSES {
            let socket = TcpSocket::new_v4().context("making a socket")?;
            socket.bind(SocketAddr::from(([127, 0, 1, number], 0))).context("taking an address")?;
            let mut stream = socket.connect(address).await.context("connecting")?;
            opened += 1;
            tasks.spawn(async move {
                for byte in b"GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: ".iter().chain([b'x'; 600].iter())
                {
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                    sleep(BYTE_EVERY).await;
                }
            });
        }
        for _ in 0..IDLE {
            let connected = timeout(Duration::from_secs(2), TcpStream::connect(address)).await;
            if let Ok(Ok(stream)) = connected {
                held.push(stream);
                opened += 1;
            }
        }
        Ok(Self { opened, _held: held, _tasks: tasks })
    }
}

/// Asks `/livez` again and again for a while. Returns the number of answers and the longest time that one took.
pub(super) async fn ask_livez(
    client: &reqwest::Client,
    address: SocketAddr,
    lasts: Duration,
) -> Result<(usize, Duration)> {
    let (began, mut answers, mut longest) = (Instant::now(), 0, Duration::ZERO);
    while began.elapsed() < lasts {
        let asked = Instant::now();
        let answer =
            client.get(format!("http://{address}/livez")).timeout(Duration::from_secs(30)).send().await;
        let took = asked.elapsed();
        longest = longest.max(took);
        if answer.is_ok_and(|answer| answer.status().is_success()) {
            answers += 1;
        }
        sleep(Duration::from_millis(500)).await;
    }
    Ok((answers, longest))
}
