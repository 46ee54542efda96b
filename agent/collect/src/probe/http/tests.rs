//! The prober against small servers on loopback, in real time.

use std::net::SocketAddr;

use opentelemetry::trace::TracerProvider as _;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use lookout_config::{Expect, JsonExpectation, Secret};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"status\":\"ok\"}";
const KEY: &[u8] = include_bytes!("../testdata/localhost.key.pem");
const CERT: &[u8] = include_bytes!("../testdata/localhost.cert.pem");
const EXPIRED: &[u8] = include_bytes!("../testdata/expired.cert.pem");

/// Runs `serve` for every connection, after its request head was read.
async fn server<F, Fut>(serve: F) -> (SocketAddr, mpsc::UnboundedReceiver<String>)
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, heads) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let head = read_head(&mut stream).await;
            let _ = sender.send(head);
            tokio::spawn(serve(stream));
        }
    });
    (address, heads)
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
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
async fn answering(answer: impl Into<Vec<u8>>) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
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

fn target(url: impl AsRef<str>) -> Target {
    Target {
        name: "api".to_owned(),
        url: url.as_ref().parse().unwrap(),
        method: "GET".to_owned(),
        headers: Vec::new(),
        body: None,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(5),
        insecure: false,
        body_limit: 1024,
        expect: Expect::default(),
    }
}

fn at(address: SocketAddr) -> Target {
    target(format!("http://{address}/health"))
}

fn hasty(address: SocketAddr) -> Target {
    Target { timeout: Duration::from_millis(400), ..at(address) }
}

fn prober() -> HttpProber {
    HttpProber::new(Arc::new(Random::from_seed(1)))
}

/// `ok`, or `reason: detail`. Checks what holds for every outcome on the way.
async fn told(target: &Target) -> (String, Outcome) {
    told_by(&prober(), target).await
}

async fn told_by(prober: &HttpProber, target: &Target) -> (String, Outcome) {
    let outcome = prober.probe(target).await;
    let sum: Duration = outcome.phases.named().into_iter().filter_map(|(_, spent)| spent).sum();
    assert_eq!(sum, outcome.total, "the phases are a partition");
    assert!(outcome.total < target.timeout + Duration::from_secs(1), "the deadline holds: {outcome:?}");
    let told = match &outcome.verdict {
        Verdict::Ok => "ok".to_owned(),
        Verdict::Fail { reason, detail } => format!("{}: {detail}", reason.as_str()),
    };
    (told, outcome)
}

#[tokio::test]
async fn a_good_answer_is_ok_and_every_phase_is_known() {
    let (address, mut heads) = answering(OK).await;
    let mut target = at(address);
    target.url.set_query(Some("a=b"));
    target.expect.json = vec![JsonExpectation {
        text: "$.status".to_owned(),
        path: serde_json_path::JsonPath::parse("$.status").unwrap(),
        equals: json!("ok"),
    }];
    target.headers = vec![
        ("X-Api-Key".to_owned(), Secret::new("hunter2")),
        ("user-agent".to_owned(), Secret::new("mine/1")),
        ("traceparent".to_owned(), Secret::new("nonsense")),
    ];
    let (told, outcome) = told(&target).await;
    assert_eq!((told.as_str(), outcome.status), ("ok", Some(200)));
    let happened: Vec<&str> =
        outcome.phases.named().into_iter().filter_map(|(phase, spent)| spent.map(|_| phase)).collect();
    assert_eq!(happened, ["connect", "processing", "transfer"]);

    let head = heads.recv().await.unwrap().to_lowercase();
    let lines: Vec<&str> = head.trim_end().lines().collect();
    assert_eq!(lines[0], "get /health?a=b http/1.1");
    for wanted in [format!("host: {address}"), "accept: */*".into(), "user-agent: mine/1".into()] {
        assert_eq!(lines.iter().filter(|line| **line == wanted).count(), 1, "{wanted} in {head}");
    }
    assert!(lines.contains(&"x-api-key: hunter2"), "{head}");
    let traces: Vec<&&str> = lines.iter().filter(|line| line.starts_with("traceparent")).collect();
    let [trace] = traces.as_slice() else { panic!("one traceparent in {head}") };
    let parts: Vec<&str> = trace.trim_start_matches("traceparent: ").split('-').collect();
    assert_eq!((parts[0], parts[1], parts[2].len(), parts[3]), ("00", outcome.trace_id.as_str(), 16, "01"));
    assert!(parts[1].len() == 32 && parts[1].bytes().any(|digit| digit != b'0'));
}

#[tokio::test]
async fn an_exported_span_and_the_request_are_one_trace() {
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let (address, mut heads) = answering(OK).await;
    let parent = tracing::info_span!("parent");
    let wanted = {
        use opentelemetry::trace::TraceContextExt as _;
        use tracing_opentelemetry::OpenTelemetrySpanExt as _;
        parent.context().span().span_context().trace_id().to_string()
    };
    let (_, outcome) = told(&at(address)).instrument(parent).await;
    assert_eq!(outcome.trace_id, wanted);
    assert!(heads.recv().await.unwrap().contains(&format!("traceparent: 00-{wanted}-")));
}

#[tokio::test]
async fn a_body_is_sent_with_its_length() {
    let (address, mut heads) = answering(OK).await;
    let target = Target { method: "POST".to_owned(), body: Some("{\"a\":1}".to_owned()), ..at(address) };
    assert_eq!(told(&target).await.0, "ok");
    let head = heads.recv().await.unwrap().to_lowercase();
    assert!(
        head.starts_with("post /health http/1.1\r\n") && head.contains("content-length: 7\r\n"),
        "{head}"
    );
    assert!(head.contains(concat!("user-agent: lookout/", env!("CARGO_PKG_VERSION"))), "{head}");
}

#[tokio::test]
async fn a_redirect_is_a_status_and_is_not_followed() {
    let (address, mut heads) =
        answering("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(told(&at(address)).await.0, "status: status 302, expected 200-299");
    assert!(heads.recv().await.unwrap().starts_with("GET /health "));
    assert!(heads.try_recv().is_err(), "one request");
}

#[tokio::test]
async fn a_name_is_resolved_and_an_address_that_refuses_is_passed_over() {
    let (address, _heads) = answering(OK).await;
    // where localhost is ::1 first, nobody listens there
    let (by_name, outcome) = told(&target(format!("http://localhost:{}/", address.port()))).await;
    assert_eq!(by_name, "ok");
    assert!(outcome.phases.resolve.is_some());
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let stream = dial::connect(&[closed, address]).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), address);
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_dns() {
    let (told, outcome) = told(&target("http://no-such-host.invalid/")).await;
    assert!(told.starts_with("dns: "), "{told}");
    assert!(outcome.phases.resolve.is_some() && outcome.phases.connect.is_none() && outcome.status.is_none());
}

#[tokio::test]
async fn nobody_listening_is_refused() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (told, outcome) = told(&at(closed)).await;
    assert!(told.starts_with(&format!("connect_refused: no connection to {closed}: ")), "{told}");
    assert!(outcome.phases.connect.is_some() && outcome.phases.processing.is_none());
}

#[tokio::test]
async fn the_phase_that_hangs_is_the_reason() {
    let (silent, _) = answering("").await;
    let (late, outcome) = told(&hasty(silent)).await;
    assert_eq!((late.as_str(), outcome.status), ("ttfb_timeout: no answer within 400ms", None));
    assert!(outcome.total >= Duration::from_millis(400) && outcome.phases.transfer.is_none());

    let (half, _) = answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
    let (late, outcome) = told(&hasty(half)).await;
    let detail = "read_timeout: the answer did not end within 400ms, 4 bytes of its body came";
    assert_eq!((late.as_str(), outcome.status), (detail, Some(200)));

    let (mute, _) = answering("HTTP/1.1 200 OK\r\nx-slow: ").await;
    let (late, outcome) = told(&hasty(mute)).await;
    assert!(late.starts_with("read_timeout: "), "{late}");
    assert!(outcome.phases.transfer.unwrap() > outcome.phases.processing.unwrap(), "{outcome:?}");

    // a listener that accepts in its kernel and says nothing to a handshake
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = listener.local_addr().unwrap();
    let url = format!("https://{mute}/");
    let (late, outcome) = told(&Target { timeout: Duration::from_millis(400), ..target(url) }).await;
    assert_eq!(late, "tls: the TLS handshake did not end within 400ms");
    assert!(outcome.phases.tls.unwrap() > Duration::from_millis(100));
}

#[tokio::test]
async fn a_slow_body_counts_into_transfer_and_latency() {
    let (address, _heads) = server(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
        for _ in 0..4 {
            tokio::time::sleep(Duration::from_millis(25)).await;
            let _ = stream.write_all(b"part").await;
        }
    })
    .await;
    let (good, outcome) = told(&at(address)).await;
    assert_eq!(good, "ok");
    assert!(outcome.phases.transfer.unwrap() >= Duration::from_millis(90), "{outcome:?}");
    let expect = Expect { latency: Some(Duration::from_millis(80)), ..Expect::default() };
    let (slow, _) = told(&Target { expect, ..at(address) }).await;
    assert!(slow.starts_with("latency: took ") && slow.ends_with(", expected less than 80ms"), "{slow}");
}

#[tokio::test]
async fn a_huge_body_is_cut_while_it_streams() {
    let (address, _heads) = server(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
        while stream.write_all(&[b'x'; 16 * 1024]).await.is_ok() {}
    })
    .await;
    let (huge, outcome) = told(&at(address)).await;
    assert_eq!(
        (huge.as_str(), outcome.status),
        ("body_limit: the body is larger than 1024 bytes", Some(200))
    );
    let (exact, _heads) =
        answering(format!("HTTP/1.1 200 OK\r\ncontent-length: 1024\r\n\r\n{}", "x".repeat(1024))).await;
    assert_eq!(told(&at(exact)).await.0, "ok");
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_is_no_http_is_read() {
    for answer in
        ["HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 2", ""]
    {
        let (address, _heads) = server(move |mut stream| async move {
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        let (told, _) = told(&at(address)).await;
        assert!(told.starts_with("read: "), "{answer:?} gives {told}");
    }
}

#[tokio::test]
async fn an_endless_head_is_not_read_for_ever() {
    let (address, _heads) = server(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await;
        while stream.write_all(&[b'x'; 16 * 1024]).await.is_ok() {}
    })
    .await;
    let (told, _) = told(&at(address)).await;
    assert!(told.starts_with("read: no complete answer: "), "{told}");
}

#[tokio::test]
async fn a_bad_body_is_json_and_told_within_bounds() {
    let (address, _heads) = answering("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>").await;
    let mut target = at(address);
    target.expect.json = vec![JsonExpectation {
        text: "$.status".to_owned(),
        path: serde_json_path::JsonPath::parse("$.status").unwrap(),
        equals: json!("ok"),
    }];
    assert!(told(&target).await.0.starts_with("json: the body is no JSON: "));
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_is_a_failure_without_its_value() {
    let (address, _heads) = answering(OK).await;
    let headers = vec![("x-key".to_owned(), Secret::new("hunter2\n"))];
    assert_eq!(
        told(&Target { headers, ..at(address) }).await.0,
        "write: a header cannot be sent in a request"
    );
}

async fn tls_server(certificate: &[u8]) -> SocketAddr {
    let certificate = CertificateDer::from_pem_slice(certificate).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = read_head(&mut stream).await;
                let _ = stream.write_all(OK.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

fn trusting(certificate: &[u8]) -> HttpProber {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate).unwrap()).unwrap();
    HttpProber::trusting(Arc::new(Random::from_seed(1)), Trust::in_roots(roots))
}

#[tokio::test]
async fn a_trusted_certificate_is_ok_and_the_handshake_is_a_phase() {
    let port = tls_server(CERT).await.port();
    let prober = trusting(CERT);
    for _ in 0..2 {
        let (told, outcome) = told_by(&prober, &target(format!("https://localhost:{port}/"))).await;
        assert_eq!(told, "ok");
        assert!(outcome.phases.tls.is_some() && outcome.phases.transfer.is_some(), "{outcome:?}");
    }
}

#[tokio::test]
async fn certificates_that_cannot_be_trusted_are_told_apart() {
    let good = tls_server(CERT).await.port();
    let expired = tls_server(EXPIRED).await.port();
    let stranger = told(&target(format!("https://localhost:{good}/"))).await.0;
    assert!(stranger.starts_with("tls_verify: ") && stranger.contains("UnknownIssuer"), "{stranger}");
    let misnamed = told_by(&trusting(CERT), &target(format!("https://127.0.0.1:{good}/"))).await.0;
    assert!(misnamed.starts_with("tls_verify: ") && misnamed.contains("not valid for name"), "{misnamed}");
    let old = told_by(&trusting(EXPIRED), &target(format!("https://localhost:{expired}/"))).await.0;
    assert!(old.starts_with("tls_verify: ") && old.contains("expired"), "{old}");
    let insecure = Target { insecure: true, ..target(format!("https://127.0.0.1:{expired}/")) };
    assert_eq!(told(&insecure).await.0, "ok");
}

#[tokio::test]
async fn an_answer_that_is_no_tls_is_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    let told = told(&target(format!("https://{address}/"))).await.0;
    assert!(told.starts_with("tls: "), "{told}");
}

#[test]
fn what_is_logged_of_a_url_holds_no_secret() {
    let url = "https://user:pass@api.test:8443/v1/x?token=abc&n=1#frag".parse().unwrap();
    assert_eq!(without_secrets(&url), "https://api.test:8443/v1/x?token=***&n=***");
    assert_eq!(without_secrets(&"http://api.test/".parse().unwrap()), "http://api.test/");
}
