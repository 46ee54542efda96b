//! The least a probe costs: targets on a fixed interval, each probe a fresh connection, one request, one answer. It
//! verifies the certificate, and judges, keeps and tells nothing.
//!
//! Usage: `bare-prober http|https ADDRESS TARGETS INTERVAL_MS CA_FILE`

use std::io::{Error, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_rustls::TlsConnector;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scheme, address, targets, interval_ms, ca_file] = arguments.as_slice() else {
        return Err(Error::other("usage: bare-prober http|https ADDRESS TARGETS INTERVAL_MS CA_FILE"));
    };
    let address: SocketAddr = address.parse().map_err(Error::other)?;
    let targets: u32 = targets.parse().map_err(Error::other)?;
    let interval = Duration::from_millis(interval_ms.parse().map_err(Error::other)?);
    let tls = if scheme == "https" { Some(connector(ca_file)?) } else { None };
    let started = Instant::now();
    let probers: Vec<_> = (0..targets)
        .map(|number| {
            let phase = interval * number / targets.max(1);
            tokio::spawn(prober(number, address, tls.clone(), started + phase, interval))
        })
        .collect();
    for prober in probers {
        prober.await.map_err(Error::other)?;
    }
    Ok(())
}

fn connector(ca_file: &str) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(ca_file).map_err(Error::other)?;
    roots.add(certificate).map_err(Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.map_err(Error::other)?.with_root_certificates(roots).with_no_client_auth();
    // a whole handshake each time, as the prober makes it
    config.resumption = rustls::client::Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn prober(
    number: u32,
    address: SocketAddr,
    tls: Option<TlsConnector>,
    first: Instant,
    every: Duration,
) {
    let mut starts = interval_at(first, every);
    starts.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        starts.tick().await;
        // the log of the server counts the answers
        let _ = tokio::time::timeout(every, probe(number, address, tls.as_ref())).await;
    }
}

async fn probe(number: u32, address: SocketAddr, tls: Option<&TlsConnector>) -> Result<()> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    match tls {
        None => exchange(number, stream).await,
        Some(connector) => {
            let name = ServerName::try_from("localhost").map_err(Error::other)?;
            exchange(number, connector.connect(name, stream).await?).await
        }
    }
}

async fn exchange(number: u32, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    let request = format!("GET /{number} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(2048);
    stream.read_to_end(&mut answer).await?;
    if answer.starts_with(b"HTTP/1.1 200 ") { Ok(()) } else { Err(Error::other("the answer is not 200")) }
}
