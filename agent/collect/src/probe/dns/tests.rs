use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hickory_proto::op::{MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record};
use lookout_config::RecordType;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;

use super::super::test_support::*;
use super::*;
use lookout_config::{Check, Target, TlsOptions};

fn target(server: SocketAddr, transport: DnsTransport) -> Target {
    let query = "example.test".to_owned();
    let check = DnsCheck { server, query, record: RecordType::A, transport, recursion: true };
    asserting(
        probing(Check::Dns(Box::new(check))),
        &["dns.code == \"NOERROR\"", "dns.answers == \"192.0.2.1\" and dns.ttl == 60"],
    )
}

/// The answer of the test servers: one address.
fn reply(query: &[u8], code: ResponseCode) -> Message {
    let query = Message::from_vec(query).unwrap();
    let mut answer = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    answer.metadata.response_code = code;
    let name = query.queries[0].name().clone();
    answer.add_query(query.queries[0].clone());
    if code == ResponseCode::NoError {
        answer.add_answer(Record::from_rdata(name, 60, RData::A(A::new(192, 0, 2, 1))));
    }
    answer
}

/// Answers each datagram with what `answers` makes of it and of its number.
async fn udp(answers: impl Fn(usize, &[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        for number in 0.. {
            let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
            for answer in answers(number, &buffer[..length]) {
                socket.send_to(&answer, peer).await.unwrap();
            }
        }
    });
    address
}

fn good(query: &[u8]) -> Vec<u8> {
    reply(query, ResponseCode::NoError).to_vec().unwrap()
}

#[tokio::test]
async fn the_answer_of_a_server_is_judged() {
    let server = udp(|_, query| vec![good(query)]).await;
    let (told, outcome) = verdict_of(&target(server, DnsTransport::Udp)).await;
    assert_eq!((told.as_str(), outcome.summary.as_deref()), ("ok", Some("NOERROR")));
    assert!(outcome.phases.connect.is_none(), "a datagram needs no connection: {outcome:?}");
    let server = udp(|_, query| vec![reply(query, ResponseCode::NXDomain).to_vec().unwrap()]).await;
    let told = verdict_of(&target(server, DnsTransport::Udp)).await.0;
    assert_eq!(told, "dns_answer: dns.code (\"NXDOMAIN\") == \"NOERROR\"");
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again_and_a_forged_one_is_no_answer() {
    let server = udp(|number, query| if number == 0 { Vec::new() } else { vec![good(query)] }).await;
    assert_eq!(verdict_of(&target(server, DnsTransport::Udp)).await.0, "ok");
    let server = udp(|_, query| {
        let mut forged = good(query);
        forged[0] ^= 0xff;
        vec![forged, b"nonsense".to_vec()]
    })
    .await;
    assert_eq!(
        verdict_of(&hasty(target(server, DnsTransport::Udp))).await.0,
        "ttfb_timeout: no answer within 400ms"
    );
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(verdict_of(&target(closed, DnsTransport::Udp)).await.0.starts_with("connect_refused: "));
}

async fn framed(stream: &mut (impl net::Io + ?Sized)) -> Option<()> {
    let length = stream.read_u16().await.ok()?;
    let mut query = vec![0; usize::from(length)];
    stream.read_exact(&mut query).await.ok()?;
    let answer = good(&query);
    stream.write_u16(u16::try_from(answer.len()).unwrap()).await.ok()?;
    stream.write_all(&answer).await.ok()?;
    stream.flush().await.ok()
}

#[tokio::test]
async fn tcp_tls_and_truncation_work() {
    let tcp = listening(|mut stream| async move {
        framed(&mut stream).await;
    })
    .await;
    let (told, outcome) = verdict_of(&target(tcp, DnsTransport::Tcp)).await;
    assert_eq!(told, "ok");
    assert!(outcome.phases.connect.is_some() && outcome.phases.processing.is_some());

    // the same port over UDP says that the answer does not fit
    let socket = UdpSocket::bind(tcp).await.unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
        let mut answer = reply(&buffer[..length], ResponseCode::NoError);
        answer.metadata.truncation = true;
        answer.answers.clear();
        socket.send_to(&answer.to_vec().unwrap(), peer).await.unwrap();
    });
    assert_eq!(verdict_of(&target(tcp, DnsTransport::Udp)).await.0, "ok");

    let acceptor = acceptor(CERT, &["dot"]);
    let tls = listening(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                framed(&mut stream).await;
            }
        }
    })
    .await;
    let options = TlsOptions { server_name: Some("localhost".to_owned()), ..TlsOptions::default() };
    let target = target(tls, DnsTransport::Tls(Box::new(options)));
    let (told, outcome) = verdict_by(&trusting(CERT), &target).await;
    assert_eq!(told, "ok");
    assert!(outcome.phases.tls.is_some() && outcome.certificate.is_some());
}

#[tokio::test]
async fn names_of_targets_are_asked_of_their_own_resolver() {
    let resolver = udp(|_, query| {
        let asked = Message::from_vec(query).unwrap();
        let mut answer = reply(query, ResponseCode::NoError);
        answer.answers.clear();
        if asked.queries[0].query_type() == hickory_proto::rr::RecordType::A {
            let name = asked.queries[0].name().clone();
            answer.add_answer(Record::from_rdata(name, 60, RData::A(A::new(127, 0, 0, 1))));
        }
        vec![answer.to_vec().unwrap()]
    })
    .await;
    let (web, _heads) = answering(OK).await;
    let named = requesting(get(format!("http://only-there.test:{}/", web.port())));
    let target = Target { resolver: Some(resolver), ..named.clone() };
    let (told, outcome) = verdict_of(&target).await;
    assert_eq!((told.as_str(), outcome.address), ("ok", Some(web)));
    assert!(outcome.phases.resolve.is_some());
    let six = Target { family: lookout_config::Family::V6, ..target };
    assert_eq!(verdict_of(&six).await.0, "dns: only-there.test has no IPv6 address");
    let dead = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let told = verdict_of(&Target { resolver: Some(dead), ..named }).await.0;
    assert!(told.starts_with("dns: no exchange with"), "{told}");
}

#[tokio::test]
async fn an_answer_is_asked_for_again_when_its_ttl_is_over_and_a_failure_each_time() {
    for (ttl, code, asked_once) in [
        (60, ResponseCode::NoError, true),
        (0, ResponseCode::NoError, false),
        (60, ResponseCode::ServFail, false),
    ] {
        let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let resolver = udp(move |_, query| {
            count.fetch_add(1, Ordering::SeqCst);
            let mut answer = reply(query, code);
            for record in &mut answer.answers {
                (record.ttl, record.data) = (ttl, RData::A(A::new(127, 0, 0, 1)));
            }
            vec![answer.to_vec().unwrap()]
        })
        .await;
        let (web, _heads) = answering(OK).await;
        let named = requesting(get(format!("http://only-there.test:{}/", web.port())));
        let target = Target { resolver: Some(resolver), family: lookout_config::Family::V4, ..named };
        let prober = prober();
        for time in 0..3 {
            let (told, outcome) = verdict_by(&prober, &target).await;
            assert_eq!(told == "ok", code == ResponseCode::NoError, "{told}");
            assert_eq!(outcome.received.cached_name, asked_once && time > 0, "TTL {ttl}, {code}, {time}");
            assert!(outcome.phases.resolve.is_some(), "the phase is there, however short");
        }
        assert_eq!(asked.load(Ordering::SeqCst), if asked_once { 1 } else { 3 }, "TTL {ttl}, {code}");
    }
}

/// With `all` an address that could not be looked up is one that is not probed. Twice, and healed.
#[tokio::test]
async fn a_family_that_cannot_be_looked_up_is_no_address_less() {
    let fails = Arc::new(AtomicBool::new(false));
    let failing = Arc::clone(&fails);
    let resolver = udp(move |_, query| {
        let asked = Message::from_vec(query).unwrap();
        let is_v4 = asked.queries[0].query_type() == hickory_proto::rr::RecordType::A;
        let broken = !is_v4 && failing.load(Ordering::Relaxed);
        let mut answer = reply(query, if broken { ResponseCode::ServFail } else { ResponseCode::NoError });
        answer.answers.clear();
        if is_v4 {
            let name = asked.queries[0].name().clone();
            answer.add_answer(Record::from_rdata(name, 60, RData::A(A::new(127, 0, 0, 1))));
        }
        vec![answer.to_vec().unwrap()]
    })
    .await;
    let (web, _heads) = answering(OK).await;
    let named = requesting(get(format!("http://shop.test:{}/", web.port())));
    let all = Target { resolver: Some(resolver), family: lookout_config::Family::All, ..named };
    for _ in 0..2 {
        fails.store(true, Ordering::Relaxed);
        let told = verdict_of(&all).await.0;
        assert!(told.starts_with("dns: shop.test did not resolve: ") && told.ends_with("SERVFAIL"), "{told}");
        let auto = Target { family: lookout_config::Family::Auto, ..all.clone() };
        assert_eq!(verdict_of(&auto).await.0, "ok", "one address is enough there");
        fails.store(false, Ordering::Relaxed);
        assert_eq!(verdict_of(&all).await.0, "ok", "no record is no failure");
    }
}
