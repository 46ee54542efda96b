//! Against a server on a real socket that answers as the path of its base asks it to.

use std::net::SocketAddr;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use lookout_engine::Window;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use lookout_config::Secret;

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

fn server(address: SocketAddr, base: &str) -> Prometheus {
    Prometheus {
        name: "main".to_owned(),
        url: format!("http://{address}/{base}/").parse().unwrap(),
        timeout: if base == "slow" { Duration::from_millis(100) } else { Duration::from_secs(20) },
        scrape_interval: Duration::from_secs(15),
        delay: Duration::from_secs(20),
        window: Window::minutes(1),
        credentials: Credentials::None,
        headers: Vec::new(),
        ca: None,
        insecure: false,
    }
}

async fn ask(server: &Prometheus, when: When) -> Result<Answer, AskError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let question = Question { query: "sum(rate(a{b=\"c&d\"}[1m]))".to_owned(), when };
    HttpAsk::new(std::slice::from_ref(server)).unwrap().ask(server, &question).await
}

const QUERY: &str = "query=sum%28rate%28a%7Bb%3D%22c%26d%22%7D%5B1m%5D%29%29&partial_response=false";

#[tokio::test]
async fn questions_are_sent_as_forms_and_answers_are_read() {
    let address = running().await;
    let now = When::At(1_700_000_000);
    let answer = ask(&server(address, "echo"), now).await.unwrap();
    let [series] = answer.series.as_slice() else { panic!("{answer:?}") };
    assert_eq!(series.samples, [(1000, 2.0)]);
    assert_eq!((series.label("method"), series.label("verb")), ("POST", "query"));
    assert_eq!(series.label("type"), "application/x-www-form-urlencoded");
    assert_eq!(series.label("form"), format!("{QUERY}&time=1700000000"));
    assert_eq!(series.label("authorization"), "");

    let span = When::Every { first: 60, last: 600, step: 60 };
    let answer = ask(&server(address, "reads-only"), span).await.unwrap();
    let series = &answer.series[0];
    assert_eq!((series.label("method"), series.label("verb")), ("GET", "query_range"));
    assert_eq!(series.label("form"), format!("{QUERY}&start=60&end=600&step=60"));
}

#[tokio::test]
async fn the_server_knows_who_asks() {
    let address = running().await;
    let secret = || Secret::new("hunter2");
    for (credentials, expected) in [
        (Credentials::Bearer(secret()), "Bearer hunter2"),
        (
            Credentials::Basic { username: "lookout".to_owned(), password: secret() },
            "Basic bG9va291dDpodW50ZXIy",
        ),
    ] {
        let headers = vec![("X-Scope-OrgID".to_owned(), Secret::new("passengers"))];
        let asked = Prometheus { credentials, headers, ..server(address, "echo") };
        let answer = ask(&asked, When::At(1)).await.unwrap();
        let series = &answer.series[0];
        assert_eq!((series.label("authorization"), series.label("tenant")), (expected, "passengers"));
        // whatever goes wrong, nothing of it shows
        for base in ["moved", "unparsable", "forbidden", "slow"] {
            let url = server(address, base).url;
            let timeout = Duration::from_millis(200);
            let error = ask(&Prometheus { url, timeout, ..asked.clone() }, When::At(1)).await.unwrap_err();
            assert!(!format!("{error}{error:?}{asked:?}").contains("hunter2"), "{error:?}");
        }
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
        ("starting", "status", "status 503, expected 200 (redirects are not followed): what is wrong"),
        ("proxy", "status", "status 400, expected 200 (redirects are not followed)"),
        ("forbidden", "status", "status 401, expected 200 (redirects are not followed)"),
    ] {
        let error = ask(&server(address, base), When::At(1)).await.unwrap_err();
        assert_eq!((error.reason(), error.to_string().as_str()), (reason, shown), "{base}");
    }
    let error = ask(&server(address, "html"), When::At(1)).await.unwrap_err();
    assert_eq!(error.reason(), "malformed");
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = ask(&server(closed, "echo"), When::At(1)).await.unwrap_err();
    assert_eq!(error.reason(), "connect");
}

const KEY: &[u8] = include_bytes!("../../probe/testdata/localhost.key.pem");
const CERT: &str = include_str!("../../probe/testdata/localhost.cert.pem");

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
async fn a_certificate_is_believed_when_its_issuer_is_trusted_or_nobody_asks() {
    let port = secured().await;
    let url: url::Url = format!("https://localhost:{port}/").parse().unwrap();
    let plain = Prometheus { url, ..server("127.0.0.1:1".parse().unwrap(), "echo") };
    let unknown = ask(&plain, When::At(1)).await.unwrap_err();
    assert_eq!(unknown.reason(), "connect", "{unknown}");
    assert!(unknown.to_string().to_lowercase().contains("certificate"), "{unknown}");
    let trusting = Prometheus { ca: Some(CERT.to_owned()), ..plain.clone() };
    let believing = Prometheus { insecure: true, ..plain };
    for server in [trusting, believing] {
        assert_eq!(ask(&server, When::At(1)).await.map(|answer| answer.series), Ok(Vec::new()));
    }
}

#[test]
fn a_file_without_certificates_is_refused_before_anything_starts() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let address = "127.0.0.1:1".parse().unwrap();
    let with = |pem: &str| {
        let server = Prometheus { ca: Some(pem.to_owned()), ..server(address, "echo") };
        HttpAsk::new(&[server]).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(
        with("no certificate"),
        Err("the ca_file of the Prometheus main holds no certificate in PEM".to_owned())
    );
    assert_eq!(with(CERT), Ok(()));
}
