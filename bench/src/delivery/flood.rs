//! Clients that take the port: readers that stand still, connections that stay idle, heads that come slowly.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::Client;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

/// Clients that ask again and again and read nothing.
const READERS: usize = 256;
/// Connections on which nothing is sent.
const IDLE: usize = 10_000;
/// Addresses that send a head of a request byte by byte.
const SLOW_ADDRESSES: u8 = 50;
/// Time between two bytes of a head.
const BYTE_EVERY: Duration = Duration::from_millis(500);

/// Pause of a client whose connection was ended until it comes back.
const COMES_BACK: Duration = Duration::from_secs(1);

/// Clients of a flood, on a thread of their own: the services that time the probes answer beside them. Dropping it ends them.
pub(super) struct Flood {
    opened: Arc<AtomicUsize>,
    runtime: Option<Runtime>,
}

/// Questions about liveness.
pub(super) struct LivenessProbes {
    pub(super) questions: usize,
    pub(super) answers: usize,
    /// The longest time that an answer took.
    pub(super) longest: Duration,
}

impl Flood {
    /// Opens all connections. Readers and slow heads come back when their connections are ended.
    pub(super) async fn begin(address: SocketAddr) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.context("starting a runtime")?;
        let opened = Arc::new(AtomicUsize::new(0));
        let home = Ipv4Addr::LOCALHOST;
        for _ in 0..READERS {
            let request = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(50);
            runtime.spawn(come_again(home, address, Arc::clone(&opened), async move |stream| {
                // it ends when the agent gives up, and the connection with it
                while stream.write_all(&request).await.is_ok() {}
            }));
        }
        for number in 1..=SLOW_ADDRESSES {
            let from = Ipv4Addr::new(127, 0, 1, number);
            runtime.spawn(come_again(from, address, Arc::clone(&opened), async |stream| {
                let head = b"GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: ".iter().chain([b'x'; 600].iter());
                for byte in head {
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                    sleep(BYTE_EVERY).await;
                }
            }));
        }
        let (counted, (all_open, wait)) = (Arc::clone(&opened), oneshot::channel());
        runtime.spawn(async move {
            let mut held = Vec::new();
            for _ in 0..IDLE {
                let connected = timeout(Duration::from_secs(2), TcpStream::connect(address)).await;
                if let Ok(Ok(stream)) = connected {
                    held.push(stream);
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
            // they stay open for as long as the flood
            let _ = all_open.send(());
            std::future::pending::<()>().await;
        });
        let flood = Self { opened, runtime: Some(runtime) };
        wait.await.context("opening connections")?;
        Ok(flood)
    }

    /// Returns the number of connections that were opened.
    pub(super) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Opens a connection from an address and works on it, again and again.
async fn come_again(
    from: Ipv4Addr,
    address: SocketAddr,
    opened: Arc<AtomicUsize>,
    work: impl AsyncFn(&mut TcpStream) + Send,
) {
    loop {
        let connected = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from((from, 0)))?;
            socket.connect(address).await
        };
        if let Ok(mut stream) = connected.await {
            opened.fetch_add(1, Ordering::Relaxed);
            work(&mut stream).await;
        }
        sleep(COMES_BACK).await;
    }
}

/// Asks `/livez` again and again for a while.
pub(super) async fn ask_livez(address: SocketAddr, lasts: Duration) -> Result<LivenessProbes> {
    // as a kubelet does: from an address of its own, over a new connection for each question
    let kubelet = IpAddr::from([127, 0, 2, 1]);
    let client = Client::builder().no_proxy().pool_max_idle_per_host(0).local_address(kubelet).build();
    let client = client.context("building a client")?;
    let began = Instant::now();
    let mut asked = LivenessProbes { questions: 0, answers: 0, longest: Duration::ZERO };
    while began.elapsed() < lasts {
        let begun = Instant::now();
        let answer =
            client.get(format!("http://{address}/livez")).timeout(Duration::from_secs(30)).send().await;
        asked.longest = asked.longest.max(begun.elapsed());
        asked.questions += 1;
        asked.answers += usize::from(answer.is_ok_and(|answer| answer.status().is_success()));
        sleep(Duration::from_millis(500)).await;
    }
    Ok(asked)
}
