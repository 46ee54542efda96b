//! A TCP proxy in front of PostgreSQL that misbehaves on demand.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// The treatment of connections up to a number.
#[derive(Debug, Clone, Copy, Default)]
struct Fault {
    /// Connections with a number up to this one are cut off.
    upto: u64,
    /// True if the server's side of them is closed, while the client's side stays open.
    half_open: bool,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    target: Arc<AtomicU16>,
    delay_ms: Arc<AtomicU64>,
    accepted: Arc<AtomicU64>,
    fault: watch::Sender<Fault>,
}

impl Proxy {
    pub(crate) async fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (fault, seen) = watch::channel(Fault::default());
        let (target, delay_ms, accepted) = (Arc::new(AtomicU16::new(target)), Arc::default(), Arc::default());
        let proxy = Self { port, target, delay_ms, accepted, fault };
        let (target, delay, accepted) =
            (proxy.target.clone(), proxy.delay_ms.clone(), Arc::clone(&proxy.accepted));
        tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let number = accepted.fetch_add(1, Ordering::AcqRel) + 1;
                let target = target.load(Ordering::Acquire);
                tokio::spawn(carry_both(client, target, number, delay.clone(), seen.clone()));
            }
        });
        proxy
    }

    /// Silences every established connection. New ones work.
    pub(crate) fn silence_established(&self) {
        self.cut(false, self.accepted.load(Ordering::Acquire));
    }

    /// Closes the server's side of every established connection without a word to the client.
    pub(crate) fn half_open_established(&self) {
        self.cut(true, self.accepted.load(Ordering::Acquire));
    }

    /// Silences every connection, new ones too, until [`Self::heal`].
    pub(crate) fn silence_all(&self) {
        self.cut(false, u64::MAX);
    }

    /// Lets new connections work. Those that were cut off stay so.
    pub(crate) fn heal(&self) {
        self.delay(Duration::ZERO);
        self.silence_established();
    }

    /// Delays each piece of data in either direction.
    pub(crate) fn delay(&self, delay: Duration) {
        self.delay_ms.store(u64::try_from(delay.as_millis()).unwrap(), Ordering::Release);
    }

    /// Sends new connections to another server.
    pub(crate) fn fail_over_to(&self, target: u16) {
        self.target.store(target, Ordering::Release);
    }

    fn cut(&self, half_open: bool, upto: u64) {
        self.fault.send_replace(Fault { upto, half_open });
    }
}

async fn carry_both(
    client: TcpStream,
    target: u16,
    number: u64,
    delay: Arc<AtomicU64>,
    mut fault: watch::Receiver<Fault>,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let target = if fault.borrow().upto >= number { None } else { Some(target) };
    let server = match target {
        Some(target) => TcpStream::connect(("127.0.0.1", target)).await.ok(),
        None => None,
    };
    if let Some(server) = server {
        let (mut from_server, mut to_server) = server.into_split();
        let half_open = tokio::select! {
            () = carry(&mut from_client, &mut to_server, &delay) => return,
            () = carry(&mut from_server, &mut to_client, &delay) => return,
            fault = fault.wait_for(|fault| fault.upto >= number) => fault.is_ok_and(|fault| fault.half_open),
        };
        if !half_open {
            std::future::pending::<()>().await;
        }
    } else if target.is_some() {
        return;
    }
    // The client's side stays open, and nobody reads it.
    std::future::pending::<()>().await;
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, delay: &AtomicU64) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes).await {
        let delay = delay.load(Ordering::Acquire);
        if delay > 0 {
            sleep(Duration::from_millis(delay)).await;
        }
        if to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
