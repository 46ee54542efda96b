//! Targets behind a proxy on loopback, in real time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lookout_config::{Credentials, Proxy, ProxyException, Target};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::super::test_support::*;
use super::super::{Probe as _, Reason, Verdict};
use super::*;

/// A proxy that opens tunnels. It tells the head of each request.
async fn tunnelling(delay: Duration) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let (sender, heads) = mpsc::unbounded_channel();
    let address = listening(move |mut stream| {
        let sender = sender.clone();
        async move {
            let head = read_head(&mut stream).await;
            let peer = head.split_whitespace().nth(1).unwrap_or_default().to_owned();
            let _ = sender.send(head);
            tokio::time::sleep(delay).await;
            let Ok(mut target) = TcpStream::connect(&peer).await else {
                let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
                return;
            };
            let _ = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
            let _ = copy_bidirectional(&mut stream, &mut target).await;
        }
    })
    .await;
    (address, heads)
}

fn by(proxy: SocketAddr) -> Proxy {
    Proxy::new(format!("http://{proxy}").parse().unwrap())
}

fn through(proxy: Proxy, url: impl AsRef<str>) -> Target {
    requesting(HttpCheck { proxy: Some(Arc::new(proxy)), ..get(url) })
}

#[tokio::test]
async fn a_target_with_tls_is_reached_through_a_tunnel() {
    let target = tls_server(CERT).await;
    let (proxy, mut heads) = tunnelling(Duration::from_millis(150)).await;
    let basic = Credentials::Basic { username: "me".to_owned(), password: Secret::new("hunter2") };
    let by = Proxy {
        credentials: basic,
        connect_headers: vec![("X-Team".to_owned(), Secret::new("shop"))],
        ..by(proxy)
    };
    let url = format!("https://localhost:{}/health", target.port());
    let (told, outcome) = verdict_by(&trusting(CERT), &through(by, &url)).await;
    assert_eq!(told, "ok");
    assert_eq!(outcome.received.proxy, Some(proxy.to_string()));
    assert_eq!(outcome.received.resolved, None, "the proxy resolves the name");
    assert_eq!(outcome.phases.resolve, None);
    assert!(outcome.phases.connect.unwrap() >= Duration::from_millis(150), "{outcome:?}");
    assert!(outcome.certificate.is_some() && outcome.phases.tls.is_some());
    let head = heads.recv().await.unwrap();
    let lines: Vec<&str> = head.trim_end().lines().collect();
    assert_eq!(lines[0], format!("CONNECT localhost:{} HTTP/1.1", target.port()));
    for line in [
        &format!("host: localhost:{}", target.port()),
        "proxy-authorization: Basic bWU6aHVudGVyMg==",
        "x-team: shop",
    ] {
        assert!(lines.contains(&line), "{line} in {head}");
    }
}

#[tokio::test]
async fn a_target_without_tls_is_asked_for_by_its_url() {
    let (proxy, mut heads) = answering(OK).await;
    let basic = Credentials::Basic { username: "me".to_owned(), password: Secret::new("hunter2") };
    let by = Proxy { credentials: basic, ..by(proxy) };
    let (told, outcome) = verdict_of(&through(by, "http://shop.test:8080/health?a=b")).await;
    assert_eq!(told, "ok");
    assert_eq!(outcome.address, Some(proxy));
    let head = heads.recv().await.unwrap();
    assert!(head.starts_with("GET http://shop.test:8080/health?a=b HTTP/1.1\r\n"), "{head}");
    for line in ["\r\nhost: shop.test:8080\r\n", "\r\nproxy-authorization: Basic bWU6aHVudGVyMg==\r\n"] {
        assert!(head.contains(line), "{line:?} in {head}");
    }
}

#[tokio::test]
async fn the_credentials_of_a_proxy_do_not_reach_the_target() {
    let (target, mut heads) = answering(OK).await;
    let basic = Credentials::Basic { username: "me".to_owned(), password: Secret::new("hunter2") };
    let unused = SocketAddr::from(([127, 0, 0, 1], 1));
    let around = Proxy {
        credentials: basic.clone(),
        exceptions: vec![ProxyException::parse("127.0.0.1").unwrap()],
        ..by(unused)
    };
    let told = verdict_of(&through(around, format!("http://{target}/health"))).await.0;
    assert_eq!(told, "ok", "`no_proxy` leads around the proxy");
    assert!(!heads.recv().await.unwrap().to_lowercase().contains("proxy-"));

    let (proxy, _connects) = tunnelling(Duration::ZERO).await;
    let two = HttpCheck {
        proxy: Some(Arc::new(Proxy { credentials: basic, ..by(proxy) })),
        version: HttpVersion::Two,
        ..get(format!("http://{target}/health"))
    };
    // HTTP/2 needs a tunnel, and this target speaks HTTP/1.1
    assert!(verdict_of(&requesting(two)).await.0.starts_with("read: "));
    assert!(!heads.recv().await.unwrap().to_lowercase().contains("proxy-"));
}

#[tokio::test]
async fn failures_of_a_proxy_are_told_apart_and_heal() {
    let target = tls_server(CERT).await;
    let url = format!("https://localhost:{}/health", target.port());
    let away = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let (refusing, _) = answering("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await;
    let (asking, _) =
        answering("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await;
    let (nonsense, _) = answering("220 mail\r\n\r\n").await;
    let (endless, _) = answering(format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(20_000))).await;
    let silent = silent().await;
    for _ in 0..2 {
        for (proxy, expected) in [
            (away, "no connection to".to_owned()),
            (refusing, "it refused CONNECT with status 403".to_owned()),
            (
                asking,
                "it refused CONNECT with status 407, it asks for credentials that it accepts".to_owned(),
            ),
            (nonsense, "its answer to CONNECT is not of HTTP".to_owned()),
            (endless, "its answer to CONNECT is larger than 16384 bytes".to_owned()),
        ] {
            let told = verdict_by(&trusting(CERT), &through(by(proxy), &url)).await.0;
            assert!(told.starts_with(&format!("proxy: by the proxy {proxy}: {expected}")), "{told}");
        }
        let told = verdict_by(&trusting(CERT), &hasty(through(by(silent), &url))).await.0;
        assert_eq!(told, "proxy: the proxy did not open the way to the target within 400ms");
        let plain = through(by(asking), "http://shop.test/");
        assert_eq!(
            verdict_of(&plain).await.0,
            "proxy: the proxy asks for credentials that it accepts: status 407"
        );
        // failures of the target stay its own
        let (working, _heads) = tunnelling(Duration::ZERO).await;
        assert!(verdict_of(&through(by(working), &url)).await.0.starts_with("certificate_untrusted: "));
        assert_eq!(verdict_by(&trusting(CERT), &through(by(working), &url)).await.0, "ok");
    }
}

/// Steps on the way through a tunnel at which it may stall.
const STEPS: [(&str, Reason); 4] = [
    ("accept", Reason::Proxy),
    ("tunnel", Reason::Tls),
    ("handshake", Reason::FirstByteTimeout),
    ("head", Reason::ReadTimeout),
];

#[tokio::test]
async fn wherever_a_way_stalls_the_phases_are_a_partition() {
    let acceptor = acceptor(CERT, &[]);
    for (stalled, (step, reason)) in STEPS.into_iter().enumerate() {
        let acceptor = acceptor.clone();
        let proxy = listening(move |mut stream| {
            let acceptor = acceptor.clone();
            async move {
                let pause = |at: usize| async move {
                    let time = if at == stalled { 3_600_000 } else { fastrand::u64(0..30) };
                    tokio::time::sleep(Duration::from_millis(time)).await;
                };
                let _ = read_head(&mut stream).await;
                pause(0).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                pause(1).await;
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = read_head(&mut stream).await;
                pause(2).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n").await;
                let _ = stream.flush().await;
                pause(3).await;
                let _ = stream.read_u8().await;
            }
        })
        .await;
        let target = hasty(through(by(proxy), "https://localhost/"));
        for _ in 0..2 {
            // the sum of the phases is compared with the total on the way
            let outcome = verdict_by(&trusting(CERT), &target).await.1;
            assert!(
                matches!(outcome.verdict, Verdict::Fail { reason: found, .. } if found == reason),
                "{step}: {outcome:?}"
            );
            let happened = outcome.phases.named().into_iter().filter(|(_, spent)| spent.is_some()).count();
            assert_eq!(happened, 1 + stalled, "{step}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_target_that_a_request_chose_is_not_reached_by_a_proxy() {
    let (proxy, mut heads) = answering(OK).await;
    let target = Target { allowed: Some(Arc::default()), ..through(by(proxy), "http://shop.test/") };
    let outcome = prober().probe(&target).await;
    assert!(matches!(outcome.verdict, Verdict::Fail { reason: Reason::Forbidden, .. }), "{outcome:?}");
    assert!(heads.try_recv().is_err());
}
