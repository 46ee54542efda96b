//! A stand-in for the API server: it speaks the list of EndpointSlices over TLS, in the documented shapes. It is no
//! cluster, and knows nothing of roles.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use lookout_config::EndpointSlices;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::Slices;
use crate::discover::{Discoverer as _, DiscoveryError};

const KEY: &[u8] = include_bytes!("../../probe/testdata/localhost.key.pem");
const CERT: &[u8] = include_bytes!("../../probe/testdata/localhost.cert.pem");

/// Pages of the list, the token that is accepted, and the requests that came.
#[derive(Default)]
struct State {
    pages: Vec<Value>,
    token: String,
    requests: Vec<String>,
}

type Shared = Arc<Mutex<State>>;

fn respond(state: &Shared, head: &str) -> (u16, String) {
    let mut state = state.lock().unwrap();
    let line = head.lines().next().unwrap().to_owned();
    state.requests.push(line.clone());
    let authorization = format!("authorization: bearer {}\r\n", state.token);
    if !head.to_ascii_lowercase().contains(&authorization) {
        // the status object of the real server
        let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "Unauthorized", "reason": "Unauthorized", "code": 401});
        return (401, status.to_string());
    }
    let page = line.split("continue=").nth(1).map_or(0, |rest| rest[..1].parse::<usize>().unwrap());
    match state.pages.get(page) {
        Some(page) => (200, page.to_string()),
        None => {
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": "endpointslices.discovery.k8s.io is forbidden: User \"system:serviceaccount:shop:lookout\" cannot list resource",
                "reason": "Forbidden", "code": 403});
            (403, status.to_string())
        }
    }
}

async fn api_server(state: &Shared) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(CERT).unwrap()],
            PrivateKeyDer::from_pem_slice(KEY).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let state = Arc::clone(state);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                head.push(byte.into());
            }
            let (status, body) = respond(&state, &head);
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    address
}

fn slice(name: &str, ports: &Value, endpoints: &Value) -> Value {
    json!({"metadata": {"name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": "shop"}},
        "addressType": "IPv4", "ports": ports, "endpoints": endpoints})
}

fn list(next: &str, items: &[Value]) -> Value {
    json!({"kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1",
        "metadata": {"resourceVersion": "10245", "continue": next}, "items": items})
}

fn endpoint(address: &str, ready: &Value) -> Value {
    json!({"addresses": [address], "conditions": {"ready": ready, "serving": true, "terminating": false},
        "targetRef": {"kind": "Pod", "namespace": "shop", "name": format!("shop-{}", &address[7..]), "uid": "6e1"},
        "nodeName": "node-1", "zone": "zone-a"})
}

fn http() -> Value {
    json!([{"name": "http", "protocol": "TCP", "port": 8080}])
}

fn account(folder: &Path, token: &str) {
    std::fs::write(folder.join("token"), format!("{token}\n")).unwrap();
    std::fs::write(folder.join("ca.crt"), CERT).unwrap();
    std::fs::write(folder.join("namespace"), "shop").unwrap();
}

fn slices(folder: &Path, server: SocketAddr, port: Option<&str>) -> Slices {
    Slices::new(EndpointSlices {
        server: Some(format!("https://localhost:{}/base/", server.port()).parse().unwrap()),
        namespace: None,
        selector: "kubernetes.io/service-name=shop".to_owned(),
        port: port.map(str::to_owned),
        token_file: folder.join("token"),
        ca_file: folder.join("ca.crt"),
        namespace_file: folder.join("namespace"),
    })
}

async fn found(slices: &Slices) -> Result<Vec<String>, DiscoveryError> {
    let found = slices.discover().await?.unwrap();
    Ok(found.into_iter().map(|found| found.address).collect())
}

#[tokio::test]
async fn ready_endpoints_of_every_page_are_found_with_their_labels() {
    let (folder, state) = (tempfile::tempdir().unwrap(), Shared::default());
    account(folder.path(), "s3cret");
    let first = json!([endpoint("10.0.0.2", &json!(true)), endpoint("10.0.0.3", &json!(false))]);
    let second = json!([endpoint("10.0.0.1", &Value::Null), endpoint("10.0.0.2", &json!(true))]);
    let idle = slice("shop-c", &Value::Null, &Value::Null);
    *state.lock().unwrap() = State {
        token: "s3cret".to_owned(),
        pages: vec![
            list("1", &[slice("shop-a", &http(), &first), idle]),
            list("", &[slice("shop-b", &http(), &second)]),
        ],
        ..State::default()
    };
    let slices = slices(folder.path(), api_server(&state).await, None);
    let all = slices.discover().await.unwrap().unwrap();
    let addresses: Vec<&str> = all.iter().map(|one| one.address.as_str()).collect();
    assert_eq!(addresses, ["10.0.0.1:8080", "10.0.0.2:8080"], "each once, and none that is not ready");
    let labels = [("service", "shop"), ("pod", "shop-1"), ("node", "node-1"), ("zone", "zone-a")];
    assert_eq!(all[0].labels, labels.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let query = "labelSelector=kubernetes.io%2Fservice-name%3Dshop&limit=100";
    let path = "/base/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices";
    assert_eq!(
        state.lock().unwrap().requests,
        [format!("GET {path}?{query} HTTP/1.1"), format!("GET {path}?{query}&continue=1 HTTP/1.1")]
    );
}

#[tokio::test]
async fn a_token_that_ends_twice_is_read_again_and_what_is_forbidden_is_told() {
    let (folder, state) = (tempfile::tempdir().unwrap(), Shared::default());
    account(folder.path(), "one");
    let page = list("", &[slice("shop-a", &http(), &json!([endpoint("10.0.0.1", &json!(true))]))]);
    *state.lock().unwrap() = State { token: "one".to_owned(), pages: vec![page.clone()], ..State::default() };
    let slices = slices(folder.path(), api_server(&state).await, Some("http"));
    for token in ["two", "three"] {
        assert_eq!(found(&slices).await.unwrap(), ["10.0.0.1:8080"]);
        state.lock().unwrap().token = token.to_owned();
        for _ in 0..2 {
            let error = found(&slices).await.unwrap_err();
            assert_eq!(
                (error.reason(), error.to_string().as_str()),
                ("status", "the API server says 401: Unauthorized")
            );
        }
        // as the kubelet replaces it
        account(folder.path(), token);
    }
    assert_eq!(found(&slices).await.unwrap(), ["10.0.0.1:8080"]);
    for _ in 0..2 {
        state.lock().unwrap().pages.clear();
        let told = found(&slices).await.unwrap_err().to_string();
        assert!(
            told.starts_with("the API server says 403: endpointslices.discovery.k8s.io is forbidden: User"),
            "{told}"
        );
        state.lock().unwrap().pages.push(page.clone());
        assert_eq!(found(&slices).await.unwrap(), ["10.0.0.1:8080"]);
    }
}

#[tokio::test]
async fn answers_that_do_not_fit_and_settings_that_are_wrong_are_told() {
    let (folder, state) = (tempfile::tempdir().unwrap(), Shared::default());
    account(folder.path(), "one");
    state.lock().unwrap().token = "one".to_owned();
    let server = api_server(&state).await;
    let told = async |port: Option<&str>, page: Value| {
        state.lock().unwrap().pages = vec![page];
        found(&slices(folder.path(), server, port))
            .await
            .map_err(|error| format!("{}: {error}", error.reason()))
    };
    let one = json!([endpoint("10.0.0.1", &json!(true))]);
    let two_ports = json!([{"name": "http", "port": 8080}, {"name": "", "port": 9090}]);
    let with = |ports: &Value| list("", &[slice("shop-a", ports, &one)]);
    assert_eq!(told(Some("9090"), with(&two_ports)).await.unwrap(), ["10.0.0.1:9090"]);
    assert_eq!(
        told(None, with(&two_ports)).await.unwrap_err(),
        "unusable: the slice shop-a does not have one port, it has http (8080), 9090: name one with `port`"
    );
    assert_eq!(
        told(Some("grpc"), with(&http())).await.unwrap_err(),
        "unusable: the slice shop-a has no port `grpc`; it has http (8080)"
    );
    let wrong = told(None, json!({"items": 7})).await.unwrap_err();
    assert!(wrong.starts_with("malformed: the API server sent no list of slices"), "{wrong}");
    // a list without an end
    let endless = told(None, list("0", &[])).await.unwrap_err();
    assert_eq!(endless, "malformed: more than 2000 slices: write a narrower selector");
    let huge = json!({"items": [], "x": "x".repeat(5_000_000)});
    let huge = told(None, huge).await.unwrap_err();
    assert_eq!(huge, "malformed: an answer of the API server is larger than 4194304 bytes");
    assert_eq!(told(None, list("", &[])).await.unwrap(), Vec::<String>::new());

    let slices = slices(folder.path(), server, None);
    std::fs::write(folder.path().join("token"), "").unwrap();
    let told = found(&slices).await.unwrap_err();
    assert!(told.reason() == "setting" && told.to_string().ends_with("token is empty or no text"), "{told}");
    account(folder.path(), "one");
    std::fs::write(folder.path().join("ca.crt"), "").unwrap();
    let untrusted = found(&slices).await.unwrap_err();
    assert_eq!(untrusted.reason(), "connect", "{untrusted}");
    account(folder.path(), "one");
    assert!(found(&slices).await.unwrap().is_empty(), "the authorities are read again");
    std::fs::remove_file(folder.path().join("token")).unwrap();
    let gone = found(&slices).await.unwrap_err().to_string();
    assert!(gone.contains("cannot be read") && !gone.contains("one"), "{gone}");
}

#[tokio::test]
async fn a_token_is_never_sent_in_clear_text() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    account(folder.path(), "s3cret");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut slices = slices(folder.path(), listener.local_addr().unwrap(), None);
    let plain = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    slices = Slices::new(EndpointSlices { server: Some(plain), ..slices.source });
    let asking = tokio::spawn(async move { found(&slices).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = vec![0; 4096];
    let length = stream.read(&mut head).await.unwrap();
    let head = String::from_utf8_lossy(&head[..length]).to_ascii_lowercase();
    assert!(head.starts_with("get /apis/") && !head.contains("authorization"), "{head}");
    drop(stream);
    assert_eq!(asking.await.unwrap().unwrap_err().reason(), "connect");
}
