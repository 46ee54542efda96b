//! Against a server on a real socket that answers as the path of its base asks it to.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

async fn answer(
    Path((base, verb)): Path<(String, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let said = |status: u16, kind: &str| {
        let body = format!(r#"{{"status":"error","errorType":"{kind}","error":"what is wrong"}}"#);
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    };
    let answered =
        |more: &str| format!(r#"{{"status":"success",{more}"data":{{"result":[]}}}}"#).into_response();
    match base.as_str() {
        "echo" | "reads-only" => {
            if base == "reads-only" && method == Method::POST {
                return StatusCode::METHOD_NOT_ALLOWED.into_response();
            }
            let form =
                if method == Method::GET { Bytes::from(uri.query().unwrap().to_owned()) } else { body };
            let text = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
            let labels = serde_json::json!({
                "method": method.as_str(), "verb": verb, "form": String::from_utf8(form.to_vec()).unwrap(),
                "type": text("content-type"), "authorization": text("authorization"), "tenant": text("x-scope-orgid"),
                "agent": text("user-agent"),
            });
            let result = serde_json::json!([{"metric": labels, "value": [1, "2"]}]);
            serde_json::json!({"status": "success", "data": {"result": result}}).to_string().into_response()
        }
        "moved" => (StatusCode::FOUND, [(header::LOCATION, "/echo/api/v1/query")]).into_response(),
        "slow" => std::future::pending().await,
        "huge" => Body::from(vec![b' '; BODY_LIMIT + 1]).into_response(),
        "unparsable" => said(400, "bad_data"),
        "too-many-samples" => said(422, "execution"),
        "starting" => said(503, "unavailable"),
        "late" => said(503, "timeout"),
        "partial" => answered(r#""isPartial":true,"#),
        "store-away" => answered(r#""warnings":["store is away"],"#),
        "proxy" => (StatusCode::BAD_REQUEST, "<html>").into_response(),
        "forbidden" => StatusCode::UNAUTHORIZED.into_response(),
        _ => "<html>".into_response(),
    }
}

async fn running() -> SocketAddr {
    let router = Router::new().route("/{base}/api/v1/{verb}", any(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn server(address: SocketAddr, base: &str) -> Server {
    Server {
        url: format!("http://{address}/{base}").parse().unwrap(),
        timeout: if base == "slow" { Duration::from_millis(100) } else { Duration::from_secs(20) },
        headers: HeaderMap::new(),
        ca: None,
        insecure: false,
        user_agent: "lookout/test",
    }
}

async fn ask(server: Server, when: When) -> Result<Answer, Error> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let question = Question { query: "sum(rate(a{b=\"c&d\"}[1m]))".to_owned(), when };
    Client::new(server).unwrap().query(&question).await
}

const QUERY: &str = "query=sum%28rate%28a%7Bb%3D%22c%26d%22%7D%5B1m%5D%29%29&partial_response=false";

#[tokio::test]
async fn questions_are_sent_as_forms_and_answers_are_read() {
    let address = running().await;
    let answer = ask(server(address, "echo"), When::At(1_700_000_000)).await.unwrap();
    let [series] = answer.series.as_slice() else { panic!("{answer:?}") };
    assert_eq!(series.samples, [(1000, 2.0)]);
    assert_eq!((series.label("method"), series.label("verb")), ("POST", "query"));
    assert_eq!(series.label("type"), "application/x-www-form-urlencoded");
    assert_eq!(series.label("form"), format!("{QUERY}&time=1700000000"));
    assert_eq!((series.label("authorization"), series.label("agent")), ("", "lookout/test"));

    let span = When::Every { first: 60, last: 600, step: 60 };
    let answer = ask(server(address, "reads-only/"), span).await.unwrap();
    let series = &answer.series[0];
    assert_eq!((series.label("method"), series.label("verb")), ("GET", "query_range"));
    assert_eq!(series.label("form"), format!("{QUERY}&start=60&end=600&step=60"));
}

#[tokio::test]
async fn credentials_are_sent_and_never_shown() {
    let address = running().await;
    let mut headers = HeaderMap::new();
    let mut secret = HeaderValue::from_static("Bearer hunter2");
    secret.set_sensitive(true);
    headers.insert(AUTHORIZATION, secret);
    headers.insert("x-scope-orgid", HeaderValue::from_static("passengers"));
    let with = |base: &str| {
        let mut asked = Server { headers: headers.clone(), ..server(address, base) };
        // a name and a password in the URL give way to the header
        asked.url.set_username("user").unwrap();
        asked.url.set_password(Some("hunter2")).unwrap();
        asked.timeout = Duration::from_millis(if base == "slow" { 200 } else { 20_000 });
        asked
    };
    let answer = ask(with("echo"), When::At(1)).await.unwrap();
    let series = &answer.series[0];
    assert_eq!((series.label("authorization"), series.label("tenant")), ("Bearer hunter2", "passengers"));
    for base in ["moved", "unparsable", "forbidden", "slow"] {
        let error = ask(with(base), When::At(1)).await.unwrap_err();
        assert!(!format!("{error}{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[tokio::test]
async fn every_other_answer_is_an_error_with_its_reason() {
    let address = running().await;
    for (base, reason, shown) in [
        ("moved", "status", "status 302, expected 200 (redirects are not followed)"),
        ("slow", "timeout", "no complete answer within 100ms"),
        ("huge", "body_limit", "the answer is larger than 16777216 bytes"),
        ("unparsable", "refused", "the server refuses the query (bad_data): what is wrong"),
        ("too-many-samples", "refused", "the server refuses the query (execution): what is wrong"),
        ("starting", "unavailable", "the server refuses the query (unavailable): what is wrong"),
        ("late", "timeout", "the server refuses the query (timeout): what is wrong"),
        ("partial", "partial", "a part of the data is missing: the server marks its answer as partial"),
        ("store-away", "partial", "a part of the data is missing: store is away"),
        ("proxy", "status", "status 400, expected 200 (redirects are not followed)"),
        ("forbidden", "status", "status 401, expected 200 (redirects are not followed)"),
    ] {
        let error = ask(server(address, base), When::At(1)).await.unwrap_err();
        assert_eq!((error.reason(), error.to_string().as_str()), (reason, shown), "{base}");
    }
    let error = ask(server(address, "html"), When::At(1)).await.unwrap_err();
    assert_eq!(error.reason(), "malformed");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = ask(server(closed, "echo"), When::At(1)).await.unwrap_err();
    assert_eq!(error.reason(), "connect");
}

const KEY: &[u8] = include_bytes!("../../../collect/src/probe/testdata/localhost.key.pem");
const CERT: &str = include_str!("../../../collect/src/probe/testdata/localhost.cert.pem");

/// The port of a server that speaks TLS and answers every question with nothing.
async fn secured() -> u16 {
    let certificate = CertificateDer::from_pem_slice(CERT.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::from_pem_slice(KEY).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut seen = Vec::new();
                while !String::from_utf8_lossy(&seen).contains("&time=")
                    && stream.read_buf(&mut seen).await.is_ok()
                {}
                let body = r#"{"status":"success","data":{"result":[]}}"#;
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = stream.write_all((head + body).as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    port
}

#[tokio::test]
async fn a_certificate_is_accepted_when_its_issuer_is_trusted_or_any_is() {
    let port = secured().await;
    let url: Url = format!("https://localhost:{port}/").parse().unwrap();
    let plain = Server { url, ..server("127.0.0.1:1".parse().unwrap(), "echo") };
    let unknown = ask(plain.clone(), When::At(1)).await.unwrap_err();
    assert_eq!(unknown.reason(), "connect", "{unknown}");
    assert!(unknown.to_string().to_lowercase().contains("certificate"), "{unknown}");
    let trusting = Server { ca: Some(CERT.to_owned()), ..plain.clone() };
    let accepting = Server { insecure: true, ..plain };
    for server in [trusting, accepting] {
        assert_eq!(ask(server, When::At(1)).await.map(|answer| answer.series), Ok(Vec::new()));
    }
}

#[test]
fn a_file_without_certificates_is_refused_before_anything_starts() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let with = |pem: &str| {
        let server = Server { ca: Some(pem.to_owned()), ..server("127.0.0.1:1".parse().unwrap(), "echo") };
        Client::new(server).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(with("no certificate"), Err("the ca_file holds no certificate in PEM".to_owned()));
    assert_eq!(with(CERT), Ok(()));
}
