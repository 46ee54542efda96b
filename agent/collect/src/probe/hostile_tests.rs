//! Peers that hang or flood, against every protocol.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use lookout_config::{
    Check, DnsTransport, HttpCheck, HttpVersion, JourneyCheck, JourneyStep, StartTls, Step, Target,
    TlsOptions,
};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::test_support::*;
use super::{Outcome, Probe as _, Verdict};

const DEADLINE: Duration = Duration::from_secs(2);

/// Time after the deadline in which a probe ends.
const SLACK: Duration = Duration::from_millis(100);

/// The target of a URL in which `PEER` is the address.
fn target(url: &str, peer: SocketAddr) -> Target {
    let url = url.replace("PEER", &peer.to_string());
    Target { name: url.clone(), timeout: DEADLINE, ..Target::of_url(&url.parse().unwrap()).unwrap() }
}

fn changed(mut target: Target, what: &str, change: impl FnOnce(&mut Check)) -> Target {
    target.name = format!("{} {what}", target.name);
    change(&mut target.check);
    target
}

fn starting_tls(peer: SocketAddr, kind: StartTls) -> Target {
    changed(target("tcp://PEER", peer), "starttls", |check| {
        let Check::Tcp(tcp) = check else { return };
        tcp.starttls = Some((kind, TlsOptions::default()));
    })
}

fn over(peer: SocketAddr, transport: DnsTransport) -> Target {
    let what = format!("{transport:?}");
    changed(target("dns://PEER/example.org", peer), &what, |check| {
        let Check::Dns(dns) = check else { return };
        dns.transport = transport;
    })
}

/// Every protocol that waits for this peer, whatever it does after it accepted.
fn waiting(peer: SocketAddr) -> Vec<Target> {
    let get = HttpCheck::get(format!("http://{peer}/").parse().unwrap());
    let step = JourneyStep {
        name: "list".to_owned(),
        always: false,
        http: get.clone(),
        expect: std::sync::Arc::default(),
        extract: Vec::new(),
        needs: Vec::new(),
    };
    let journey = JourneyCheck { variables: Vec::new(), steps: vec![step] };
    let prior_knowledge = HttpCheck { version: HttpVersion::Two, ..get };
    let mut targets: Vec<Target> = [
        "http://PEER",
        "https://PEER",
        "tls://PEER",
        "grpc://PEER",
        "grpcs://PEER",
        "ws://PEER",
        "wss://PEER",
    ]
    .into_iter()
    .map(|url| target(url, peer))
    .collect();
    targets.push(changed(target("http://PEER", peer), "h2", |check| {
        *check = Check::Http(Box::new(prior_knowledge));
    }));
    targets.push(changed(target("http://PEER", peer), "journey", |check| {
        *check = Check::Journey(Box::new(journey));
    }));
    targets.push(changed(target("tcp://PEER", peer), "expect", |check| {
        let Check::Tcp(tcp) = check else { return };
        tcp.dialogue = vec![Step::Expect(regex::bytes::Regex::new("^never$").unwrap())];
    }));
    for kind in [StartTls::Smtp, StartTls::Imap, StartTls::PostgreSql, StartTls::Ldap] {
        targets.push(starting_tls(peer, kind));
    }
    targets.push(over(peer, DnsTransport::Tcp));
    targets.push(over(peer, DnsTransport::Tls(Box::default())));
    targets
}

/// A peer that sends one byte now and then, for ever.
async fn trickling(byte: u8) -> SocketAddr {
    listening(move |mut stream| async move {
        while stream.write_all(&[byte]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}

/// Probes, and returns how far the probe lay behind a timer of the same length: a busy machine delays both.
async fn lateness(target: &Target) -> (Outcome, Duration) {
    let prober = prober();
    let started = Instant::now();
    let (outcome, timer) = tokio::join!(prober.probe(target), async {
        tokio::time::sleep(DEADLINE).await;
        started.elapsed()
    });
    (outcome.clone(), outcome.total.saturating_sub(timer))
}

#[tokio::test]
async fn every_protocol_keeps_the_deadline_against_a_peer_that_hangs_or_trickles() {
    let datagrams = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut targets = waiting(silent().await);
    // an answer that never ends, where a byte is not an answer already
    let dripping = trickling(b'x').await;
    targets.extend(
        waiting(dripping)
            .into_iter()
            .filter(|target| matches!(target.check, Check::Tcp(ref tcp) if !tcp.dialogue.is_empty())),
    );
    let endless = answering("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1").await;
    targets.push(target("http://PEER", endless.0));
    targets.push(target("dns://PEER/example.org", datagrams.local_addr().unwrap()));
    assert_eq!(targets.len(), 19, "each protocol waits");
    let results = join_all(targets.iter().map(lateness)).await;
    for (target, (outcome, late)) in targets.iter().zip(results) {
        let Verdict::Fail { reason, .. } = &outcome.verdict else { panic!("{}: {outcome:?}", target.name) };
        assert!(!reason.is_local(), "{}: {outcome:?}", target.name);
        assert!(outcome.total >= DEADLINE, "{} ended early: {outcome:?}", target.name);
        assert!(late <= SLACK, "{} was {late:?} late: {outcome:?}", target.name);
    }
}

/// The largest resident memory of this process so far, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn three_bodies_of_300_mb_at_once_take_less_than_10_mb() {
    const BODY: usize = 300 << 20;
    const CHUNK: &[u8] = &[b'x'; 16 * 1024];
    let peer = server(|mut stream| async move {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n");
        let _ = stream.write_all(head.as_bytes()).await;
        for _ in 0..BODY / CHUNK.len() {
            if stream.write_all(CHUNK).await.is_err() {
                return;
            }
        }
    })
    .await;
    let small = answering(OK).await;
    assert_eq!(verdict_of(&target("http://PEER", small.0)).await.0, "ok", "what is loaded once is loaded");
    let url = format!("http://{}/", peer.0);
    let limited = HttpCheck::get(url.parse().unwrap());
    let whole = HttpCheck { body_limit: BODY, ..limited.clone() };
    let before = peak_memory();
    // a body that an assertion looks into is cut, and one that nothing looks into is not kept
    let kept = asserting(requesting(limited), &["body matches \"y\""]);
    for target in [kept, Target { timeout: Duration::from_secs(60), ..requesting(whole) }] {
        let prober = prober();
        let outcomes = join_all((0..3).map(|_| prober.probe(&target))).await;
        for outcome in outcomes {
            let cut =
                matches!(&outcome.verdict, Verdict::Fail { reason, .. } if reason.as_str() == "body_limit");
            assert!(cut || outcome.received.body_bytes == BODY, "{outcome:?}");
        }
    }
    let growth = peak_memory() - before;
    assert!(growth < 10 << 20, "{growth} bytes");
}
