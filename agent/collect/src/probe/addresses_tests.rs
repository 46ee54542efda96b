//! Targets of several addresses, on loopback, in real time.

use std::net::SocketAddr;
use std::time::Duration;

use lookout_config::{Check, Family, HostPort, IcmpCheck, Target, TcpCheck};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, UdpSocket};

use super::test_support::*;
use super::{Reason, Verdict};

/// A name server that gives every name the same addresses, byte by byte (RFC 1035).
async fn name_server(v4: &'static [[u8; 4]], v6: &'static [[u8; 16]]) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            // the question ends after its name, type and class
            let end = 12 + query[12..length].iter().position(|byte| *byte == 0).unwrap() + 5;
            let record: Vec<&[u8]> = match query[end - 3] {
                1 => v4.iter().map(<[u8; 4]>::as_slice).collect(),
                _ => v6.iter().map(<[u8; 16]>::as_slice).collect(),
            };
            let mut answer = query[..end].to_vec();
            answer[2..4].copy_from_slice(&[0x81, 0x80]);
            answer[6..12].copy_from_slice(&[0, u8::try_from(record.len()).unwrap(), 0, 0, 0, 0]);
            for data in record {
                let kind = if data.len() == 4 { 1 } else { 28 };
                answer.extend_from_slice(&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0]);
                answer.push(u8::try_from(data.len()).unwrap());
                answer.extend_from_slice(data);
            }
            let _ = socket.send_to(&answer, from).await;
        }
    });
    address
}

/// A server on a port that every address of loopback shares; it greets after a pause.
async fn greeting_at(address: SocketAddr, pause: u64) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let _ = stream.write_all(OK.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

const ONE: [u8; 4] = [127, 0, 0, 1];
const TWO: [u8; 4] = [127, 0, 0, 2];
const SIX: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

fn named(port: u16, family: Family, resolver: SocketAddr) -> Target {
    let http = requesting(get(format!("http://shop.test:{port}/health")));
    Target { family, resolver: Some(resolver), ..http }
}

#[tokio::test]
async fn every_address_must_be_good_and_each_has_a_result() {
    let resolver = name_server(&[ONE, TWO, ONE], &[SIX]).await;
    let port = greeting_at((ONE, 0).into(), 0).await.port();
    let target = named(port, Family::All, resolver);
    for _ in 0..2 {
        // nobody listens at two of three
        let (told, outcome) = verdict_of(&target).await;
        assert!(
            told.starts_with("connect_refused: 2 of 3 addresses failed, 127.0.0.2: no connection"),
            "{told}"
        );
        let good: Vec<bool> = outcome.received.addresses.iter().map(|one| one.failure.is_none()).collect();
        assert_eq!(good, [true, false, false], "{outcome:?}");
    }
    let _two = greeting_at((TWO, port).into(), 150).await;
    let _six = greeting_at((std::net::Ipv6Addr::LOCALHOST, port).into(), 0).await;
    let (told, outcome) = verdict_of(&target).await;
    assert_eq!((told.as_str(), outcome.received.addresses.len()), ("ok", 3));
    assert!(
        outcome.phases.resolve.is_some() && outcome.total >= Duration::from_millis(150),
        "the slowest counts"
    );
    assert_eq!(outcome.address, Some((TWO, port).into()));
    // without it, the first address that takes the connection is the answer
    let auto = verdict_of(&named(port, Family::Auto, resolver)).await.1;
    assert_eq!((auto.address, auto.received.addresses.len()), (Some((ONE, port).into()), 0));
}

#[tokio::test]
async fn both_families_must_be_there_and_good() {
    let port = greeting_at((ONE, 0).into(), 0).await.port();
    let _six = greeting_at((std::net::Ipv6Addr::LOCALHOST, port).into(), 0).await;
    let both = name_server(&[ONE, TWO], &[SIX]).await;
    let (told, outcome) = verdict_of(&named(port, Family::Both, both)).await;
    let tried: Vec<String> = outcome.received.addresses.iter().map(|one| one.address.to_string()).collect();
    assert_eq!((told.as_str(), tried), ("ok", vec!["127.0.0.1".to_owned(), "::1".to_owned()]));
    let four = name_server(&[ONE], &[]).await;
    let (told, outcome) = verdict_of(&named(port, Family::Both, four)).await;
    assert_eq!(told, "dns: shop.test has no IPv6 address");
    assert_eq!(outcome.phases.connect, None);
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = hasty(named(port, Family::All, silent.local_addr().unwrap()));
    assert_eq!(verdict_of(&target).await.0, "dns: the name did not resolve within 400ms");
}

#[tokio::test]
async fn an_address_that_hangs_is_cut_at_the_deadline_of_all() {
    let resolver = name_server(&[ONE, TWO], &[]).await;
    let port = greeting_at((ONE, 0).into(), 0).await.port();
    let _two = greeting_at((TWO, port).into(), 3_600_000).await;
    let (told, outcome) = verdict_of(&hasty(named(port, Family::All, resolver))).await;
    assert!(told.starts_with("ttfb_timeout: 1 of 2 addresses failed, 127.0.0.2: no answer within"), "{told}");
    assert!(outcome.total < Duration::from_millis(500), "{outcome:?}");
}

#[tokio::test]
async fn an_address_that_is_written_out_is_the_only_one() {
    let address = greeting_at((ONE, 0).into(), 0).await;
    let http = requesting(get(format!("http://{address}/")));
    let (told, outcome) = verdict_of(&Target { family: Family::All, ..http.clone() }).await;
    assert_eq!((told.as_str(), outcome.received.addresses.len()), ("ok", 1));
    assert_eq!(outcome.phases.resolve, None);
    let told = verdict_of(&Target { family: Family::Both, ..http }).await.0;
    assert_eq!(told, "dns: 127.0.0.1 has no IPv6 address");
    let peer = HostPort { host: "127.0.0.1".to_owned(), port: address.port() };
    let tcp = TcpCheck { address: peer, tls: None, starttls: None, dialogue: Vec::new() };
    for check in [Check::Tcp(Box::new(tcp)), Check::Icmp(IcmpCheck { host: "127.0.0.1".to_owned(), size: 8 })]
    {
        let outcome = verdict_of(&Target { family: Family::All, ..probing(check) }).await.1;
        let permitted = !matches!(outcome.verdict, Verdict::Fail { reason: Reason::Permission, .. });
        assert!(outcome.is_ok() || !permitted, "{outcome:?}");
        assert_eq!(outcome.received.addresses.len(), 1);
    }
}
