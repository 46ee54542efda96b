//! Servers and targets for the tests of the protocols.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lookout_config::{Assertion, Check, Family, HttpCheck, Target};
use lookout_runtime::random::Random;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::net::TlsClients;
use super::{Outcome, Probe as _, Prober, Verdict};

pub(super) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"status\":\"ok\"}";
pub(super) const KEY: &[u8] = include_bytes!("testdata/localhost.key.pem");
pub(super) const CERT: &[u8] = include_bytes!("testdata/localhost.cert.pem");
pub(super) const EXPIRED: &[u8] = include_bytes!("testdata/expired.cert.pem");

/// Runs `serve` for every connection, after its request head was read.
pub(super) async fn server<F, Fut>(serve: F) -> (SocketAddr, mpsc::UnboundedReceiver<String>)
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let (sender, heads) = mpsc::unbounded_channel();
    let serve = Arc::new(std::sync::Mutex::new(serve));
    let address = listening(move |mut stream| {
        let (sender, serve) = (sender.clone(), Arc::clone(&serve));
        async move {
            let head = read_head(&mut stream).await;
            let _ = sender.send(head);
            let served = serve.lock().unwrap()(stream);
            served.await;
        }
    })
    .await;
    (address, heads)
}

/// Runs `serve` for every connection, from its first byte on.
pub(super) async fn listening<F, Fut>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

/// A server that answers with fixed bytes and then stays silent without closing.
pub(super) async fn answering(answer: impl Into<Vec<u8>>) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let answer: Arc<[u8]> = answer.into().into();
    server(move |mut stream| {
        let answer = Arc::clone(&answer);
        async move {
            let _ = stream.write_all(&answer).await;
            std::future::pending::<()>().await;
        }
    })
    .await
}

/// A server that accepts, keeps the connection and says nothing.
pub(super) async fn silent() -> SocketAddr {
    listening(|stream| async move {
        let _kept = stream;
        std::future::pending().await
    })
    .await
}

/// A server of TLS that answers every request with 200.
pub(super) async fn tls_server(certificate: &[u8]) -> SocketAddr {
    let acceptor = acceptor(certificate, &[]);
    listening(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = read_head(&mut stream).await;
            let _ = stream.write_all(OK.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

pub(super) fn acceptor(certificate: &[u8], alpn: &[&str]) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(certificate).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

pub(super) fn probing(check: Check) -> Target {
    Target {
        name: "api".to_owned(),
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
        family: Family::Auto,
        resolver: None,
        labels: Vec::new(),
        off: None,
        maintenance: Vec::new(),
        group: None,
        down: None,
        allowed: None,
        check,
        expect: Arc::default(),
    }
}

pub(super) fn requesting(http: HttpCheck) -> Target {
    Target { expect: [Assertion::status(vec![(200, 299)])].into(), ..probing(Check::Http(Box::new(http))) }
}

pub(super) fn get(url: impl AsRef<str>) -> HttpCheck {
    HttpCheck { body_limit: 1024, ..HttpCheck::get(url.as_ref().parse().unwrap()) }
}

pub(super) fn asserting(target: Target, assertions: &[&str]) -> Target {
    Target { expect: assertions.iter().map(|text| Assertion::parse(text).unwrap()).collect(), ..target }
}

pub(super) fn hasty(target: Target) -> Target {
    Target { timeout: Duration::from_millis(400), ..target }
}

pub(super) fn prober() -> Prober {
    Prober::new(Arc::new(Random::from_seed(1)))
}

pub(super) fn trusting(certificate: &[u8]) -> Prober {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate).unwrap()).unwrap();
    Prober::trusting(Arc::new(Random::from_seed(1)), TlsClients::in_roots(roots))
}

/// Probes. Returns `ok`, or `reason: detail`; checks what holds for every outcome on the way.
pub(super) async fn verdict_of(target: &Target) -> (String, Outcome) {
    verdict_by(&prober(), target).await
}

pub(super) async fn verdict_by(prober: &Prober, target: &Target) -> (String, Outcome) {
    let outcome = prober.probe(target).await;
    let sum: Duration = outcome.phases.named().into_iter().filter_map(|(_, spent)| spent).sum();
    assert_eq!(sum, outcome.total, "the phases are a partition");
    assert!(outcome.total < target.timeout + Duration::from_secs(1), "the deadline holds: {outcome:?}");
    let verdict = match &outcome.verdict {
        Verdict::Ok => "ok".to_owned(),
        Verdict::Fail { reason, detail } => format!("{}: {detail}", reason.as_str()),
    };
    (verdict, outcome)
}
