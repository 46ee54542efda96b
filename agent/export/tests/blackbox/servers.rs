//! Peers of the cases, good and bad.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;
use tonic_health::ServingStatus;

const KEY: &[u8] = include_bytes!("../../../collect/src/probe/testdata/localhost.key.pem");
const CERT: &[u8] = include_bytes!("../../../collect/src/probe/testdata/localhost.cert.pem");
const EXPIRED: &[u8] = include_bytes!("../../../collect/src/probe/testdata/expired.cert.pem");

/// Bytes of the huge body: far beyond the limit of the modules.
const HUGE: usize = 8 * 1024 * 1024;

/// Addresses of the peers.
pub(super) struct Servers {
    pub(super) http: SocketAddr,
    pub(super) http_v6: SocketAddr,
    pub(super) tls: SocketAddr,
    pub(super) expired: SocketAddr,
    pub(super) refused: SocketAddr,
    pub(super) black_hole: SocketAddr,
    pub(super) banner: SocketAddr,
    pub(super) dns: SocketAddr,
    pub(super) grpc: SocketAddr,
    _dnsmasq: Ended,
    _full: Vec<TcpStream>,
}

/// A process that ends with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) async fn start(folder: &Path) -> Servers {
    std::fs::write(folder.join("ca.pem"), CERT).unwrap();
    std::fs::write(folder.join("expired.pem"), EXPIRED).unwrap();
    let refused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (black_hole, full) = black_hole().await;
    let (dns, dnsmasq) = dnsmasq().await;
    Servers {
        http: http("127.0.0.1:0", None).await,
        http_v6: http("[::1]:0", None).await,
        tls: http("127.0.0.1:0", Some(CERT)).await,
        expired: http("127.0.0.1:0", Some(EXPIRED)).await,
        refused,
        black_hole,
        banner: banner().await,
        dns,
        grpc: grpc().await,
        _dnsmasq: dnsmasq,
        _full: full,
    }
}

async fn http(address: &str, certificate: Option<&'static [u8]>) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = certificate.map(acceptor);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                match acceptor {
                    None => serve(stream, true).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(stream, false).await;
                        }
                    }
                }
            });
        }
    });
    address
}

fn acceptor(certificate: &[u8]) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(certificate).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()))
}

trait Peer: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Peer for S {}

/// Answers one request by its path.
async fn serve(mut stream: impl Peer, plain: bool) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let answer = |status: &str, headers: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n{headers}connection: close\r\n\r\n{body}",
            body.len()
        )
    };
    let text = match path {
        "/missing" => answer("404 Not Found", "", "nothing here"),
        "/broken" => answer("500 Internal Server Error", "", ""),
        "/hop/0" => answer("200 OK", "", "arrived"),
        "/loop" => answer("302 Found", "location: /loop\r\n", ""),
        path if path.starts_with("/hop/") => {
            let left: u32 = path["/hop/".len()..].parse().unwrap();
            answer("302 Found", &format!("location: /hop/{}\r\n", left - 1), "further on")
        }
        "/chunked" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
                       5\r\nhello\r\n0\r\n\r\n"
            .to_owned(),
        "/slow-header" => return std::future::pending().await,
        "/slow-body" => {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\nconnection: close\r\n\r\nbegin";
            let _ = stream.write_all(head.as_bytes()).await;
            return std::future::pending().await;
        }
        "/huge" => {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {HUGE}\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&vec![b'x'; HUGE]).await;
            return;
        }
        "/bomb" => {
            // ten bytes that a decoder turns into more; nobody asks for a decoder
            let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 10\r\nconnection: close\r\n\r\n";
            let _ =
                stream.write_all(&[head.as_bytes(), &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]].concat()).await;
            return;
        }
        "/reset" if plain => return,
        _ => answer("200 OK", "last-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n", "{\"up\":true}"),
    };
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// A listener whose queue is full: the system drops every further attempt to connect.
async fn black_hole() -> (SocketAddr, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(address)).await
    {
        held.push(stream);
        assert!(held.len() < 100, "the queue never fills");
    }
    // it listens until the process ends, and nobody accepts
    std::mem::forget(listener);
    (address, held)
}

/// A server that greets and then waits.
async fn banner() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.write_all(b"220 mail.example.org ESMTP\r\n").await;
                let mut rest = Vec::new();
                let _ = stream.read_to_end(&mut rest).await;
            });
        }
    });
    address
}

async fn dnsmasq() -> (SocketAddr, Ended) {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let arguments = [
        "--keep-in-foreground",
        "--no-resolv",
        "--no-hosts",
        "--conf-file=/dev/null",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--user=",
        "--pid-file=",
        "--address=/example.test/192.0.2.7",
        "--local=/test/",
    ];
    let child = Command::new("dnsmasq")
        .args(arguments)
        .arg(format!("--port={port}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the package dnsmasq-base is installed");
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let asker = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    asker.connect(address).await.unwrap();
    // a query for the address of `a.test`: whatever is answered, the server is up
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x04test\x00\x00\x01\x00\x01";
    let up = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let _ = asker.send(query).await;
            let mut answer = [0; 512];
            let answered = tokio::time::timeout(Duration::from_millis(200), asker.recv(&mut answer)).await;
            if matches!(answered, Ok(Ok(_))) {
                return;
            }
            // a port that nobody listens on is told at once
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    up.await.expect("dnsmasq answers");
    (address, Ended(child))
}

async fn grpc() -> SocketAddr {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("up", ServingStatus::Serving).await;
    reporter.set_service_status("down", ServingStatus::NotServing).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = tonic::service::Routes::new(service).into_axum_router();
    tokio::spawn(async move {
        // it keeps the statuses
        let _reporter = reporter;
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper_util::service::TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                let executor = hyper_util::rt::TokioExecutor::new();
                let builder = hyper::server::conn::http2::Builder::new(executor);
                let _ = builder.serve_connection(hyper_util::rt::TokioIo::new(stream), service).await;
            });
        }
    });
    address
}
