use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::test_support::*;
use super::*;
use lookout_config::{Check, HostPort, Send, StartTls, Step, Target, TlsOptions};

fn pattern(text: &str) -> Step {
    Step::Expect(regex::bytes::Regex::new(text).unwrap())
}

fn send(bytes: &[u8]) -> Step {
    Step::Send(Send(bytes.to_vec()))
}

fn check(address: SocketAddr) -> TcpCheck {
    let address = HostPort { host: "127.0.0.1".to_owned(), port: address.port() };
    TcpCheck { address, tls: None, starttls: None, dialogue: Vec::new() }
}

fn speaking(address: SocketAddr, dialogue: Vec<Step>) -> Target {
    probing(Check::Tcp(Box::new(TcpCheck { dialogue, ..check(address) })))
}

fn starting_tls(address: SocketAddr, kind: StartTls) -> Target {
    let address = HostPort { host: "localhost".to_owned(), port: address.port() };
    let starttls = Some((kind, TlsOptions::default()));
    probing(Check::Tcp(Box::new(TcpCheck { address, tls: None, starttls, dialogue: Vec::new() })))
}

/// Sends each word, reads each answer, and turns to TLS at the end.
async fn scripted(script: Script, secure: bool) -> SocketAddr {
    let acceptor = acceptor(CERT, &[]);
    listening(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            for (say, read) in script {
                stream.write_all(say).await.unwrap();
                let mut heard = vec![0; read.len()];
                let _ = stream.read_exact(&mut heard).await;
                assert_eq!(&heard, read, "what the client says");
            }
            if secure {
                let _ = acceptor.accept(stream).await;
            } else {
                std::future::pending::<()>().await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_connection_is_enough_and_a_dialogue_is_more() {
    let address = silent().await;
    let (told, outcome) = verdict_of(&speaking(address, Vec::new())).await;
    assert_eq!((told.as_str(), outcome.summary.as_deref()), ("ok", Some("connected")));
    let address = scripted(&[(b"+HELLO\r\n", b"PING\r\n"), (b"+PO", b""), (b"NG\r\n", b"")], false).await;
    let dialogue = vec![pattern("^.HELLO\r\n"), send(b"PING\r\n"), pattern("PONG")];
    let target = asserting(speaking(address, dialogue), &["body contains \"PONG\" and body.size == 15"]);
    assert_eq!(verdict_of(&target).await.0, "ok");
}

#[tokio::test]
async fn a_dialogue_that_ends_otherwise_is_told() {
    let address = scripted(&[(b"-ERR away\r\n", b"")], false).await;
    let (told, outcome) = verdict_of(&hasty(speaking(address, vec![pattern("HELLO")]))).await;
    assert_eq!(told, "ttfb_timeout: no answer within 400ms");
    assert!(outcome.phases.processing.is_some());
    let closing = listening(|mut stream| async move {
        let _ = stream.write_all(b"-ERR away\r\n").await;
    })
    .await;
    let (told, _) = verdict_of(&speaking(closing, vec![pattern("HELLO")])).await;
    assert_eq!(told, "expect: the peer sent \"-ERR away\\r\\n\" and closed the connection, expected `HELLO`");
    let endless =
        listening(|mut stream| async move { while stream.write_all(&[b'x'; 4096]).await.is_ok() {} }).await;
    let (told, _) = verdict_of(&speaking(endless, vec![pattern("HELLO")])).await;
    assert!(told.starts_with("expect: ") && told.contains("more than 64 KiB"), "{told}");
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(verdict_of(&speaking(closed, Vec::new())).await.0.starts_with("connect_refused: "));
}

#[tokio::test]
async fn tls_from_the_first_byte_records_the_certificate() {
    let address = tls_server(CERT).await;
    let peer = HostPort { host: "localhost".to_owned(), port: address.port() };
    let tls = Some(TlsOptions::default());
    let target = probing(Check::Tcp(Box::new(TcpCheck { address: peer, tls, ..check(address) })));
    let wanted =
        "certificate.names == \"localhost\" and certificate.days_left > 9000 and tls.version == \"TLS 1.3\"";
    let (told, outcome) = verdict_by(&trusting(CERT), &asserting(target.clone(), &[wanted])).await;
    assert_eq!((told.as_str(), outcome.summary.as_deref()), ("ok", Some("TLS 1.3")));
    let certificate = outcome.certificate.unwrap();
    assert_eq!(certificate.verified_not_after_s, Some(certificate.not_after_s));
    assert_eq!((certificate.not_after_s, certificate.fingerprint.len()), (certificate.sent_not_after_s, 64));
    let soon = verdict_by(&trusting(CERT), &asserting(target, &["certificate.days_left > 99999"])).await.0;
    assert!(
        soon.starts_with("certificate: certificate.days_left (") && soon.ends_with(") > 99999"),
        "{soon}"
    );
}

#[tokio::test]
async fn a_server_name_and_an_authority_of_the_target_are_used() {
    let address = tls_server(CERT).await;
    let options = |server_name: &str| TlsOptions {
        ca: Some(String::from_utf8(CERT.to_vec()).unwrap()),
        server_name: Some(server_name.to_owned()),
        ..TlsOptions::default()
    };
    let target =
        |name: &str| probing(Check::Tcp(Box::new(TcpCheck { tls: Some(options(name)), ..check(address) })));
    assert_eq!(verdict_of(&target("localhost")).await.0, "ok");
    assert!(verdict_of(&target("example.org")).await.0.starts_with("certificate_name: "));
}

const SMTP: Script = &[
    (b"220-mail.test\r\n220 ESMTP\r\n", b"EHLO lookout\r\n"),
    (b"250-mail.test\r\n250-STARTTLS\r\n250 SIZE 1\r\n", b"STARTTLS\r\n"),
    (b"220 go\r\n", b""),
];
const IMAP: Script = &[(b"* OK ready\r\n", b"a1 STARTTLS\r\n"), (b"* CAPABILITY\r\na1 OK begin\r\n", b"")];
const POSTGRESQL: Script = &[(b"", b"\x00\x00\x00\x08\x04\xd2\x16\x2f"), (b"S", b"")];
const LDAP_REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
const LDAP: Script =
    &[(b"", LDAP_REQUEST), (b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00", b"")];

type Script = &'static [(&'static [u8], &'static [u8])];
const REFUSALS: &[(StartTls, Script, &str)] = &[
    (StartTls::Smtp, &[(b"554 go away\r\n", b"")], "expected 220, the server says \"554 go away\""),
    (
        StartTls::Smtp,
        &[(b"220 mail\r\n", b"EHLO lookout\r\n"), (b"250 mail\r\n", b"")],
        "the server offers no STARTTLS",
    ),
    (
        StartTls::Imap,
        &[(b"* OK ready\r\n", b"a1 STARTTLS\r\n"), (b"a1 BAD what\r\n", b"")],
        "the server says \"BAD what\"",
    ),
    (
        StartTls::PostgreSql,
        &[(b"", b"\x00\x00\x00\x08\x04\xd2\x16\x2f"), (b"N", b"")],
        "the server has no TLS",
    ),
    (
        StartTls::Ldap,
        &[(b"", LDAP_REQUEST), (b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00", b"")],
        "the server answers with result 52",
    ),
];

#[tokio::test]
async fn each_protocol_turns_to_tls_in_its_words() {
    for (kind, script) in [
        (StartTls::Smtp, SMTP),
        (StartTls::Imap, IMAP),
        (StartTls::PostgreSql, POSTGRESQL),
        (StartTls::Ldap, LDAP),
    ] {
        let address = scripted(script, true).await;
        let (told, outcome) = verdict_by(&trusting(CERT), &starting_tls(address, kind)).await;
        assert_eq!(told, "ok", "{kind:?}");
        assert!(
            outcome.phases.tls.is_some()
                && outcome.phases.processing.is_some()
                && outcome.certificate.is_some()
        );
    }
}

#[tokio::test]
async fn a_peer_that_refuses_to_turn_is_told() {
    for (kind, script, expected) in REFUSALS {
        let address = scripted(script, false).await;
        assert_eq!(
            verdict_of(&starting_tls(address, *kind)).await.0,
            format!("starttls: STARTTLS: {expected}")
        );
    }
    let mute = silent().await;
    for kind in [StartTls::Smtp, StartTls::Imap, StartTls::PostgreSql, StartTls::Ldap] {
        let (told, _) = verdict_of(&hasty(starting_tls(mute, kind))).await;
        assert_eq!(told, "ttfb_timeout: no answer within 400ms", "{kind:?}");
    }
}
