//! Records of a small name server on loopback, in real time.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SRV};
use hickory_proto::rr::{Name, RData, Record};
use lookout_config::{DnsAddresses, RecordType};
use lookout_runtime::random::Random;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

use super::Records;
use crate::discover::{Discoverer as _, DiscoveryError};

/// Content of the zone: records, or a code.
type Zone = Arc<Mutex<Result<Vec<RData>, ResponseCode>>>;

fn answer(query: &[u8], zone: &Zone, cut: bool) -> Vec<u8> {
    let query = Message::from_vec(query).unwrap();
    let mut answer = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    answer.add_query(query.queries[0].clone());
    answer.metadata.truncation = cut;
    match &*zone.lock().unwrap() {
        Ok(records) if !cut => {
            for data in records {
                answer.add_answer(Record::from_rdata(query.queries[0].name().clone(), 5, data.clone()));
            }
        }
        Ok(_) => {}
        Err(code) => answer.metadata.response_code = *code,
    }
    answer.to_vec().unwrap()
}

/// A name server that gives every name the records of a zone. One that cuts sends the rest over TCP only.
async fn name_server(zone: &Zone, cuts: bool) -> SocketAddr {
    let (udp, tcp) = loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().unwrap();
    let (over_udp, over_tcp) = (Arc::clone(zone), Arc::clone(zone));
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut query).await {
            let _ = udp.send_to(&answer(&query[..length], &over_udp, cuts), from).await;
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let mut query = vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut query).await.unwrap();
            let answer = answer(&query, &over_tcp, false);
            stream.write_u16(answer.len().try_into().unwrap()).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        }
    });
    address
}

fn records(record: RecordType, server: SocketAddr) -> Records {
    let port = (record != RecordType::Srv).then_some(8080);
    let names = vec!["one.test".to_owned(), "two.test".to_owned()];
    let source = DnsAddresses { names, record, port, server: Some(server) };
    Records::new(source, Arc::new(Random::from_seed(1)))
}

async fn found(records: &Records) -> Result<Vec<String>, DiscoveryError> {
    let found = records.discover().await?.unwrap();
    let mut addresses: Vec<String> = found.into_iter().map(|found| found.address).collect();
    // both names have the same records
    addresses.dedup();
    Ok(addresses)
}

fn v4(last: u8) -> RData {
    RData::A(A(Ipv4Addr::new(10, 0, 0, last)))
}

#[tokio::test]
async fn addresses_of_every_family_and_services_with_their_ports_are_found() {
    let service = |port, target: &str| RData::SRV(SRV::new(1, 1, port, Name::from_ascii(target).unwrap()));
    let six = RData::AAAA(AAAA(Ipv6Addr::LOCALHOST));
    let alias = RData::CNAME(CNAME(Name::from_ascii("other.test.").unwrap()));
    for (record, zone, expected) in [
        (RecordType::A, vec![alias, v4(2), v4(1)], vec!["10.0.0.1:8080", "10.0.0.2:8080"]),
        (RecordType::Aaaa, vec![six], vec!["[::1]:8080"]),
        (
            RecordType::Srv,
            vec![service(8443, "b.test."), service(8080, "a.test."), service(1, ".")],
            vec!["a.test:8080", "b.test:8443"],
        ),
        (RecordType::A, Vec::new(), Vec::new()),
    ] {
        let zone = Arc::new(Mutex::new(Ok(zone)));
        for cuts in [false, true] {
            let records = records(record, name_server(&zone, cuts).await);
            assert_eq!(found(&records).await.unwrap(), expected, "{record:?}, cut: {cuts}");
        }
    }
}

#[tokio::test]
async fn a_server_that_fails_twice_and_heals() {
    let zone: Zone = Arc::new(Mutex::new(Ok(vec![v4(1)])));
    let server = name_server(&zone, false).await;
    let records = records(RecordType::A, server);
    for code in [ResponseCode::ServFail, ResponseCode::NXDomain] {
        assert_eq!(found(&records).await.unwrap(), ["10.0.0.1:8080"]);
        *zone.lock().unwrap() = Err(code);
        for _ in 0..2 {
            let error = found(&records).await.unwrap_err();
            assert_eq!(error.reason(), "dns");
            let says = if code == ResponseCode::ServFail { "SERVFAIL" } else { "NXDOMAIN" };
            assert_eq!(error.to_string(), format!("one.test: {server} says {says}"));
        }
        *zone.lock().unwrap() = Ok(vec![v4(1)]);
    }
    assert_eq!(found(&records).await.unwrap(), ["10.0.0.1:8080"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_or_says_nothing_is_told() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let silent = (silent.local_addr().unwrap(), silent);
    let told = found(&records(RecordType::A, silent.0)).await.unwrap_err().to_string();
    assert!(told.ends_with("gave no answer within 3s"), "{told}");
    drop(silent.1);
    let told = found(&records(RecordType::A, silent.0)).await.unwrap_err().to_string();
    assert!(told.contains("no exchange with 127.0.0.1") && told.contains("refused"), "{told}");
}
