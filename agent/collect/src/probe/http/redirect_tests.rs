//! Redirects: how far they are followed, and what stays at the origin.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::DistinguishedName;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio::io::AsyncWriteExt as _;
use tokio_rustls::TlsAcceptor;

use super::super::test_support::*;
use super::*;
use lookout_config::{Credentials, Redirects, Secret, TlsOptions};

fn check_at(address: SocketAddr) -> HttpCheck {
    get(format!("http://{address}/health"))
}

fn as_text(pem: &[u8]) -> String {
    String::from_utf8(pem.to_vec()).unwrap()
}

/// Asks for a certificate and accepts any.
#[derive(Debug)]
struct AnyClient;

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        let provider = rustls::crypto::ring::default_provider();
        provider.signature_verification_algorithms.supported_schemes()
    }
}

fn acceptor_asking() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(CERT).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(AnyClient))
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Answers with a redirect.
async fn leading_to(
    location: String,
    status: u16,
) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<String>) {
    answering(format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")).await
}

#[tokio::test]
async fn redirects_are_followed_to_the_limit_and_a_post_becomes_a_get() {
    let (address, mut heads) = server(|mut stream| async move {
        // each connection is one hop: /a, /b, then the answer
        let _ = stream.write_all(b"HTTP/1.1 302 Found\r\nlocation: next\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    let redirects = Redirects { limit: 3, any_origin: false };
    let post = HttpCheck {
        method: "POST".to_owned(),
        body: Some("x".to_owned()),
        redirects,
        ..get(format!("http://{address}/a"))
    };
    assert_eq!(verdict_of(&requesting(post)).await.0, "redirect: more than 3 redirects");
    let hops: Vec<String> = std::iter::from_fn(|| heads.try_recv().ok()).collect();
    let lines: Vec<&str> = hops.iter().filter_map(|head| head.lines().next()).collect();
    assert_eq!(lines, ["POST /a HTTP/1.1", "GET /next HTTP/1.1", "GET /next HTTP/1.1", "GET /next HTTP/1.1"]);
    assert!(hops[1..].iter().all(|head| !head.contains("content-length: 1")), "{hops:?}");

    let (last, _) = answering(OK).await;
    let (first, _) = leading_to(format!("http://{last}/"), 307).await;
    let redirects = Redirects { limit: 1, any_origin: true };
    let target = requesting(HttpCheck { redirects, ..check_at(first) });
    let target = asserting(target, &["status == 200 and redirects == 1"]);
    assert_eq!(verdict_of(&target).await.0, "ok");
}

#[tokio::test]
async fn a_redirect_from_plain_http_to_tls_is_verified_by_the_authorities_of_the_target() {
    let secure = tls_server(CERT).await;
    let (first, _heads) = leading_to(format!("https://localhost:{}/", secure.port()), 302).await;
    let redirects = Redirects { limit: 1, any_origin: true };
    for (ca, expected) in [(Some(as_text(CERT)), "ok"), (None, "certificate_untrusted: ")] {
        let tls = TlsOptions { ca, ..TlsOptions::default() };
        let (told, _) = verdict_of(&requesting(HttpCheck { tls, redirects, ..check_at(first) })).await;
        assert!(told.starts_with(expected), "{told}");
    }
}

#[tokio::test]
async fn phases_are_the_time_of_all_hops_and_no_hop_is_left_out() {
    let pause = Duration::from_millis(60);
    let (last, _last_heads) = server(move |mut stream| async move {
        tokio::time::sleep(pause).await;
        let _ = stream.write_all(OK.as_bytes()).await;
    })
    .await;
    let (first, _first_heads) = server(move |mut stream| async move {
        tokio::time::sleep(pause).await;
        let head = format!("HTTP/1.1 302 Found\r\nlocation: http://{last}/\r\ncontent-length: 0\r\n\r\n");
        let _ = stream.write_all(head.as_bytes()).await;
    })
    .await;
    let redirects = Redirects { limit: 1, any_origin: true };
    let (told, outcome) = verdict_of(&requesting(HttpCheck { redirects, ..check_at(first) })).await;
    assert_eq!(told, "ok");
    let spent: Duration = outcome.phases.named().into_iter().filter_map(|(_, spent)| spent).sum();
    assert_eq!(spent, outcome.total, "{:?}", outcome.phases);
    assert!(outcome.phases.processing.unwrap() >= 2 * pause, "both hops: {:?}", outcome.phases);
    assert_eq!((outcome.phases.tls, outcome.phases.resolve), (None, None), "no hop had them");
}

#[tokio::test]
async fn credentials_and_headers_stay_at_their_origin() {
    let (stranger, mut heads) = answering(OK).await;
    let (first, mut first_heads) = leading_to(format!("http://{stranger}/"), 302).await;
    let check = HttpCheck {
        authorization: Credentials::Bearer(Secret::new("hunter2")),
        headers: vec![
            ("x-api-key".to_owned(), Secret::new("hunter2")),
            ("cookie".to_owned(), Secret::new("a=hunter2")),
        ],
        redirects: Redirects { limit: 3, any_origin: true },
        ..check_at(first)
    };
    assert_eq!(verdict_of(&requesting(check.clone())).await.0, "ok");
    assert_eq!(first_heads.recv().await.unwrap().matches("hunter2").count(), 3);
    let head = heads.recv().await.unwrap();
    assert!(!head.contains("hunter2"), "{head}");

    let same = HttpCheck { redirects: Redirects { limit: 3, any_origin: false }, ..check };
    let refused = verdict_of(&requesting(same)).await.0;
    assert!(
        refused.starts_with(&format!("redirect: a redirect leads to another origin: http://{stranger}")),
        "{refused}"
    );
    assert!(heads.try_recv().is_err(), "the stranger is not asked");
}

#[tokio::test]
async fn a_body_stays_at_its_origin() {
    let (stranger, mut heads) = answering(OK).await;
    let posting = |first: SocketAddr| {
        requesting(HttpCheck {
            method: "POST".to_owned(),
            body: Some("password=hunter2".to_owned()),
            redirects: Redirects { limit: 3, any_origin: true },
            ..check_at(first)
        })
    };
    for status in [307, 308, 307] {
        let (first, _) = leading_to(format!("http://{stranger}/"), status).await;
        assert_eq!(
            verdict_of(&posting(first)).await.0,
            format!(
                "redirect: a redirect ({status}) would send the body to another origin: http://{stranger}"
            )
        );
        assert!(heads.try_recv().is_err(), "the stranger is not asked");
    }
    let (first, _) = leading_to(format!("http://{stranger}/"), 303).await;
    assert_eq!(verdict_of(&posting(first)).await.0, "ok");
    assert!(heads.recv().await.unwrap().starts_with("GET / "), "a redirect that asks for no body");
}

/// The first origin is asked by another name and is shown a certificate; the second is asked by its own, and is not.
#[tokio::test]
async fn the_name_and_the_certificate_of_the_target_stay_at_its_origin() {
    let shown = Arc::new(std::sync::Mutex::new(Vec::new()));
    let serve = async |answer: String| {
        let (acceptor, shown) = (acceptor_asking(), Arc::clone(&shown));
        listening(move |stream| {
            let (acceptor, shown, answer) = (acceptor.clone(), Arc::clone(&shown), answer.clone());
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let session = stream.get_ref().1;
                let name = session.server_name().map(str::to_owned);
                shown.lock().unwrap().push((name, session.peer_certificates().is_some()));
                let _ = read_head(&mut stream).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    };
    let last = serve(OK.to_owned()).await;
    // an address and a name are two origins
    let location = format!("https://localhost:{}/", last.port());
    let first =
        serve(format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")).await;
    let tls = TlsOptions {
        insecure: true,
        server_name: Some("shop.test".to_owned()),
        identity: Some((as_text(CERT), Secret::new(as_text(KEY)))),
        ..TlsOptions::default()
    };
    let redirects = Redirects { limit: 1, any_origin: true };
    let url = format!("https://127.0.0.1:{}/", first.port());
    let target = requesting(HttpCheck { tls, redirects, ..get(url) });
    for _ in 0..2 {
        assert_eq!(verdict_by(&trusting(CERT), &target).await.0, "ok");
        let seen = std::mem::take(&mut *shown.lock().unwrap());
        let [own, stranger] = ["shop.test", "localhost"].map(|name| Some(name.to_owned()));
        assert_eq!(seen, [(own, true), (stranger, false)]);
    }
}

#[tokio::test]
async fn a_redirect_to_plain_text_is_refused() {
    let acceptor = acceptor(CERT, &[]);
    let address = listening(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let _ = read_head(&mut stream).await;
            let _ = stream
                .write_all(b"HTTP/1.1 301 Moved\r\nlocation: http://localhost/\r\ncontent-length: 0\r\n\r\n")
                .await;
            let _ = stream.shutdown().await;
        }
    })
    .await;
    let redirects = Redirects { limit: 3, any_origin: true };
    let target = requesting(HttpCheck { redirects, ..get(format!("https://localhost:{}/", address.port())) });
    let refused = verdict_by(&trusting(CERT), &target).await.0;
    assert_eq!(refused, "redirect: a redirect leads from TLS to plain text: http://localhost");
}
