//! Peers that never end their answer, and the time after which a probe lets go of them, seen by the peers.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, interval, sleep};

use super::tools::start_lookout;

/// Targets of each kind of peer.
const TARGETS: usize = 50;
const INTERVAL_S: u64 = 10;

/// The deadline of every target.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Head of an answer whose body never ends.
const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
const DRIP: Duration = Duration::from_millis(100);

/// A peer that takes a connection and never ends its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    /// Silence, over HTTP.
    Silent,
    /// Silence where a handshake of TLS is begun.
    SilentTls,
    /// A byte of the body at a time.
    Dripping,
}

/// Time that connections were held, over all peers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadlines {
    pub(super) probes: usize,
    /// Connections that ended more than 200 ms before the deadline.
    pub(super) early: usize,
    /// The longest time beyond the deadline, in milliseconds.
    pub(super) late_ms: f64,
}

type HoldTimes = Arc<Mutex<Vec<Duration>>>;

pub(super) async fn measure(lookout: &Path, folder: &Path, seconds: Duration) -> Result<Deadlines> {
    println!("measuring lookout: {} targets whose peers never end an answer", 3 * TARGETS);
    let folder = folder.join("deadline");
    std::fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let held = HoldTimes::default();
    let timeout = TIMEOUT.as_secs();
    let mut config = format!("listen: 127.0.0.1:0\ninterval: {INTERVAL_S}s\nslos: []\ntargets:\n");
    for peer in [Peer::Silent, Peer::SilentTls, Peer::Dripping] {
        // no authority is needed where no certificate is shown
        let (scheme, tls) = match peer {
            Peer::SilentTls => ("https", ", tls: { insecure: true }"),
            Peer::Silent | Peer::Dripping => ("http", ""),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening")?;
        let address = listener.local_addr().context("looking at the listener")?;
        for number in 0..TARGETS {
            config.push_str(&format!(
                "  - {{ name: {peer:?}-{number}, timeout: {timeout}s, http: {{ url: \"{scheme}://{address}/{number}\"{tls} }} }}\n"
            ));
        }
        tokio::spawn(serve(listener, peer, Arc::clone(&held)));
    }
    let file = folder.join("lookout.yaml");
    std::fs::write(&file, config).context("writing the configuration")?;
    let (agent, _) = start_lookout(lookout, &file, &folder).await?;
    // connections that waited for a busy start are not those of a probe
    sleep(2 * TIMEOUT).await;
    held.lock().unwrap_or_else(PoisonError::into_inner).clear();
    sleep(seconds.max(Duration::from_secs(3 * INTERVAL_S))).await;
    let held = std::mem::take(&mut *held.lock().unwrap_or_else(PoisonError::into_inner));
    agent.stop().await;
    ensure!(held.len() >= 3 * TARGETS, "{} probes of {} targets ended", held.len(), 3 * TARGETS);
    let longest = held.iter().max().copied().unwrap_or_default();
    // the agent begins before the peer sees the connection
    let early = held.iter().filter(|time| **time + Duration::from_millis(200) < TIMEOUT).count();
    let late_ms = longest.saturating_sub(TIMEOUT).as_secs_f64() * 1e3;
    Ok(Deadlines { probes: held.len(), early, late_ms })
}

async fn serve(listener: TcpListener, peer: Peer, held: HoldTimes) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(hold(stream, peer, Instant::now(), Arc::clone(&held)));
    }
}

/// Notes how long the other end holds a connection.
async fn hold(mut stream: TcpStream, peer: Peer, began: Instant, held: HoldTimes) {
    let (mut reader, mut writer) = stream.split();
    let mut bytes = [0; 1024];
    // an answer that comes before its request ends the probe
    let is_asked = reader.read(&mut bytes).await.is_ok_and(|count| count > 0);
    let read = async { while is_asked && reader.read(&mut bytes).await.is_ok_and(|count| count > 0) {} };
    let write = async {
        let mut sent = is_asked && peer == Peer::Dripping && writer.write_all(ENDLESS).await.is_ok();
        let mut drip = interval(DRIP);
        while sent {
            drip.tick().await;
            sent = writer.write_all(b"x").await.is_ok();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = read => {}
        () = write => {}
    }
    held.lock().unwrap_or_else(PoisonError::into_inner).push(began.elapsed());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_peer_notes_how_long_it_was_held() {
        for peer in [Peer::Silent, Peer::SilentTls, Peer::Dripping] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (address, held) = (listener.local_addr().unwrap(), HoldTimes::default());
            let serving = tokio::spawn(serve(listener, peer, Arc::clone(&held)));
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            if peer == Peer::Dripping {
                let mut answer = vec![0; ENDLESS.len() + 2];
                client.read_exact(&mut answer).await.unwrap();
                assert!(answer.ends_with(b"\r\nxx"));
            }
            assert!(held.lock().unwrap().is_empty(), "{peer:?} is still held");
            drop(client);
            let noted = async {
                while held.lock().unwrap().is_empty() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(20), noted).await.unwrap();
            serving.abort();
        }
    }
}
